"""The engines that every case runs on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from include.warehouse.duckdb import DuckDBEngine
from include.warehouse.engine import Engine

ENGINES = ("duckdb",)


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine that holds nothing but what a case puts there."""
    assert request.param == "duckdb"
    held = DuckDBEngine.in_memory()
    yield held
    held.connection.close()


@pytest.fixture(params=ENGINES)
def fresh(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine of one test's own."""
    assert request.param == "duckdb"
    held = DuckDBEngine.in_memory()
    yield held
    held.connection.close()
