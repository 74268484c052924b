"""What a run of the whole road did, read from the warehouse's own books, and how it is printed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from include.settings import Settings
from include.warehouse.engine import Engine, connect

if TYPE_CHECKING:
    from include.simulate.truth import Score
    from include.world import World


@dataclass(slots=True)
class Summary:
    """Rows of each section, as the warehouse has them."""

    loads: list[dict[str, Any]] = field(default_factory=list)
    checks: dict[str, int] = field(default_factory=dict)
    people: int = 0
    events: int = 0
    identifiers: int = 0
    wrong_merges: int | None = None
    precision: float | None = None
    recall_of_oracle: float | None = None
    segments: list[dict[str, Any]] = field(default_factory=list)
    syncs: list[dict[str, Any]] = field(default_factory=list)
    writes: int | None = None


def summarize(settings: Settings, since: datetime, world: World | None = None) -> Summary:
    """Read what happened since a moment; with a simulated world, score identity against its truth."""
    from include.warehouse.models import published

    summary = Summary()
    with connect(settings) as engine:
        summary.loads = _loads(engine, since)
        summary.checks = _checks(engine, since)
        state = published(engine) if engine.columns("ops.published") else None
        assignment: dict[str, str | None] = {}
        if state is not None:
            reader = engine.at(state.generation)
            summary.people, summary.events = state.people, state.events
            summary.identifiers = _count(reader, "SELECT COUNT(*) AS n FROM identity.identifiers")
            if world is not None:
                rows = reader.query("SELECT event_id, customer_id FROM identity.events")
                assignment = {row["event_id"]: row["customer_id"] for row in rows}
        summary.segments = _segments(engine)
        for row in summary.segments:
            if world is not None and row["status"] == "computed":
                members = engine.query(f"SELECT customer_id FROM segments.{row['segment']}")
                listed = [member["customer_id"] for member in members]
                row["truth"] = world.compare_list(row["segment"], row["as_of"], listed, assignment)
        summary.syncs = _syncs(engine, since)
    if world is not None:
        if assignment:
            _score(summary, world.score(assignment))
        summary.writes = sum(counted["writes"] for counted in world.stats().values())
    return summary


def _score(summary: Summary, score: Score) -> None:
    summary.wrong_merges = len(score.wrong_merges)
    summary.precision = score.precision
    summary.recall_of_oracle = score.recall_of_oracle


def _loads(engine: Engine, since: datetime) -> list[dict[str, Any]]:
    if not engine.columns("ops.loads"):
        return []
    return engine.query(
        "SELECT source, account, SUM(records) AS records, SUM(requests) AS requests, SUM(throttled) AS throttled, "
        "SUM(retries) AS retries FROM ops.loads WHERE loaded_at >= @since "
        "GROUP BY source, account ORDER BY source, account",
        {"since": since},
    )


def _checks(engine: Engine, since: datetime) -> dict[str, int]:
    if not engine.columns("ops.check_results"):
        return {}
    rows = engine.query(
        "SELECT COUNTIF(is_success) AS passed, COUNTIF(NOT is_success AND severity = 'critical') AS failed, "
        "COUNTIF(NOT is_success AND severity != 'critical') AS warnings FROM ops.check_results WHERE as_of >= @since",
        {"since": since},
    )
    return {name: int(rows[0][name] or 0) for name in ("passed", "failed", "warnings")}


def _segments(engine: Engine) -> list[dict[str, Any]]:
    if not engine.columns("segments.runs"):
        return []
    return engine.query(
        "SELECT segment, status, members, reason, as_of, CAST(NULL AS STRING) AS truth FROM segments.runs WHERE TRUE "
        "QUALIFY ROW_NUMBER() OVER (PARTITION BY segment ORDER BY as_of DESC, run_id DESC) = 1 ORDER BY segment"
    )


def _syncs(engine: Engine, since: datetime) -> list[dict[str, Any]]:
    if not engine.columns("activation.plans"):
        return []
    plans = engine.query(
        "SELECT sync, plan_id, status, enter + `update` + leave AS planned, unchanged, suppressed, invalid, reason "
        "FROM activation.plans WHERE created_at >= @since "
        "QUALIFY ROW_NUMBER() OVER (PARTITION BY sync ORDER BY created_at DESC) = 1 ORDER BY sync",
        {"since": since},
    )
    receipts = engine.query(
        "SELECT sync, COUNTIF(status = 'accepted') AS accepted, COUNTIF(status = 'rejected') AS rejected "
        "FROM activation.receipts WHERE at >= @since GROUP BY sync",
        {"since": since},
    )
    counted = {row["sync"]: row for row in receipts}
    nothing = {"accepted": 0, "rejected": 0}
    return [
        plan
        | {name: int(counted.get(plan["sync"], nothing)[name]) for name in nothing}
        | dict(zip(("segment", "destination"), plan["sync"].split("__", 1), strict=True))
        for plan in plans
    ]


def _count(engine: Engine, sql: str) -> int:
    return int(engine.query(sql)[0]["n"])


def show(summary: Summary, console: Console) -> None:
    """Print the summary, one table a section."""
    _table(console, "Pulled", ("source", "account", "records", "requests", "throttled", "retries"), summary.loads)
    checks = ", ".join(f"{number} {name}" for name, number in summary.checks.items()) or "none ran"
    console.print(f"Checks: {checks}")
    console.print(
        f"Identity: {summary.identifiers} identifiers are {summary.people} people with {summary.events} activities"
    )
    if summary.wrong_merges is not None:
        console.print(
            f"Against the truth: {summary.wrong_merges} wrong merges, precision {summary.precision:.4f}, "
            f"recall {summary.recall_of_oracle:.4f} of what the records can show"
        )
    _table(console, "Lists", ("segment", "status", "members", "truth", "reason"), summary.segments)
    columns = (
        "segment",
        "destination",
        "status",
        "planned",
        "accepted",
        "rejected",
        "suppressed",
        "invalid",
        "unchanged",
        "reason",
    )
    _table(console, "Sent", columns, summary.syncs)
    if summary.writes is not None:
        console.print(f"Write calls to destinations: {summary.writes}")


def _table(console: Console, title: str, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    if not rows:
        console.print(f"{title}: nothing")
        return
    used = [name for name in columns if any(row[name] is not None for row in rows)]
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for name in used:
        is_number = any(isinstance(row[name], int | float) for row in rows)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*("" if row[name] is None else f"{row[name]}" for name in used))
    console.print(table)
