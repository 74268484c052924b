"""A warehouse with every staging table, empty, and rows to put into it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from include.run import Run
from include.settings import Settings
from include.warehouse.duckdb import DuckDBEngine
from include.warehouse.stage import ensure_all

sys.path.insert(0, str(Path(__file__).parent))
from staged_rows import NOW, loaded, machinery, members

Fill = Callable[..., None]


@pytest.fixture
def settings() -> Settings:
    return Settings()


@pytest.fixture
def run() -> Run:
    return Run.of("unify", "scheduled", NOW)


@pytest.fixture
def engine(settings: Settings) -> Iterator[DuckDBEngine]:
    """An engine with empty tables, audiences loaded, and one audience in it."""
    engine = DuckDBEngine.in_memory()
    ensure_all(engine, settings)
    for stream in ("lists", "members"):
        loaded(engine, "mailchimp", stream, NOW - timedelta(hours=1))
    audience = {"mailchimp_list_id": "list-1", "name": "Newsletter", "member_count": 3, "is_deleted": False}
    engine.append("staging.mailchimp__lists", [{**machinery("list-1"), **audience}])
    yield engine
    engine.connection.close()


@pytest.fixture
def fill(engine: DuckDBEngine) -> Fill:
    """Put members into staging."""

    def put(count: int, changed: Sequence[dict[str, Any]] = ()) -> None:
        engine.append("staging.mailchimp__members", members(count, changed))

    return put
