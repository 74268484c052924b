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
    enabled = _enabled(settings)
    for table in tables_of(sql):
        lineage = streams_of(table)
        wanted = sorted((source, account, stream) for source, stream in lineage for account in enabled.get(source, ()))
        if not wanted:
            return _nobody_brings(table, lineage)
        for source, account, stream in wanted:
            name = f"{source}.{stream}" if account == "main" else f"{source}__{account}.{stream}"
            allowed = max_age.get(name) or max_age.get(f"{source}.{stream}") or _max_age((source, stream))
            reason = _is_missing(name, loads.get((source, account, stream)), allowed, state, run.as_of)
            if reason is not None:
                return f"{reason}, and {table} rests on it"
    return None


def _nobody_brings(table: str, lineage: frozenset[Stream]) -> str:
    sources = sorted({source for source, _ in lineage})
    if not sources:
        return f"{table} has no facts: no model reads any stream for it"
    return f"{table} has no facts: none of {', '.join(sources)} is switched on (STITCHLINE_SOURCES)"


def _is_missing(
    name: str, load: dict[str, Any] | None, allowed: timedelta, state: Published, as_of: datetime
) -> str | None:
    if load is None or load["first_seq"] is None:
        return f"{name} was never completely loaded"
    if load["first_seq"] > state.seq_to:
        return f"{name} is loaded but not yet in the published generation {state.generation}"
    age = as_of - load["complete_to"]
    return f"{name} is {_hours(age)} old, allowed are {_hours(allowed)}" if age > allowed else None


def _enabled(settings: Settings) -> dict[str, list[str]]:
    """Accounts by source, as `STITCHLINE_SOURCES` switches them on: `mailchimp`, `mailchimp:eu`, or `*`.

    The collector's accounts too: each tells now and then how far every stream of it is complete, used or not.
    """
    from include.collector import NAME
    from include.collector.streams import accounts
    from include.sources import source_names

    found: dict[str, list[str]] = {NAME: accounts(settings)} if settings.collector else {}
    for entry in source_names() if "*" in settings.sources else settings.sources:
        source, _, account = entry.partition(":")
        found.setdefault(source, []).append(account or "main")
    return found


def _loads(reader: Engine) -> dict[tuple[str, str, str], dict[str, Any]]:
    rows = reader.query(
        "WITH loads AS (SELECT source, stream, account, seq, COALESCE(as_of, loaded_at) AS complete_to, "
        # A backfill or a sweep may be complete for what it read, and still says nothing about today.
        "is_complete AND kind IN ('incremental', 'full') AS counts FROM ops.loads) "
        "SELECT source, stream, account, MIN(IF(counts, seq, NULL)) AS first_seq, "
        "MAX(IF(counts, complete_to, NULL)) AS complete_to "
        "FROM loads GROUP BY source, stream, account ORDER BY source, stream, account"
    )
    return {(row["source"], row["account"], row["stream"]): row for row in rows}


def _max_age(stream: Stream) -> timedelta:
    from include.sources import all_sources

    source = all_sources().get(stream[0])
    ages = {declared.name: declared.max_age for declared in source.streams} if source else {}
    return ages.get(stream[1], DEFAULT_MAX_AGE)


def _hours(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} h"
