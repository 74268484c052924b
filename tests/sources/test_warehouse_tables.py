"""Sources that are tables in the warehouse: what a vendor wrote there is copied window by window, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from include.connect.pull import pull
from include.run import Run
from include.settings import Settings
from include.simulate.people import Population
from include.simulate.server import TABLES
from include.sources import all_sources, get_source
from include.warehouse.engine import Engine, connect
from include.warehouse.load import load
from include.warehouse.stage import stage
from tests.sources.simulator import KEY

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SOURCES = sorted(name for name, source in all_sources().items() if source.tables is not None)
EVERY_TABLE = [(name, stream.name) for name in SOURCES for stream in get_source(name).streams]
KEYS = {"users": "id", "events": "event_id"}


class Warehouse:
    """An embedded warehouse beside the files that the vendors write."""

    def __init__(self, home: Path, engine: Engine, settings: Settings, vendors: Path) -> None:
        self.home, self.engine, self.settings, self.vendors = home, engine, settings, vendors

    def ingest(self, source: str, at: datetime, number: str) -> dict[str, int]:
        run = Run.of(f"ingest_{source}", number, at)
        pull(get_source(source), "main", self.settings, run)
        return load(self.engine, self.settings, source, "main", run).records

    def count(self, table: str, what: str = "*") -> int:
        return int(self.engine.query(f"SELECT COUNT({what}) AS n FROM {table}")[0]["n"])

    def written(self, source: str, sql: str) -> int:
        with duckdb.connect(str(self.vendors / f"{source}.duckdb"), read_only=True) as vendor:
            ((number,),) = vendor.execute(sql).fetchall()
        return int(number)


@pytest.fixture(scope="module")
def vendors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vendors")
    population = Population.generate(60, 7, NOW)
    for name, write in TABLES.items():
        write(population, folder / f"{name}.duckdb")
    return folder


@pytest.fixture(scope="module")
def warehouse(vendors: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    home = tmp_path_factory.mktemp("home")
    settings = Settings(home=home, encryption_key=KEY)
    with pytest.MonkeyPatch.context() as patch:
        for name in SOURCES:
            host = str(vendors / f"{name}.duckdb")
            patch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps({"conn_type": "generic", "host": host}))
        with connect(settings) as engine:
            yield Warehouse(home, engine, settings, vendors)


@pytest.fixture(scope="module")
def ingested(warehouse: Warehouse) -> Warehouse:
    """Half of what was written comes with the first run, the rest with the second."""
    for name in SOURCES:
        warehouse.ingest(name, NOW - timedelta(days=40), "1")
        warehouse.ingest(name, NOW, "2")
    stage(warehouse.engine, Run.of("unify", "1", NOW), warehouse.settings)
    return warehouse


def test_every_such_vendor_is_simulated() -> None:
    assert set(SOURCES) == set(TABLES)


@pytest.mark.parametrize(("source", "table"), EVERY_TABLE)
def test_every_row_arrives_in_one_of_two_windows(source: str, table: str, ingested: Warehouse) -> None:
    cursor = get_source(source).tables.cursor  # type: ignore[union-attr]
    rows = ingested.engine.query(
        f"SELECT run_id, kind, records FROM ops.loads WHERE source = '{source}' AND stream = '{table}' ORDER BY seq"
    )
    before = f"SELECT count(*) FROM {table} WHERE {cursor} <= '{NOW - timedelta(days=40)}'::TIMESTAMPTZ"
    again = f"{cursor} > '{NOW - timedelta(days=40, hours=1)}'::TIMESTAMPTZ"
    assert [row["kind"] for row in rows] == ["full", "incremental"]
    assert rows[0]["records"] == ingested.written(source, before) > 0
    assert rows[1]["records"] == ingested.written(source, f"SELECT count(*) FROM {table} WHERE {again}") > 0
    assert ingested.count(f"raw.{source}__{table}", "DISTINCT _key") == ingested.written(
        source, f"SELECT count(DISTINCT {KEYS.get(table, 'id')}) FROM {table}"
    )


@pytest.mark.parametrize("source", SOURCES)
def test_a_run_after_everything_was_read_reads_only_the_lookback(source: str, ingested: Warehouse) -> None:
    assert set(ingested.ingest(source, NOW + timedelta(hours=2), "3").values()) == {0}
    # Repeating a load leaves the same rows.
    assert ingested.ingest(source, NOW + timedelta(hours=2), "3") == {}


def test_a_message_is_staged_once_whichever_vendors_wrote_it(ingested: Warehouse) -> None:
    for table in ("tracks", "identifies", "pages"):
        messages = ingested.written("segment", f"SELECT count(DISTINCT id) FROM {table}")
        assert ingested.written("rudderstack", f"SELECT count(DISTINCT id) FROM {table}") == messages
        assert ingested.count(f"staging.segment__{table}") == messages
        assert ingested.count(f"staging.segment__{table}", "DISTINCT event_id") == messages
    assert ingested.count("staging.segment__users") == ingested.written("segment", "SELECT count(*) FROM users")


def test_snowplows_events_are_typed(ingested: Warehouse) -> None:
    assert ingested.count("staging.snowplow__events") == ingested.written(
        "snowplow", "SELECT count(DISTINCT event_id) FROM events"
    )
    found = ingested.engine.query(
        "SELECT event, COUNT(*) AS n, COUNTIF(anonymous_id IS NULL OR ts IS NULL OR loaded_at IS NULL) AS bare, "
        "COUNT(traffic_source) AS campaigns FROM staging.snowplow__events GROUP BY event ORDER BY event"
    )
    events = {row["event"]: row for row in found}
    assert {"page_view", "page_ping", "product_viewed", "checkout_started", "form_sent"} <= events.keys()
    assert all(row["n"] > 0 and row["bare"] == 0 for row in found)
    assert events["page_view"]["campaigns"] > 0
