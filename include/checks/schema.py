"""Whether a table's columns are the declared ones."""

from __future__ import annotations

from include.checks.suite import Columns
from include.warehouse.engine import Engine


def wrong_columns(engine: Engine, table: str, columns: Columns) -> list[str]:
    """What differs from the declaration, in words; empty when nothing does."""
    have = engine.columns(table)
    wrong = [f"{name} is missing" for name in columns.types if name not in have]
    wrong += [f"{name} is not declared" for name in have if name not in columns.types]
    return wrong + [
        f"{name} is {have[name]}, declared {declared}"
        for name, declared in columns.types.items()
        if have.get(name, declared) != declared
    ]
