"""Segment's warehouse tables as a connected warehouse holds them, in one DuckDB file.

Like the real base tables they repeat a few rows (same `id`, later `loaded_at`), flatten the context into columns,
hold one column per trait, keep `users` without `anonymous_id`, and have one more table per tracked event.
"""

from __future__ import annotations

import csv
import os
import tempfile
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

_COMMON = """
  id, anonymous_id, user_id, context_page_url, context_page_path, context_page_search, context_user_agent, context_ip,
  context_library_name, "timestamp", original_timestamp, sent_at, received_at, uuid_ts, loaded_at
"""

# The raw rows get the columns every table shares; 1 row in 256 comes twice, as after a retried warehouse load.
_EVENTS = """
CREATE TEMP TABLE events AS
WITH once AS (
  SELECT
    * EXCLUDE (ts, received_at),
    url AS context_page_url,
    regexp_extract(url, '^https?://[^/]+([^?]*)', 1) AS path,
    path AS context_page_path,
    nullif(regexp_extract(url, '[?].*$'), '') AS search,
    search AS context_page_search,
    CASE WHEN anonymous_id[1] < '8' THEN 'Mozilla/5.0 (X11; Linux x86_64)' ELSE 'Mozilla/5.0 (iPhone)' END
      AS context_user_agent,
    '203.0.113.' || (1 + ('0x' || anonymous_id[1:2])::INTEGER % 250) AS context_ip,
    'analytics.js' AS context_library_name,
    ts AS "timestamp",
    ts AS original_timestamp,
    received_at - INTERVAL 50 MILLISECOND AS sent_at,
    received_at,
    received_at + INTERVAL 2 MINUTE AS uuid_ts,
    received_at + INTERVAL 5 MINUTE AS loaded_at,
    replace(lower(event_name), ' ', '_') AS event
  FROM read_csv($path, header = false, auto_detect = false, delim = ',', quote = '"', escape = '"', nullstr = '',
    columns = {columns})
)
SELECT * FROM once
UNION ALL BY NAME
SELECT * REPLACE (uuid_ts + INTERVAL 10 MINUTE AS uuid_ts, loaded_at + INTERVAL 10 MINUTE AS loaded_at)
FROM once WHERE suffix(id, '0f')
"""


def write_segment_tables(population: Population, path: Path) -> None:
    """Write the tables to a fresh file and put it in place of the old one, so that no reader sees half of it."""
    # Imported here: a simulator without Segment needs no database.
    import duckdb

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".segment-") as folder:
        rows, fresh = Path(folder, "events.csv"), Path(folder, "segment.duckdb")
        _write_rows(population, rows)
        with duckdb.connect(str(fresh)) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            _create_tables(connection, rows)
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
                event.ts.isoformat(),
                event.received_at.isoformat(),
                *map(event.properties.get, PROPERTIES),
            )
            for event in population.web_events
        )


def _create_tables(connection: duckdb.DuckDBPyConnection, rows: Path) -> None:
    names = ("id", "kind", "anonymous_id", "user_id", "event_name", "url")
    types = dict.fromkeys(names, "VARCHAR") | {"ts": "TIMESTAMPTZ", "received_at": "TIMESTAMPTZ"}
    types |= dict.fromkeys(PROPERTIES, "VARCHAR")
    connection.execute(_EVENTS.replace("{columns}", repr(types)), {"path": str(rows)})

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
        "arg_max(context_user_agent, received_at) AS context_user_agent, arg_max(context_ip, received_at) AS context_ip, "
        "max(received_at) AS received_at, max(uuid_ts) AS uuid_ts, max(loaded_at) AS loaded_at "
        "FROM events WHERE kind = 'identify' AND user_id IS NOT NULL GROUP BY ALL ORDER BY id"
    )
    found = connection.execute("SELECT DISTINCT event FROM events WHERE kind = 'track' ORDER BY event").fetchall()
    for (event,) in found:
        connection.execute(
            f'CREATE TABLE "{event}" AS SELECT {_COMMON}, event, event_name AS event_text, {product}, '
            "price::DOUBLE AS price FROM events WHERE kind = 'track' AND event = $event",
            {"event": event},
        )
