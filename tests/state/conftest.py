"""A store on each database it runs on, and crowds of real processes using it."""

from __future__ import annotations

import contextlib
import multiprocessing
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

sys.path.insert(0, str(Path(__file__).parent))
import state_worker

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["include.state.store"])
DATABASES = ("sqlite", "postgresql") if shutil.which("postgres") else ("sqlite",)


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
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", "stitchline", "-A", "trust", "--no-sync"], check=True, **quiet
    )
    options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off"
    subprocess.run([programs / "pg_ctl", "-D", data, "-w", "-o", options, "start"], check=True, **quiet)
    yield f"postgresql+psycopg://stitchline@127.0.0.1:{port}"
    subprocess.run([programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], check=True, **quiet)
    shutil.rmtree(folder)


@pytest.fixture(params=DATABASES)
def settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of an empty store."""
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


class Worker:
    """A real process of its own, forked from a clean server that has the imports loaded."""

    def __init__(self, settings: Settings, job: str, arguments: dict[str, Any]) -> None:
        self.pipe, theirs = CONTEXT.Pipe()
        given = (job, settings.model_dump(), arguments, theirs)
        self.process = CONTEXT.Process(target=state_worker.run, args=given, daemon=True)
        self.process.start()
        theirs.close()

    def hear(self) -> Any:
        """The next thing it says; EOFError when it died without saying more."""
        return self.pipe.recv()

    def kill(self) -> list[Any]:
        """SIGKILL; returns what it had said and nobody had heard."""
        self.process.kill()
        self.process.join()
        heard = []
        with contextlib.suppress(EOFError, ConnectionResetError):
            while True:
                heard.append(self.pipe.recv())
        self.pipe.close()
        return heard


@pytest.fixture
def start(settings: Settings) -> Iterator[Callable[..., Worker]]:
    """Start a process of the crowd; those still running at the end of the test are killed."""
    started: list[Worker] = []

    def run(job: str, **arguments: Any) -> Worker:
        started.append(Worker(settings, job, arguments))
        return started[-1]

    yield run
    for worker in started:
        if worker.process.is_alive():
            worker.kill()


@pytest.fixture
def crowd(start: Callable[..., Worker]) -> Callable[..., list[Any]]:
    """Run the same job in several processes at once; returns what each answered."""

    def run(processes: int, job: str, **arguments: Any) -> list[Any]:
        workers = [start(job, **arguments) for _ in range(processes)]
        return [worker.hear() for worker in workers]

    return run
