"""A segment: one audience in one SQL file; read it, compute it from one published generation."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from include.activate.freshness import missing_facts
from include.activate.header import Header, SyncSpec, read_header
from include.activate.rename import take_over
from include.activate.tables import ensure_tables
from include.connect.errors import FixSettings, StitchlineError
from include.destinations import all_destinations
from include.run import Run
from include.settings import Settings
from include.warehouse.engine import Engine, Statement
from include.warehouse.models import published

FOLDER = Path(__file__).resolve().parent.parent / "segments"
CLOCKS = (exp.CurrentTimestamp, exp.CurrentDate, exp.CurrentDatetime, exp.CurrentTime)
PARAMETERS = frozenset({"as_of", "timezone"})
SAYS_WHERE = ("BinderException", "CatalogException", "ParserException")
"""DuckDB errors about names and syntax; their text holds no values of rows."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment file."""

    name: str
    path: Path
    header: Header
    sql: str
    sql_line: int

    @property
    def table(self) -> str:
        """Where its list is kept."""
        return f"segments.{self.name}"

    def sync(self, to: str) -> SyncSpec:
        """The header's entry for a destination.

        Raises:
            FixSettings: the header has none.
        """
        for spec in self.header.syncs:
            if spec.to == to:
                return spec
        known = ", ".join(spec.to for spec in self.header.syncs) or "none"
        raise FixSettings(f"does not sync to {to!r}", where=str(self.path), fix=f"Its header names: {known}.")


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """What one run of a segment did."""

    status: Literal["computed", "held"]
    members: int | None
    entered: int = 0
    left: int = 0
    reason: str | None = None
    generation: str | None = None


def read_segment(path: Path) -> Segment:
    """Read one segment file.

    Raises:
        FixSettings: its header or its query is wrong; names file and line.
    """
    text = path.read_text()
    shown = _shown(path)
    header = read_header(text, shown, all_destinations())
    end = text.index("*/") + 2
    blank = "\n" * text[:end].count("\n")  # the query keeps the lines it has in the file
    tree = _one_query(blank + text[end:], shown)
    first = blank.count("\n") + 1 + (len(text[end:]) - len(text[end:].lstrip("\n")))
    _check_query(tree, header, shown, first)
    return Segment(path.stem, path, header, text[end:].strip().rstrip(";").strip(), first)


def all_segments(folder: Path = FOLDER) -> dict[str, Segment]:
    """Every segment of the folder, by name."""
    return {path.stem: read_segment(path) for path in sorted(folder.glob("*.sql"))}


def get_segment(name: str, folder: Path = FOLDER) -> Segment:
    """The segment of that name.

    Raises:
        FixSettings: there is none, or its file is wrong; suggests the closest name.
    """
    path = folder / f"{name}.sql"
    if "/" in name or not path.is_file():
        known = sorted(found.stem for found in folder.glob("*.sql"))
        close = difflib.get_close_matches(name, known, n=1)
        raise FixSettings(
            f"no segment {name!r}",
            where=str(_shown(folder)),
            fix=f"{f'Did you mean {close[0]!r}? ' if close else ''}Known: {', '.join(known) or 'none'}.",
        )
    return read_segment(path)


def compute(engine: Engine, segment: Segment, run: Run, settings: Settings) -> SegmentResult:
    """Compute the list from the published generation, or hold it and leave the last list as it is.

    The list, its membership history and the run's row change together; running it again changes nothing.

    Raises:
        FixSettings: the query does not run; names file and line.
    """
    ensure_tables(engine)
    take_over(engine, segment)
    state = published(engine)
    if state is None:
        return _held(engine, segment, run, None, "nothing is published yet; run the unify DAG once")
    reader = engine.at(state.generation)
    reason = missing_facts(reader, segment.sql, segment.header.max_age, state, run, settings)
    if reason is not None:
        return _held(engine, segment, run, state.generation, reason)
    columns = put_list(reader, segment, run.as_of, settings)
    _fit_table(engine, segment, columns)
    listed = ", ".join(f"`{name}`" for name in columns)
    who = {"segment": segment.name, "as_of": run.as_of}
    _history(reader, who)
    counts = reader.query(
        "SELECT (SELECT COUNT(*) FROM scratch.segment_list) AS members, "
        "COUNTIF(h.entered_at IS NULL) AS entered, COUNTIF(NOT h.is_on_list) AS gone "
        "FROM scratch.segment_history AS h"
    )[0]
    result = SegmentResult(
        "computed",
        int(counts["members"]),
        int(counts["entered"] or 0),
        int(counts["gone"] or 0),
        None,
        state.generation,
    )
    reader.atomically(
        [
            f"DELETE FROM {segment.table} WHERE TRUE",
            f"INSERT INTO {segment.table} ({listed}) SELECT {listed} FROM scratch.segment_list",
            Statement("DELETE FROM segments.memberships WHERE segment = @segment AND left_at IS NULL", who),
            Statement(
                "INSERT INTO segments.memberships (segment, customer_id, entered_at, left_at) "
                "SELECT @segment, h.customer_id, COALESCE(h.entered_at, @as_of), IF(h.is_on_list, NULL, @as_of) "
                "FROM scratch.segment_history AS h",
                who,
            ),
            *_run_row(segment, run, result),
        ]
    )
    engine.publish_lists()
    return result


def console_sql(segment: Segment, as_of: datetime, settings: Settings) -> str:
    """The query with its DECLAREs, ready for the BigQuery console."""
    sql = segment.sql.replace("@as_of", "as_of").replace("@timezone", "timezone")
    return (
        f"DECLARE as_of TIMESTAMP DEFAULT TIMESTAMP '{as_of:%Y-%m-%d %H:%M:%S}+00';\n"
        f"DECLARE timezone STRING DEFAULT '{settings.timezone}';\n\n{sql};\n"
    )


def mask(name: str, value: Any) -> str:
    """A value as people without the permission see it: numbers, dates and flags as they are, texts by their ends."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return str(value) if isinstance(value, bool | int | float | datetime) else "***"
    if name == "customer_id":
        return value[:8]
    local, at, domain = value.partition("@")
    return f"{local[:1]}***@{domain}" if at else f"{value[:1]}***"


def visible_sql(segment: Segment, flagged: frozenset[str]) -> str:
    """The query over facts that are certain, unless its header asks for the inferred ones too.

    Args:
        segment: the segment.
        flagged: the tables it reads that carry `is_inferred_identity`.
    """
    if segment.header.include_inferred or not flagged:
        return segment.sql
    tree = sqlglot.parse_one(segment.sql, read="bigquery").copy()
    for table in list(tree.find_all(exp.Table)):
        if f"{table.db}.{table.name}" in flagged:
            certain = sqlglot.parse_one(
                f"SELECT * FROM {table.db}.{table.name} WHERE NOT COALESCE(is_inferred_identity, FALSE)",
                read="bigquery",
            )
            alias = exp.TableAlias(this=exp.to_identifier(table.alias or table.name))
            table.replace(exp.Subquery(this=certain, alias=alias))
    return tree.sql(dialect="bigquery")


def put_list(reader: Engine, segment: Segment, as_of: datetime, settings: Settings) -> list[str]:
    """Put the list into `scratch.segment_list`; returns its columns, `customer_id` first."""
    tree = sqlglot.parse_one(segment.sql, read="bigquery")
    read = {f"{table.db}.{table.name}" for table in tree.find_all(exp.Table) if table.db}
    flagged = frozenset(table for table in read if "is_inferred_identity" in reader.columns(table))
    try:
        reader.execute(
            f"CREATE OR REPLACE TABLE scratch.segment_list AS "
            f"SELECT * FROM ({visible_sql(segment, flagged)}) WHERE customer_id IS NOT NULL",
            {"as_of": as_of, "timezone": settings.timezone},
        )
    except StitchlineError:
        raise
    except Exception as error:
        raise _cannot_run(segment, error) from None
    row = reader.query("SELECT COUNT(*) - COUNT(DISTINCT customer_id) AS n FROM scratch.segment_list")[0]
    if row["n"]:
        raise FixSettings(
            f"{row['n']} rows repeat a customer_id; a list holds each person once",
            where=f"{_shown(segment.path)}:{segment.sql_line}",
            fix="Use EXISTS instead of a join, or QUALIFY ROW_NUMBER() OVER (PARTITION BY customer_id ...) = 1.",
        )
    names = list(reader.columns("scratch.segment_list"))
    return ["customer_id", *(name for name in names if name != "customer_id")]


def _fit_table(engine: Engine, segment: Segment, columns: list[str]) -> None:
    """Have a list table of these columns; a list whose columns changed begins empty and is filled at once."""
    have = engine.columns(segment.table)
    want = engine.columns("scratch.segment_list")
    if have and have != want:
        engine.execute(f"DROP TABLE IF EXISTS {segment.table}")
        have = {}
    if not have:
        engine.execute(f"CREATE TABLE IF NOT EXISTS {segment.table} AS SELECT * FROM scratch.segment_list WHERE FALSE")


def _history(reader: Engine, who: Mapping[str, Any]) -> None:
    """Who is or was on the list, each under the id they have now; a merge is neither entering nor leaving."""
    current, join = "m.customer_id", ""
    if reader.columns("identity.redirects"):
        current = "COALESCE(r.customer_id, m.customer_id)"
        join = "LEFT JOIN identity.redirects AS r ON r.old_customer_id = m.customer_id"
    reader.execute(
        "CREATE OR REPLACE TABLE scratch.segment_history AS "
        "WITH open_rows AS ("
        f"SELECT {current} AS customer_id, MIN(m.entered_at) AS entered_at FROM segments.memberships AS m {join} "
        f"WHERE m.segment = @segment AND m.left_at IS NULL GROUP BY {current}) "
        "SELECT COALESCE(l.customer_id, o.customer_id) AS customer_id, o.entered_at AS entered_at, "
        "l.customer_id IS NOT NULL AS is_on_list "
        "FROM scratch.segment_list AS l FULL JOIN open_rows AS o ON o.customer_id = l.customer_id",
        who,
    )


def _held(engine: Engine, segment: Segment, run: Run, generation: str | None, reason: str) -> SegmentResult:
    result = SegmentResult("held", None, reason=reason, generation=generation)
    engine.atomically(_run_row(segment, run, result))
    engine.publish_lists()
    return result


def _run_row(segment: Segment, run: Run, result: SegmentResult) -> list[Statement | str]:
    row = {
        "segment": segment.name,
        "run_id": run.run_id,
        "generation": result.generation,
        "as_of": run.as_of,
        "status": result.status,
        "members": result.members,
        "reason": result.reason,
    }
    return [
        Statement("DELETE FROM segments.runs WHERE segment = @segment AND run_id = @run_id", row),
        Statement(
            "INSERT INTO segments.runs (segment, run_id, generation, as_of, status, members, reason) VALUES "
            "(@segment, @run_id, CAST(@generation AS STRING), @as_of, @status, CAST(@members AS INT64), "
            "CAST(@reason AS STRING))",
            row,
        ),
    ]


def _one_query(text: str, path: Path) -> exp.Query:
    try:
        trees = [tree for tree in sqlglot.parse(text, read="bigquery") if tree is not None]
    except SqlglotError as error:
        details = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
        what = details.get("description") or str(error).splitlines()[0]
        raise FixSettings(
            f"not valid GoogleSQL: {what}", where=f"{path}:{details.get('line', 1)}", fix="Correct the query."
        ) from None
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        line = text.count("\n", 0, len(text) - len(text.lstrip())) + 1
        raise FixSettings("not one SELECT", where=f"{path}:{line}", fix="A segment is a header and exactly one SELECT.")
    return trees[0]


def _check_query(tree: exp.Query, header: Header, path: Path, line: int) -> None:
    where = f"{path}:{line}"
    if any(isinstance(node, CLOCKS) for node in tree.walk()):
        raise FixSettings("reads the wall clock", where=where, fix="Use @as_of; the same run must give the same list.")
    unknown = sorted({node.name for node in tree.find_all(exp.Parameter)} - PARAMETERS)
    if unknown:
        raise FixSettings(f"@{unknown[0]} is not known", where=where, fix="A segment has @as_of and @timezone.")
    names = tree.named_selects
    if header.key not in names and "*" not in names:
        raise FixSettings(f"the query has no column {header.key}", where=where, fix=f"SELECT {header.key}, ...")
    if not any(table.db for table in tree.find_all(exp.Table)):
        raise FixSettings("the query reads no table", where=where, fix="Read marts.customers or another mart.")


def _cannot_run(segment: Segment, error: Exception) -> FixSettings:
    kind = type(error).__name__
    # Other errors may quote the value of a row, and a row is a person.
    said = str(error).splitlines()[0] if kind in SAYS_WHERE or kind in ("BadRequest", "NotFound") else kind
    return FixSettings(
        f"the query does not run: {said}",
        where=f"{_shown(segment.path)}:{segment.sql_line}",
        fix="Correct the query; `stitchline segment preview` shows it.",
    )


def _shown(path: Path) -> Path:
    root = FOLDER.parent.parent
    return path.relative_to(root) if path.is_relative_to(root) else path
