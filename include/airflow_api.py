"""The few calls to Airflow's REST API that the command line needs, and following runs by them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from include.connect.errors import FixSettings, RetryLater

NEVER = datetime.min.replace(tzinfo=UTC)
FINISHED = ("success", "failed", "skipped", "upstream_failed", "removed")


@dataclass(frozen=True, slots=True)
class TaskState:
    """One task of one run, as the API shows it."""

    dag_id: str
    run_id: str
    task_id: str
    state: str
    started: datetime | None
    ended: datetime | None
    attempt: int

    @property
    def is_finished(self) -> bool:
        """Whether its state will not change by itself."""
        return self.state in FINISHED


@dataclass(frozen=True, slots=True)
class RunState:
    """One DAG run, as the API shows it."""

    dag_id: str
    run_id: str
    state: str
    run_after: datetime
    queued: datetime

    @property
    def is_finished(self) -> bool:
        """Whether it ended."""
        return self.state in ("success", "failed")


class AirflowApi:
    """A client of one Airflow, logged in as `admin`."""

    def __init__(self, url: str, password: str) -> None:
        self.url = url
        self._password = password
        self._token = ""

    def dags(self) -> set[str]:
        """Ids of the DAGs that are parsed and stored."""
        return {dag["dag_id"] for dag in self._get("/api/v2/dags?limit=500")["dags"]}

    def due(self, dag_id: str, now: datetime) -> bool:
        """Whether the scheduler starts the DAG by itself about now."""
        after = self._get(f"/api/v2/dags/{dag_id}")["next_dagrun_run_after"]
        return after is not None and datetime.fromisoformat(after) <= now

    def import_errors(self) -> list[str]:
        """One line per DAG file that does not load."""
        errors = self._get("/api/v2/importErrors")["import_errors"]
        return [f"{error['filename']}: {error['stack_trace'].strip().splitlines()[-1]}" for error in errors]

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run; returns its id."""
        answer = self._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf or {}})
        return str(answer["dag_run_id"])

    def runs(self) -> list[RunState]:
        """The latest runs of every DAG, newest first."""
        found = self._get("/api/v2/dags/~/dagRuns?limit=200&order_by=-run_after")["dag_runs"]
        return [
            RunState(
                run["dag_id"],
                run["dag_run_id"],
                run["state"],
                datetime.fromisoformat(run["run_after"]),
                datetime.fromisoformat(run["queued_at"] or run["run_after"]),
            )
            for run in found
        ]

    def tasks(self, runs: Iterable[RunState]) -> list[TaskState]:
        """The tasks of these runs, in the order they start."""
        wanted = {(run.dag_id, run.run_id): run.run_after for run in runs}
        if not wanted:
            return []
        since = quote(min(wanted.values()).isoformat())
        found: list[Any] = []
        while True:
            # Not POST .../list: that one writes to the audit log each time, and SQLite has one writer.
            page = self._get(
                f"/api/v2/dags/~/dagRuns/~/taskInstances?run_after_gte={since}&limit=100&offset={len(found)}"
            )
            found += page["task_instances"]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                break
        states = [
            TaskState(
                one["dag_id"],
                one["dag_run_id"],
                one["task_id"],
                one["state"] or "none",
                _time(one["start_date"]),
                _time(one["end_date"]),
                one["try_number"],
            )
            for one in found
            if (one["dag_id"], one["dag_run_id"]) in wanted
        ]
        return sorted(states, key=lambda task: (task.started is None, task.started or NEVER))

    def log_tail(self, task: TaskState, lines: int = 5) -> list[str]:
        """The last events of a task's log."""
        content = self._get(
            f"/api/v2/dags/{task.dag_id}/dagRuns/{task.run_id}/taskInstances/{task.task_id}/logs/{task.attempt}"
        )
        events = content.get("content", [])
        return [str(event.get("event", event) if isinstance(event, dict) else event) for event in events][-lines:]

    def _get(self, path: str) -> Any:
        return self._call("GET", path)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        if not self._token:
            login = {"username": "admin", "password": self._password}
            self._token = self._send("POST", "/auth/token", login)["access_token"]
        return self._send(method, path, body)

    def _send(self, method: str, path: str, body: Any) -> Any:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Authorization": f"Bearer {self._token}",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code >= 500:
                raise RetryLater(f"{method} {path} answered {error.code}", where=f"Airflow at {self.url}") from None
            raise FixSettings(
                f"{method} {path} answered {error.code}", where=f"Airflow at {self.url}", fix="Read the api-server log."
            ) from None
        except (urllib.error.URLError, OSError) as error:
            raise RetryLater(f"{method} {path}: {error}", where=f"Airflow at {self.url}") from None


def _time(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None
