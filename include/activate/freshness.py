"""No list from half the facts: which streams a segment rests on, and whether each is there and young enough."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from include.run import Run
from include.settings import Settings
from include.warehouse.engine import Engine
from include.warehouse.models import Published, depends_on
from include.warehouse.render import references

DEFAULT_MAX_AGE = timedelta(hours=26)
Stream = tuple[str, str]
"""Source and stream."""


def streams_of(table: str) -> frozenset[Stream]:
    """The streams whose facts reach a table, through every model in between.

    `identity.*` is not followed: it says who is who and carries no facts.
    """
    found: set[Stream] = set()
    seen: set[str] = set()
    waiting = [table]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        dataset, _, rest = name.partition(".")
        source, mark, stream = rest.partition("__")
        if dataset == "raw" and mark:
            found.add((source, stream))
        elif dataset != "identity":
            waiting += depends_on(name)
    return frozenset(found)


def tables_of(sql: str) -> list[str]:
    """The tables with facts that a query names, sorted."""
    return sorted(name for name in references(sql) if name.partition(".")[0] not in ("identity", "scratch"))


def missing_facts(
    reader: Engine,
    sql: str,
    max_age: Mapping[str, timedelta],
    state: Published,
    run: Run,
    settings: Settings,
) -> str | None:
    """Why a list must not be computed now, naming the stream; None when every fact is there.

    Args:
        reader: the warehouse at the published generation.
        sql: the segment's query.
        max_age: the header's own ages, `<source>.<stream>` or `<source>__<account>.<stream>`.
        state: what is published.
        run: the run, for its clock.
        settings: which sources are switched on.
    """
    loads = _loads(reader)
    for table in tables_of(sql):
        lineage = streams_of(table)
        wanted = sorted(stream for stream in lineage if stream[0] in settings.sources)
        if not wanted:
            return _nobody_brings(table, lineage)
        for stream in wanted:
            reason = _stream_is_missing(stream, loads.get(stream, []), max_age, state, run.as_of)
            if reason is not None:
                return f"{reason}, and {table} rests on it"
    return None


def _nobody_brings(table: str, lineage: frozenset[Stream]) -> str:
    sources = sorted({source for source, _ in lineage})
    if not sources:
        return f"{table} has no facts: no model reads any stream for it"
    return f"{table} has no facts: none of {', '.join(sources)} is switched on (STITCHLINE_SOURCES)"


def _stream_is_missing(
    stream: Stream, loads: list[dict[str, Any]], max_age: Mapping[str, timedelta], state: Published, as_of: datetime
) -> str | None:
    name = ".".join(stream)
    complete = [load for load in loads if load["first_seq"] is not None]
    if not complete:
        return f"{name} was never completely loaded"
    for load in loads:
        shown = name if load["account"] == "main" else f"{stream[0]}__{load['account']}.{stream[1]}"
        if load["first_seq"] is None:
            return f"{shown} was never completely loaded"
        if load["first_seq"] > state.seq_to:
            return f"{shown} is loaded but not yet in the published generation {state.generation}"
        allowed = max_age.get(shown) or max_age.get(name) or _max_age(stream)
        age = as_of - load["complete_to"]
        if age > allowed:
            return f"{shown} is {_hours(age)} old, allowed are {_hours(allowed)}"
    return None


def _loads(reader: Engine) -> dict[Stream, list[dict[str, Any]]]:
    rows = reader.query(
        "WITH loads AS (SELECT source, stream, account, seq, COALESCE(as_of, loaded_at) AS complete_to, "
        # A backfill or a sweep may be complete for what it read, and still says nothing about today.
        "is_complete AND kind IN ('incremental', 'full') AS counts FROM ops.loads) "
        "SELECT source, stream, account, MIN(IF(counts, seq, NULL)) AS first_seq, "
        "MAX(IF(counts, complete_to, NULL)) AS complete_to "
        "FROM loads GROUP BY source, stream, account ORDER BY source, stream, account"
    )
    found: dict[Stream, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["source"], row["stream"]), []).append(row)
    return found


def _max_age(stream: Stream) -> timedelta:
    from include.sources import all_sources

    source = all_sources().get(stream[0])
    for declared in source.streams if source else ():
        if declared.name == stream[1]:
            return declared.max_age
    return DEFAULT_MAX_AGE


def _hours(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} h"
