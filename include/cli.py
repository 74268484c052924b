"""The `stitchline` command."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from include.cli_collector import collector
from include.cli_customer import customer_app
from include.cli_identity import identity_app
from include.cli_models import models_app
from include.cli_privacy import privacy_app
from include.cli_segment import segment_app
from include.connect.errors import FixSettings, StitchlineError
from include.doctor import doctor
from include.settings import Settings, read_settings

if TYPE_CHECKING:
    from include.launcher import Airflow
    from include.run import Run

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
source_app = typer.Typer(no_args_is_help=True, help="Sources: what can be pulled, and whether it answers.")
sync_app = typer.Typer(no_args_is_help=True, help="Syncs: what would be sent where.")
app.add_typer(source_app, name="source")
app.add_typer(segment_app, name="segment")
app.add_typer(sync_app, name="sync")
app.add_typer(identity_app, name="identity")
app.add_typer(customer_app, name="customer")
app.add_typer(models_app, name="models")
app.add_typer(privacy_app, name="privacy")
app.command()(doctor)
app.command()(collector)

FAILED, WRONG, HELD = 1, 2, 3
"""Exit codes: a stage failed; something must be corrected; a plan waits for approval."""

EMULATOR, GOOGLE = "BIGQUERY_EMULATOR_HOST", "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT"
"""Either says which BigQuery a simulated run uses."""

out = Console(highlight=False, width=None if sys.stdout.isatty() else 160)

People = Annotated[int, typer.Option(min=10, help="size of the simulated company")]
Seed = Annotated[int, typer.Option(help="which simulated company")]
Home = Annotated[Path | None, typer.Option(help="folder for everything written; default STITCHLINE_HOME")]


def main() -> NoReturn:
    """Run a command; an error is one line and an exit code, never a traceback."""
    signal.signal(signal.SIGTERM, _leave)
    try:
        app(standalone_mode=True)
    except StitchlineError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(WRONG)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    sys.exit(0)


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)  # as an exception, so that whatever was started is ended


@app.command()
def demo(
    people: People = 5000,
    seed: Seed = 7,
    home: Home = None,
    port: Annotated[int, typer.Option(help="of the Airflow UI; another one is taken if it is not free")] = 8080,
    once: Annotated[
        bool, typer.Option("--once", help="end when the lists are sent, instead of keeping the UI up")
    ] = False,
) -> None:
    """Simulate a company and walk the whole road in Airflow: pull, stitch, list, send."""
    from include.airflow_api import AirflowApi
    from include.demo import follow, start_ingests
    from include.launcher import Airflow, Processes, free_port
    from include.summary import show, summarize
    from include.world import World, remember

    root = _home(home)
    world = World.of(root, people, seed, free_port())
    began = datetime.now(UTC)
    with ExitStack() as stack:
        out.print(f"Simulating {people} people in {root}")
        simulator = Processes({"simulator": world.command()}, os.environ, root / "logs")
        stack.enter_context(simulator)
        environment = world.environment()
        remember(root, environment)
        os.environ.update(environment)
        airflow = Airflow(root, free_port(port), {"STITCHLINE_UNIFY_EVERY_SECONDS": "60"})
        out.print("Starting Airflow; the first start takes a minute or two")
        stack.enter_context(airflow)
        os.environ.update(
            {name: airflow.env[name] for name in airflow.env if name.startswith(("AIRFLOW", "STITCHLINE", "GX"))}
        )
        world.wait_ready()
        world.reset_stats()
        airflow.wait_healthy()
        ready = f"Airflow: {airflow.url}   user admin   password {airflow.password}"
        out.print(ready)
        api = AirflowApi(airflow.url, airflow.password)
        expected = start_ingests(api, _dags(read_settings()))
        seen = follow(api, began, expected, out, lambda: airflow.is_running)
        show(summarize(read_settings(), began, world), out)
        out.print(f"The road took {(datetime.now(UTC) - began).total_seconds():.0f} s. {ready}")
        for task in seen.failed:
            reason = "; ".join(api.log_tail(task, 3))
            out.print(f"failed: {task.dag_id}.{task.task_id}: {reason}", style="red")
        if not seen.is_complete or seen.failed:
            if not seen.failed:
                out.print("The road was not walked to its end; the UI shows what waits.", style="red")
            if not once:
                _wait_for_interrupt(airflow)
            raise typer.Exit(FAILED)
        if not once:
            _wait_for_interrupt(airflow)


@app.command()
def up(home: Home = None, port: Annotated[int, typer.Option(help="of the Airflow UI")] = 8080) -> None:
    """Start Airflow with the DAGs that STITCHLINE_SOURCES and STITCHLINE_SYNCS name, until Ctrl-C."""
    from include.launcher import Airflow, free_port

    root = _home(home)
    with Airflow(root, free_port(port)) as airflow:
        airflow.wait_healthy()
        out.print(f"Airflow: {airflow.url}   user admin   password {airflow.password}")
        _wait_for_interrupt(airflow)


@app.command()
def run(
    people: People = 500,
    seed: Seed = 7,
    home: Home = None,
    warehouse: Annotated[str | None, typer.Option(help="duckdb or bigquery")] = None,
    simulator_port: Annotated[int | None, typer.Option(help="use simulators that already run there")] = None,
) -> None:
    """Walk the whole road once without a scheduler: the same DAGs, one after the other; again continues."""
    from include.launcher import Processes, base_environment, free_port
    from include.once import run_once
    from include.simulate.bigquery import emulator
    from include.summary import show, summarize
    from include.world import World, remember

    root = _home(home)
    world = World.of(root, people, seed, simulator_port or free_port())
    began = datetime.now(UTC)
    with ExitStack() as stack:
        if simulator_port is None:
            stack.enter_context(Processes({"simulator": world.command()}, os.environ, root / "logs"))
        if warehouse:
            os.environ["STITCHLINE_WAREHOUSE"] = warehouse
        if read_settings().warehouse == "bigquery" and EMULATOR not in os.environ and GOOGLE not in os.environ:
            out.print("No connection to BigQuery is set: starting an emulator; the first time it is installed")
            os.environ.update(stack.enter_context(emulator(root / "bigquery")))
        environment = world.environment(read_settings().warehouse)
        remember(root, environment)
        os.environ.update(environment)
        os.environ.update(base_environment(root, "run"))
        os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "WARNING"
        os.environ["STITCHLINE_UNIFY_EVERY_SECONDS"] = "0"
        settings = read_settings()
        world.wait_ready()
        world.fill(settings)
        world.reset_stats()
        outcome = run_once(lambda line: out.print(line, soft_wrap=True), root / "logs" / "run.log")
        summary = summarize(settings, began, world)
        show(summary, out)
        out.print(
            f"The road took {(datetime.now(UTC) - began).total_seconds():.0f} s; its log is {root / 'logs' / 'run.log'}"
        )
    if outcome.failed:
        is_held = all(task.startswith("sync_") for task in outcome.failed) and all(
            sync["status"] in ("held", "applied") for sync in summary.syncs
        )
        raise typer.Exit(HELD if is_held else FAILED)


@app.command()
def migrate(home: Home = None) -> None:
    """Bring the warehouse and the state store to the version of this code."""
    from include.state.store import Store
    from include.warehouse.engine import connect
    from include.warehouse.stage import ensure_all

    settings = _settings(home)
    with Store.open(settings):
        out.print("state store: up to date")
    with connect(settings) as engine:
        ensure_all(engine, settings)
    out.print(f"warehouse ({settings.warehouse}): up to date")


@source_app.command("list")
def source_list() -> None:
    """Every source that is shipped, and whether it is switched on."""
    from include.sources import all_sources

    settings = _settings(None)
    enabled = {entry.partition(":")[0] for entry in settings.sources}
    for name, source in all_sources().items():
        state = "on" if name in enabled or "*" in enabled else "off"
        streams = ", ".join(stream.name for stream in source.streams)
        out.print(f"{name:12} {state:4} {source.title}: {streams}", soft_wrap=True)


@source_app.command("check")
def source_check(
    name: Annotated[str | None, typer.Argument(help="source; none with --all")] = None,
    account: Annotated[str, typer.Option(help="account of the connection")] = "main",
    every: Annotated[bool, typer.Option("--all", help="every account that STITCHLINE_SOURCES switches on")] = False,
) -> None:
    """Try the connection, the credentials and the first page of every stream; nothing is written."""
    from rich.table import Table

    from include.connect.check import check
    from include.sources import get_source
    from include.wiring import enabled_accounts

    if every == (name is not None):
        raise typer.BadParameter("name one source, or say --all")
    settings = _settings(None)
    chosen = list(enabled_accounts(settings)) if name is None else [(name, account)]
    if not chosen:
        raise FixSettings(
            "no source is switched on", where="STITCHLINE_SOURCES", fix="List sources there, or name one to check."
        )
    table = Table("source", "account", "check", "", "what was seen")
    all_ok = True
    for source, whose in chosen:
        for result in check(get_source(source), whose, settings):
            table.add_row(source, whose, result.check, "ok" if result.ok else "BAD", result.detail)
            all_ok = all_ok and result.ok
    out.print(table)
    if not all_ok:
        raise typer.Exit(WRONG)


@source_app.command("docs")
def source_docs() -> None:
    """Write docs/sources: for each source its connection, streams, limits and what it does not bring."""
    from include.connect.source_page import FOLDER, write

    out.print(f"{write()} pages: {FOLDER}", soft_wrap=True)


@sync_app.command("plan")
def sync_plan(segment: str, destination: str) -> None:
    """What a sync would do now, without sending anything."""
    from include.activate.sync import make_plan
    from include.warehouse.engine import connect

    settings = _settings(None)
    plan = make_plan(segment, destination, settings, _now(f"plan_{segment}"), lambda: connect(settings), dry_run=True)
    counts = plan.counts
    out.print(
        f"{plan.sync}: {counts.enter} enter, {counts.update} update, {counts.leave} leave, "
        f"{counts.unchanged} unchanged, {counts.suppressed} suppressed, {counts.invalid} invalid (plan {plan.plan_id})",
        soft_wrap=True,
    )
    if plan.reason:
        out.print(plan.reason, soft_wrap=True)
    if plan.held:
        raise typer.Exit(HELD)


@sync_app.command("verify")
def sync_verify(segment: str, destination: str) -> None:
    """Read a destination back and compare it with what it accepted; nothing is changed there."""
    from include.activate.read_back import verify
    from include.activate.segment import get_segment
    from include.destinations import get_destination
    from include.warehouse.engine import connect

    settings = _settings(None)
    run = _now(f"verify_{segment}")
    found = verify(get_segment(segment), get_destination(destination), settings, run, lambda: connect(settings))
    for one in found:
        out.print(
            f"{one.sync}: {one.place} should hold {one.expected} people from us; {one.missing} are gone, "
            f"{one.others} others are there",
            soft_wrap=True,
        )
    if not found:
        out.print("nothing of this sync is at the destination")


def _home(home: Path | None) -> Path:
    """The folder of this command, which later settings follow."""
    root = (home or read_settings().home).resolve()
    os.environ["STITCHLINE_HOME"] = str(root)
    return root


def _settings(home: Path | None) -> Settings:
    """Settings as the home's Airflow has them: its connections, its key, its database."""
    from include.launcher import base_environment
    from include.world import recall

    root = _home(home)
    recall(root)
    quiet = {"AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
    for name, value in {**base_environment(root, "server"), **quiet}.items():
        os.environ.setdefault(name, value)
    return read_settings()


def _dags(settings: Settings) -> set[str]:
    """Ids of the DAGs these settings switch on."""
    from include import wiring
    from include.activate.segment import all_segments

    found = {wiring.ingest_dag_id(source, account) for source, account in wiring.enabled_accounts(settings)} | {"unify"}
    for segment in all_segments().values():
        found.add(wiring.segment_dag_id(segment.name))
        found |= {
            wiring.sync_dag_id(segment.name, spec.to) for spec in wiring.enabled_syncs(settings, segment.header.syncs)
        }
    return found


def _now(what: str) -> Run:
    from include.run import Run

    moment = datetime.now(UTC)
    return Run.of(f"cli_{what}", moment.isoformat(), moment)


def _wait_for_interrupt(airflow: Airflow) -> None:
    out.print("Ctrl-C ends it.")
    try:
        while airflow.is_running:
            time.sleep(0.5)
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
