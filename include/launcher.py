"""Airflow on one machine: its four components and the simulators, started together and ended together.

A keeper process owns everything it starts. It lives in a session of its own, holds the read end of a
pipe from whoever launched it, restarts what exits, and ends the whole session when that pipe closes:
on a normal stop, on a signal, and when the launching process is killed outright.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Self

from include.connect.errors import FixSettings, RetryLater
from include.settings import ROOT

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
POOL = "warehouse"
"""The pool of tasks that write to the warehouse; one slot, because an embedded one takes one writer."""
GRACE_SECONDS = 10.0
QUICK_SECONDS = 60.0
QUICK_EXITS = 5
"""A command that ends this often in a row, each time within `QUICK_SECONDS`, is broken rather than unlucky."""


def free_port(preferred: int = 0) -> int:
    """The preferred loopback port, or one the system picks when that one is taken or none is preferred."""
    for port in (preferred, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise FixSettings("no loopback port is free", where="127.0.0.1", fix="End some local servers and start again.")


def kept_secrets(home: Path) -> dict[str, str]:
    """Secrets of this home, made on first use and readable by its owner only."""
    file = home / "airflow" / "secrets.json"
    if file.exists():
        found: dict[str, str] = json.loads(file.read_text())
        return found
    from cryptography.fernet import Fernet

    made = {
        "password": secrets.token_urlsafe(9),
        "jwt": secrets.token_urlsafe(48),
        "session": secrets.token_urlsafe(32),
        "fernet": Fernet.generate_key().decode(),
        "encryption": Fernet.generate_key().decode(),
    }
    write_private(file, json.dumps(made))
    return made


def base_environment(home: Path, folder: str) -> dict[str, str]:
    """What every Airflow process of this home needs, with or without a scheduler.

    `folder` keeps the database of a scheduler apart from the one `stitchline run` uses: `dag.test()`
    on a database with a live scheduler races with it.
    """
    kept = kept_secrets(home)
    airflow_home = home / "airflow" / folder
    airflow_home.mkdir(parents=True, exist_ok=True)
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        "AIRFLOW_HOME": str(airflow_home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{airflow_home / 'airflow.db'}",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__FERNET_KEY": kept["fernet"],
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(airflow_home / "logs"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "GX_ANALYTICS_ENABLED": "false",
        "PYTHONPATH": os.pathsep.join(path),
        "STITCHLINE_HOME": str(home),
        "STITCHLINE_ENCRYPTION_KEY": os.environ.get("STITCHLINE_ENCRYPTION_KEY") or kept["encryption"],
    }


def server_environment(home: Path, port: int) -> dict[str, str]:
    """The environment of the four components; the port appears wherever Airflow looks for it."""
    kept = kept_secrets(home)
    folder = home / "airflow" / "server"
    passwords = folder / "passwords.json"
    write_private(passwords, json.dumps({"admin": kept["password"]}))
    url = f"http://127.0.0.1:{port}"
    return base_environment(home, "server") | {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": kept["session"],
        "AIRFLOW__API_AUTH__JWT_SECRET": kept["jwt"],
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        # SQLite takes few writers: with the default of 32 its lock errors kill the scheduler.
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        # After the usual 5 s a task on a busy machine fails before it began.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "STITCHLINE_UI_URL": url,
    }


def prepare_database() -> None:
    """Create or upgrade Airflow's tables and the pool that admits one warehouse writer (run with its environment)."""
    from airflow.models.pool import Pool
    from airflow.utils.db import initdb

    initdb()
    Pool.create_or_update_pool(POOL, 1, "Tasks that write to an embedded warehouse, one at a time.", False)


class Processes:
    """Commands under a keeper of their own; use as a context manager."""

    def __init__(self, commands: Mapping[str, Sequence[str]], env: Mapping[str, str], logs: Path) -> None:
        self.commands = commands
        self.env = env
        self.logs = logs
        self.keeper: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        plan = json.dumps(
            {"commands": {name: list(words) for name, words in self.commands.items()}, "logs": str(self.logs)}
        )
        self.keeper = subprocess.Popen(
            [sys.executable, "-m", "include.launcher", "keep", plan],
            env=dict(self.env),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        """False once the keeper ended or gave a command up."""
        return self.keeper is not None and self.keeper.poll() is None

    def stop(self) -> None:
        """End everything that was started; returns when nothing is left."""
        if self.keeper is None:
            return
        if self.keeper.stdin:
            self.keeper.stdin.close()
        self.keeper.wait()
        self.keeper = None


class Airflow(Processes):
    """The four components of Airflow in one home, on SQLite, for one machine."""

    def __init__(self, home: Path, port: int, extra: Mapping[str, str] | None = None) -> None:
        commands = {name: [sys.executable, "-m", "airflow", name] for name in COMPONENTS}
        env = {**os.environ, **server_environment(home, port), **(extra or {})}
        super().__init__(commands, env, home / "airflow" / "server" / "logs")
        self.url = f"http://127.0.0.1:{port}"
        self.password = kept_secrets(home)["password"]

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / "prepare.log"
        with log.open("wb") as out:
            done = subprocess.run(
                [sys.executable, "-m", "include.launcher", "prepare"],
                env=dict(self.env),
                cwd=ROOT,
                stdout=out,
                stderr=out,
            )
        if done.returncode:
            raise FixSettings("Airflow's database could not be prepared", where=str(log), fix="Read that log.")
        return super().__enter__()

    def wait_healthy(self, seconds: float = 600) -> None:
        """Return once the API answers and scheduler, triggerer and dag-processor have beaten.

        Raises:
            RetryLater: that did not happen in time, or a component kept exiting; names the logs.
        """
        until = time.monotonic() + seconds
        missing = list(COMPONENTS)
        while self.is_running and time.monotonic() < until:
            missing = unhealthy(self.url)
            if not missing:
                return
            time.sleep(0.5)
        raise RetryLater(
            f"not healthy: {', '.join(missing)}", where=f"Airflow at {self.url}", fix=f"Read {self.logs}/*.log."
        )


def unhealthy(url: str) -> list[str]:
    """Names of the components that are not healthy; empty when Airflow is ready."""
    wanted = {"metadatabase", "scheduler", "triggerer", "dag_processor"}
    try:
        with urllib.request.urlopen(f"{url}/api/v2/monitor/health", timeout=5) as answer:
            health: dict[str, dict[str, Any] | None] = json.load(answer)
    except (OSError, ValueError, urllib.error.URLError):
        return ["api-server"]
    return sorted(name for name in wanted if (health.get(name) or {}).get("status") != "healthy")


class Keeper:
    """Runs commands until told to stop, restarting what exits; nothing outlives it."""

    def __init__(self, commands: Mapping[str, Sequence[str]], logs: Path) -> None:
        self.commands = commands
        self.logs = logs
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.started: dict[str, float] = {}
        self.quick_exits = dict.fromkeys(commands, 0)
        self.stopping = threading.Event()

    def run(self) -> int:
        """Keep until the pipe closes or a signal comes; 1 if a command kept exiting."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._signalled)
        threading.Thread(target=self._wait_for_launcher, daemon=True).start()
        code = 0
        try:
            while not self.stopping.is_set():
                if not self._start_missing():
                    code = 1
                    break
                self.stopping.wait(0.5)
        finally:
            self._end_session()
        return code

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self.stopping.set()

    def _wait_for_launcher(self) -> None:
        # Not through sys.stdin: a thread in its buffer would be fatal at interpreter shutdown.
        while os.read(0, 1024):
            pass
        self.stopping.set()

    def _start_missing(self) -> bool:
        for name, command in self.commands.items():
            process = self.running.get(name)
            if process is not None and process.poll() is None:
                continue
            now = time.monotonic()
            if process is not None:
                lived = now - self.started[name]
                self.quick_exits[name] = self.quick_exits[name] + 1 if lived < QUICK_SECONDS else 0
                if self.quick_exits[name] >= QUICK_EXITS:
                    print(f"stitchline: {name} keeps exiting; see {self.logs / name}.log", file=sys.stderr, flush=True)
                    return False
                print(f"stitchline: {name} exited ({process.returncode}); restarting", file=sys.stderr, flush=True)
            self.started[name] = now
            with (self.logs / f"{name}.log").open("ab") as log:
                self.running[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return True

    def _end_session(self) -> None:
        for number, patience in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, GRACE_SECONDS)):
            until = time.monotonic() + patience
            for pid in session_members():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            while time.monotonic() < until:
                for process in self.running.values():
                    process.poll()
                if not session_members():
                    return
                time.sleep(0.1)


def session_members() -> list[int]:
    """Live processes of our session other than ourselves.

    Airflow moves tasks and parsers into process groups of their own, so a group would miss them; none
    of them leaves the session.
    """
    import psutil

    own, found = os.getsid(0), []
    for process in psutil.process_iter(["pid", "status"]):
        if process.info["pid"] == os.getpid() or process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(process.info["pid"]) == own:
                found.append(process.info["pid"])
    return found


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)


def main(arguments: Sequence[str]) -> int:
    """`prepare` or `keep PLAN`; started by the classes above, not by people."""
    if arguments[0] == "prepare":
        prepare_database()
        return 0
    plan = json.loads(arguments[1])
    return Keeper(plan["commands"], Path(plan["logs"])).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
