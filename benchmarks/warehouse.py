"""How unify's cost follows new rows rather than history: the same change on top of a small and a large warehouse."""

from __future__ import annotations

import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from benchmarks.company import EVENTS_PER_PERSON, START, write_changes, write_company
from include import steps
from include.run import Run
from include.settings import read_settings
from include.warehouse.duckdb import open_duckdb
from include.warehouse.stage import ensure_all

STEPS: tuple[tuple[str, Callable[[Run], object]], ...] = (
    ("stage", steps.unify_stage),
    ("check", steps.unify_check),
    ("identity", steps.unify_identity),
    ("marts", steps.unify_marts),
    ("publish", steps.unify_publish),
)
CHANGED = 10_000


def measure(rows: int, repeats: int, tell: Callable[[str], None]) -> dict[str, float]:
    """Median seconds of each step of a unify over 10,000 changed rows on top of `rows` raw rows."""
    with tempfile.TemporaryDirectory(prefix="stitchline-bench-") as home:
        os.environ |= {"STITCHLINE_HOME": home, "STITCHLINE_WAREHOUSE": "duckdb"}
        settings = read_settings()
        with open_duckdb(settings) as engine:
            ensure_all(engine, settings)
            write_company(engine.connection, rows)
        first = _unify(0)
        tell(f"{rows:,} raw rows, everything new: {_line(first)}")
        seen: list[dict[str, float]] = []
        for turn in range(1, repeats + 1):
            with open_duckdb(settings) as engine:
                write_changes(engine.connection, CHANGED, rows // (EVENTS_PER_PERSON + 3), 10 * turn)
            seen.append(_unify(turn))
            tell(f"{rows:,} raw rows, {CHANGED:,} changed: {_line(seen[-1])}")
        size = sum(file.stat().st_size for file in Path(home).rglob("*") if file.is_file())
        tell(
            f"{size / 1e9:.2f} GB on disk, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB of memory"
        )
    return {name: statistics.median(one[name] for one in seen) for name in seen[0]}


def _unify(turn: int) -> dict[str, float]:
    run = Run.of("unify", f"bench__{turn}", START + timedelta(days=320, hours=turn))
    took = {}
    for name, step in STEPS:
        began = time.perf_counter()
        step(run)
        took[name] = time.perf_counter() - began
    return took | {"unify": sum(took.values())}


def _line(took: dict[str, float]) -> str:
    return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in took.items())
