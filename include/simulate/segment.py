"""Segment's warehouse tables as a connected warehouse holds them, in one DuckDB file.

Like the real base tables they repeat a few rows (same `id`, later `loaded_at`), flatten the context into columns,
hold one column per trait, keep `users` without `anonymous_id`, and have one more table per tracked event.
"""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from include.simulate.people import Population

if TYPE_CHECKING:
    import duckdb

TRAITS = ("email", "name", "phone", "plan")
PAGE_PROPERTIES = ("title", "referrer")
PRODUCT_PROPERTIES = ("product_id", "product_name", "price")
# `name` is a trait of an identify only; a page's own name has its own column.
PROPERTIES = (*TRAITS, *PAGE_PROPERTIES, *PRODUCT_PROPERTIES)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_COMMON = """
  id, anonymous_id, user_id, context_page_url, context_page_path, context_page_search, context_user_agent, context_ip,
  context_library_name, "timestamp", original_timestamp, sent_at, received_at, uuid_ts, loaded_at
"""

# The raw rows get the columns every table shares; 1 row in 256 comes twice, as after a retried warehouse load.
# Moments are counted in microseconds until the end: DuckDB's arithmetic on TIMESTAMPTZ walks a calendar.
_EVENTS = """
CREATE TEMP TABLE events AS
WITH once AS (
  SELECT
    * EXCLUDE (ts, received),
    url AS context_page_url,
    regexp_replace(split_part(url, '?', 1), '^https?://[^/]+', '') AS path,
    path AS context_page_path,
    nullif('?' || split_part(url, '?', 2), '?') AS search,
    search AS context_page_search,
    CASE WHEN anonymous_id[1] < '8' THEN 'Mozilla/5.0 (X11; Linux x86_64)' ELSE 'Mozilla/5.0 (iPhone)' END
      AS context_user_agent,
    '203.0.113.' || (1 + ('0x' || anonymous_id[1:2])::INTEGER % 250) AS context_ip,
    'analytics.js' AS context_library_name,
    make_timestamptz(ts) AS "timestamp",
    make_timestamptz(ts) AS original_timestamp,
    make_timestamptz(received - 50_000) AS sent_at,
    make_timestamptz(received) AS received_at,
    make_timestamptz(received + 120_000_000) AS uuid_ts,
    make_timestamptz(received + 300_000_000 + again) AS loaded_at,
    replace(lower(event_name), ' ', '_') AS event
  FROM read_csv({path}, header = false, auto_detect = false, delim = ',', quote = '"', escape = '"', nullstr = '',
    columns = {columns})
  CROSS JOIN (VALUES (0), (600_000_000)) AS copies (again)
  WHERE again = 0 OR suffix(id, '0f')
)
SELECT * EXCLUDE (again) FROM once
"""


def write_segment_tables(population: Population, path: Path) -> None:
    """Write Segment's tables to a file."""
    write_tables(population, path, _create_tables)


def write_tables(population: Population, path: Path, create: Callable[[duckdb.DuckDBPyConnection], None]) -> None:
    """Write tables to a fresh file and put it in place of the old one, so that no reader sees half of it.

    Args:
        population: whose web events they hold.
        path: the file.
        create: makes them from the temporary table `events`, one row per event and copy of it.
    """
    # Imported here: a simulator without such tables needs no database.
    import duckdb

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as folder:
        rows, fresh = Path(folder, "events.csv"), Path(folder, path.name)
        _write_rows(population, rows)
        # Bounded memory, so that a big world fits beside its warehouse; no progress bar on the server's output.
        with duckdb.connect(str(fresh), config={"memory_limit": "1GB", "temp_directory": folder}) as connection:
            connection.execute("SET enable_progress_bar = false")
            _read_rows(connection, rows)
            create(connection)
        os.replace(fresh, path)


def _write_rows(population: Population, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows(
            (
                event.event_id,
                event.kind,
                event.anonymous_id,
                event.user_id,
                event.name,
                event.url,
                (event.ts - _EPOCH) // _MICROSECOND,
                (event.received_at - _EPOCH) // _MICROSECOND,
                *map(event.properties.get, PROPERTIES),
            )
            for event in population.web_events
        )


def _read_rows(connection: duckdb.DuckDBPyConnection, rows: Path) -> None:
    names = ("id", "kind", "anonymous_id", "user_id", "event_name", "url")
    types = dict.fromkeys(names, "VARCHAR") | {"ts": "BIGINT", "received": "BIGINT"}
    types |= dict.fromkeys(PROPERTIES, "VARCHAR")
    # Written into the text: the first query with parameters makes DuckDB import pandas, seconds of it.
    literal = "'" + str(rows).replace("'", "''") + "'"
    connection.execute(_EVENTS.format(path=literal, columns=types))


def _create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    traits = ", ".join(TRAITS)
    page = ", ".join(PAGE_PROPERTIES)
    product = ", ".join(PRODUCT_PROPERTIES[:-1])
    connection.execute(
        f"CREATE TABLE pages AS SELECT {_COMMON}, event_name AS name, url, path, search, {page} "
        "FROM events WHERE kind = 'page'"
    )
    connection.execute(f"CREATE TABLE identifies AS SELECT {_COMMON}, {traits} FROM events WHERE kind = 'identify'")
    connection.execute(
        f"CREATE TABLE tracks AS SELECT {_COMMON}, event, event_name AS event_text FROM events WHERE kind = 'track'"
    )
    # One row per user with the latest of each trait; there is no anonymous_id, as in the real table.
    latest = ", ".join(f"arg_max({trait}, received_at) AS {trait}" for trait in TRAITS)
    connection.execute(
        f"CREATE TABLE users AS SELECT user_id AS id, {latest}, "
        "arg_max(context_user_agent, received_at) AS context_user_agent, "
        "arg_max(context_ip, received_at) AS context_ip, "
        "max(received_at) AS received_at, max(uuid_ts) AS uuid_ts, max(loaded_at) AS loaded_at "
        "FROM events WHERE kind = 'identify' AND user_id IS NOT NULL GROUP BY ALL ORDER BY id"
    )
    found = connection.execute("SELECT DISTINCT event FROM events WHERE kind = 'track' ORDER BY event").fetchall()
    for (event,) in found:
        connection.execute(
            f'CREATE TABLE "{event}" AS SELECT {_COMMON}, event, event_name AS event_text, {product}, '
            f"price::DOUBLE AS price FROM events WHERE kind = 'track' AND event = '{event}'"
        )
