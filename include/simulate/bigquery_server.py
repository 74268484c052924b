"""Starts the BigQuery emulator; run by the Python of its own environment, which has nothing of ours.

To find one table the emulator (local-bigquery 0.3.2) asks DuckDB for the sizes of all of them, several times a
statement: 2 CPU seconds each with 250 tables. Here it asks about that one.
"""

import sys
from typing import Any

import duckdb
from local_bigquery.cli import main
from local_bigquery.engine import database
from local_bigquery.jobs import query

all_objects, execute, fetch = database.objects, query.execute, database.fetch
IS_VIEW = "SELECT 1 FROM duckdb_views() WHERE database_name = $1 AND schema_name = $2 AND view_name = $3"
TEMPORARY = "SELECT table_name FROM duckdb_tables() WHERE temporary"
TEMPORARY_OF_SESSION = "SELECT DISTINCT table_name FROM duckdb_columns() WHERE database_name = 'temp'"
REQUIRED = (
    "SELECT column_name FROM duckdb_columns() WHERE database_name = ? "
    "AND schema_name = ? AND table_name = ? AND NOT is_nullable"
)


def objects(project_id: str, dataset_id: str, table_id: str | None = None) -> list[tuple[str, str, int]]:
    """Name, kind and rows of a dataset's tables and views, or of one."""
    if table_id is None:
        return all_objects(project_id, dataset_id)  # type: ignore[no-any-return]
    name = [project_id, dataset_id, table_id]
    if database.fetch(IS_VIEW, name):
        return [(table_id, "VIEW", 0)]
    try:
        [(rows,)] = database.fetch(f"SELECT COUNT(*) FROM {database.quote(*name)}")
    except duckdb.CatalogException:
        return []
    return [(table_id, "TABLE", rows)]


def fetch_quickly(sql: str, params: list[Any] | None = None) -> list[tuple[Any, ...]]:
    """Rows of a statement about the catalog."""
    if sql != REQUIRED or params is None:
        return fetch(sql, params)  # type: ignore[no-any-return]
    try:
        described = fetch(f"DESCRIBE {database.quote(*params)}")
    except duckdb.CatalogException:
        return []
    return [(name,) for name, _, is_nullable, *_ in described if is_nullable == "NO"]


class Cursor:
    """A statement's cursor; one without a session is new and has no temporary tables."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, session: Any) -> None:
        self.cursor = cursor
        self.temporary = TEMPORARY_OF_SESSION if session else "SELECT NULL LIMIT 0"

    def __getattr__(self, name: str) -> Any:
        """Whatever else a cursor has."""
        return getattr(self.cursor, name)

    def sql(self, text: str, *args: Any, **kwargs: Any) -> Any:
        """Run a statement."""
        return self.cursor.sql(self.temporary if text == TEMPORARY else text, *args, **kwargs)


def execute_quickly(cursor: duckdb.DuckDBPyConnection, *args: Any, session: Any = None, **kwargs: Any) -> Any:
    """Run one query job."""
    return execute(Cursor(cursor, session), *args, session=session, **kwargs)


if __name__ == "__main__":
    database.objects = objects
    database.fetch = fetch_quickly
    query.execute = execute_quickly
    sys.exit(main())
