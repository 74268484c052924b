"""A BigQuery that only reads: Google's client as far as the engine uses it, and ZetaSQL judging what is sent to it.

It keeps a catalog: tables that are declared, and those that statements create, with the columns ZetaSQL says they
get. Nothing is computed: a query answers one row of zeros and NULLs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.api_core.exceptions import BadRequest, Conflict, NotFound
from google.cloud import bigquery
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as messages
from zetasql.wasi._pb2.zetasql.public import type_pb2
from zetasql_service import Refused, empty_catalog, options, service

KINDS = {
    "STRING": type_pb2.TYPE_STRING,
    "INT64": type_pb2.TYPE_INT64,
    "FLOAT64": type_pb2.TYPE_DOUBLE,
    "NUMERIC": type_pb2.TYPE_NUMERIC,
    "BOOL": type_pb2.TYPE_BOOL,
    "TIMESTAMP": type_pb2.TYPE_TIMESTAMP,
    "DATE": type_pb2.TYPE_DATE,
    "JSON": type_pb2.TYPE_JSON,
}
"""GoogleSQL's name of a type -> ZetaSQL's."""
NAMES = {kind: name for name, kind in KINDS.items()}
Columns = dict[str, Any]
"""Column name -> ZetaSQL's type."""
Path = tuple[str, ...]
"""A table's name: dataset and table, with the project before them where the SQL names it."""
Change = tuple[Path, Columns | None] | None
"""What a statement does: a table (empty for a query's answer) and its columns now, None when it is dropped."""
CREATED = re.compile(r"^CREATE (OR REPLACE )?(TEMPORARY )?(TABLE|VIEW) (IF NOT EXISTS )?\S+")
GENERATION = re.compile(r"__\d{8}t\d{6}z_[0-9a-f]{8}(?=\b|_)")
QUOTED = re.compile(r"`\w+`(?:[.]`\w+`)+")


def typed(kind: str) -> Any:
    """ZetaSQL's type of a GoogleSQL type name, `STRING` or `ARRAY<STRING>`."""
    if kind.startswith("ARRAY<"):
        element = type_pb2.ArrayTypeProto(element_type=typed(kind.removeprefix("ARRAY<").removesuffix(">")))
        return type_pb2.TypeProto(type_kind=type_pb2.TYPE_ARRAY, array_type=element)
    return type_pb2.TypeProto(type_kind=KINDS[kind])


def spelled(kind: Any) -> str:
    """The GoogleSQL name of ZetaSQL's type; what a table's column cannot be (say, a STRUCT) in ZetaSQL's words."""
    if kind.type_kind == type_pb2.TYPE_ARRAY:
        return f"ARRAY<{spelled(kind.array_type.element_type)}>"
    return NAMES.get(kind.type_kind, type_pb2.TypeKind.Name(kind.type_kind))


@dataclass
class Catalog:
    """Tables with their columns, as ZetaSQL takes them."""

    tables: dict[Path, Columns] = field(default_factory=dict)
    _registered: int | None = None

    def set(self, path: Path, columns: Columns | None) -> None:
        """Add, replace or (without columns) drop a table."""
        if self.tables.get(path) == columns:
            return
        if columns is None:
            del self.tables[path]
        else:
            self.tables[path] = columns
        self._forget()

    def shapes(self, sql: str) -> tuple[tuple[str, ...], ...]:
        """The columns of every table that a rendered statement reads, to tell whether they are still the same."""
        found = []
        for quoted in sorted(set(QUOTED.findall(CREATED.sub("", sql)))):
            columns = self.tables.get(tuple(quoted.strip("`").split("`.`")), {})
            found.append((quoted, *(f"{name} {spelled(kind)}" for name, kind in columns.items())))
        return tuple(found)

    def number(self) -> int:
        """ZetaSQL's number of the catalog as it is now; sending it costs more than analyzing a statement."""
        if self._registered is None:
            request = messages.RegisterCatalogRequest(simple_catalog=self._proto())
            self._registered = service().call("RegisterCatalog", request, messages.RegisterResponse).registered_id
        return self._registered

    def _forget(self) -> None:
        if self._registered is not None:
            request = messages.UnregisterRequest(registered_id=self._registered)
            service().call("UnregisterCatalog", request, messages.RegisterResponse)
            self._registered = None

    def _proto(self) -> Any:
        root = empty_catalog()
        within: dict[Path, Any] = {(): root}
        for path, columns in self.tables.items():
            for depth in range(1, len(path)):
                if path[:depth] not in within:
                    within[path[:depth]] = within[path[: depth - 1]].catalog.add(name=path[depth - 1])
            made = within[path[:-1]].table.add(name=path[-1])
            for name, kind in columns.items():
                made.column.add(name=name).type.CopyFrom(kind)
        return root


def analyze(script: str, parameters: Mapping[str, Any] | None, catalog: Catalog) -> list[Change]:
    """Analyze statement after statement, each against the catalog that those before it left.

    Args:
        script: one GoogleSQL statement, or several with semicolons.
        parameters: name -> ZetaSQL's type; None lets each be of whatever type fits.
        catalog: changed by CREATE and DROP.

    Returns:
        What each statement does; None for DML.

    Raises:
        Refused: ZetaSQL refuses a statement.
    """
    request = messages.AnalyzeRequest(options=options())
    request.options.allow_undeclared_parameters = parameters is None
    for name, kind in (parameters or {}).items():
        request.options.query_parameters.add(name=name).type.CopyFrom(kind)
    request.parse_resume_location.input = script
    request.parse_resume_location.allow_resume = True
    size = len(script.encode())
    changes: list[Change] = []
    while True:
        request.registered_catalog_id = catalog.number()
        answer = service().call("Analyze", request, messages.AnalyzeResponse)
        changes.append(_change(_inner(answer.resolved_statement)))
        _apply(changes[-1], catalog)
        if not 0 < answer.resume_byte_position < size:
            return changes
        request.parse_resume_location.byte_position = answer.resume_byte_position


def _inner(any_node: Any) -> Any:
    """The statement inside ZetaSQL's nested "any of these" messages."""
    while "node" in any_node.DESCRIPTOR.oneofs_by_name:
        any_node = getattr(any_node, any_node.WhichOneof("node"))
    return any_node


def _change(statement: Any) -> Change:
    name = type(statement).__name__
    if name == "ResolvedDropStmtProto":
        return tuple(statement.name_path), None
    if name == "ResolvedCreateTableAsSelectStmtProto":
        base = statement.parent
        return tuple(base.parent.name_path), {each.name: each.type for each in base.column_definition_list}
    if name == "ResolvedCreateViewStmtProto":
        base = statement.parent
        return tuple(base.parent.name_path), {each.name: each.column.type for each in base.output_column_list}
    if name == "ResolvedQueryStmtProto":
        return (), {each.name: each.column.type for each in statement.output_column_list}
    return None


def _apply(change: Change, catalog: Catalog) -> None:
    if change is not None and change[0]:
        catalog.set(*change)


@dataclass
class Answered:
    """A job that is done; a query's has one row."""

    schema: tuple[bigquery.SchemaField, ...] = ()
    num_dml_affected_rows: int = 0
    session_info: bigquery.SessionInfo = field(default_factory=lambda: bigquery.SessionInfo({"sessionId": "analyzed"}))
    job_id: str = "analyzed"

    def result(self) -> Answered:
        """The job's rows."""
        return self

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield {each.name: 0 if each.field_type == "INT64" else None for each in self.schema}


@dataclass
class AnalyzingClient:
    """What `BigQueryEngine` asks of `google.cloud.bigquery.Client`, answered from a catalog.

    All generations are one to it: their tables have the same columns, and their statements the same text.
    """

    catalog: Catalog = field(default_factory=Catalog)
    project: str = "local"
    analyzed: int = 0
    _known: dict[Any, list[Change]] = field(default_factory=dict)

    def query(self, sql: str, job_config: bigquery.QueryJobConfig, **retry: Any) -> Answered:
        """Analyze a statement or a script; what was analyzed against the same columns before is only carried out.

        Raises:
            BadRequest: ZetaSQL refuses it, as BigQuery would.
        """
        sql = GENERATION.sub("", sql)
        parameters = {each.name: typed(_declared(each)) for each in job_config.query_parameters}
        key = (sql, *sorted(_declared(each) for each in job_config.query_parameters), self.catalog.shapes(sql))
        if key in self._known:
            for change in self._known[key]:
                _apply(change, self.catalog)
        else:
            try:
                self._known[key] = analyze(sql, parameters, self.catalog)
            except Refused as refused:
                raise BadRequest(str(refused)) from None
            self.analyzed += len(self._known[key])
        answer = self._known[key][-1]
        if answer is None or answer[0]:
            return Answered()
        return Answered(tuple(_field(name, spelled(kind)) for name, kind in (answer[1] or {}).items()))

    def create_dataset(self, dataset: bigquery.Dataset, exists_ok: bool) -> None:
        """A dataset is there as soon as it has a table."""

    def create_table(self, table: bigquery.Table) -> None:
        """Declare a table.

        Raises:
            Conflict: it is there.
        """
        if _path(table) in self.catalog.tables:
            raise Conflict("already exists")
        self.update_table(table, ["schema"])

    def update_table(self, table: bigquery.Table, fields: Sequence[str]) -> None:
        """Give a table other columns."""
        columns = {each.name: typed(_kind(each)) for each in table.schema}
        self.catalog.set(_path(table), columns)

    def get_table(self, name: str) -> bigquery.Table:
        """A table with its columns.

        Raises:
            NotFound: it is not there.
        """
        columns = self.catalog.tables.get(_path(bigquery.Table(name)))
        if columns is None:
            raise NotFound("no such table")
        return bigquery.Table(name, schema=[_field(each, spelled(kind)) for each, kind in columns.items()])

    def list_tables(self, dataset: str) -> list[bigquery.Table]:
        """Tables of a dataset."""
        here = dataset.partition(".")[2]
        return [bigquery.Table(f"{self.project}.{here}.{path[1]}") for path in self.catalog.tables if path[0] == here]

    def delete_table(self, name: str, not_found_ok: bool) -> None:
        """Drop a table or a view; what a generation leaves behind others still have."""
        path = _path(bigquery.Table(name))
        if path in self.catalog.tables and "generations" not in path:
            self.catalog.set(path, None)

    def load_table_from_json(
        self, rows: Sequence[Mapping[str, Any]], name: str, job_config: bigquery.LoadJobConfig
    ) -> Answered:
        """Load rows: they may have no column that the load does not name."""
        named = {each.name for each in job_config.schema}
        assert all(row.keys() <= named for row in rows)
        return Answered()

    def load_table_from_uri(self, uri: str, name: str, job_config: bigquery.LoadJobConfig, **job: Any) -> Answered:
        """Load a part into a table of its own."""
        self.update_table(bigquery.Table(name, schema=job_config.schema), ["schema"])
        return Answered()


def _path(table: bigquery.Table) -> Path:
    return table.dataset_id, GENERATION.sub("", table.table_id)


def _declared(parameter: Any) -> str:
    if isinstance(parameter, bigquery.ArrayQueryParameter):
        return f"ARRAY<{parameter.array_type}>"
    return str(parameter.type_)


def _kind(column: bigquery.SchemaField) -> str:
    return f"ARRAY<{column.field_type}>" if column.mode == "REPEATED" else str(column.field_type)


def _field(name: str, kind: str) -> bigquery.SchemaField:
    repeated = kind.startswith("ARRAY<")
    inner = kind.removeprefix("ARRAY<").removesuffix(">") if repeated else kind
    return bigquery.SchemaField(name, inner, mode="REPEATED" if repeated else "NULLABLE")
