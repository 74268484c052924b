"""Notes what the program asks of a warehouse while it runs on DuckDB, and asks the same of BigQuery's engine."""

from __future__ import annotations

import functools
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from analyzer import AnalyzingClient, analyze, typed
from google.api_core.exceptions import BadRequest
from zetasql_service import Refused

from include.settings import ROOT, Settings
from include.warehouse.bigquery import BigQueryEngine
from include.warehouse.duckdb import DuckDBEngine
from include.warehouse.render import Names, render

METHODS = ("query", "execute", "atomically", "types", "ensure", "append", "load_parts", "drop")
ENGINES = {str(ROOT / "include" / "warehouse" / name) for name in ("duckdb.py", "bigquery.py", "engine.py")}
FOREIGN = {"VARCHAR": "STRING", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP", "DOUBLE": "FLOAT64", "BIGINT": "INT64"}


@dataclass(frozen=True)
class Call:
    """One thing the program asked for, and the line of the program that did."""

    where: str
    generation: str | None
    method: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]

    def texts(self) -> list[str]:
        """The SQL it sent, none for what is sent otherwise."""
        if self.method not in {"query", "execute", "atomically", "types"}:
            return []
        statements = self.arguments[0] if self.method == "atomically" else self.arguments[:1]
        return [getattr(each, "sql", each) for each in statements]


@dataclass
class Record:
    """Everything that was asked for, in order."""

    calls: list[Call] = field(default_factory=list)

    def places(self) -> set[str]:
        """`include/.../file.py:line` of every call."""
        return {call.where for call in self.calls}


@contextmanager
def recording() -> Iterator[Record]:
    """Note every call of every DuckDB engine; each is carried out as ever."""
    record = Record()
    originals = {name: getattr(DuckDBEngine, name) for name in (*METHODS, "attach")}

    def noted(name: str) -> Any:
        original = originals[name]

        @functools.wraps(original)
        def method(engine: DuckDBEngine, *arguments: Any, **keywords: Any) -> Any:
            kept = tuple(list(each) if isinstance(each, Iterator) else each for each in arguments)
            call = Call(_place(), engine.generation, name, kept, keywords)
            result = original(engine, *kept, **keywords)
            record.calls.append(call if name != "attach" else _declare_foreign(engine, call))
            return result

        return method

    for name in originals:
        setattr(DuckDBEngine, name, noted(name))
    try:
        yield record
    finally:
        for name, original in originals.items():
            setattr(DuckDBEngine, name, original)


def _place() -> str:
    """The line of the program that called the engine."""
    frame = sys._getframe(2)
    while frame.f_back is not None:
        file = frame.f_code.co_filename
        if file.startswith(str(ROOT / "include")) and file not in ENGINES:
            return f"{Path(file).relative_to(ROOT)}:{frame.f_lineno}"
        frame = frame.f_back
    return "tests"


def _declare_foreign(engine: DuckDBEngine, call: Call) -> Call:
    """An attached database: its tables with their types, in place of where it is."""
    tables: dict[str, dict[str, str]] = {}
    for table, column, kind in engine.connection.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE database_name = ?",
        [f"foreign_{call.arguments[0]}"],
    ).fetchall():
        tables.setdefault(table, {})[column] = FOREIGN[kind]
    return replace(call, arguments=(call.arguments[0], tables))


@dataclass
class Replay:
    """The same calls on BigQuery's engine, whose client only analyzes."""

    client: AnalyzingClient = field(default_factory=AnalyzingClient)
    settings: Settings = field(default_factory=Settings)
    foreign: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def engine(self, generation: str | None = None) -> BigQueryEngine:
        """BigQuery's engine on the analyzing client."""
        names = Names("bigquery", generation=generation, foreign=self.foreign)
        return BigQueryEngine(self.client, self.settings, names)  # type: ignore[arg-type]

    def run(self, calls: Sequence[Call]) -> list[str]:
        """What ZetaSQL refuses, also added to `problems`: where, why and the statement."""
        before = len(self.problems)
        for call in calls:
            try:
                self._repeat(call)
            except BadRequest as refused:
                shown = textwrap.indent("\n".join(call.texts()), "    ")
                self.problems.append(f"{call.where}: {refused.message}\n{shown}")
        return self.problems[before:]

    def judge(self, sql: str) -> str:
        """What ZetaSQL says against one statement whose parameters may be of any type; empty when nothing."""
        try:
            analyze(render(sql, self.engine().names), None, self.client.catalog)
        except Refused as refused:
            return str(refused)
        return ""

    def _repeat(self, call: Call) -> None:
        if call.method == "attach":
            name, tables = call.arguments
            self.foreign[name] = (self.client.project, name)
            for table, columns in tables.items():
                kinds = {column: typed(kind) for column, kind in columns.items()}
                self.client.catalog.set((self.client.project, name, table), kinds)
            return
        if call.method == "load_parts":
            table, parts, stamp, *also = call.arguments
            # A load job is the vendor's: what is judged is the transaction after it.
            named = [part._replace(uri="gs://landing/part") for part in parts]
            call = replace(call, arguments=(table, named, stamp, *also))
        getattr(self.engine(call.generation), call.method)(*call.arguments, **call.keywords)
