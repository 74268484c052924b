"""`python -m benchmarks NAME`: run one benchmark and print what it measured."""

from __future__ import annotations

import logging
import platform
from typing import Annotated

import psutil
import typer

from benchmarks.identity import identity_app

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
app.add_typer(identity_app, name="identity")


@app.callback()
def machine() -> None:
    """Say what it is measured on."""
    logging.disable(logging.WARNING)
    memory = psutil.virtual_memory().total / 2**30
    typer.echo(f"{psutil.cpu_count()} cores, {memory:.0f} GB, {platform.system()}, Python {platform.python_version()}")


@app.command()
def warehouse(
    small: Annotated[int, typer.Option(help="raw rows of the small warehouse")] = 1_000_000,
    large: Annotated[int, typer.Option(help="raw rows of the large one")] = 5_000_000,
    repeats: Annotated[int, typer.Option(help="changes measured on each")] = 3,
) -> None:
    """Unify after the same 10,000 changed rows, on top of two sizes of history."""
    from benchmarks.warehouse import measure

    found = [measure(rows, repeats, typer.echo) for rows in (small, large)]
    for name in found[0]:
        typer.echo(
            f"{name}: {found[0][name]:.2f} s and {found[1][name]:.2f} s, {found[1][name] / found[0][name]:.2f} times"
        )


@app.command()
def collector(
    seconds: Annotated[float, typer.Option(help="how long each turn sends")] = 5,
    repeats: Annotated[int, typer.Option(help="turns of each kind")] = 5,
) -> None:
    """Batches of 100 signed events, durable before the answer: ours, ours without fsync, FastAPI."""
    from benchmarks.collector import measure

    for name, turn in measure(seconds, repeats, typer.echo).items():
        typer.echo(f"median {name}: {turn.requests_per_second:,.0f} requests/s, p99 {turn.p99_milliseconds:.1f} ms")


@app.command()
def pull(
    records: Annotated[int, typer.Option(help="records the API holds")] = 200_000,
    repeats: Annotated[int, typer.Option(help="turns of each way, interleaved; medians are told")] = 3,
    ways: Annotated[str, typer.Option(help="which, separated by semicolons; all if empty")] = "",
    rate: Annotated[int, typer.Option(help="calls a second that the paced API permits; 0 leaves it out")] = 25,
    seconds: Annotated[int, typer.Option(help="how long the paced pull takes")] = 30,
) -> None:
    """One API's records: ours, dlt, airbyte-cdk, a Singer tap and a bare socket; and how near a paced pull comes."""
    from benchmarks.pull import WAYS, measure, pace, told

    chosen = ways.split(";") if ways else list(WAYS)
    for name, turn in (measure(records, repeats, chosen, typer.echo) if repeats else {}).items():
        typer.echo(f"median {name}: {told(turn, records)}")
    if rate:
        found = pace(rate, seconds)
        typer.echo(f"{found.calls:,} calls at {rate} a second: {100 * found.share:.1f}% of it, {found.refused} refused")


activation_app = typer.Typer(add_completion=False)
app.add_typer(activation_app, name="activation")


@activation_app.callback(invoke_without_command=True)
def activation(
    context: typer.Context,
    members: Annotated[str, typer.Option(help="people on the list, one turn of each size")] = "100000,1000000",
) -> None:
    """A list computed, planned and sent: everybody, then 1% of changes, then none."""
    from benchmarks.activation import measure

    for size in members.split(",") if context.invoked_subcommand is None else ():
        measure(int(size), typer.echo)


@activation_app.command()
def peers(
    members: Annotated[int, typer.Option(help="people on the list")] = 2000,
    rate: Annotated[float, typer.Option(help="calls a second that the vendor permits")] = 10,
    seconds: Annotated[int, typer.Option(help="how long the paced list takes; 0 leaves it out")] = 30,
    ways: Annotated[str, typer.Option(help="which, separated by commas; all if empty")] = "",
) -> None:
    """Ours, drt-core and dlt send the same lists to the same vendor, in calm and in trouble."""
    from benchmarks.activation_peers import measure
    from benchmarks.activation_ways import WAYS

    measure(members, rate, seconds, ways.split(",") if ways else list(WAYS), typer.echo)


@app.command()
def chaos(
    members: Annotated[int, typer.Option(help="people on the list at the start")] = 20_000,
    runs: Annotated[int, typer.Option(help="how often the list changes and is sent")] = 30,
    seed: Annotated[int, typer.Option(help="decides the changes, the faults and the kills")] = 7,
    batch: Annotated[int, typer.Option(help="people a call")] = 50,
) -> None:
    """A list that changes while everything goes wrong, and whether everything is right when it is over."""
    import sys
    import tempfile
    from pathlib import Path

    from include.settings import ROOT

    # It is a test that takes its size, and stands beside what the tests share.
    sys.path += [str(ROOT / "tests" / name) for name in ("journeys", "destinations", "activate")]
    from chaos import run_chaos

    with tempfile.TemporaryDirectory(prefix="stitchline-bench-") as home:
        report = run_chaos(Path(home), members, runs, seed, batch)
    typer.echo(report)
    raise typer.Exit(bool(report.problems))


if __name__ == "__main__":
    app()
