"""Receipts: what became of every row; the memory of a sync moves only by what was accepted."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from include.activate.plan_book import KeptPlan, PlannedRow
from include.run import Run
from include.warehouse.engine import Engine, Statement

Status = Literal["accepted", "rejected", "deferred"]
STATE_COLUMNS = "sync, customer_id, place, address, operation, fields_json, fields_hash, accepted_at, run_id"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one row that was to be sent."""

    row: PlannedRow
    status: Status
    code: str = ""
    message: str = ""
    request_id: str | None = None
    is_unsure: bool = False


def write(engine: Engine, plan: KeptPlan, outcomes: Sequence[Outcome], run: Run, now: datetime) -> None:
    """Write the receipts of a group of rows, then move the state of those that were accepted.

    Dying between the two loses nothing: `settle` moves the state from the receipts when the sync runs again.
    """
    if not outcomes:
        return
    engine.append(
        "activation.receipts",
        [
            {
                "receipt_id": _receipt_id(plan, outcome, run),
                "plan_id": plan.plan_id,
                "position": outcome.row.position,
                "sync": plan.sync,
                "run_id": run.run_id,
                "customer_id": outcome.row.change.customer_id,
                "place": outcome.row.place,
                "address": outcome.row.change.address,
                "operation": outcome.row.change.operation,
                "fields_hash": outcome.row.fields_hash,
                "attempt": run.attempt,
                "status": outcome.status,
                "code": outcome.code or None,
                "message": outcome.message[:500] or None,
                "vendor_request_id": outcome.request_id,
                "at": now,
                "as_of": run.as_of,
                "is_unsure": outcome.is_unsure,
            }
            for outcome in outcomes
        ],
    )
    positions = [outcome.row.position for outcome in outcomes]
    settle(engine, plan, min(positions), max(positions))


def settle(engine: Engine, plan: KeptPlan, first: int = 0, last: int = 2**62) -> None:
    """Bring the state to where the plan's accepted receipts say it is; doing it twice changes nothing."""
    params = {"plan_id": plan.plan_id, "sync": plan.sync, "first": first, "last": last}
    engine.execute(
        "CREATE OR REPLACE TABLE scratch.settled AS WITH accepted AS ("
        "SELECT position, MAX(`at`) AS `at`, MAX(run_id) AS run_id FROM activation.receipts WHERE plan_id = @plan_id "
        "AND status = 'accepted' AND position BETWEEN @first AND @last GROUP BY position) "
        "SELECT p.sync, p.customer_id, p.place, p.address, p.operation, p.fields_json, p.fields_hash, "
        "a.`at` AS accepted_at, a.run_id FROM activation.plan_rows AS p "
        "INNER JOIN accepted AS a ON a.position = p.position "
        "WHERE p.plan_id = @plan_id AND p.position BETWEEN @first AND @last",
        params,
    )
    engine.atomically(
        [
            Statement(
                "DELETE FROM activation.state AS s WHERE s.sync = @sync AND EXISTS ("
                "SELECT 1 FROM scratch.settled AS a WHERE a.place = s.place AND a.address = s.address)",
                params,
            ),
            f"INSERT INTO activation.state ({STATE_COLUMNS}) "
            f"SELECT {STATE_COLUMNS} FROM scratch.settled WHERE operation IN ('enter', 'update')",
        ]
    )


def doubt(engine: Engine, plan: KeptPlan) -> None:
    """Mark in the state what an interrupted plan handed over and nobody knows the end of; twice changes nothing.

    Whoever is wanted at the destination is then sent in full, and whoever is not leaves, whether or not they are there.
    """
    if plan.sent_to is None:
        return
    params = {"plan_id": plan.plan_id, "sync": plan.sync}
    engine.execute(
        "CREATE OR REPLACE TABLE scratch.doubtful AS WITH answered AS ("
        "SELECT position, LOGICAL_OR(status IN ('accepted', 'rejected')) AS is_final, "
        "LOGICAL_OR(COALESCE(is_unsure, FALSE)) AS is_unsure FROM activation.receipts "
        "WHERE plan_id = @plan_id GROUP BY position) "
        "SELECT p.sync, p.customer_id, p.place, p.address, CASE p.operation WHEN 'enter' THEN 'entering' "
        "WHEN 'update' THEN 'updating' ELSE 'leaving' END AS operation, p.fields_json, p.fields_hash, "
        "@at AS accepted_at, @run_id AS run_id FROM activation.plan_rows AS p "
        "LEFT JOIN answered AS a ON a.position = p.position "
        "WHERE p.plan_id = @plan_id AND p.operation IN ('enter', 'update', 'leave') AND p.position <= @sent_to "
        "AND (a.position IS NULL OR (a.is_unsure AND NOT a.is_final))",
        {**params, "run_id": plan.run_id, "at": plan.started_at, "sent_to": plan.sent_to},
    )
    if not engine.query("SELECT COUNT(*) AS n FROM scratch.doubtful")[0]["n"]:
        return
    engine.atomically(
        [
            Statement(
                "DELETE FROM activation.state AS s WHERE s.sync = @sync AND EXISTS ("
                "SELECT 1 FROM scratch.doubtful AS d WHERE d.place = s.place AND d.address = s.address)",
                params,
            ),
            f"INSERT INTO activation.state ({STATE_COLUMNS}) SELECT {STATE_COLUMNS} FROM scratch.doubtful",
        ]
    )


def write_unsent(engine: Engine, plan: KeptPlan, run: Run, now: datetime) -> None:
    """Receipts of the rows that are not sent, with the reason; said once, not again at every run."""
    engine.execute(
        "INSERT INTO activation.receipts (receipt_id, plan_id, position, sync, run_id, customer_id, place, address, "
        "operation, fields_hash, attempt, status, code, `at`, as_of) "
        "WITH latest AS (SELECT customer_id, place, address, status, code FROM activation.receipts WHERE sync = @sync "
        "QUALIFY ROW_NUMBER() OVER (PARTITION BY customer_id, place, address ORDER BY `at` DESC, position DESC) = 1) "
        "SELECT CONCAT(@plan_id, '-', CAST(p.position AS STRING), '-unsent'), p.plan_id, p.position, p.sync, @run_id, "
        "p.customer_id, p.place, p.address, p.intended, p.fields_hash, @attempt, p.operation, p.reason, @now, @as_of "
        "FROM activation.plan_rows AS p LEFT JOIN latest AS l "
        "ON l.customer_id = p.customer_id AND l.place = p.place AND l.address = p.address "
        "WHERE p.plan_id = @plan_id AND p.operation IN ('suppressed', 'invalid', 'deferred') "
        "AND (l.status IS NULL OR l.status != p.operation OR COALESCE(l.code, '') != COALESCE(p.reason, ''))",
        {
            "plan_id": plan.plan_id,
            "sync": plan.sync,
            "run_id": run.run_id,
            "attempt": run.attempt,
            "now": now,
            "as_of": run.as_of,
        },
    )


def hand_on(engine: Engine, sync: str) -> None:
    """Forget who left this list and stays at the destination for another one; `scratch.plan_compared` says who."""
    engine.execute(
        "DELETE FROM activation.state AS s WHERE s.sync = @sync AND EXISTS (SELECT 1 FROM scratch.plan_compared AS p "
        "WHERE p.intended = 'shared' AND p.place = s.place AND p.address = s.address)",
        {"sync": sync},
    )


def recognise(engine: Engine, sync: str, handles: Mapping[str, str], now: datetime) -> list[str]:
    """Note the vendor's id of each place; a place under another id than before is forgotten, and returned.

    A list that somebody deleted is made anew under its name, and holds nobody: what the old one had accepted must
    not pass for what the new one holds.
    """
    rows = engine.query("SELECT place, handle FROM activation.places WHERE sync = @sync", {"sync": sync})
    known = {row["place"]: row["handle"] for row in rows}
    statements, replaced = [], []
    for place, handle in sorted(handles.items()):
        if known.get(place) == handle:
            continue
        params = {"sync": sync, "place": place, "handle": handle, "now": now}
        if place in known:
            replaced.append(place)
            statements += [
                Statement(f"DELETE FROM activation.{table} WHERE sync = @sync AND place = @place", params)
                for table in ("state", "places")
            ]
        statements.append(
            Statement(
                "INSERT INTO activation.places (sync, place, handle, seen_at) VALUES (@sync, @place, @handle, @now)",
                params,
            )
        )
    if statements:
        engine.atomically(statements)
    return replaced


def rebind(engine: Engine, sync: str) -> None:
    """Put accepted rows under the person they belong to now; `scratch.plan_compared` says who. Costs no call.

    People merge, and an address may pass to somebody else: the destination holds the same row either way.
    """
    engine.execute(
        "CREATE OR REPLACE TABLE scratch.rebound AS SELECT s.sync, p.customer_id, s.place, s.address, s.operation, "
        "s.fields_json, s.fields_hash, s.accepted_at, s.run_id FROM activation.state AS s "
        "INNER JOIN scratch.plan_compared AS p ON p.place = s.place AND p.address = s.address "
        "WHERE s.sync = @sync AND p.customer_id != s.customer_id AND p.intended IN ('unchanged', 'kept')",
        {"sync": sync},
    )
    if not engine.query("SELECT COUNT(*) AS n FROM scratch.rebound")[0]["n"]:
        return
    engine.atomically(
        [
            Statement(
                "DELETE FROM activation.state AS s WHERE s.sync = @sync AND EXISTS ("
                "SELECT 1 FROM scratch.rebound AS b WHERE b.place = s.place AND b.address = s.address)",
                {"sync": sync},
            ),
            f"INSERT INTO activation.state ({STATE_COLUMNS}) SELECT {STATE_COLUMNS} FROM scratch.rebound",
        ]
    )


def tally(engine: Engine, plan: KeptPlan) -> tuple[dict[str, int], dict[str, int]]:
    """Rows of the plan by their last receipt (accepted, rejected, deferred), and rejections by code."""
    rows = engine.query(
        "WITH latest AS (SELECT r.position AS position, r.status AS status, r.code AS code "
        "FROM activation.receipts AS r WHERE r.plan_id = @plan_id QUALIFY ROW_NUMBER() OVER (PARTITION BY r.position "
        "ORDER BY r.status = 'accepted' DESC, r.`at` DESC) = 1) "
        "SELECT l.status AS status, COALESCE(l.code, '') AS code, COUNT(*) AS n FROM latest AS l "
        "INNER JOIN activation.plan_rows AS p ON p.plan_id = @plan_id AND p.position = l.position "
        "WHERE p.operation IN ('enter', 'update', 'leave') GROUP BY l.status, COALESCE(l.code, '')",
        {"plan_id": plan.plan_id},
    )
    counts = {"accepted": 0, "rejected": 0, "deferred": 0}
    codes: dict[str, int] = {}
    for row in rows:
        counts[row["status"]] = counts.get(row["status"], 0) + int(row["n"])
        if row["status"] == "rejected":
            codes[row["code"]] = int(row["n"])
    return counts, codes


def _receipt_id(plan: KeptPlan, outcome: Outcome, run: Run) -> str:
    return hashlib.sha256(f"{plan.plan_id}\n{run.run_id}\n{run.attempt}\n{outcome.row.position}".encode()).hexdigest()[
        :24
    ]
