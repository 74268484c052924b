"""Two ways to reach the simulators: a real process for everything about sockets, the app itself for everything else."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from include.simulate.limits import Clock
from include.simulate.people import Population
from include.simulate.server import build

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


CREDENTIALS: dict[str, dict[str, str]] = {
    "hubspot": {"Authorization": "Bearer pat-demo"},
    "mailchimp": basic("anybody", "demo-us1"),
    "calendly": {"Authorization": "Bearer cal-demo"},
    "zendesk": basic("agent@acme.example/token", "zd-demo"),
    "salesforce": {"Authorization": "Bearer 00D5g0000000000!demo"},
    "stripe": basic("sk_test_demo", ""),
    "callrail": {"Authorization": 'Token token="callrail-demo"'},
    "sendgrid": {"Authorization": "Bearer SG.demo"},
    "intercom": {"Authorization": "Bearer intercom-demo"},
    "xero": {},
    "mandrill": {},
    "discourse": {"Api-Key": "discourse-demo", "Api-Username": "system"},
    "jira": basic("agent@acme.example", "jira-demo"),
    "shopify": {"X-Shopify-Access-Token": "shpat_demo"},
    "airship": basic("demoAppKey000000000000", "demoMasterSecret000000"),
    "slack": {},
    "_control": {},
}


class Running:
    """A simulator process that accepts connections."""

    def __init__(self, *arguments: str, folder: Path) -> None:
        command = [sys.executable, "-m", "include.simulate", "--port", "0", "--folder", str(folder), *arguments]
        self.folder = folder
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.stdout.close()
            raise AssertionError(f"the simulator ended with {self.process.wait(20)} before it was ready")
        self.ready = json.loads(line)
        self.port: int = self.ready["port"]
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=60)

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        vendor = path.split("/")[1]
        headers = {**CREDENTIALS[vendor], **more.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **more)

    def stop(self) -> int:
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


class Ticker:
    """Time that passes only when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Vendors:
    """The app itself, called without a socket, under a clock that stands still."""

    def __init__(self, people: int = 60, **options: Any) -> None:
        self.population = Population.generate(people, 3, NOW)
        self.tick = Ticker()
        self.app = build(self.population, clock=Clock(NOW, self.tick), **options)

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.together([(method, path, more)])[0]

    def together(self, calls: Sequence[tuple[str, str, dict[str, Any]]]) -> list[httpx.Response]:
        """Make all the calls at the same time."""

        async def run() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://sim.example") as client:
                return await asyncio.gather(*(one(client, *call) for call in calls))

        async def one(client: httpx.AsyncClient, method: str, path: str, more: dict[str, Any]) -> httpx.Response:
            headers = {**CREDENTIALS[path.split("/")[1]], **more.pop("headers", {})}
            return await client.request(method, path, headers=headers, **more)

        return asyncio.run(run())

    def get(self, path: str, **params: Any) -> Any:
        """The JSON of a GET that must succeed."""
        response = self.call("GET", path, params=params)
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, path: str, body: Any, status: int = 200, method: str = "POST") -> Any:
        """The JSON of a write that must answer with this status."""
        response = self.call(method, path, json=body)
        assert response.status_code == status, response.text
        return response.json() if response.content else None

    def stats(self, vendor: str) -> dict[str, int]:
        found: dict[str, int] = self.get("/_control/stats")[vendor]
        return found


@pytest.fixture
def vendors() -> Vendors:
    return Vendors(unlimited=True)


@pytest.fixture
def limited() -> Vendors:
    return Vendors()


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
    """Start simulator processes; all of them end with the module."""
    running: list[Running] = []

    def start_one(*arguments: str) -> Running:
        arguments = ("--people", "60", "--seed", "3", "--now", NOW.isoformat(), *arguments)
        running.append(Running(*arguments, folder=tmp_path_factory.mktemp("simulator")))
        return running[-1]

    yield start_one
    for one in running:
        if one.process.poll() is None:
            one.stop()


@pytest.fixture(scope="module")
def simulator(start: Callable[..., Running]) -> Running:
    return start("--unlimited")


@pytest.fixture(scope="session")
def population() -> Population:
    """What the simulator processes hold; read it, never change it."""
    return Population.generate(60, 3, NOW)
