"""When the demo may say that the road was walked: every DAG ran, each after what starts it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from include.airflow_api import RunState, TaskState
from include.demo import Followed, _walked

START = datetime(2026, 11, 20, 6, tzinfo=UTC)
ROAD = (
    ("ingest_stripe", "load", 0, 10),
    ("unify", "wait_turn", 11, 12),
    ("unify", "publish", 20, 30),
    ("segment_at_risk", "compute", 31, 40),
    ("sync_at_risk__mailchimp_tag", "plan", 41, 45),
    # Another list of the same road, which nobody waits for.
    ("segment_churned", "compute", 50, 60),
)


def followed(*changes: tuple[str, str, int, int]) -> tuple[Followed, set[str]]:
    road = {(dag_id, task_id): (began, ended) for dag_id, task_id, began, ended in (*ROAD, *changes)}
    tasks = [
        TaskState(dag, "run", task, "success", START + timedelta(seconds=began), START + timedelta(seconds=ended), 1)
        for (dag, task), (began, ended) in road.items()
    ]
    names = {dag for dag, _ in road}
    seen = Followed()
    seen.runs = [RunState(name, "run", "success", START, START) for name in sorted(names)]
    seen.tasks = tasks
    return seen, names


def test_each_sync_waits_for_its_own_list() -> None:
    assert _walked(*followed())
    assert not _walked(*followed(("segment_at_risk", "compute", 42, 50)))


def test_what_came_before_its_cause_has_to_come_again() -> None:
    assert not _walked(*followed(("ingest_stripe", "load", 13, 14)))
    assert not _walked(*followed(("segment_churned", "compute", 25, 28)))
    seen, names = followed()
    assert not _walked(seen, names | {"segment_suppressed"})
