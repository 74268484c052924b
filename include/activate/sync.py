"""A sync, from list to receipts: make the plan, look at it, apply it. Each half is one Airflow task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from include.activate import guards, plan_book, receipts
from include.activate.deliver import Delivery
from include.activate.destination import Destination, FieldKind
from include.activate.header import SyncSpec
from include.activate.plan import Counts, Drawing, draw, field_kinds, no_list, sync_id
from include.activate.plan_book import KeptPlan
from include.activate.read_back import baseline, open_session, wanted_in
from include.activate.segment import Segment, get_segment
from include.activate.tables import ensure_tables
from include.connect.connection import Connection, read_connection
from include.connect.errors import FixSettings, StopSync
from include.destinations import get_destination
from include.run import Run
from include.settings import Settings
from include.warehouse.engine import Engine

OpenEngine = Callable[[], AbstractContextManager[Engine]]
Status = Literal["applied", "unchanged", "held", "dry_run"]
GROUP_BATCHES = 10
"""Batches per place in a group, whose receipts are written together while the next group is being sent: two groups are
what a killed task may have to send again."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sync would do, and whether it may.

    `reason` is everything there is to say; `held` only why a person must look first, in a dry run too. `refused` says
    who looked at the very same rows before, and refused them.
    """

    sync: str
    plan_id: str | None
    status: Literal["planned", "held", "dry_run"]
    counts: Counts
    reason: str | None = None
    held: str | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What a sync did; `held` says why nothing was sent."""

    sync: str
    plan_id: str | None
    status: Status
    counts: Counts
    sent: int = 0
    accepted: int = 0
    rejected: int = 0
    deferred: int = 0
    calls: int = 0
    held: str | None = None

    @property
    def suppressed(self) -> int:
        """People on the list who may not be sent."""
        return self.counts.suppressed

    @property
    def is_dry_run(self) -> bool:
        """Whether the plan was only drawn."""
        return self.status == "dry_run"


def sync(
    segment: Segment | str,
    destination: Destination | str,
    settings: Settings,
    run: Run,
    open_engine: OpenEngine,
    *,
    dry_run: bool = False,
    approve: str | None = None,
) -> SyncResult:
    """Make the plan and apply it; ends at once as `held` where a person must look first.

    Args:
        segment: the segment, or its name.
        destination: the destination, or its name.
        settings: the settings.
        run: the run.
        open_engine: opens the warehouse; it is never held open while a vendor is waited for.
        dry_run: only make the plan.
        approve: id of a held plan that a person has looked at.

    Raises:
        StopSync: too many rows were rejected, or the approved plan no longer holds.
        StitchlineError: whatever stopped the delivery; what was accepted until then is kept.
    """
    plan = make_plan(segment, destination, settings, run, open_engine, dry_run=dry_run)
    if plan.status == "dry_run" or plan.plan_id is None:
        return _not_sent(plan)
    if plan.status == "held":
        if approve is None:
            return _not_sent(plan)
        with open_engine() as engine:
            _same_content(engine, plan.plan_id, approve)
    approved = plan.plan_id if approve is not None else None
    return apply_plan(segment, destination, plan.plan_id, settings, run, open_engine, approve=approved)


def make_plan(
    segment: Segment | str,
    destination: Destination | str,
    settings: Settings,
    run: Run,
    open_engine: OpenEngine,
    *,
    dry_run: bool = False,
) -> Plan:
    """Work the plan out, keep it, and say whether it may be applied. Calls no vendor, but for a first baseline."""
    segment, destination, spec = _resolved(segment, destination)
    name = sync_id(segment, destination)
    connection = read_connection(destination.connection)
    dry = _dry_reason(connection, settings, dry_run)
    with open_engine() as engine:
        ensure_tables(engine)
        generation, reason = no_list(engine, segment)
        if reason is not None:
            return Plan(name, None, "dry_run" if dry else "held", Counts(), reason, reason)
        drawing, before = _draw(engine, segment, spec, destination, run, generation, connection, settings)
        plan_id = drawing.plan_id(name, run)
        new = plan_book.not_let_through(engine, before)
        tripped = guards.tripped(
            drawing.counts,
            spec.guards,
            entering=new["enter"],
            leaving=new["leave"],
            is_first=before is None,
            is_first_approved=spec.first_run_approved,
        )
        status: Literal["planned", "held", "dry_run"] = "dry_run" if dry else "held" if tripped else "planned"
        reason = "; ".join(part for part in (dry, tripped) if part) or None
        plan_book.save(engine, plan_id, name, drawing, status, reason, run, _now())
        places = wanted_in(engine) if status == "held" and before is None else {}
        no = plan_book.refused(engine, name, drawing.content) if status == "held" else None
    if places and destination.read_back is not None:
        reason = f"{reason}; {asyncio.run(baseline(destination, settings, connection, places))}"
        with open_engine() as engine:
            plan_book.note(engine, plan_id, reason)
    refused = f"{no.decided_by} refused the same rows (plan {no.plan_id})" if no else None
    return Plan(name, plan_id, status, drawing.counts, reason, tripped, refused)


def apply_plan(
    segment: Segment | str,
    destination: Destination | str,
    plan_id: str,
    settings: Settings,
    run: Run,
    open_engine: OpenEngine,
    *,
    approve: str | None = None,
    approved_by: str | None = None,
) -> SyncResult:
    """Send a kept plan; after a crash, the rest of it. Nothing to send costs no call.

    A held plan needs its own id as `approve`; `approved_by` is the person who looked at it.

    Raises:
        StopSync: the plan no longer holds, or too many rows were rejected.
        StitchlineError: whatever stopped the delivery; what was accepted until then is kept.
    """
    segment, destination, spec = _resolved(segment, destination)
    connection = read_connection(destination.connection)
    dry = _dry_reason(connection, settings, False)
    with open_engine() as engine:
        plan = _found(engine, plan_id, sync_id(segment, destination))
        if plan.status == "dry_run" or dry:
            return SyncResult(plan.sync, plan_id, "dry_run", plan.counts, held=dry or plan.reason)
        if plan.status == "held" and approve != plan_id:
            return SyncResult(plan.sync, plan_id, "held", plan.counts, held=plan.reason)
        _still_holds(engine, plan, segment, spec, destination, run, connection, settings)
        receipts.hand_on(engine, plan.sync)
        if plan.started_at is None:
            plan_book.start(engine, plan, approved_by, _now())
        receipts.write_unsent(engine, plan, run, _now())
        group = plan_book.pending(engine, plan, destination, 0, _group_size(destination))
        if not group:
            return _finished(engine, plan, spec, 0)
        plan_book.hand_over(engine, plan, group[-1].position)
        kinds = field_kinds(engine, segment, spec, plan.generation)
    delivery, calls = asyncio.run(_send_all(plan, group, destination, settings, connection, kinds, run, open_engine))
    with open_engine() as engine:
        if delivery.trouble is not None:
            plan_book.note(engine, plan_id, f"stopped: {type(delivery.trouble).__name__}")
            raise delivery.trouble
        return _finished(engine, plan, spec, calls)


async def _send_all(
    plan: KeptPlan,
    group: list[plan_book.PlannedRow],
    destination: Destination,
    settings: Settings,
    connection: Connection,
    kinds: dict[str, FieldKind],
    run: Run,
    open_engine: OpenEngine,
) -> tuple[Delivery, int]:
    """Send group after group; while one is sent, the warehouse takes the receipts of the one before.

    So the vendor never waits for us, and the warehouse is open just long enough to write and to read on.
    """

    def turn_over(outcomes: list[receipts.Outcome], last: int) -> tuple[list[plan_book.PlannedRow], StopSync | None]:
        with open_engine() as engine:
            receipts.write(engine, plan, outcomes, run, _now())
            latest = plan_book.last_started(engine, plan.sync)
            if latest is not None and latest.plan_id != plan.plan_id:
                return [], StopSync(
                    f"plan {latest.plan_id} was let through while this one was being sent",
                    where=plan.sync,
                    fix="Nothing to do: the later plan sends what is left.",
                )
            following = plan_book.pending(engine, plan, destination, last, _group_size(destination))
            if following:
                plan_book.hand_over(engine, plan, following[-1].position)
            return following, None

    async with open_session(destination, settings, connection) as session:
        delivery = Delivery(session, destination, kinds, connection.extra)
        outcomes: list[receipts.Outcome] = []
        while group and delivery.trouble is None:
            handles = await delivery.prepare(group)
            if handles:
                with open_engine() as engine:
                    delivery.trouble = delivery.trouble or _replaced(engine, plan, handles)
            sending = asyncio.create_task(delivery.send(group))
            try:
                group, overtaken = await asyncio.to_thread(turn_over, outcomes, group[-1].position)
                delivery.trouble = delivery.trouble or overtaken
                outcomes = await sending
            except BaseException:
                sending.cancel()
                raise
        with open_engine() as engine:
            receipts.write(engine, plan, outcomes + delivery.kept_back(group), run, _now())
        return delivery, session.counters.requests


def _replaced(engine: Engine, plan: KeptPlan, handles: dict[str, str]) -> StopSync | None:
    """What to say when a list is not the one that took people in before; the next plan sends them all again."""
    places = receipts.recognise(engine, plan.sync, handles, _now())
    if not places:
        return None
    plan_book.finish(engine, plan, "superseded", "the list at the vendor is another one", _now())
    return StopSync(
        f"{', '.join(places)} is another list at the vendor than before, which holds nobody of ours",
        where=plan.sync,
        fix="The next run plans to send everybody again; approve it where it is held, or take the sync off the list.",
    )


def _resolved(segment: Segment | str, destination: Destination | str) -> tuple[Segment, Destination, SyncSpec]:
    found = get_segment(segment) if isinstance(segment, str) else segment
    known = get_destination(destination) if isinstance(destination, str) else destination
    return found, known, found.sync(known.name)


def _draw(
    engine: Engine,
    segment: Segment,
    spec: SyncSpec,
    destination: Destination,
    run: Run,
    generation: str,
    connection: Connection,
    settings: Settings,
) -> tuple[Drawing, KeptPlan | None]:
    """Draw the plan after bringing the state up to date with what an interrupted plan had accepted."""
    name = sync_id(segment, destination)
    before = plan_book.last_started(engine, name)
    if before is not None and before.status == "applying":
        receipts.settle(engine, before)
        receipts.doubt(engine, before)
    drawing = draw(engine, segment, spec, destination, run, generation, connection.extra, settings)
    receipts.rebind(engine, name)
    return drawing, before


def _still_holds(
    engine: Engine,
    plan: KeptPlan,
    segment: Segment,
    spec: SyncSpec,
    destination: Destination,
    run: Run,
    connection: Connection,
    settings: Settings,
) -> None:
    latest = plan_book.last_started(engine, plan.sync)
    is_other = latest is not None and latest.plan_id != plan.plan_id
    overtaken = (
        is_other and latest is not None and latest.started_at is not None and latest.started_at > plan.created_at
    )
    if plan.status == "refused":
        raise _no_longer(plan, f"{plan.decided_by} refused it")
    if plan.status == "superseded" or overtaken:
        raise _no_longer(plan, "another plan was let through since")
    if plan.status == "held" and _now() - plan.created_at > guards.HELD_FOR:
        raise _no_longer(plan, "it waited for more than 24 h")
    generation, reason = no_list(engine, segment)
    if reason is not None:
        raise _no_longer(plan, reason)
    _draw(engine, segment, spec, destination, run, generation, connection, settings)
    differing = plan_book.differences(engine, plan.plan_id)
    if differing:
        raise _no_longer(plan, f"the list or the destination changed in {differing} rows since")


def _same_content(engine: Engine, plan_id: str, approved: str) -> None:
    """Check that the plan a person approved is the plan as it is now."""
    now = plan_book.find(engine, plan_id)
    seen = plan_book.find(engine, approved)
    if now is None or seen is None or seen.sync != now.sync:
        raise FixSettings(
            f"no plan {approved!r} of this sync", where=now.sync if now else plan_id, fix=f"Look at plan {plan_id}."
        )
    if _now() - seen.created_at > guards.HELD_FOR:
        raise _no_longer(seen, f"it waited for more than 24 h; the plan is {plan_id} now")
    if seen.content != now.content:
        raise _no_longer(seen, f"the list or the destination changed since; the plan is {plan_id} now")


def _no_longer(plan: KeptPlan, why: str) -> StopSync:
    return StopSync(
        f"plan {plan.plan_id} no longer holds: {why}", where=plan.sync, fix="Make the plan again; nothing was sent."
    )


def _found(engine: Engine, plan_id: str, sync: str) -> KeptPlan:
    plan = plan_book.find(engine, plan_id)
    if plan is None or plan.sync != sync:
        raise FixSettings(f"no plan {plan_id!r}", where=sync, fix="Make the plan first.")
    return plan


def _finished(engine: Engine, plan: KeptPlan, spec: SyncSpec, calls: int) -> SyncResult:
    counts, codes = receipts.tally(engine, plan)
    sent = counts["accepted"] + counts["rejected"]
    status: Status = "applied" if plan.counts.to_send else "unchanged"
    if counts["rejected"] > spec.tolerance * sent:
        worst = ", ".join(f"{code} x{n}" for code, n in sorted(codes.items(), key=lambda item: -item[1])[:3])
        error = StopSync(
            f"{counts['rejected']} of {sent} rows were rejected ({worst}); {spec.tolerance:.0%} are tolerated",
            where=plan.sync,
            fix=f"Read the receipts of plan {plan.plan_id}; the rows are sent again by the next run.",
        )
        plan_book.finish(engine, plan, "rejected", error.what, _now())
        raise error
    plan_book.finish(engine, plan, "applied", plan.reason, _now())
    return SyncResult(
        plan.sync,
        plan.plan_id,
        status,
        plan.counts,
        sent=sent,
        accepted=counts["accepted"],
        rejected=counts["rejected"],
        deferred=plan.counts.deferred,
        calls=calls,
    )


def _not_sent(plan: Plan) -> SyncResult:
    status: Status = "dry_run" if plan.status == "dry_run" else "held"
    return SyncResult(plan.sync, plan.plan_id, status, plan.counts, held=plan.reason)


def _dry_reason(connection: Connection, settings: Settings, asked: bool) -> str | None:
    if asked:
        return "dry run: nothing is sent"
    if not connection.allows_writes(settings.env):
        return f"dry run: connection {connection.id} does not list {settings.env} in allow_writes_in"
    return None


def _group_size(destination: Destination) -> int:
    return destination.batch * destination.concurrency * GROUP_BATCHES


def _now() -> datetime:
    return datetime.now(UTC)
