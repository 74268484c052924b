"""GoogleSQL in, the engine's SQL out: table names resolved, models inlined, DuckDB transpiled by SQLGlot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError

from include.connect.errors import FixSettings

Dialect = Literal["duckdb", "bigquery"]
GENERATED = frozenset({"identity", "marts"})
"""Datasets whose tables belong to one generation each; under their own name they are views on the published one."""


@dataclass(frozen=True, slots=True)
class Names:
    """How `dataset.table` is spelled on this engine, in this environment, in this generation."""

    dialect: Dialect
    generation: str | None = None
    prefix: str = ""
    project: str | None = None
    foreign: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def physical(self, dataset: str, table: str) -> tuple[str, ...]:
        """The name's parts, outermost first: `("generations", "marts__customers__<generation>")`."""
        if dataset in self.foreign:
            return (*self.foreign[dataset], table)
        if dataset == "scratch":
            return ("temp", "main", f"scratch__{table}") if self.dialect == "duckdb" else ("_SESSION", table)
        if dataset in GENERATED and self.generation is not None:
            dataset, table = "generations", generated_name(dataset, table, self.generation)
        parts = (f"{self.prefix}{dataset}", table)
        return (self.project, *parts) if self.project else parts


def generated_name(dataset: str, table: str, generation: str) -> str:
    """Physical table name of one generation; BigQuery table names allow letters, digits and underscores."""
    return f"{dataset}__{table}__{generation.replace('-', '_').lower()}"


def quoted(parts: tuple[str, ...], dialect: Dialect) -> str:
    """Spell a physical name in the engine's own quoting."""
    mark = "`" if dialect == "bigquery" else '"'
    return ".".join(f"{mark}{part}{mark}" for part in parts)


@lru_cache(maxsize=2048)
def parse(sql: str, where: str = "") -> exp.Expr:
    """Parse one GoogleSQL statement.

    Raises:
        FixSettings: it does not parse; names `where`, line and column.
    """
    try:
        return sqlglot.parse_one(sql, read="bigquery")
    except SqlglotError as error:
        details = getattr(error, "errors", None) or [{}]
        line = details[0].get("line", 1)
        what = details[0].get("description") or str(error).splitlines()[0]
        raise FixSettings(
            f"not valid GoogleSQL: {what}", where=f"{where or 'statement'}:{line}", fix="Correct the SQL."
        ) from None


@lru_cache(maxsize=2048)
def references(sql: str, where: str = "") -> frozenset[str]:
    """The `dataset.table` names a statement reads or writes (names of its own CTEs left out)."""
    return frozenset(f"{table.db}.{table.name}" for table in parse(sql, where).find_all(exp.Table) if table.db)


def parameters(sql: str) -> set[str]:
    """Names of the `@parameters` a statement uses."""
    return {node.name for node in parse(sql).find_all(exp.Parameter)}


def inlined(sql: str, selects: Mapping[str, str]) -> str:
    """The same GoogleSQL with tables (`dataset.table`) replaced by SELECTs, as subqueries under the same alias."""
    tree = parse(sql).copy()
    for table in list(tree.find_all(exp.Table)):
        select = selects.get(f"{table.db}.{table.name}") if table.db else None
        if select is not None:
            alias = exp.TableAlias(this=exp.to_identifier(table.alias or table.name))
            table.replace(exp.Subquery(this=parse(select).copy(), alias=alias))
    return tree.sql(dialect="bigquery", copy=False)


def render(sql: str, names: Names, values: Mapping[str, Any] | None = None) -> str:
    """Spell one GoogleSQL statement, with its logical `dataset.table` names, for an engine.

    Args:
        sql: the statement.
        names: how tables are spelled.
        values: parameters to write into the statement as literals; others stay parameters.
    """
    tree = parse(sql).copy()
    _resolve(tree, names)
    for node in list(tree.find_all(exp.Parameter)):
        if values and node.name in values:
            node.replace(literal(values[node.name]))
    made = tree.find(exp.Table) if isinstance(tree, exp.Create) else None
    if made is not None and (made.db == "_SESSION" or made.catalog == "temp"):
        properties = tree.args.get("properties") or exp.Properties(expressions=[])
        properties.append("expressions", exp.TemporaryProperty())
        tree.set("properties", properties)
    if names.dialect == "duckdb":
        tree = tree.transform(for_duckdb, copy=False)
    return tree.sql(dialect=names.dialect, copy=False, unsupported_level=ErrorLevel.IGNORE)


def literal(value: Any) -> exp.Expr:
    """A value as a literal; SQLGlot does the quoting, whatever the text holds."""
    if isinstance(value, datetime):
        return exp.cast(exp.Literal.string(value.astimezone(UTC).isoformat()), exp.DataType.Type.TIMESTAMPTZ)
    if isinstance(value, date):
        return exp.cast(exp.Literal.string(value.isoformat()), exp.DataType.Type.DATE)
    if isinstance(value, (list, tuple)):
        return exp.Array(expressions=[literal(item) for item in value])
    if isinstance(value, float):
        return exp.cast(exp.Literal.string(repr(value)), exp.DataType.Type.DOUBLE)
    if isinstance(value, Decimal):
        return exp.cast(exp.Literal.string(str(value)), exp.DataType.Type.DECIMAL)
    return exp.convert(value)


def _resolve(tree: exp.Expr, names: Names) -> None:
    for table in list(tree.find_all(exp.Table)):
        if not table.db:
            continue
        *outer, name = names.physical(table.db, table.name)
        if not table.alias and isinstance(table.parent, (exp.From, exp.Join)):
            table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name)))
        table.set("this", exp.to_identifier(name, quoted=True))
        table.set("db", exp.to_identifier(outer[-1], quoted=True))
        table.set("catalog", exp.to_identifier(outer[-2], quoted=True) if len(outer) > 1 else None)


def for_duckdb(node: exp.Expr) -> exp.Expr:
    """What SQLGlot leaves in BigQuery's words."""
    if isinstance(node, exp.Normalize):
        # DuckDB offers NFC only; the compatibility forms are for letters that keyboards of mailed names rarely hold.
        folded: Any = exp.Anonymous(this="nfc_normalize", expressions=[node.this])
        return exp.Lower(this=folded) if node.args.get("is_casefold") else folded
    if isinstance(node, exp.DataType) and node.this == exp.DataType.Type.DECIMAL and not node.expressions:
        return exp.DataType.build("DECIMAL(38, 9)", dialect="duckdb")  # what NUMERIC holds on BigQuery
    if isinstance(node, exp.JSONExtractArray):
        # A value that is no array is NULL on BigQuery; the plain cast would fail the whole statement.
        array = exp.JSONExtract(this=node.this, expression=node.expression)
        return exp.TryCast(this=array, to=exp.DataType.build("JSON[]", dialect="duckdb"))
    return node
