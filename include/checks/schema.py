"""Whether a table's columns are the declared ones, in the engine's own type names."""

from __future__ import annotations

from sqlglot import exp

from include.checks.suite import Columns
from include.warehouse.engine import Engine

SAME = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "BIGNUMERIC": "NUMERIC"}
"""BigQuery's API calls some types by their older names."""


def wrong_columns(engine: Engine, table: str, columns: Columns) -> list[str]:
    """What differs from the declaration, in words; empty when nothing does."""
    have = engine.columns(table)
    wrong = [f"{name} is missing" for name in columns.types if name not in have]
    wrong += [f"{name} is not declared" for name in have if name not in columns.types]
    for name, declared in columns.types.items():
        if name in have and _plain(have[name], engine.name) != _spelled(declared, engine.name):
            wrong.append(f"{name} is {have[name]}, declared {declared}")
    return wrong


def _spelled(declared: str, dialect: str) -> str:
    return _plain(exp.DataType.build(declared, dialect="bigquery").sql(dialect=dialect), dialect)


def _plain(kind: str, dialect: str) -> str:
    name = SAME.get(kind.upper(), kind) if dialect == "bigquery" else kind
    parsed = exp.DataType.build(name, dialect=dialect)
    # A decimal's precision is the engine's choice.
    return str(parsed.this.value if parsed.this in exp.DataType.NUMERIC_TYPES else parsed.sql(dialect=dialect))
