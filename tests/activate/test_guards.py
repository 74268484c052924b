from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from small_warehouse import SmallWarehouse, person

from include.activate import plan_book
from include.activate.destination import Destination
from include.activate.guards import tripped
from include.activate.header import Guards
from include.activate.plan import Counts
from include.activate.sync import apply_plan, make_plan, sync
from include.connect.errors import FixSettings, StopSync

SYNC = "{to: hubspot_contact, field: is_x, mode: mirror}"
FIRST = {"is_first": False, "is_first_approved": False}


@pytest.mark.parametrize(
    ("holding", "leave", "is_held"),
    [(1000, 200, False), (1000, 201, True), (100, 50, False), (100, 51, True), (40, 39, False), (60, 51, True)],
)
def test_leaving_needs_both_many_and_a_large_share(holding: int, leave: int, is_held: bool) -> None:
    counts = Counts(leave=leave, holding=holding, members=holding)
    reason = tripped(counts, Guards(), entering=0, leaving=leave, **FIRST)
    assert (reason is not None) is is_held


@pytest.mark.parametrize(("holding", "enter", "is_held"), [(1000, 200, False), (1000, 201, True), (0, 50, False)])
def test_entering_is_guarded_too(holding: int, enter: int, is_held: bool) -> None:
    counts = Counts(enter=enter, holding=holding, members=holding + enter)
    assert (tripped(counts, Guards(), entering=enter, leaving=0, **FIRST) is not None) is is_held


def test_unknown_counts_trip() -> None:
    counts = Counts(enter=1, members=1, holding=5)
    assert tripped(counts, Guards(), entering=None, leaving=0, **FIRST) is not None
    assert tripped(counts, Guards(), entering=0, leaving=None, **FIRST) is not None


def test_an_empty_list_removes_nobody_however_small() -> None:
    counts = Counts(leave=3, holding=3, members=0)
    assert "removes nobody" in str(tripped(counts, Guards(), entering=0, leaving=3, **FIRST))
    assert tripped(counts, Guards(allow_empty=True), entering=0, leaving=3, **FIRST) is None


def test_a_list_on_which_nobody_can_be_sent_removes_nobody() -> None:
    counts = Counts(leave=3, holding=3, members=3, suppressed=3)
    assert "removes nobody" in str(tripped(counts, Guards(), entering=0, leaving=3, **FIRST))


def test_an_empty_list_removes_nobody_from_a_destination(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any
) -> None:
    segment = warehouse.segment(SYNC.replace("}", ", first_run: approved}"))
    warehouse.publish([person(n) for n in range(4)])
    warehouse.compute(segment)
    sync(segment, contacts, warehouse.settings, warehouse.run(), warehouse.open)
    warehouse.publish([], days=0.1)
    warehouse.compute(segment, 0.1)
    result = sync(segment, contacts, warehouse.settings, warehouse.run(0.1), warehouse.open)
    assert (result.status, result.counts.leave, len(vendor.flagged())) == ("held", 4, 4)


def test_a_first_sync_waits_for_a_person_and_shows_its_baseline(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any
) -> None:
    from dataclasses import replace

    async def read_back(session: Any, target: Any) -> set[str]:
        return {"100001", "by hand"}

    destination = replace(contacts, read_back=read_back)
    warehouse.publish([person(n) for n in range(3)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    held = sync(segment, destination, warehouse.settings, warehouse.run(), warehouse.open)
    assert (held.status, vendor.calls) == ("held", [])
    assert held.held == (
        "first sync of this list: 3 people enter; the destination holds 2 already, 1 of them on the list"
    )
    assert warehouse.rows("SELECT status, reason FROM activation.plans") == [{"status": "held", "reason": held.held}]
    later = warehouse.run(0.5)
    result = sync(segment, destination, warehouse.settings, later, warehouse.open, approve=held.plan_id)
    assert (result.status, result.accepted) == ("applied", 3)


def test_a_held_plan_is_applied_only_under_its_own_id(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any
) -> None:
    warehouse.publish([person(n) for n in range(3)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    settings, run = warehouse.settings, warehouse.run()
    plan = make_plan(segment, contacts, settings, run, warehouse.open)
    assert (plan.status, plan.plan_id is not None) == ("held", True)
    assert apply_plan(segment, contacts, str(plan.plan_id), settings, run, warehouse.open).status == "held"
    with pytest.raises(FixSettings, match="no plan 'another'"):
        sync(segment, contacts, settings, run, warehouse.open, approve="another")
    assert vendor.calls == []
    done = apply_plan(segment, contacts, str(plan.plan_id), settings, run, warehouse.open, approve=plan.plan_id)
    assert done.accepted == 3


def test_an_approval_does_not_cover_another_list(warehouse: SmallWarehouse, contacts: Destination, vendor: Any) -> None:
    warehouse.publish([person(n) for n in range(3)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    held = sync(segment, contacts, warehouse.settings, warehouse.run(), warehouse.open)
    warehouse.publish([person(n) for n in range(4)], days=0.1)
    warehouse.compute(segment, 0.1)
    with pytest.raises(StopSync, match="changed since; the plan is"):
        sync(segment, contacts, warehouse.settings, warehouse.run(0.1), warehouse.open, approve=held.plan_id)
    assert vendor.calls == []


def test_a_held_plan_expires_after_a_day(warehouse: SmallWarehouse, contacts: Destination, vendor: Any) -> None:
    warehouse.publish([person(n) for n in range(3)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    held = sync(segment, contacts, warehouse.settings, warehouse.run(), warehouse.open)
    created = warehouse.rows("SELECT created_at FROM activation.plans")[0]["created_at"]
    with warehouse.open() as engine:
        engine.execute(
            "UPDATE activation.plans SET created_at = @at WHERE TRUE", {"at": created - timedelta(hours=24, minutes=1)}
        )
    with pytest.raises(StopSync, match="waited for more than 24 h"):
        sync(segment, contacts, warehouse.settings, warehouse.run(0.1), warehouse.open, approve=held.plan_id)
    run = warehouse.run()
    with pytest.raises(StopSync, match="waited for more than 24 h"):
        apply_plan(segment, contacts, str(held.plan_id), warehouse.settings, run, warehouse.open, approve=held.plan_id)
    assert vendor.calls == []


def test_rows_a_person_refused_are_not_asked_about_again(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any
) -> None:
    warehouse.publish([person(n) for n in range(3)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    held = make_plan(segment, contacts, warehouse.settings, warehouse.run(), warehouse.open)
    assert (held.status, held.refused) == ("held", None)
    with warehouse.open() as engine:
        plan_book.refuse(engine, str(held.plan_id), "Mia", datetime.now(UTC))
    again = make_plan(segment, contacts, warehouse.settings, warehouse.run(0.1), warehouse.open)
    assert again.refused == f"Mia refused the same rows (plan {held.plan_id})"
    run = warehouse.run()
    with pytest.raises(StopSync, match="Mia refused it"):
        apply_plan(segment, contacts, str(held.plan_id), warehouse.settings, run, warehouse.open, approve=held.plan_id)
    warehouse.publish([person(n) for n in range(4)], days=0.2)
    warehouse.compute(segment, 0.2)
    other = make_plan(segment, contacts, warehouse.settings, warehouse.run(0.2), warehouse.open)
    assert (other.status, other.refused) == ("held", None)
    assert vendor.calls == []


def test_who_approved_is_kept_with_the_plan(warehouse: SmallWarehouse, contacts: Destination, vendor: Any) -> None:
    warehouse.publish([person(n) for n in range(3)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    held = str(make_plan(segment, contacts, warehouse.settings, warehouse.run(), warehouse.open).plan_id)
    run = warehouse.run()
    apply_plan(segment, contacts, held, warehouse.settings, run, warehouse.open, approve=held, approved_by="Mia")
    assert warehouse.rows("SELECT status, decided_by FROM activation.plans") == [
        {"status": "applied", "decided_by": "Mia"}
    ]
    assert len(vendor.flagged()) == 3
