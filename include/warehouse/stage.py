"""Staging: types the rows that loads brought, keeps the latest of each record, and grows tables with their models."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp

from include.run import Run
from include.settings import Settings
from include.warehouse.engine import Column, Engine, Statement, Table
from include.warehouse.models import BEGINNING, Model, clock, describe, frontier, staging_models, text, window, windowed
from include.warehouse.schema import OPS, raw_tables

log = logging.getLogger(__name__)
QUARANTINE_DAYS = 30
"""How long a row that a check set aside is kept, on BigQuery by itself."""
NO_LOADS = {"seq_from": 0, "seq_to": 0, "loaded_from": BEGINNING}
"""The window of loads that holds none."""


@dataclass(frozen=True, slots=True)
class StageSummary:
    """How many rows each staging table took in this run."""

    rows: dict[str, int]
    seq_to: int


def ensure_all(engine: Engine, settings: Settings) -> None:
    """Create what every model may read: raw and staging tables of every shipped source, and `ops`, all empty."""
    engine.ensure([*OPS, *raw_tables()])
    there = {f"{dataset}.{name}" for dataset in ("staging", "quarantine") for name in engine.tables(dataset)}
    missing: list[Table] = []
    for model in staging_models():
        if model.name in there and quarantine_of(model.name) in there:
            continue
        staged, quarantine = _declared(engine, model, settings)
        missing += [table for table in (staged, quarantine) if table.name not in there]
    engine.ensure(missing)


def _declared(engine: Engine, model: Model, settings: Settings) -> tuple[Table, Table]:
    """A model's staging table, with the types that its SELECT has, and the one where its rows are set aside."""
    from include.warehouse.catalog import MACHINERY

    said = {**MACHINERY, **model.header["columns"]}
    types = engine.types(windowed(model.sql), {**clock(None, settings), **NO_LOADS})
    columns = tuple(Column(name, kind, said.get(name, "")) for name, kind in types.items())
    aside = tuple(
        Column(name, kind, said[name]) for name, kind in (("_reason", "STRING"), ("_quarantined_at", "TIMESTAMP"))
    )
    return (
        Table(model.name, columns, model.header["title"], cluster_by=("_key",)),
        Table(
            quarantine_of(model.name),
            (*columns, *aside),
            f"Rows of {model.name} that a check set aside; the next run takes them back and checks again.",
            partition_by="DATE(_quarantined_at)",
            expires_days=QUARANTINE_DAYS,
        ),
    )


def unstage(engine: Engine, tables: Iterable[str]) -> None:
    """Empty the staging tables that read these raw tables; the next `stage` types all of their rows again."""
    read = frozenset(tables)
    for model in staging_models():
        if model.reads & read:
            engine.atomically(
                [
                    Statement("DELETE FROM ops.staged WHERE model = @model", {"model": model.name}),
                    f"DELETE FROM {model.name} WHERE TRUE",
                    f"DELETE FROM {quarantine_of(model.name)} WHERE TRUE",
                ]
            )


def stage(
    engine: Engine, run: Run, settings: Settings, *, full_refresh: bool = False, seq_to: int | None = None
) -> StageSummary:
    """Bring every staging table up to the latest load: type the new rows, keep the latest per key.

    Args:
        engine: the warehouse.
        run: whose clock is `@as_of`.
        settings: the settings.
        full_refresh: type all of raw again, as after a change of a model's SQL.
        seq_to: the last load to take; the latest by default.
    """
    ensure_all(engine, settings)
    if full_refresh:
        engine.execute("DELETE FROM ops.staged WHERE TRUE")
        for model in staging_models():
            engine.execute(f"DELETE FROM {model.name} WHERE TRUE")
    seq_to = frontier(engine) if seq_to is None else seq_to
    reached = {row["model"]: row for row in engine.query("SELECT model, seq, `sql` FROM ops.staged")}
    counts = " UNION ALL ".join(
        f"SELECT '{model.name}' AS name, COUNT(*) AS n FROM {quarantine_of(model.name)}" for model in staging_models()
    )
    held = {row["name"]: int(row["n"]) for row in engine.query(counts)}
    loaded = latest_loads(engine)
    rows, idle = {}, []
    for model in staging_models():
        last, has_held = reached.get(model.name), held[model.name] > 0
        newest = max((loaded.get(name, 0) for name in model.reads), default=0)
        if not has_held and (last is None or last["sql"] == model.sql) and newest <= (int(last["seq"]) if last else 0):
            rows[model.name] = 0
            idle.append(model)
        else:
            rows[model.name] = _stage_one(engine, model, last, seq_to, run, settings, has_held)
    _note_idle(engine, idle, seq_to, run)
    return StageSummary(rows, seq_to)


def latest_loads(engine: Engine) -> dict[str, int]:
    """Raw table -> the latest load into it."""
    latest = "SELECT source, stream, MAX(seq) AS seq FROM ops.loads GROUP BY source, stream"
    return {f"raw.{row['source']}__{row['stream']}": int(row["seq"]) for row in engine.query(latest)}


def _note_idle(engine: Engine, models: Sequence[Model], seq_to: int, run: Run) -> None:
    """Models without anything new are up to date as they are."""
    if not models:
        return
    listed = ", ".join(f"STRUCT({text(model.name)} AS model, {text(model.sql)} AS `sql`)" for model in models)
    engine.atomically(
        [
            f"DELETE FROM ops.staged WHERE model IN ({', '.join(text(model.name) for model in models)})",
            Statement(
                "INSERT INTO ops.staged (model, seq, `sql`, staged_at) "
                f"SELECT m.model AS model, @seq, m.`sql` AS `sql`, @as_of FROM UNNEST([{listed}]) AS m",
                {"seq": seq_to, "as_of": run.as_of},
            ),
        ]
    )


def _stage_one(
    engine: Engine,
    model: Model,
    reached: dict[str, Any] | None,
    seq_to: int,
    run: Run,
    settings: Settings,
    has_held: bool,
) -> int:
    quarantine = quarantine_of(model.name)
    if reached is not None and reached["sql"] != model.sql:
        added = added_columns(reached["sql"] or "", model.sql)
        if added:
            _add_columns(engine, model, added, settings)
        else:
            # What was typed by the old SQL is typed again from raw, and may have other columns.
            engine.execute(f"DROP TABLE IF EXISTS {model.name}")
            engine.execute(f"DROP TABLE IF EXISTS {quarantine}")
            ensure_all(engine, settings)
            reached, has_held = None, False
    seq_from = int(reached["seq"]) if reached else 0
    columns = list(engine.columns(model.name))
    listed = ", ".join(columns)
    typed = f"SELECT {listed} FROM ({windowed(model.sql)})"
    if has_held:
        typed += f" UNION ALL SELECT {listed} FROM {quarantine}"
    params = {**clock(run, settings), **window(engine, seq_from, seq_to)}
    engine.execute(
        f"CREATE OR REPLACE TABLE scratch.batch AS SELECT {listed} FROM ({typed}) "
        "QUALIFY ROW_NUMBER() OVER "
        f"(PARTITION BY _account, _key ORDER BY {newest_first(model)}) = 1",
        params,
    )
    count = int(engine.query("SELECT COUNT(*) AS n FROM scratch.batch")[0]["n"])
    same = "s._account = b._account AND s._key = b._key"
    row = {"model": model.name, "seq": seq_to, "sql": model.sql, "as_of": run.as_of}
    engine.atomically(
        [
            # A late load may carry an older version than the one staged.
            f"DELETE FROM scratch.batch AS b WHERE EXISTS "
            f"(SELECT 1 FROM {model.name} AS s WHERE {same} AND {_newer('s', 'b', latest_by(model))})",
            f"DELETE FROM {model.name} AS s WHERE EXISTS (SELECT 1 FROM scratch.batch AS b WHERE {same})",
            f"INSERT INTO {model.name} ({listed}) SELECT {listed} FROM scratch.batch",
            f"DELETE FROM {quarantine} WHERE TRUE",
            Statement("DELETE FROM ops.staged WHERE model = @model", row),
            Statement("INSERT INTO ops.staged (model, seq, `sql`, staged_at) VALUES (@model, @seq, @sql, @as_of)", row),
        ]
    )
    return count


def added_columns(before: str, after: str) -> list[str]:
    """Names of the columns that a SELECT has gained, where that is all that changed; else nothing."""
    old, new = (sqlglot.parse_one(sql or "SELECT 1 AS nothing", read="bigquery") for sql in (before, after))
    if not isinstance(old, exp.Select) or not isinstance(new, exp.Select):
        return []
    known = set(old.named_selects)
    added = [name for name in new.named_selects if name not in known]
    new.set("expressions", [column for column in new.expressions if column.alias_or_name in known])
    return added if new == old else []


def _add_columns(engine: Engine, model: Model, added: list[str], settings: Settings) -> None:
    """Give the staged table its new columns; rows staged before have nothing in them until a full refresh."""
    types = engine.types(windowed(model.sql), {**clock(None, settings), **NO_LOADS})
    for table in (model.name, quarantine_of(model.name)):
        for name in added:
            engine.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {name} {types[name]}")
    describe(engine, model.name, model.header["title"], model.header["columns"])
    log.info("%s gained %s; rows staged before have none until a full refresh", model.name, ", ".join(added))


def quarantine_of(table: str) -> str:
    """Where rows of a staging table are set aside."""
    return table.replace("staging.", "quarantine.")


def latest_by(model: Model) -> str:
    """The column that says which version of a record is the latest."""
    return str(model.header.get("latest_by", "_extracted_at"))


def newest_first(model: Model) -> str:
    """SQL: how versions of a record are ordered; the first one stands."""
    return f"{latest_by(model)} DESC, _extracted_at DESC, _seq DESC"


def _newer(a: str, b: str, latest: str) -> str:
    """SQL: whether version `a` of a record wins over `b`, by the order a batch is reduced in (no time at all loses)."""
    return (
        f"({a}.{latest} > {b}.{latest} OR ({a}.{latest} IS NOT NULL AND {b}.{latest} IS NULL) "
        f"OR (({a}.{latest} = {b}.{latest} OR ({a}.{latest} IS NULL AND {b}.{latest} IS NULL)) "
        f"AND ({a}._extracted_at > {b}._extracted_at "
        f"OR ({a}._extracted_at = {b}._extracted_at AND {a}._seq > {b}._seq))))"
    )
