"""Whatever the launcher starts is restarted when it exits, and is gone when the launcher is."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from include.connect.errors import FixSettings
from include.launcher import Airflow, Processes, free_port, kept_secrets, server_environment
from include.settings import ROOT

CHILD = """
import os, subprocess, sys, time
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], process_group=0)
open(sys.argv[1], "a").write(f"{os.getpid()} {grandchild.pid}\\n")
time.sleep(600)
"""


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come about in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pids(file: Path) -> list[int]:
    return [int(pid) for pid in file.read_text().split()] if file.exists() else []


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "pids"
    yield file
    for pid in pids(file):
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)


def child(notes: Path) -> dict[str, list[str]]:
    return {"child": [sys.executable, "-c", CHILD, str(notes)]}


def test_stopping_ends_every_process_even_in_groups_of_their_own(tmp_path: Path, notes: Path) -> None:
    with Processes(child(notes), os.environ, tmp_path):
        wait_for(lambda: len(pids(notes)) == 2)
        assert all(is_alive(pid) for pid in pids(notes))
    assert not any(is_alive(pid) for pid in pids(notes))


def test_what_exits_is_started_again(tmp_path: Path, notes: Path) -> None:
    with Processes(child(notes), os.environ, tmp_path) as running:
        wait_for(lambda: len(pids(notes)) == 2)
        os.kill(pids(notes)[0], signal.SIGKILL)
        wait_for(lambda: len(pids(notes)) == 4)
        assert running.is_running
    assert not any(is_alive(pid) for pid in pids(notes))


def test_what_keeps_exiting_is_given_up(tmp_path: Path) -> None:
    with Processes({"broken": [sys.executable, "-c", "raise SystemExit(3)"]}, os.environ, tmp_path) as running:
        wait_for(lambda: not running.is_running)
        assert running.keeper is not None
        assert running.keeper.returncode == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_the_launching_process_is_ended(tmp_path: Path, notes: Path, number: int) -> None:
    script = (
        "import json, os, sys, time; from pathlib import Path; from include.launcher import Processes\n"
        "with Processes(json.loads(sys.argv[1]), os.environ, Path(sys.argv[2])): time.sleep(600)"
    )
    command = [sys.executable, "-c", script, json.dumps(child(notes)), str(tmp_path)]
    # In a shell's background job SIGINT is ignored, and a child would inherit that.
    heeding = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    launching = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, preexec_fn=heeding)
    wait_for(lambda: len(pids(notes)) == 2)
    launching.send_signal(number)
    launching.wait()
    wait_for(lambda: not any(is_alive(pid) for pid in pids(notes)))


def test_a_taken_port_is_not_chosen() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port


def test_secrets_are_made_once_and_readable_by_their_owner_only(tmp_path: Path) -> None:
    first = kept_secrets(tmp_path)
    assert kept_secrets(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "airflow" / "secrets.json").stat().st_mode) == 0o600
    server_environment(tmp_path, 8080)
    passwords = tmp_path / "airflow" / "server" / "passwords.json"
    assert stat.S_IMODE(passwords.stat().st_mode) == 0o600
    assert json.loads(passwords.read_text()) == {"admin": first["password"]}


def test_the_port_is_wherever_airflow_looks_for_it(tmp_path: Path) -> None:
    env = server_environment(tmp_path, 18080)
    for name in ("AIRFLOW__API__PORT", "AIRFLOW__API__BASE_URL", "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"):
        assert "18080" in env[name]


def test_a_database_that_cannot_be_prepared_is_one_clear_error(tmp_path: Path) -> None:
    broken = Airflow(tmp_path, 18080, {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////nowhere/at/all.db"})
    with pytest.raises(FixSettings, match=r"prepare\.log"), broken:
        pass


@pytest.mark.long
def test_airflow_becomes_healthy_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with Airflow(tmp_path, free_port(18080)) as airflow:
        airflow.wait_healthy()
        assert airflow.keeper is not None
        session = os.getsid(airflow.keeper.pid)
        login = json.dumps({"username": "admin", "password": airflow.password}).encode()
        request = urllib.request.Request(
            f"{airflow.url}/auth/token", data=login, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert json.load(answer)["access_token"]
    # What has ended and only waits to be collected by the machine's first process is not left behind.
    assert not [one for one in _of_session(session) if not one[1].startswith("Z")]


def _of_session(session: int) -> list[list[str]]:
    shown = subprocess.run(["ps", "-eo", "sess=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in shown.splitlines()]
    return [row for row in rows if row[0] == str(session)]
