"""The simulated vendors as a process of their own, and pulls from them in which waiting takes no time."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.connect.connection import Connection
from include.connect.files import Files
from include.connect.landing import Manifest
from include.connect.pull import pull
from include.run import Run
from include.settings import Settings
from include.simulate.server import connections
from include.sources import all_sources, get_source

HTTP_SOURCES = sorted(name for name, source in all_sources().items() if source.tables is None)
PAGE = 12
KEY = base64.urlsafe_b64encode(b"0" * 32).decode()
FAST = {"page_size": PAGE, "rate_limit": 1e6, "rate_limit_search": 1e6, "rate_limit_incremental_export": 1e6}


class PatientClock:
    """The machine's time, but sleeping is skipped: the simulator runs without rate limits."""

    def __init__(self) -> None:
        self.skipped = 0.0

    def now(self) -> float:
        return time.time() + self.skipped

    async def sleep(self, seconds: float) -> None:
        self.skipped += seconds
        await asyncio.sleep(0)


@dataclass
class Simulator:
    port: int
    known: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    ahead: float = 0.0  # seconds that the world's clock is ahead of the machine's

    def advance(self, days: float, **step: Any) -> Any:
        """Let time pass in the world, which every test of this process shares."""
        told = self.control("POST", "advance", {"days": days, **step})
        self.ahead = datetime.fromisoformat(told["now"]).timestamp() - time.time()
        return told

    def control(self, method: str, path: str, body: Any = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/_control/{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.loads(response.read() or b"null")

    def faults(self, source: str, **faults: Any) -> None:
        self.control("POST", "faults", {source: faults})

    def requests(self, source: str) -> int:
        return int(self.control("GET", "stats")[source]["requests"])

    def connection(self, name: str) -> Connection:
        given = json.loads(connections(self.port, "/nowhere")[f"AIRFLOW_CONN_{name.upper()}"])
        extra = given.get("extra") or {}
        extra = json.loads(extra) if isinstance(extra, str) else extra
        return Connection(
            name, "main", given["host"], given.get("login") or "", given.get("password") or "", {**extra, **FAST}
        )


@contextmanager
def simulating(*arguments: str) -> Iterator[Simulator]:
    command = [sys.executable, "-m", "include.simulate", "--port", "0", "--unlimited", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield Simulator(json.loads(process.stdout.readline())["port"])
        finally:
            process.terminate()
            process.wait(20)


class Puller:
    """Pulls a source of a simulator into a landing of its own."""

    def __init__(self, simulator: Simulator, home: Path) -> None:
        self.simulator, self.clock = simulator, PatientClock()
        self.settings = Settings(home=home, encryption_key=KEY)

    def __call__(self, name: str, run: str = "1", attempt: int = 1, **options: Any) -> list[Manifest]:
        at = datetime(2026, 1, 1, tzinfo=UTC)
        started = Run.of(f"ingest_{name}", run, at, attempt)
        # The same run id whatever the hour, and a clock that knows all the simulator's records as past.
        as_of = datetime.fromtimestamp(self.clock.now(), UTC)
        run_now = replace(started, as_of=options.pop("as_of", as_of))
        options.setdefault("connection", self.simulator.connection(name))
        return pull(get_source(name), "main", self.settings, run_now, clock=self.clock, **options)

    def follow(self) -> None:
        """Go to a minute after the world's time."""
        self.clock.skipped = max(self.clock.skipped, self.simulator.ahead) + 60

    def keys(self, manifests: list[Manifest]) -> dict[str, list[str]]:
        return {manifest.stream: [line["_key"] for line in self.lines(manifest)] for manifest in manifests}

    def lines(self, manifest: Manifest) -> list[dict[str, Any]]:
        files = Files(self.settings.landing_root)
        found = b"".join(gzip.decompress(files.read(part.path)) for part in manifest.parts)
        return [json.loads(line) for line in found.splitlines()]


_LAUNCHER = """
import json, os, sys
from pathlib import Path
from include.connect.landing_writer import PartLimits
from tests.sources.simulator import PAGE, Puller, Simulator
for line in sys.stdin:
    name, port, home = json.loads(line)
    child = os.fork()
    if not child:
        Puller(Simulator(port), Path(home))(name, limits=PartLimits(records=PAGE))
        os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("gone", flush=True)
"""


class Launcher:
    """Starts pulls in processes of their own, to be killed; it has done the slow imports before."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._child = 0

    @contextmanager
    def pulling(self, name: str, pulling: Puller) -> Iterator[Launcher]:
        assert self._process.stdin is not None
        home = str(pulling.settings.home)
        self._process.stdin.write(json.dumps([name, pulling.simulator.port, home]).encode() + b"\n")
        self._process.stdin.flush()
        self._child = int(self._answer())
        try:
            yield self
        finally:
            self.kill()
            assert self._answer() == "gone"

    def is_alive(self) -> bool:
        return not select.select([self._process.stdout], [], [], 0.005)[0]

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._child, signal.SIGKILL)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().strip()


@contextmanager
def launching() -> Iterator[Launcher]:
    command = [sys.executable, "-u", "-c", _LAUNCHER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        try:
            yield Launcher(process)
        finally:
            process.kill()
