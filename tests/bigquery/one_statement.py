"""A model over given rows as one SELECT: what it reads are subqueries that hold the rows, with the tables' types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cases import Case, complete, every_model, seen_sql
from sql_files import types
from sqlglot import exp

from include.warehouse.render import inlined, literal, parse


def statement(case: Case) -> str:
    """The case's model over the case's rows."""
    model = every_model()[case.model]
    flagged = frozenset(table for table in model.reads if "is_inferred_identity" in types(table))
    return over(seen_sql(model, flagged), {table: case.given.get(table, ()) for table in model.reads}, case.as_of)


def over(sql: str, tables: Mapping[str, Sequence[Mapping[str, Any]]], as_of: datetime) -> str:
    """A SELECT that reads only these rows of these tables; columns that it does not name are left out."""
    named = {column.name for column in parse(sql).find_all(exp.Column)}
    names = {table: f"given_{table.replace('.', '_')}" for table in sorted(tables)}
    given = []
    for table, name in names.items():
        columns = {column: kind for column, kind in types(table).items() if column in named}
        given.append(f"{name} AS ({select(columns, complete(types(table), tables[table], as_of))})")
    reading = inlined(sql, {table: f"SELECT * FROM {name}" for table, name in names.items()})
    return f"WITH {', '.join(given)} SELECT * FROM ({reading})"


def select(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> str:
    """A SELECT that answers these rows with these columns; the first of its parts gives the types."""
    heads = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in columns.items())
    parts = [", ".join(_spelled(row[name], kind) for name, kind in columns.items()) for row in rows]
    return " UNION ALL ".join(
        [f"SELECT {heads} FROM (SELECT 1 AS n) WHERE n = 0", *(f"SELECT {part}" for part in parts)]
    )


def _spelled(value: Any, kind: str) -> str:
    if value is None:
        return "NULL"
    if kind == "JSON":
        return exp.ParseJSON(this=exp.Literal.string(value)).sql(dialect="bigquery")
    spelled = literal(value).sql(dialect="bigquery")
    return spelled if kind in {"STRING", "INT64", "BOOL"} or kind.startswith("ARRAY<") else f"CAST({spelled} AS {kind})"
