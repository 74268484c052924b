"""DuckDB, the embedded stand-in for BigQuery: one file, one writer, and a published copy for every reader."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Self

import duckdb
import fsspec
import msgspec
from sqlglot import exp
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from include.connect.errors import FixSettings, WarehouseBusy
from include.settings import Settings
from include.warehouse.engine import DATASETS, Part, Statement, Table
from include.warehouse.layers import delta_of, layers_of, part_of
from include.warehouse.render import GENERATED, Names, for_duckdb, generated_name, literal, parse, quoted, render

COPIED = ("activation", "ops", "quarantine")
"""Datasets a reader needs besides the generation and the lists; raw and staging stay with the writer."""
COPY, BASE, LISTS = "read_copy", "base", "lists"
"""Databases attached while a copy is written; a reader has its base and the lists attached too."""
POINTER = "read.current"
LISTS_FILE = "lists.duckdb"
NAMED_SHORTER = {"INTEGER": "INT64", "HUGEINT": "INT64", "DECIMAL": "NUMERIC"}
"""Types that stand for another one on BigQuery; a decimal's precision is the engine's choice."""


class DuckDBEngine:
    """The `Engine` protocol on one DuckDB connection."""

    name = "duckdb"
    is_exclusive = True

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path | None, names: Names | None = None) -> None:
        self.connection = connection
        self.path = path
        self.names = names or Names("duckdb")

    @classmethod
    def in_memory(cls) -> Self:
        """An engine that keeps nothing: for stitching a CSV and for tests."""
        engine = cls(duckdb.connect(":memory:", config=_config()), None)
        engine._prepare()
        return engine

    @property
    def generation(self) -> str | None:
        """The generation that `identity.*` and `marts.*` mean."""
        return self.names.generation

    def at(self, generation: str | None) -> DuckDBEngine:
        """The same connection reading and writing that generation."""
        return DuckDBEngine(self.connection, self.path, replace(self.names, generation=generation))

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Rows of a SELECT as dicts."""
        cursor = self._run(sql, params)
        columns = [column[0] for column in cursor.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> int:
        """Run one statement; DuckDB answers DML with the number of rows it changed."""
        cursor = self._run(sql, params)
        if not isinstance(parse(sql), (exp.Insert, exp.Update, exp.Delete, exp.Merge)):
            return 0
        row = cursor.fetchone()
        return int(row[0]) if row else 0

    def atomically(self, statements: Sequence[Statement | str]) -> None:
        """Run the statements in one transaction."""
        with self._transaction():
            for item in statements:
                statement = Statement(item) if isinstance(item, str) else item
                self._run(statement.sql, statement.params)

    def ensure(self, tables: Iterable[Table]) -> None:
        """Create what is missing, add declared columns."""
        for table in tables:
            have = self._types(table.name)
            spelled = {column.name: _type(column.type) for column in table.columns}
            if not have:
                columns = ", ".join(f'"{name}" {kind}' for name, kind in spelled.items())
                self.connection.execute(f"CREATE TABLE IF NOT EXISTS {self._name(table.name)} ({columns})")
                continue
            for name, kind in spelled.items():
                if name not in have:
                    self.connection.execute(f'ALTER TABLE {self._name(table.name)} ADD COLUMN "{name}" {kind}')

    def describe(self, table: str, description: str, columns: Mapping[str, str]) -> None:
        """Nothing to keep: docs/data-model.md describes the embedded warehouse."""

    def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows as one JSON text: thousands of rows cost one statement."""
        if not rows:
            return
        names = list(rows[0])
        types = self._types(table)
        unknown = [name for name in names if name not in types]
        if unknown:
            raise FixSettings(
                f"no column {unknown[0]!r}",
                where=table,
                fix="Run `stitchline migrate`; the table is older than the code.",
            )
        # A JSON column takes text: read as JSON it would become one quoted string.
        shape = msgspec.json.encode([{name: types[name].replace("JSON", "VARCHAR") for name in names}]).decode()
        columns = ", ".join(f'"{name}"' for name in names)
        fields = ", ".join(f'r."{name}"' for name in names)
        body = msgspec.json.encode([dict(row) for row in rows]).decode()
        self.connection.execute(
            f"INSERT INTO {self._name(table)} ({columns}) "
            f"SELECT {fields} FROM (SELECT UNNEST(from_json_strict({_text(body)}, {_text(shape)})) AS r)"
        )

    def load_parts(
        self,
        table: str,
        parts: Sequence[Part],
        stamp: Mapping[str, Any],
        also: Sequence[Statement] = (),
    ) -> int:
        """Replace the run's parts in a raw table, and run `also`, in one transaction."""
        target = self._name(table)
        with self._transaction():
            run = _text(stamp["_run_id"])
            self.connection.execute(f"DELETE FROM {target} WHERE _run_id = {run}")
            for number, uri, _ in parts:
                if "://" in uri:
                    self.connection.register_filesystem(fsspec.filesystem(uri.partition("://")[0]))
                self.connection.execute(
                    f"""INSERT INTO {target} (_account, _run_id, _part, _seq, _key, _extracted_at, _loaded_at, _payload)
                    SELECT {_text(stamp["_account"])}, {run}, {number:d}, {stamp["_seq"]:d}, _key, _extracted_at,
                      CAST({_text(stamp["_loaded_at"].isoformat())} AS TIMESTAMPTZ), _payload
                    FROM read_json({_text(uri)}, format = 'newline_delimited', compression = 'gzip',
                      maximum_object_size = 67108864,
                      columns = {{_key: 'VARCHAR', _extracted_at: 'TIMESTAMPTZ', _payload: 'JSON'}})"""
                )
            for statement in also:
                self._run(statement.sql, statement.params)
            row = self.connection.execute(f"SELECT COUNT(*) FROM {target} WHERE _run_id = {run}").fetchone()
        return int(row[0]) if row else 0

    def columns(self, table: str) -> dict[str, str]:
        """Column name -> GoogleSQL type; empty when there is no such table."""
        return {name: google_type(kind) for name, kind in self._types(table).items()}

    def _types(self, table: str) -> dict[str, str]:
        try:
            rows = self.connection.execute(f"DESCRIBE {self._name(table)}").fetchall()
        except duckdb.CatalogException:
            return {}
        return {str(row[0]): str(row[1]) for row in rows}

    def types(self, sql: str, params: Mapping[str, Any] | None = None) -> dict[str, str]:
        """Column name -> GoogleSQL type of what a SELECT would answer."""
        described = self.connection.execute(f"DESCRIBE {render(sql, self.names, params)}").fetchall()
        return {name: google_type(kind) for name, kind, *_ in described}

    def tables(self, dataset: str) -> list[str]:
        """Tables and views of a dataset, sorted."""
        *catalog, schema = self.names.foreign.get(dataset, (dataset,))
        where = _text(catalog[0]) if catalog else "current_database()"
        rows = self.connection.execute(
            f"SELECT table_name FROM information_schema.tables WHERE table_catalog = {where} "
            f"AND table_schema = {_text(schema)} ORDER BY table_name"
        ).fetchall()
        return [str(row[0]) for row in rows]

    def attach(self, name: str, uri: str) -> None:
        """Make a DuckDB file readable as dataset `name`.

        Raises:
            FixSettings: the file is not there.
        """
        if not Path(uri).is_file():
            raise FixSettings(
                f"there is no DuckDB file at {uri}",
                where=f"connection {name!r}, host",
                fix=f"Point the host of the Airflow connection {name!r} at the file {name} writes its tables to.",
            )
        alias = f"foreign_{name}"
        self.connection.execute(f"ATTACH IF NOT EXISTS {_text(uri)} AS {alias} (READ_ONLY)")
        self.names = replace(self.names, foreign={**self.names.foreign, name: (alias, "main")})

    def drop(self, table: str) -> None:
        """Drop a table or a view."""
        dataset, _, name = table.partition(".")
        kind = "VIEW" if self._views(dataset).get(name) else "TABLE"
        self.connection.execute(f"DROP {kind} IF EXISTS {self._name(table)}")

    def publish(self, generation: str, base: str) -> None:
        """Write the read copy and move the pointer to it in one rename; readers of the old copy keep it.

        The base's tables are a file of their own, written once: a layer on it costs what the layer holds.
        """
        if self.path is None:
            return
        folder = self.path.parent
        base_file = folder / f"base-{base}.duckdb"
        if not base_file.exists():
            self._write_file(base_file, lambda: self._copy("generations", self._of_generation(base)))
        target = folder / f"read-{generation}.duckdb"
        self.connection.execute(f"ATTACH {_text(str(base_file))} AS {BASE} (READ_ONLY)")
        try:
            self._write_file(target, lambda: self._write_copy(generation, base))
        finally:
            self.connection.execute(f"DETACH {BASE}")
        self._write_lists()
        pointer = folder / f".{POINTER}.{os.getpid()}"
        pointer.write_text(f"{target.name} {base_file.name}")
        os.replace(pointer, folder / POINTER)
        # A reader that has just read the pointer may still open the copy before this one.
        for kept in ("read", "base"):
            for old in sorted(folder.glob(f"{kept}-*.duckdb"))[:-2]:
                if old not in (target, base_file):
                    old.unlink(missing_ok=True)

    def publish_lists(self) -> None:
        """Write the copy of the lists anew; a reader that has the old one open keeps it."""
        if self.path is not None and (self.path.parent / POINTER).exists():
            self._write_lists()

    def _write_lists(self) -> None:
        if self.path is not None:
            self._write_file(self.path.parent / LISTS_FILE, lambda: self._copy("segments", self.tables("segments")))

    def _write_file(self, target: Path, write: Callable[[], None]) -> None:
        """Write a file of tables beside the warehouse, in one rename; `write` fills the attached `copy`."""
        scratch = target.with_name(f".{target.stem}.{os.getpid()}.duckdb")
        scratch.unlink(missing_ok=True)
        self.connection.execute(f"ATTACH {_text(str(scratch))} AS {COPY}")
        try:
            write()
        finally:
            self.connection.execute(f"DETACH {COPY}")
        os.replace(scratch, target)

    def _write_copy(self, generation: str, base: str) -> None:
        for dataset in COPIED:
            self._copy(dataset, self.tables(dataset))
        self.connection.execute(f'CREATE SCHEMA IF NOT EXISTS {COPY}."generations"')
        below = self._of_generation(base)
        for name in below:
            self.connection.execute(
                f'CREATE VIEW {COPY}."generations"."{name}" AS SELECT * FROM {BASE}."generations"."{name}"'
            )
        layers = [name(layer.generation) for layer in layers_of(self, generation) for name in (part_of, delta_of)]
        own = [name for each in (*layers, generation) for name in self._of_generation(each)]
        self._copy("generations", [name for name in own if name not in below])
        # Views as they are written here: in the copy their names mean the copy's tables.
        layered = self._views("generations")
        texts = [layered[name] for name in self._of_generation(generation) if name in layered]
        texts += [text for dataset in sorted(GENERATED) for text in self._views(dataset).values()]
        row = self.connection.execute("SELECT current_database()").fetchone()
        self.connection.execute(f"USE {COPY}")
        try:
            for dataset in sorted(GENERATED):
                self.connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{dataset}"')
            for text in texts:
                self.connection.execute(text)
        finally:
            self.connection.execute(f"USE {quoted(row or (), 'duckdb')}")

    def _copy(self, dataset: str, tables: Iterable[str]) -> None:
        """Copy tables of a dataset into the attached `copy`; views are not tables."""
        self.connection.execute(f'CREATE SCHEMA IF NOT EXISTS {COPY}."{dataset}"')
        views = self._views(dataset)
        for table in tables:
            if table not in views:
                self.connection.execute(
                    f'CREATE TABLE {COPY}."{dataset}"."{table}" AS SELECT * FROM "{dataset}"."{table}"'
                )

    def _prepare(self) -> None:
        self.connection.execute("SET TimeZone = 'UTC'")
        for dataset in DATASETS:
            self.connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{dataset}"')

    def _run(self, sql: str, params: Mapping[str, Any] | None) -> duckdb.DuckDBPyConnection:
        # Literals, not parameters: with a parameter DuckDB imports pandas, seconds in every task process.
        return self.connection.execute(render(sql, self.names, params))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN TRANSACTION")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def _of_generation(self, generation: str) -> list[str]:
        """Names of a generation's tables and views."""
        suffix = generated_name("", "", generation).removeprefix("__")
        return [name for name in self.tables("generations") if name.endswith(suffix)]

    def _views(self, dataset: str) -> dict[str, str]:
        """Views of a dataset, and the statement that makes each."""
        rows = self.connection.execute(
            "SELECT view_name, sql FROM duckdb_views() WHERE database_name = current_database() "
            f"AND schema_name = {_text(dataset)} AND NOT internal"
        ).fetchall()
        return {str(name): str(sql) for name, sql in rows}

    def _parts(self, table: str) -> tuple[str, ...]:
        dataset, _, name = table.partition(".")
        return self.names.physical(dataset, name)

    def _name(self, table: str) -> str:
        return quoted(self._parts(table), "duckdb")


@contextmanager
def open_duckdb(settings: Settings, *, read_only: bool = False) -> Iterator[DuckDBEngine]:
    """Open the warehouse file for writing, or the published copy for reading.

    Raises:
        WarehouseBusy: another process kept the file for longer than the bounded wait.
        FixSettings: a reader came before anything was published.
    """
    path, names = settings.root / "warehouse.duckdb", Names("duckdb")
    if read_only:
        pointer = path.parent / POINTER
        if not pointer.exists():
            raise FixSettings("nothing is published yet", where=str(path.parent), fix="Run the unify DAG once.")
        copy, base = pointer.read_text().split()
        connection = duckdb.connect(str(path.parent / copy), read_only=True, config=_config())
        # Readers in one process share what they opened, what another has attached included.
        connection.execute(f"ATTACH IF NOT EXISTS {_text(str(path.parent / base))} AS {BASE} (READ_ONLY)")
        lists = path.parent / LISTS_FILE
        if lists.exists():  # a copy of an earlier version holds its own
            connection.execute(f"ATTACH IF NOT EXISTS {_text(str(lists))} AS {LISTS} (READ_ONLY)")
            names = replace(names, foreign={"segments": (LISTS, "segments")})
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = _open_writer(path, settings.warehouse_wait_seconds)
    try:
        engine = DuckDBEngine(connection, path, names)
        if read_only:
            connection.execute("SET TimeZone = 'UTC'")
        else:
            engine._prepare()
        yield engine
    finally:
        connection.close()


def _open_writer(path: Path, wait_seconds: float) -> duckdb.DuckDBPyConnection:
    waiting = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, duckdb.IOException) and "lock" in str(error)),
        wait=wait_random_exponential(multiplier=0.05, max=1.0),
        stop=stop_after_delay(wait_seconds),
        reraise=True,
    )
    try:
        return waiting(duckdb.connect, str(path), config=_config())
    except duckdb.IOException as error:
        if "lock" not in str(error):
            raise
        raise WarehouseBusy(
            f"another process has held the file open for {wait_seconds:.0f} s",
            where=str(path),
            fix="Find it with `fuser` on that path; a stuck task can be cleared in the Airflow UI, this one retries.",
        ) from None


def _config() -> dict[str, str | bool | int | float | list[str]]:
    # Extensions come with the wheel; a download would need a network at the worst moment.
    return {"autoinstall_known_extensions": False, "preserve_insertion_order": False}


@cache
def google_type(kind: str) -> str:
    """A DuckDB type's GoogleSQL name: `VARCHAR[]` is ARRAY<STRING>."""
    if kind.endswith("[]"):
        return f"ARRAY<{google_type(kind[:-2])}>"
    plain = kind.partition("(")[0]
    return NAMED_SHORTER.get(plain) or exp.DataType.build(kind, dialect="duckdb").sql(dialect="bigquery")


@cache
def _type(kind: str) -> str:
    spelled = exp.DataType.build(kind, dialect="bigquery").transform(for_duckdb)
    return spelled.sql(dialect="duckdb")


def _text(value: str) -> str:
    return literal(value).sql(dialect="duckdb")
