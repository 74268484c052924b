from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.connect.connection import Connection
from include.settings import Settings
from include.state.store import Store
from tests.connect.pulling import Pulling
from tests.connect.vendor import Vendor, serving


class Clock:
    """Sleeping takes no time; it moves this clock."""

    def __init__(self, at: float = 1_780_000_000.0) -> None:
        self.at = at
        self.slept: list[float] = []

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with serving() as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with Store.open(settings) as opened:
        yield opened


@pytest.fixture
def connection(vendor: Vendor) -> Connection:
    return Connection("acme", base_url=vendor.url, login="me", password="s3cret-token")


@pytest.fixture
def pulling(settings: Settings, connection: Connection, clock: Clock) -> Pulling:
    return Pulling(settings, connection, clock)
