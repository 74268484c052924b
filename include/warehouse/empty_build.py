"""Builds every table of the warehouse in memory over no rows: what the SQL really makes, and what it reads for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from include.activate.segment import all_segments
from include.activate.tables import ensure_tables
from include.checks.results import CHECK_RESULTS
from include.run import Run
from include.settings import Settings
from include.warehouse import models
from include.warehouse.duckdb import DuckDBEngine
from include.warehouse.engine import Statement
from include.warehouse.identity.generation import identify
from include.warehouse.identity.overrides import Overrides
from include.warehouse.render import Names
from include.warehouse.stage import stage

CATALOG_RUN = Run.of("catalog", "catalog", models.BEGINNING)


class Traced(DuckDBEngine):
    """An engine that notes every statement it is given, with the names as the SQL has them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path | None, names: Names | None = None) -> None:
        super().__init__(connection, path, names)
        self.statements: list[str] = []

    def at(self, generation: str | None) -> Traced:
        """The same connection and the same notes, reading and writing that generation."""
        other = Traced(self.connection, self.path, replace(self.names, generation=generation))
        other.statements = self.statements
        return other

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> int:
        """Note the statement and run it."""
        self.statements.append(sql)
        return super().execute(sql, params)

    def atomically(self, statements: Sequence[Statement | str]) -> None:
        """Note the statements and run them."""
        self.statements += [item if isinstance(item, str) else item.sql for item in statements]
        super().atomically(statements)


@dataclass(frozen=True, slots=True)
class EmptyWarehouse:
    """Every table, without rows; `stitching` is the SQL that Python gave to make the identity tables."""

    engine: DuckDBEngine
    stitching: tuple[str, ...]


@cache
def empty_warehouse() -> EmptyWarehouse:
    """The whole road walked once over nothing; takes seconds, so once per process."""
    engine = Traced.in_memory()
    settings = Settings(home=Path("nowhere"))
    run = CATALOG_RUN
    stage(engine, run, settings)
    engine.ensure([CHECK_RESULTS])
    engine.statements.clear()
    identify(engine, run, settings, overrides=Overrides())
    stitching = tuple(engine.statements)
    models.build_marts(engine, run, settings)
    models.publish(engine, run, settings)
    ensure_tables(engine)
    clock = models.clock(run, settings)
    for segment in all_segments().values():
        engine.execute(f"CREATE TABLE {segment.table} AS SELECT * FROM ({segment.sql}) WHERE FALSE", clock)
    return EmptyWarehouse(engine, stitching)
