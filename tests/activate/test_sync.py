from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from small_warehouse import NOW, SmallWarehouse, person, send

from include.activate.destination import Destination
from include.activate.sync import apply_plan, make_plan
from include.connect.errors import FixSettings, StopSync

SYNC = "{to: hubspot_contact, field: is_x, mode: mirror, first_run: approved}"


def test_everybody_enters_once_in_full_batches(warehouse: SmallWarehouse, contacts: Destination, vendor: Any) -> None:
    warehouse.publish([person(n) for n in range(25)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    result = send(warehouse, segment, contacts)
    assert (result.status, result.sent, result.accepted, result.counts.enter) == ("applied", 25, 25, 25)
    assert sorted(vendor.sizes) == [5, 10, 10]
    assert vendor.flagged() == {str(100_000 + n) for n in range(25)}
    receipts = warehouse.rows("SELECT * FROM activation.receipts")
    assert {row["status"] for row in receipts} == {"accepted"}
    assert len({row["receipt_id"] for row in receipts}) == 25


def test_unchanged_costs_no_call(warehouse: SmallWarehouse, contacts: Destination, vendor: Any) -> None:
    warehouse.publish([person(n) for n in range(5)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    send(warehouse, segment, contacts)
    vendor.calls.clear()
    vendor.prepared.clear()
    result = send(warehouse, segment, contacts, 0.1)
    assert (result.status, result.calls, result.counts.unchanged) == ("unchanged", 0, 5)
    assert (vendor.calls, vendor.prepared) == ([], [])


def test_who_left_is_lowered_and_only_who_we_sent(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any
) -> None:
    warehouse.publish([person(n) for n in range(5)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    send(warehouse, segment, contacts)
    vendor.held["is_x", "by hand"] = {"is_x": True}
    warehouse.publish([person(n) for n in range(1, 6)], days=0.2)
    warehouse.compute(segment, 0.2)
    result = send(warehouse, segment, contacts, 0.2)
    assert (result.counts.enter, result.counts.leave, result.counts.unchanged) == (1, 1, 4)
    assert vendor.flagged() == {"by hand", *(str(100_000 + n) for n in range(1, 6))}
    assert len(warehouse.state()) == 5


def test_only_changed_fields_are_sent(warehouse: SmallWarehouse, contacts: Destination, vendor: Any) -> None:
    spec = (
        "{to: hubspot_contact, mode: upsert, first_run: approved, "
        "fields: {orders: order_count, first: first_name, last_order: last_order_at}}"
    )
    warehouse.publish([person(1, last_order_at=NOW), person(2)])
    segment = warehouse.segment(spec)
    warehouse.compute(segment)
    send(warehouse, segment, contacts)
    assert vendor.held["", "100001"] == {"orders": 1, "first": "Person 1", "last_order": "2026-11-20T06:00:00Z"}
    assert vendor.held["", "100002"] == {"orders": 2, "first": "Person 2", "last_order": None}
    vendor.calls.clear()
    warehouse.publish([person(1, order_count=7, last_order_at=NOW), person(2)], days=0.2)
    warehouse.compute(segment, 0.2)
    result = send(warehouse, segment, contacts, 0.2)
    assert (result.counts.update, result.counts.unchanged) == (1, 1)
    assert [[(change.address, change.fields) for change in call] for call in vendor.calls] == [
        [("100001", {"orders": 7})]
    ]
    row = warehouse.rows("SELECT fields_json, previous_json FROM activation.plan_rows WHERE operation = 'update'")[0]
    assert ('"orders":7' in row["fields_json"], '"orders":1' in row["previous_json"]) == (True, True)


def test_upsert_keeps_who_left_the_list(warehouse: SmallWarehouse, contacts: Destination, vendor: Any) -> None:
    warehouse.publish([person(n) for n in range(3)])
    segment = warehouse.segment(SYNC.replace("mirror", "upsert"))
    warehouse.compute(segment)
    send(warehouse, segment, contacts)
    warehouse.publish([person(1), person(2)], days=0.2)
    warehouse.compute(segment, 0.2)
    assert send(warehouse, segment, contacts, 0.2).counts.leave == 0
    assert len(vendor.flagged()) == 3


def test_a_new_address_moves_the_member(warehouse: SmallWarehouse, contacts: Destination, vendor: Any) -> None:
    warehouse.publish([person(1), person(2)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    send(warehouse, segment, contacts)
    warehouse.publish([person(1, hubspot_contact_id="777"), person(2)], days=0.2)
    warehouse.compute(segment, 0.2)
    result = send(warehouse, segment, contacts, 0.2)
    assert (result.counts.enter, result.counts.leave) == (1, 1)
    assert vendor.flagged() == {"777", "100002"}
    assert [call[0].operation for call in vendor.calls[-2:]] == ["leave", "enter"]


def test_an_address_that_passes_to_somebody_else_costs_no_call(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any
) -> None:
    warehouse.publish([person(1), person(2)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    send(warehouse, segment, contacts)
    vendor.calls.clear()
    swapped = [person(1, hubspot_contact_id="100002"), person(2, hubspot_contact_id="100001")]
    warehouse.publish(swapped, days=0.2)
    warehouse.compute(segment, 0.2)
    assert send(warehouse, segment, contacts, 0.2).calls == 0
    owners = {row["address"]: row["customer_id"] for row in warehouse.rows("SELECT * FROM activation.state")}
    assert owners == {"100001": "c00002", "100002": "c00001"}


def test_a_merged_person_is_one_row_and_the_second_record_is_cleaned_up(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any
) -> None:
    warehouse.publish([person(1), person(2), person(3)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    send(warehouse, segment, contacts)
    vendor.calls.clear()
    redirect = [{"old_customer_id": "c00001", "customer_id": "c00002"}]
    warehouse.publish([person(2, hubspot_contact_id="100001"), person(3)], days=0.2, identity_redirects=redirect)
    warehouse.compute(segment, 0.2)
    result = send(warehouse, segment, contacts, 0.2)
    assert (result.counts.enter, result.counts.leave, result.counts.unchanged) == (0, 1, 2)
    assert vendor.flagged() == {"100001", "100003"}
    owners = {row["address"]: row["customer_id"] for row in warehouse.rows("SELECT * FROM activation.state")}
    assert owners == {"100001": "c00002", "100003": "c00003"}
    history = warehouse.rows("SELECT * FROM segments.memberships ORDER BY customer_id")
    assert [(row["customer_id"], row["entered_at"], row["left_at"]) for row in history] == [
        ("c00002", NOW, None),
        ("c00003", NOW, None),
    ]


def test_another_field_name_is_another_place(warehouse: SmallWarehouse, contacts: Destination, vendor: Any) -> None:
    warehouse.publish([person(1), person(2)])
    warehouse.compute(warehouse.segment(SYNC))
    send(warehouse, warehouse.segment(SYNC), contacts)
    renamed = warehouse.segment(SYNC.replace("is_x", "is_y"))
    send(warehouse, renamed, contacts, 0.2)
    assert (vendor.flagged("is_x"), vendor.flagged("is_y")) == (set(), {"100001", "100002"})


def test_refused_people_are_told_apart(warehouse: SmallWarehouse, contacts: Destination, vendor: Any) -> None:
    people = [
        person(1),
        person(2, has_email_marketing_consent=False),
        person(3, has_email_marketing_consent=None),
        person(4, hubspot_contact_id=None),
        person(5, hubspot_contact_id="shared"),
        person(6, hubspot_contact_id="shared"),
    ]
    denied = [{"customer_id": "c00002", "channel": "email_marketing", "status": "denied"}]
    warehouse.publish(people, marts_consents=denied)
    segment = warehouse.segment(SYNC.replace("mode", "consent: email_marketing, mode"))
    warehouse.compute(segment)
    result = send(warehouse, segment, contacts)
    assert (result.counts.enter, result.suppressed) == (1, 5)
    assert vendor.flagged() == {"100001"}
    reasons = {
        row["customer_id"]: row["code"]
        for row in warehouse.rows("SELECT * FROM activation.receipts WHERE status = 'suppressed'")
    }
    assert reasons == {
        "c00002": "unsubscribed",
        "c00003": "no_consent",
        "c00004": "no_address",
        "c00005": "shared_address",
        "c00006": "shared_address",
    }
    send(warehouse, segment, contacts, 0.2)
    assert len(warehouse.rows("SELECT * FROM activation.receipts WHERE status = 'suppressed'")) == 5


def test_withdrawn_consent_takes_people_off_even_where_leaving_does_not(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any
) -> None:
    warehouse.publish([person(1), person(2), person(3)])
    segment = warehouse.segment(SYNC.replace("mode: mirror", "consent: email_marketing, mode: upsert"))
    warehouse.compute(segment)
    send(warehouse, segment, contacts)
    warehouse.publish([person(1), person(2, has_email_marketing_consent=False)], days=0.2)
    warehouse.compute(segment, 0.2)
    send(warehouse, segment, contacts, 0.2)
    # Person 3 is gone from the marts, so nothing says that they still consent.
    assert vendor.flagged() == {"100001"}


def test_a_plan_is_refused_once_the_list_changed(warehouse: SmallWarehouse, contacts: Destination, vendor: Any) -> None:
    warehouse.publish([person(n) for n in range(10)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    plan = make_plan(segment, contacts, warehouse.settings, warehouse.run(), warehouse.open)
    assert plan.plan_id is not None
    warehouse.publish([person(n) for n in range(9)], days=0.1)
    warehouse.compute(segment, 0.1)
    with pytest.raises(StopSync, match="no longer holds: the list or the destination changed in 1 rows"):
        apply_plan(segment, contacts, plan.plan_id, warehouse.settings, warehouse.run(), warehouse.open)
    assert vendor.calls == []


def test_a_plan_is_refused_once_the_state_changed(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any
) -> None:
    warehouse.publish([person(n) for n in range(10)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    plan = make_plan(segment, contacts, warehouse.settings, warehouse.run(), warehouse.open)
    assert plan.plan_id is not None
    send(warehouse, segment, contacts, 0.1)
    vendor.calls.clear()
    with pytest.raises(StopSync, match="no longer holds"):
        apply_plan(segment, contacts, plan.plan_id, warehouse.settings, warehouse.run(), warehouse.open)
    assert vendor.calls == []


def test_a_dry_run_shows_the_plan_and_sends_nothing(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any
) -> None:
    warehouse.publish([person(n) for n in range(3)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    result = send(warehouse, segment, contacts, dry_run=True)
    assert (result.is_dry_run, result.counts.enter, result.calls, vendor.calls) == (True, 3, 0, [])
    assert warehouse.state() == {}
    assert send(warehouse, segment, contacts, 0.1).accepted == 3


def test_without_permission_to_write_every_run_is_dry(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_HUBSPOT", '{"conn_type": "http", "extra": {"allow_writes_in": ["staging"]}}')
    warehouse.publish([person(n) for n in range(3)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    result = send(warehouse, segment, contacts)
    assert (result.is_dry_run, vendor.calls) == (True, [])
    assert result.held is not None
    assert "connection hubspot does not list dev in allow_writes_in" in result.held
    assert result.plan_id is not None
    again = apply_plan(segment, contacts, result.plan_id, warehouse.settings, warehouse.run(), warehouse.open)
    assert (again.is_dry_run, vendor.calls) == (True, [])


def test_a_held_list_is_not_synced(warehouse: SmallWarehouse, contacts: Destination, vendor: Any) -> None:
    from include.activate.segment import compute

    warehouse.publish([person(n) for n in range(3)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    with warehouse.open() as engine:
        late = compute(engine, segment, warehouse.run(9), warehouse.settings)
    assert late.status == "held"
    result = send(warehouse, segment, contacts, 9)
    assert (result.status, result.plan_id, vendor.calls) == ("held", None, [])
    assert "is held: mailchimp.members" in str(result.held) or "old, allowed" in str(result.held)


def test_rows_of_old_plans_go_their_summary_stays(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any
) -> None:
    segment = warehouse.segment(SYNC)
    for day in range(7):
        warehouse.publish([person(day), person(day + 1)], days=day)
        warehouse.compute(segment, day)
        send(warehouse, segment, contacts, day)
    counts = warehouse.rows(
        "SELECT COUNT(DISTINCT r.plan_id) AS kept, (SELECT COUNT(*) FROM activation.plans) AS plans "
        "FROM activation.plan_rows AS r"
    )[0]
    assert counts == {"kept": 5, "plans": 7}


def test_a_destination_whose_key_nobody_computes_is_said(warehouse: SmallWarehouse, contacts: Destination) -> None:
    warehouse.publish([person(n) for n in range(2)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    with pytest.raises(FixSettings, match="needs a column loyalty_card_id"):
        send(warehouse, segment, replace(contacts, key="loyalty_card_id"))
