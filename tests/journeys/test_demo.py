"""The demo as a user has it: the road walked in Airflow, and a list that shrinks too much put before a person."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from include.airflow_api import AirflowApi, RunState, TaskState
from include.connect.errors import RetryLater
from include.settings import ROOT, Settings
from include.warehouse.engine import connect

SYNC = "at_risk_customers__mailchimp_tag"
DAG = f"sync_{SYNC}"
STRANGERS = 60
SECONDS = 900
BEAT = timedelta(seconds=5)
"""Between two heartbeats of the scheduler; in each turn it hears of what workers ended."""
T = TypeVar("T")


@pytest.fixture
def demo(tmp_path: Path) -> Any:
    """A demo that stays up, its home and what it prints."""
    command = [sys.executable, "-m", "include.cli", "demo", "--people", "100", "--port", "0", "--home", str(tmp_path)]
    with open(tmp_path / "demo.log", "wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, preexec_fn=_interruptible)
    try:
        yield process, tmp_path
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


@pytest.mark.long
def test_the_demo_walks_the_road_and_what_a_guard_holds_waits_for_a_person(demo: Any) -> None:
    process, home = demo
    printed = _eventually(
        lambda: _found(r"The road took [\s\S]+?(http\S+) [\s\S]+?password (\S+)", home, process), "the demo's end"
    )
    text = (home / "demo.log").read_text()
    assert "not walked to its end" not in text
    for dag in ("ingest_stripe.load", "unify.publish", "segment_at_risk_customers.compute"):
        assert f"{dag}: success" in text
    assert text.count(".deliver: success") >= 3
    assert " 0 wrong merges" in text

    api = Asking(printed[1], printed[2])
    _put_strangers_on_the_list(home, STRANGERS)
    held = api.run()
    asked = api.question(held)
    assert asked["subject"] == f"Send {SYNC}?"
    assert f"{STRANGERS} of " in asked["body"]
    assert "people would leave" in asked["body"]
    api.answer(held, "Reject")
    assert api.ends(held) == {"plan": "success", "approve": "success", "deliver": "skipped"}
    # Whoever said no is not asked about the same rows again.
    assert api.ends(api.run()) == {"plan": "skipped", "approve": "skipped", "deliver": "skipped"}

    _put_strangers_on_the_list(home, STRANGERS + 1)
    other = api.run()
    api.question(other)
    api.answer(other, "Approve")
    assert api.ends(other) == {"plan": "success", "approve": "success", "deliver": "success"}
    assert _plans(home) == [("refused", "admin"), ("superseded", None), ("applied", "admin")]


class Asking(AirflowApi):
    """Airflow's API with what only this test asks of it."""

    def run(self) -> RunState:
        run_id = self.trigger(DAG)
        return next(run for run in self.runs() if run.run_id == run_id)

    def question(self, run: RunState) -> dict[str, Any]:
        """What the person is asked, once the run waits for it and the scheduler knows.

        An answer that comes before the scheduler heard of the waiting, faster than any person's, is lost in Airflow.
        """
        _eventually(lambda: self._states(run).get("approve") == "awaiting_input", f"{run.run_id} asks")
        asked = datetime.now(UTC)
        _eventually(lambda: self._beat() > asked + BEAT, "the scheduler beats")
        found: dict[str, Any] = self._get(self._path(run))
        return found

    def answer(self, run: RunState, option: str) -> None:
        self._call("PATCH", self._path(run), {"chosen_options": [option], "params_input": {}})

    def ends(self, run: RunState) -> dict[str, str]:
        """How the run's tasks ended."""

        def over() -> dict[str, str]:
            now = next(one for one in self.runs() if one.run_id == run.run_id)
            return self._states(run) if now.is_finished else {}

        return _eventually(over, f"{run.run_id} ends")

    def _beat(self) -> datetime:
        health = self._get("/api/v2/monitor/health")
        return datetime.fromisoformat(health["scheduler"]["latest_scheduler_heartbeat"])

    def _states(self, run: RunState) -> dict[str, str]:
        found: list[TaskState] = self.tasks([run])
        return {task.task_id: task.state for task in found}

    def _path(self, run: RunState) -> str:
        return f"/api/v2/dags/{DAG}/dagRuns/{run.run_id}/taskInstances/approve/-1/hitlDetails"


def _put_strangers_on_the_list(home: Path, count: int) -> None:
    """Let the warehouse believe that it once sent people who are no customers: they all have to leave."""
    with connect(Settings(home=home)) as engine:
        engine.atomically(
            [
                f"DELETE FROM activation.state WHERE sync = '{SYNC}' AND customer_id LIKE 'stranger%'",
                "INSERT INTO activation.state (sync, customer_id, place, address, operation, fields_json, fields_hash, "
                "accepted_at, run_id) SELECT sync, CONCAT('stranger', CAST(n AS STRING)), place, "
                "CONCAT('stranger', CAST(n AS STRING), '@example.com'), operation, fields_json, fields_hash, "
                f"accepted_at, run_id FROM (SELECT * FROM activation.state WHERE sync = '{SYNC}' LIMIT 1) AS s, "
                f"UNNEST(GENERATE_ARRAY(1, {count})) AS n",
            ]
        )


def _plans(home: Path) -> list[tuple[str, str | None]]:
    """Status of the plans made since the strangers came, and who decided."""
    with connect(Settings(home=home)) as engine:
        rows = engine.query(
            "SELECT status, decided_by FROM activation.plans "
            f"WHERE sync = '{SYNC}' AND `leave` >= {STRANGERS} ORDER BY created_at"
        )
    return [(row["status"], row["decided_by"]) for row in rows]


def _found(pattern: str, home: Path, process: subprocess.Popen[bytes]) -> re.Match[str] | None:
    text = (home / "demo.log").read_text()
    assert process.poll() is None, text[-3000:]
    return re.search(pattern, text)


def _eventually(look: Callable[[], T], what: str) -> T:
    """What `look` finds in the end."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        with suppress(RetryLater):  # Airflow is busy for a moment
            if found := look():
                return found
        time.sleep(0.3)
    raise AssertionError(f"not within {SECONDS} s: {what}")


def _interruptible() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
