"""Kills under a real scheduler: a task of each stage, and the scheduler itself; the road still ends where it should."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from fingerprint import TOUCHED, differences, duplicate_raw_rows, fingerprint
from road import Road
from road import company as start_company

from include.airflow_api import AirflowApi
from include.connect.errors import RetryLater
from include.settings import Settings

PEOPLE, SEED = 120, 11
VICTIMS = {
    ("ingest_calendly", "pull"),
    ("ingest_segment", "load"),
    ("unify", "identity"),
    ("sync_at_risk_customers__zendesk_user", "deliver"),
}
DEADLINE_SECONDS = 900


@pytest.mark.long
def test_the_road_survives_kills_of_tasks_and_of_the_scheduler(tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    with start_company(tmp_path / "calm", PEOPLE, SEED, now) as started:
        road = Road(tmp_path / "calm-home", started)
        road.walk()
        with road.here() as settings:
            calm = fingerprint(settings, TOUCHED)
    home = tmp_path / "home"
    home.mkdir()
    (home / "world.json").write_text(json.dumps({"people": PEOPLE, "seed": SEED, "now": now.isoformat()}))
    with _demo(home) as process:
        killed = _kill_while_it_runs(process, home)
    # The others may be over between two looks; these two take long enough to be met every time.
    assert killed >= {("unify", "identity"), ("scheduler", "process")}, killed
    assert len(killed) >= 3, killed
    assert process.returncode == 0, (home.parent / "demo.log").read_text()[-3000:]
    held = Settings(home=home)
    assert differences(calm, fingerprint(held, TOUCHED)) == {}
    assert duplicate_raw_rows(held) == 0


@contextlib.contextmanager
def _demo(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "include.cli", "demo", "--once", "--people", str(PEOPLE), "--seed", str(SEED)]
    command += ["--port", "0"]
    with open(home.parent / "demo.log", "wb") as log:
        process = subprocess.Popen([*command, "--home", str(home)], stdout=log, stderr=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(60)


def _kill_while_it_runs(process: subprocess.Popen[bytes], home: Path) -> set[tuple[str, str]]:
    """SIGKILL each victim once, when it is seen running; and the scheduler while unify is at work."""
    killed: set[tuple[str, str]] = set()
    deadline = time.monotonic() + DEADLINE_SECONDS
    api: AirflowApi | None = None
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
        if api is None:
            found = re.search(r"Airflow: (http\S+) ", (home.parent / "demo.log").read_text())
            if found:
                password = json.loads((home / "airflow" / "secrets.json").read_text())["password"]
                api = AirflowApi(found[1], password)
            continue
        with contextlib.suppress(OSError, RetryLater):  # busy for a moment, or ended with the demo
            for task in _running(api):
                victim = (task["dag_id"], task["task_id"])
                if victim in VICTIMS - killed and task["pid"]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(task["pid"], signal.SIGKILL)
                        killed.add(victim)
                if victim == ("unify", "check") and ("scheduler", "process") not in killed:
                    _scheduler(process.pid).kill()
                    killed.add(("scheduler", "process"))
    return killed


def _running(api: AirflowApi) -> list[dict[str, Any]]:
    answer = api._get("/api/v2/dags/~/dagRuns/~/taskInstances?state=running&limit=50")
    found: list[dict[str, Any]] = answer["task_instances"]
    return found


def _scheduler(root: int) -> psutil.Process:
    """The scheduler among the demo's own processes."""
    children = psutil.Process(root).children(recursive=True)
    return next(child for child in children if child.cmdline()[-2:] == ["airflow", "scheduler"])
