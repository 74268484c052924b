"""The Segment warehouse file holds what a connected warehouse holds, whole, at any moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from include.simulate.people import Population, WebEvent
from include.simulate.segment import PROPERTIES, write_segment_tables

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def population() -> Population:
    return Population.generate(150, 7, NOW)


@pytest.fixture(scope="module")
def path(population: Population, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("segment") / "deep" / "segment.duckdb"
    write_segment_tables(population, path)
    return path


@pytest.fixture
def tables(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def columns(tables: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    return {row[0]: row[1] for row in tables.execute(f"DESCRIBE {table}").fetchall()}


def test_every_property_that_is_sent_has_a_column(population: Population) -> None:
    assert {name for event in population.web_events for name in event.properties} <= set(PROPERTIES)


def test_the_tables_are_segments(tables: duckdb.DuckDBPyConnection) -> None:
    found = {row[0] for row in tables.execute("SHOW TABLES").fetchall()}
    assert found == {"pages", "tracks", "identifies", "users", "product_viewed", "product_added", "checkout_started"}
    common = {"id", "anonymous_id", "user_id", "context_page_url", "context_page_path", "context_user_agent"}
    common |= {"context_ip", "timestamp", "original_timestamp", "sent_at", "received_at", "uuid_ts", "loaded_at"}
    for table in found - {"users"}:
        assert common <= columns(tables, table).keys()
    assert {"name", "url", "path", "title", "search", "referrer"} <= columns(tables, "pages").keys()
    assert {"event", "event_text"} <= columns(tables, "tracks").keys()
    assert "product_id" not in columns(tables, "tracks")
    assert {"event", "event_text", "product_id", "price"} <= columns(tables, "product_viewed").keys()
    assert {"email", "name", "phone", "plan"} <= columns(tables, "identifies").keys()
    users = columns(tables, "users")
    assert {"id", "email", "name"} <= users.keys()
    assert not {"anonymous_id", "user_id"} & users.keys()
    for moment in ("timestamp", "original_timestamp", "sent_at", "received_at", "uuid_ts", "loaded_at"):
        assert columns(tables, "pages")[moment] == "TIMESTAMP WITH TIME ZONE"


def test_every_event_arrives_unchanged(population: Population, tables: duckdb.DuckDBPyConnection) -> None:
    rows: dict[str, tuple[object, ...]] = {}
    for table, kind, name, email in (
        ("pages", "page", "name", "NULL"),
        ("tracks", "track", "event_text", "NULL"),
        ("identifies", "identify", "''", "email"),
    ):
        query = (
            f"SELECT id, '{kind}', anonymous_id, user_id, {name}, context_page_url, {email}, "
            f'epoch_us("timestamp"), epoch_us(received_at) FROM {table}'
        )
        rows |= {row[0]: row for row in tables.execute(query).fetchall()}
    assert rows == {event.event_id: expected(event) for event in population.web_events}


def expected(event: WebEvent) -> tuple[object, ...]:
    return (
        event.event_id,
        event.kind,
        event.anonymous_id,
        event.user_id,
        event.name,
        event.url,
        event.properties.get("email"),
        micros(event.ts),
        micros(event.received_at),
    )


def micros(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def test_a_few_rows_come_twice_with_a_later_load(tables: duckdb.DuckDBPyConnection) -> None:
    twice = tables.execute(
        "SELECT count(*), count(DISTINCT loaded_at), count(DISTINCT received_at) FROM pages GROUP BY id "
        "HAVING count(*) > 1"
    ).fetchall()
    assert len(twice) >= 2
    assert set(twice) == {(2, 2, 1)}
    assert tables.execute("SELECT max(loaded_at) FROM pages").fetchone() < (NOW,)


def test_urls_are_taken_apart(tables: duckdb.DuckDBPyConnection) -> None:
    rows = tables.execute("SELECT url, path, search, context_page_path FROM pages").fetchall()
    assert all(url == f"https://www.example.com{path}{search or ''}" for url, path, search, _ in rows)
    assert all(path == context for _, path, _, context in rows)
    assert any(search and "eh=" in search for _, _, search, _ in rows)
    assert ("/blog/ten-ideas",) in {(path,) for _, path, _, _ in rows}


def test_each_event_table_holds_its_tracks(tables: duckdb.DuckDBPyConnection) -> None:
    for event in ("product_viewed", "product_added", "checkout_started"):
        rows = tables.execute(f"SELECT count(*), min(event), min(event_text), min(price) FROM {event}").fetchone()
        tracked = tables.execute("SELECT count(*) FROM tracks WHERE event = $event", {"event": event}).fetchone()
        assert rows is not None
        assert rows[:3] == (*(tracked or ()), event, event.replace("_", " ").title())
        assert rows[3] > 0


def test_users_hold_the_latest_traits_once_each(population: Population, tables: duckdb.DuckDBPyConnection) -> None:
    rows = dict(tables.execute("SELECT id, email FROM users").fetchall())
    identifies = [event for event in population.web_events if event.kind == "identify" and event.user_id]
    assert rows.keys() == {event.user_id for event in identifies}
    latest: dict[str, str] = {}
    for event in sorted(identifies, key=lambda event: event.received_at):
        if "email" in event.properties and event.user_id:
            latest[event.user_id] = event.properties["email"]
    assert {user: email for user, email in rows.items() if email is not None} == latest


def test_writing_again_replaces_the_file_and_leaves_nothing_behind(population: Population, path: Path) -> None:
    with duckdb.connect(str(path), read_only=True) as reader:
        before = reader.execute("SELECT count(*) FROM pages").fetchone()
        write_segment_tables(population, path)
        # The old file stays whole for whoever has it open.
        assert reader.execute("SELECT count(*) FROM pages").fetchone() == before
    assert [file.name for file in path.parent.iterdir()] == ["segment.duckdb"]
    with duckdb.connect(str(path), read_only=True) as reader:
        assert reader.execute("SELECT count(*) FROM pages").fetchone() == before
