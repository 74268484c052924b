"""The book of plans: kept before anything is sent, checked again before it is applied, resumed after a crash."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

import msgspec

from include.activate.destination import Change, Destination
from include.activate.plan import ROW_COLUMNS, Counts, Drawing
from include.run import Run
from include.warehouse.engine import Engine, Statement

ROWS_KEPT = 5
"""Plans of a sync whose rows are kept; held ones and the last one sent are kept besides."""
SAME_ROW = (
    "o.operation = p.operation AND o.place = p.place AND o.address = p.address "
    "AND o.customer_id = p.customer_id AND o.fields_hash = p.fields_hash"
)
COUNTED = tuple(field.name for field in fields(Counts))


@dataclass(frozen=True, slots=True)
class KeptPlan:
    """A plan as the book has it."""

    plan_id: str
    sync: str
    run_id: str
    generation: str
    status: str
    created_at: datetime
    started_at: datetime | None
    sent_to: int | None
    counts: Counts
    content: str
    reason: str | None
    decided_by: str | None


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """One row to send, with what its receipt needs."""

    position: int
    place: str
    fields_hash: str
    change: Change


def save(
    engine: Engine, plan_id: str, sync: str, drawing: Drawing, status: str, reason: str | None, run: Run, now: datetime
) -> None:
    """Keep the plan drawn in `scratch.plan_rows`; keeping it again changes nothing."""
    row: dict[str, Any] = {
        "plan_id": plan_id,
        "sync": sync,
        "run_id": run.run_id,
        "generation": drawing.generation,
        "created_at": now,
        "status": status,
        "reason": reason,
        "content": drawing.content,
        "held_since": now - timedelta(hours=24),
        "kept": ROWS_KEPT,
        **{name: getattr(drawing.counts, name) for name in COUNTED},
    }
    columns = ("plan_id", "sync", "run_id", "generation", "created_at", "status", "content", *COUNTED)
    engine.atomically(
        [
            Statement("DELETE FROM activation.plan_rows WHERE plan_id = @plan_id", row),
            Statement(
                f"INSERT INTO activation.plan_rows (plan_id, sync, position, {ROW_COLUMNS}) "
                f"SELECT @plan_id, @sync, position, {ROW_COLUMNS} FROM scratch.plan_rows",
                row,
            ),
            Statement("DELETE FROM activation.plans WHERE plan_id = @plan_id", row),
            Statement(
                f"INSERT INTO activation.plans ({', '.join(f'`{name}`' for name in columns)}, reason) "
                f"VALUES ({', '.join(f'@{name}' for name in columns)}, CAST(@reason AS STRING))",
                row,
            ),
            Statement(
                "DELETE FROM activation.plan_rows WHERE sync = @sync AND plan_id NOT IN ("
                "SELECT plan_id FROM activation.plans "
                "WHERE sync = @sync AND status = 'held' AND created_at >= @held_since "
                "UNION ALL SELECT plan_id FROM (SELECT plan_id FROM activation.plans WHERE sync = @sync "
                "AND started_at IS NOT NULL ORDER BY started_at DESC LIMIT 1) "
                "UNION ALL SELECT plan_id FROM (SELECT plan_id FROM activation.plans WHERE sync = @sync "
                "ORDER BY created_at DESC LIMIT @kept))",
                row,
            ),
        ]
    )


def find(engine: Engine, plan_id: str) -> KeptPlan | None:
    """The plan of that id."""
    rows = engine.query("SELECT * FROM activation.plans WHERE plan_id = @plan_id", {"plan_id": plan_id})
    return _kept(rows[0]) if rows else None


def last_started(engine: Engine, sync: str) -> KeptPlan | None:
    """The plan of a sync that was let through last; it alone may send."""
    rows = engine.query(
        "SELECT * FROM activation.plans WHERE sync = @sync AND started_at IS NOT NULL "
        "ORDER BY started_at DESC, plan_id DESC LIMIT 1",
        {"sync": sync},
    )
    return _kept(rows[0]) if rows else None


def not_let_through(engine: Engine, before: KeptPlan | None) -> dict[str, int]:
    """How many drawn rows of each operation the last plan let through did not have; guards look at these alone."""
    rows = engine.query(
        "SELECT p.operation AS operation, COUNT(*) AS n FROM scratch.plan_rows AS p "
        "WHERE p.operation IN ('enter', 'leave') AND NOT EXISTS ("
        "SELECT 1 FROM activation.plan_rows AS o WHERE o.plan_id = @plan_id AND o.intended = p.operation "
        "AND o.operation NOT IN ('suppressed', 'invalid') AND o.place = p.place AND o.address = p.address) "
        "GROUP BY p.operation",
        {"plan_id": before.plan_id if before else ""},
    )
    return {"enter": 0, "leave": 0} | {row["operation"]: int(row["n"]) for row in rows}


def differences(engine: Engine, plan_id: str) -> int:
    """Rows in which the plan drawn now differs from the kept one; what the kept one already sent is no difference."""
    row = engine.query(
        "SELECT (SELECT COUNT(*) FROM scratch.plan_rows AS p WHERE p.operation IN ('enter', 'update', 'leave') "
        "AND NOT EXISTS (SELECT 1 FROM activation.plan_rows AS o "
        f"WHERE o.plan_id = @plan_id AND {SAME_ROW})) AS added, "
        "(SELECT COUNT(*) FROM activation.plan_rows AS p WHERE p.plan_id = @plan_id "
        "AND p.operation IN ('enter', 'update', 'leave') "
        f"AND NOT EXISTS (SELECT 1 FROM scratch.plan_rows AS o WHERE {SAME_ROW}) "
        "AND NOT EXISTS (SELECT 1 FROM activation.receipts AS r "
        "WHERE r.plan_id = @plan_id AND r.position = p.position AND r.status IN ('accepted', 'rejected'))) AS gone",
        {"plan_id": plan_id},
    )[0]
    return int(row["added"]) + int(row["gone"])


def refused(engine: Engine, sync: str, content: str) -> KeptPlan | None:
    """The plan with the same rows that a person refused, if the last answer about these rows was no."""
    rows = engine.query(
        "SELECT * FROM activation.plans WHERE sync = @sync AND content = @content "
        "AND status IN ('refused', 'applying', 'applied', 'rejected') ORDER BY created_at DESC LIMIT 1",
        {"sync": sync, "content": content},
    )
    return _kept(rows[0]) if rows and rows[0]["status"] == "refused" else None


def refuse(engine: Engine, plan_id: str, by: str, now: datetime) -> None:
    """Close a held plan: a person said no."""
    engine.execute(
        "UPDATE activation.plans SET status = 'refused', decided_by = @by, finished_at = @now "
        "WHERE plan_id = @plan_id AND status = 'held'",
        {"plan_id": plan_id, "by": by, "now": now},
    )


def start(engine: Engine, plan: KeptPlan, by: str | None, now: datetime) -> None:
    """Let the plan through, as `by` decided if anybody: from here it alone may send for its sync."""
    params = {"plan_id": plan.plan_id, "sync": plan.sync, "by": by, "now": now}
    engine.atomically(
        [
            Statement(
                "UPDATE activation.plans SET status = 'superseded' "
                "WHERE sync = @sync AND plan_id != @plan_id AND status IN ('planned', 'held', 'applying')",
                params,
            ),
            Statement(
                "UPDATE activation.plans SET status = 'applying', started_at = @now, "
                "decided_by = CAST(@by AS STRING) WHERE plan_id = @plan_id",
                params,
            ),
        ]
    )


def hand_over(engine: Engine, plan: KeptPlan, position: int) -> None:
    """Note, before rows are sent, how far they go: after a crash they may have arrived or not."""
    engine.execute(
        "UPDATE activation.plans SET sent_to = GREATEST(COALESCE(sent_to, 0), @position) WHERE plan_id = @plan_id",
        {"plan_id": plan.plan_id, "position": position},
    )


def finish(engine: Engine, plan: KeptPlan, status: str, reason: str | None, now: datetime) -> None:
    """Close the plan."""
    engine.execute(
        "UPDATE activation.plans SET status = @status, finished_at = @now, reason = CAST(@reason AS STRING) "
        "WHERE plan_id = @plan_id",
        {"plan_id": plan.plan_id, "status": status, "reason": reason, "now": now},
    )


def note(engine: Engine, plan_id: str, reason: str) -> None:
    """Say more about why the plan waits."""
    engine.execute(
        "UPDATE activation.plans SET reason = @reason WHERE plan_id = @plan_id", {"plan_id": plan_id, "reason": reason}
    )


def pending(engine: Engine, plan: KeptPlan, destination: Destination, after: int, limit: int) -> list[PlannedRow]:
    """The next rows that were not accepted under this plan, in the order they are sent."""
    rows = engine.query(
        "SELECT p.* FROM activation.plan_rows AS p WHERE p.plan_id = @plan_id AND p.position > @after "
        "AND p.operation IN ('enter', 'update', 'leave') AND NOT EXISTS (SELECT 1 FROM activation.receipts AS r "
        "WHERE r.plan_id = @plan_id AND r.position > @after AND r.position = p.position AND r.status = 'accepted') "
        "ORDER BY p.position LIMIT @limit",
        {"plan_id": plan.plan_id, "after": after, "limit": limit},
    )
    return [_planned(plan, row, destination) for row in rows]


def _planned(plan: KeptPlan, row: dict[str, Any], destination: Destination) -> PlannedRow:
    change = Change(
        row["customer_id"],
        row["address"],
        row["operation"],
        changed_fields(row, destination),
        _fields(row["previous_json"]),
        f"{plan.plan_id}-{row['position']}",
    )
    return PlannedRow(row["position"], row["place"], row["fields_hash"], change)


def changed_fields(row: dict[str, Any], destination: Destination) -> dict[str, Any]:
    """What of a row is new to the destination; who leaves has the flag lowered and the mapped fields cleared."""
    wanted, before = _fields(row["fields_json"]), _fields(row["previous_json"])
    if row["operation"] == "leave":
        _, name = destination.parted(row["place"])
        return {field: False if field == name else None for field in before}
    return {field: value for field, value in wanted.items() if field not in before or before[field] != value}


def _fields(text: str | None) -> dict[str, Any]:
    return msgspec.json.decode(text, type=dict[str, Any]) if text else {}


def _kept(row: dict[str, Any]) -> KeptPlan:
    counts = Counts(**{name: int(row[name] or 0) for name in COUNTED})
    return KeptPlan(
        row["plan_id"],
        row["sync"],
        row["run_id"],
        row["generation"],
        row["status"],
        row["created_at"],
        row["started_at"],
        row["sent_to"],
        counts,
        row["content"] or "",
        row["reason"],
        row["decided_by"],
    )
