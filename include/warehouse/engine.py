"""One protocol, two engines: every statement is written in GoogleSQL and runs on BigQuery or DuckDB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from include.connect.errors import FixSettings
from include.settings import Settings
from include.warehouse.render import Names

DATASETS = ("raw", "staging", "identity", "marts", "segments", "activation", "quarantine", "ops", "generations")
"""Real datasets. `scratch` also exists in SQL: temporary tables, private to one connection and gone with it."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One GoogleSQL statement with its named parameters (`@name`)."""

    sql: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Column:
    """A declared column: GoogleSQL type name (STRING, INT64, FLOAT64, BOOL, TIMESTAMP, DATE, JSON, ARRAY<..>)."""

    name: str
    type: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A declared table, `dataset.name`, with how BigQuery should lay it out."""

    name: str
    columns: tuple[Column, ...]
    description: str = ""
    partition_by: str | None = None
    cluster_by: tuple[str, ...] = ()
    needs_partition_filter: bool = False
    expires_days: int | None = None  # of each partition, on BigQuery


class Part(NamedTuple):
    """One file of a landing, as a load takes it."""

    number: int
    uri: str
    sha256: str


class Engine(Protocol):
    """What the program asks of a warehouse. All SQL is GoogleSQL; names are `dataset.table`.

    `generation` decides what `identity.*` and `marts.*` mean: None reads the published views; a
    generation id reads and writes that generation's own tables (`at()` returns such an engine).
    """

    name: str
    is_exclusive: bool  # whether nobody else can write while this engine is open
    names: Names  # how `dataset.table` is spelled here

    @property
    def generation(self) -> str | None:
        """What `identity.*` and `marts.*` mean here."""
        ...

    def at(self, generation: str | None) -> Engine:
        """The same connection, with `identity.*` and `marts.*` meaning that generation's tables."""
        ...

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Rows of a (small) SELECT, as dicts; TIMESTAMP as aware UTC datetime, JSON as text."""
        ...

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> int:
        """Run one statement; returns the rows it changed (0 for DDL)."""
        ...

    def atomically(self, statements: Sequence[Statement | str]) -> None:
        """Run the statements in one transaction: all of them or none."""
        ...

    def ensure(self, tables: Iterable[Table]) -> None:
        """Create missing datasets and tables; add columns that are declared and missing."""
        ...

    def describe(self, table: str, description: str, columns: Mapping[str, str]) -> None:
        """Keep what a table and its columns mean where its readers see it."""
        ...

    def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert a modest batch of rows, atomically; keys are column names."""
        ...

    def load_parts(
        self,
        table: str,
        parts: Sequence[Part],
        stamp: Mapping[str, Any],
        also: Sequence[Statement] = (),
    ) -> int:
        """Load landing parts into a raw table, replacing rows of the same `_run_id`.

        `stamp` gives the constant columns (`_account`, `_run_id`, `_seq`, `_loaded_at`); `also` runs in the same
        transaction. Exactly once: repeating it, or dying inside it, leaves the same rows. Returns the rows now there.
        """
        ...

    def columns(self, table: str) -> dict[str, str]:
        """Column name -> GoogleSQL type (`ARRAY<STRING>`); empty when the table does not exist."""
        ...

    def types(self, sql: str, params: Mapping[str, Any] | None = None) -> dict[str, str]:
        """Column name -> GoogleSQL type of what a SELECT would answer; nothing is read."""
        ...

    def tables(self, dataset: str) -> list[str]:
        """Names of the tables and views in a dataset."""
        ...

    def attach(self, name: str, uri: str) -> None:
        """Make a foreign dataset readable as `name.<table>` (a DuckDB file, or a BigQuery `project.dataset`)."""
        ...

    def drop(self, table: str) -> None:
        """Drop a table or a view, whichever it is; nothing happens where there is none."""
        ...

    def publish(self, generation: str, base: str) -> None:
        """Called after a generation's row in `ops.published`: refresh what readers outside the writer open.

        `base` is the whole generation under it, or itself.
        """
        ...

    def publish_lists(self) -> None:
        """Called after a list was computed: refresh the lists of readers outside the writer."""
        ...


@contextmanager
def connect(settings: Settings, *, read_only: bool = False) -> Iterator[Engine]:
    """Open the configured warehouse; close it as soon as the block ends (DuckDB allows one writer).

    `read_only` opens the published copy on DuckDB and never waits for a writer.

    Raises:
        FixSettings: the setting names no known engine.
        WarehouseBusy: the DuckDB file stayed locked for longer than `settings.warehouse_wait_seconds`.
    """
    if settings.warehouse == "duckdb":
        from include.warehouse.duckdb import open_duckdb

        with open_duckdb(settings, read_only=read_only) as engine:
            yield engine
    elif settings.warehouse == "bigquery":
        from include.warehouse.bigquery import open_bigquery

        with open_bigquery(settings) as engine:
            yield engine
    else:
        raise FixSettings(
            f"unknown warehouse {settings.warehouse!r}",
            where="STITCHLINE_WAREHOUSE",
            fix="Set it to duckdb or bigquery.",
        )
