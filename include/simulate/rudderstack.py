"""RudderStack's warehouse tables as a connected warehouse holds them, in one DuckDB file: those of Segment's shape.

What the website sends goes through RudderStack instead, so messages and their ids are the same. Like the real tables
they say on every row which source and destination it took, put the traits of an identify into the context too, and
bend columns whose names BigQuery reserves (`_as`, `_between`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from include.simulate.people import Population
from include.simulate.segment import PAGE_PROPERTIES, TRAITS, write_tables

if TYPE_CHECKING:
    import duckdb

_COMMON = """
  id, anonymous_id, user_id, 'web' AS channel, context_page_url, context_page_path, context_page_search,
  context_user_agent, context_ip, context_ip AS context_request_ip, context_library_name,
  'source-1' AS context_source_id, 'Javascript' AS context_source_type,
  'destination-1' AS context_destination_id, 'BQ' AS context_destination_type,
  "timestamp", original_timestamp, sent_at, received_at, uuid_ts, loaded_at
"""


def write_rudderstack_tables(population: Population, path: Path) -> None:
    """Write RudderStack's tables to a file."""
    write_tables(population, path, _create_tables)


def _create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    traits = ", ".join(f"{trait}, {trait} AS context_traits_{trait}" for trait in TRAITS)
    page = ", ".join(PAGE_PROPERTIES)
    connection.execute(
        f"CREATE TABLE pages AS SELECT {_COMMON}, event_name AS name, url, path, search, {page}, "
        "NULL::VARCHAR AS _as, NULL::VARCHAR AS _between FROM events WHERE kind = 'page'"
    )
    connection.execute(f"CREATE TABLE identifies AS SELECT {_COMMON}, {traits} FROM events WHERE kind = 'identify'")
    connection.execute(
        f"CREATE TABLE tracks AS SELECT {_COMMON}, event, event_name AS event_text FROM events WHERE kind = 'track'"
    )
    # One row per user; each column is its latest value that is not NULL.
    latest = ", ".join(f"arg_max({trait}, received_at) AS {trait}" for trait in TRAITS)
    connection.execute(
        f"CREATE TABLE users AS SELECT user_id AS id, {latest}, arg_max(email, received_at) AS context_traits_email, "
        'max("timestamp") AS "timestamp", max(received_at) AS received_at, max(uuid_ts) AS uuid_ts, '
        "max(loaded_at) AS loaded_at FROM events WHERE kind = 'identify' AND user_id IS NOT NULL "
        "GROUP BY ALL ORDER BY id"
    )
