"""The demo: simulators and Airflow side by side, the DAGs started and then followed by their assets."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live
from rich.table import Table

from include.airflow_api import FINISHED, NEVER, AirflowApi, RunState, TaskState
from include.connect.errors import FixSettings, RetryLater

POLL_SECONDS = 1.5
PATIENCE_SECONDS = 300.0
IDLE_SECONDS = 60.0
"""With nothing running for this long, whatever has not started will not."""
RANKS = ("ingest_", "unify", "segment_", "sync_")


@dataclass(slots=True)
class Followed:
    """What was seen while following: the runs, the tasks, and whether the whole road was walked."""

    runs: list[RunState] = field(default_factory=list)
    tasks: list[TaskState] = field(default_factory=list)
    is_complete: bool = False

    @property
    def failed(self) -> list[TaskState]:
        """Tasks that failed for good, in the latest run of their DAG."""
        latest = latest_runs(self.runs)
        return [task for task in self.tasks if task.state == "failed" and latest[task.dag_id].run_id == task.run_id]


def latest_runs(runs: list[RunState]) -> dict[str, RunState]:
    """The newest run of each DAG."""
    found: dict[str, RunState] = {}
    for run in sorted(runs, key=lambda run: run.run_after):
        found[run.dag_id] = run
    return found


def start_ingests(api: AirflowApi, expected: set[str], seconds: float = 300) -> set[str]:
    """Wait until the expected DAGs are there, then start every ingest that does not start by itself.

    Returns the DAGs of the road; those that only watch, or wait for a person, are not among them.

    Raises:
        FixSettings: a DAG file does not load.
        RetryLater: the DAGs do not appear in time.
    """
    until = time.monotonic() + seconds
    while not expected <= (dags := api.dags()):
        errors = api.import_errors()
        if errors:
            raise FixSettings(errors[0], where="dags", fix="The DAG file must load.")
        if time.monotonic() > until:
            raise RetryLater(f"no DAG {', '.join(sorted(expected - dags))} appeared", where="Airflow's dag-processor")
        time.sleep(POLL_SECONDS)
    under_way = {run.dag_id for run in api.runs()}
    now = datetime.now(UTC)
    for dag_id in sorted(dags):
        # A DAG seen for the first time may be due at once; starting it too would pull twice.
        if dag_id.startswith("ingest_") and dag_id not in under_way and not api.due(dag_id, now):
            api.trigger(dag_id)
    return {dag_id for dag_id in dags if dag_id.startswith(RANKS)}


def follow(
    api: AirflowApi, since: datetime, expected: set[str], console: Console, alive: Callable[[], bool]
) -> Followed:
    """Follow the expected DAGs until each has ended and nothing more is to come; shows every change.

    Args:
        api: Airflow.
        since: only runs that came to be after this moment count.
        expected: DAGs that must each run.
        console: a terminal gets one live table, anything else one line per change.
        alive: whether Airflow still runs.
    """
    seen = Followed()
    shown: dict[tuple[str, str, str], str] = {}
    idle_since = began = answered = time.monotonic()
    with Live(console=console, refresh_per_second=4, transient=False) if console.is_terminal else _Plain() as live:
        while alive():
            try:
                runs = [run for run in api.runs() if run.dag_id in expected and run.queued >= since]
                seen.runs, seen.tasks = runs, api.tasks(runs)
                answered = time.monotonic()
            except RetryLater:
                # A busy machine answers late; what runs does not need us.
                if time.monotonic() - answered > PATIENCE_SECONDS:
                    raise
                continue
            changed = [task for task in seen.tasks if shown.get((task.dag_id, task.run_id, task.task_id)) != task.state]
            shown |= {(task.dag_id, task.run_id, task.task_id): task.state for task in changed}
            if isinstance(live, Live):
                live.update(_picture(seen, expected, time.monotonic() - began))
            else:
                for task in changed:
                    if task.state not in ("none", "scheduled"):
                        console.print(f"{time.monotonic() - began:6.1f} s  {task.dag_id}.{task.task_id}: {task.state}")
            # A run that waits for a person goes on when somebody answers, however long after the demo's end.
            asking = {(task.dag_id, task.run_id) for task in seen.tasks if task.state == "awaiting_input"}
            active = [run for run in seen.runs if not run.is_finished and (run.dag_id, run.run_id) not in asking]
            if not active and _walked(seen, expected):
                seen.is_complete = True
                break
            if active or changed:
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > (IDLE_SECONDS / 4 if seen.failed else IDLE_SECONDS):
                break
            time.sleep(POLL_SECONDS)
    return seen


def _walked(seen: Followed, expected: set[str]) -> bool:
    """Whether every DAG ran, each after what starts it."""
    if expected - {run.dag_id for run in seen.runs}:
        return False
    ended = {name: _ended(seen.tasks, name) for name in ("load", "wait_turn", "publish")}
    return (
        ended["wait_turn"] >= ended["load"]
        and all(start >= ended["publish"] for start in _started(seen.tasks, "compute").values())
        and all(
            start >= _ended([task for task in seen.tasks if task.dag_id == _list_of(dag_id)], "compute")
            for dag_id, start in _started(seen.tasks, "plan").items()
        )
    )


def _list_of(sync: str) -> str:
    """The DAG that computes the list a sync sends."""
    return f"segment_{sync.removeprefix('sync_').rpartition('__')[0]}"


def _ended(tasks: list[TaskState], task_id: str) -> datetime:
    """When a task of this name last ended; a skipped one told nobody, but for the turn, whose end is what counts."""
    wanted = FINISHED if task_id == "wait_turn" else ("success",)
    ends = [task.ended for task in tasks if task.task_id == task_id and task.ended is not None and task.state in wanted]
    return max(ends, default=NEVER)


def _started(tasks: list[TaskState], task_id: str) -> dict[str, datetime]:
    """When the task of this name last started, per DAG."""
    found: dict[str, datetime] = {}
    for task in tasks:
        if task.task_id == task_id:
            found[task.dag_id] = max(found.get(task.dag_id, NEVER), task.started or NEVER)
    return found


class _Plain:
    """Stands where a live table would: output that is no terminal."""

    def __enter__(self) -> _Plain:
        return self

    def __exit__(self, *exc: object) -> None:
        return None


def _picture(seen: Followed, expected: set[str], seconds: float) -> Table:
    table = Table(title=f"{seconds:.0f} s", title_justify="left", box=None)
    table.add_column("DAG")
    table.add_column("tasks")
    latest = latest_runs(seen.runs)
    colours = {"success": "green", "failed": "red", "running": "yellow", "skipped": "magenta", "up_for_retry": "yellow"}
    for dag_id in sorted(expected, key=lambda name: (_rank(name), name)):
        run = latest.get(dag_id)
        tasks = [task for task in seen.tasks if run and task.run_id == run.run_id and task.dag_id == dag_id]
        cells = [f"[{colours.get(task.state, 'dim')}]{task.task_id} {task.state}[/]" for task in tasks]
        table.add_row(dag_id, "  ".join(cells) or "[dim]waits[/]")
    return table


def _rank(dag_id: str) -> int:
    return next((number for number, start in enumerate(RANKS) if dag_id.startswith(start)), len(RANKS))
