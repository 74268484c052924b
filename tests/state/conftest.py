"""A store on each database it runs on, and crowds of real processes using it."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import create_engine

from include.settings import Settings
from include.state.store import Store

WORKER = Path(__file__).with_name("worker.py")
DATABASES = ("sqlite", "postgresql") if shutil.which("postgres") else ("sqlite",)
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a Postgres server of our own; it refuses to run as root, so root hands it to `postgres`."""
    folder = Path(tempfile.mkdtemp(prefix="stitchline-postgres-"))
    who: dict[str, Any] = {}
    if os.getuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        who = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    programs = Path(os.path.realpath(str(shutil.which("postgres")))).parent
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/", **who}
    data = folder / "data"
    subprocess.run([programs / "initdb", "-D", data, "-U", "stitchline", "-A", "trust", "--no-sync"], check=True, **quiet)
    options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off"
    subprocess.run([programs / "pg_ctl", "-D", data, "-w", "-o", options, "start"], check=True, **quiet)
    yield f"postgresql+psycopg://stitchline@127.0.0.1:{port}"
    subprocess.run([programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], check=True, **quiet)
    shutil.rmtree(folder)


@pytest.fixture(params=DATABASES)
def settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of an empty store, also in the environment, where worker processes find them."""
    monkeypatch.setenv("STITCHLINE_HOME", str(tmp_path))
    monkeypatch.setenv("STITCHLINE_ENCRYPTION_KEY", Fernet.generate_key().decode())
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres")
        name = f"test_{uuid.uuid4().hex}"
        engine = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        monkeypatch.setenv("STITCHLINE_STATE_URL", f"{server}/{name}")
    return Settings()


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """The store, open."""
    with Store.open(settings) as opened:
        yield opened


@pytest.fixture
def start(settings: Settings) -> Iterator[Start]:
    """Start a worker process; those still running at the end of the test are killed."""
    running: list[subprocess.Popen[str]] = []

    def run(job: str, **arguments: Any) -> subprocess.Popen[str]:
        command = [sys.executable, str(WORKER), job, json.dumps(arguments)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def crowd(start: Start) -> Callable[..., list[Any]]:
    """Run the same job in several processes at once; returns what each printed."""

    def run(processes: int, job: str, **arguments: Any) -> list[Any]:
        started = [start(job, **arguments) for _ in range(processes)]
        answers = [process.communicate()[0] for process in started]
        assert [process.returncode for process in started] == [0] * processes
        return [json.loads(answer) for answer in answers]

    return run
