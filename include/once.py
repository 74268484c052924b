"""The whole road once, in this process: the same DAGs, in the order their assets would start them."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from include.connect.errors import FixSettings
from include.settings import ROOT

ORDER = ("ingest_", "unify", "segment_", "sync_")


@dataclass(slots=True)
class Outcome:
    """How the DAGs ended: `failed` maps `<dag>.<task>` to its error."""

    failed: dict[str, BaseException] = field(default_factory=dict)


def run_once(tell: Callable[[str], None], log: Path) -> Outcome:
    """Run every DAG that is switched on, one after the other; Airflow's own output goes to `log`.

    The process must have its AIRFLOW_HOME and the other variables set before Airflow is imported.
    """
    outcome = Outcome()
    _end_on_sigterm()
    with _output_to(log):
        from airflow.dag_processing.dagbag import DagBag

        from include.launcher import prepare_database

        prepare_database()
        bag = DagBag(str(ROOT / "dags"))
    if bag.import_errors:
        file, trace = next(iter(bag.import_errors.items()))
        raise FixSettings(trace.strip().splitlines()[-1], where=file, fix="The DAG file must load.")
    for prefix in ORDER:
        for dag_id in sorted(name for name in bag.dags if name.startswith(prefix)):
            _run_dag(bag.dags[dag_id], outcome, tell, log)
    return outcome


def _end_on_sigterm() -> None:
    """End at once on SIGTERM: a task run in this process puts a handler of Airflow's there that goes on.

    Ending like that is safe at any instruction, and keepers notice that this process is gone.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def wait() -> None:
        signal.sigwait({signal.SIGTERM})
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def _run_dag(dag: Any, outcome: Outcome, tell: Callable[[str], None], log: Path) -> None:
    def failed(context: Any) -> None:
        outcome.failed[f"{dag.dag_id}.{context['ti'].task_id}"] = context["exception"]

    from include.approval import ApprovePlan
    from include.wiring import OnlyWhenAsked

    for task in dag.tasks:
        if isinstance(task, ApprovePlan):
            task.may_wait = False
        task.on_failure_callback = [failed]
        task.retry_policy = OnlyWhenAsked()
    began = time.monotonic()
    with _output_to(log):
        run = dag.test()
        states = {instance.task_id: str(instance.state) for instance in run.get_task_instances()}
    tell(f"{dag.dag_id}: {_in_words(dag, states)} ({time.monotonic() - began:.1f} s)")
    for where, error in outcome.failed.items():
        if where.startswith(f"{dag.dag_id}."):
            tell(f"  {where.partition('.')[2]}: {error}")


def _in_words(dag: Any, states: dict[str, str]) -> str:
    order = [task.task_id for task in dag.topological_sort()]
    if set(states.values()) == {"success"}:
        return f"{', '.join(order)}: success"
    return ", ".join(f"{name}: {states[name]}" for name in order if name in states)


@contextlib.contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Send what this process and its libraries print to a file; Airflow logs to the descriptors themselves."""
    log.parent.mkdir(parents=True, exist_ok=True)
    saved = [os.dup(number) for number in (1, 2)]
    try:
        with log.open("ab") as out:
            for number in (1, 2):
                os.dup2(out.fileno(), number)
        yield
    finally:
        for number, copy in zip((1, 2), saved, strict=True):
            os.dup2(copy, number)
            os.close(copy)
