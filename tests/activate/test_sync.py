from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from small_warehouse import NOW, SmallWarehouse, person

from include.activate.destination import Destination
from include.activate.segment import Segment
from include.activate.sync import SyncResult, apply_plan, make_plan, sync
from include.connect.errors import RetryLater, StopSync

SYNC = "{to: hubspot_contact, field: is_x, mode: mirror, first_run: approved}"


def send(
    warehouse: SmallWarehouse, segment: Segment, destination: Destination, days: float = 0, **options: Any
) -> SyncResult:
    return sync(segment, destination, warehouse.settings, warehouse.run(days), warehouse.open, **options)


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


def test_a_bad_row_in_a_refused_batch_ends_alone(warehouse: SmallWarehouse, contacts: Destination, vendor: Any) -> None:
    warehouse.publish([person(n) for n in range(40)])
    segment = warehouse.segment(SYNC.replace("}", ", tolerance: 0.1}"))
    warehouse.compute(segment)
    vendor.refuses_batches_with = {"100003", "100017"}
    result = send(warehouse, segment, contacts)
    assert (result.accepted, result.rejected) == (38, 2)
    rejected = warehouse.rows("SELECT * FROM activation.receipts WHERE status = 'rejected' ORDER BY address")
    assert [(row["address"], row["code"], row["vendor_request_id"]) for row in rejected] == [
        ("100003", "bad_row", "req-1"),
        ("100017", "bad_row", "req-1"),
    ]
    vendor.refuses_batches_with = set()
    assert send(warehouse, segment, contacts, 0.2).accepted == 2
    assert len(vendor.flagged()) == 40


def test_a_row_the_vendor_does_not_mention_was_not_accepted(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any
) -> None:
    warehouse.publish([person(n) for n in range(3)])
    segment = warehouse.segment(SYNC.replace("}", ", tolerance: 1}"))
    warehouse.compute(segment)
    vendor.silent_about = {"100001"}
    assert send(warehouse, segment, contacts).rejected == 1
    assert ("is_x", "100001") not in warehouse.state()


def test_too_many_rejections_are_no_success(warehouse: SmallWarehouse, contacts: Destination, vendor: Any) -> None:
    warehouse.publish([person(n) for n in range(10)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    vendor.refuses = {"100001"}
    with pytest.raises(StopSync, match=r"1 of 10 rows were rejected \(refused x1\)"):
        send(warehouse, segment, contacts)
    assert len(warehouse.state()) == 9
    assert warehouse.rows("SELECT status FROM activation.plans") == [{"status": "rejected"}]


def test_when_every_row_is_refused_alone_the_rest_is_not_tried(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any
) -> None:
    from dataclasses import replace

    warehouse.publish([person(n) for n in range(200)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    vendor.refuses_batches_with = {str(100_000 + n) for n in range(200)}
    with pytest.raises(StopSync, match="all 20 rows of a batch were refused for one reason"):
        send(warehouse, segment, replace(contacts, batch=20, concurrency=1))
    assert len(vendor.calls) == 39
    assert warehouse.rows("SELECT status, COUNT(*) AS n FROM activation.receipts GROUP BY status ORDER BY n") == [
        {"status": "rejected", "n": 20},
        {"status": "deferred", "n": 180},
    ]


def test_rejected_rows_are_tried_again_with_the_latest_value_then_given_up(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any
) -> None:
    spec = "{to: hubspot_contact, mode: upsert, first_run: approved, tolerance: 1, fields: {orders: order_count}}"
    segment = warehouse.segment(spec)
    vendor.refuses = {"100001"}
    sent = []
    for day in (0, 5, 13, 14, 16):
        warehouse.publish([person(1, order_count=1), person(2)], days=day)
        warehouse.compute(segment, day)
        result = send(warehouse, segment, contacts, day)
        sent.append(result.sent)
    assert sent == [2, 1, 1, 0, 0]
    assert result.counts.invalid == 1
    given_up = warehouse.rows("SELECT code FROM activation.receipts WHERE status = 'invalid'")
    assert given_up == [{"code": "rejected for 14 days: refused"}]
    vendor.refuses = set()
    warehouse.publish([person(1, order_count=5), person(2)], days=17)
    warehouse.compute(segment, 17)
    assert send(warehouse, segment, contacts, 17).accepted == 1
    assert vendor.held["", "100001"] == {"orders": 5}


def test_a_row_rejected_often_waits_between_tries(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any
) -> None:
    warehouse.publish([person(1)])
    segment = warehouse.segment(SYNC.replace("}", ", tolerance: 1}"))
    warehouse.compute(segment)
    vendor.refuses = {"100001"}
    minutes = [0, 10, 20, 30, 40, 100, 110, 160]
    results = [send(warehouse, segment, contacts, minute / 24 / 60) for minute in minutes]
    assert [result.sent for result in results] == [1, 1, 1, 1, 0, 1, 0, 0]
    assert [result.counts.deferred for result in results] == [0, 0, 0, 0, 1, 0, 1, 1]


def test_trouble_keeps_what_was_accepted_and_the_rest_is_sent_later(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any
) -> None:
    warehouse.publish([person(n) for n in range(100)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    vendor.fails_after, vendor.trouble = 3, RetryLater("it rains", where="hubspot")
    plan = make_plan(segment, contacts, warehouse.settings, warehouse.run(), warehouse.open)
    assert plan.plan_id is not None
    with pytest.raises(RetryLater, match="it rains"):
        apply_plan(segment, contacts, plan.plan_id, warehouse.settings, warehouse.run(), warehouse.open)
    kept = set(warehouse.state())
    assert len(kept) == 30
    vendor.trouble = None
    vendor.calls.clear()
    run = warehouse.run(attempt=2)
    result = apply_plan(segment, contacts, plan.plan_id, warehouse.settings, run, warehouse.open)
    assert (result.accepted, result.status, len(vendor.calls)) == (100, "applied", 7)
    assert len(vendor.flagged()) == 100


def test_the_next_run_goes_on_where_a_broken_first_run_stopped(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any
) -> None:
    """Seventy of a hundred enter thirty: far past the guard, but they were let through before."""
    warehouse.publish([person(n) for n in range(100)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    vendor.fails_after, vendor.trouble = 3, RetryLater("it rains", where="hubspot")
    with pytest.raises(RetryLater):
        send(warehouse, segment, contacts)
    vendor.trouble = None
    assert send(warehouse, segment, contacts, 0.1).accepted == 70


def test_receipts_are_written_group_by_group(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever ends the process, only the last group has to be sent again."""
    monkeypatch.setattr("include.activate.sync.GROUP_BATCHES", 1)
    warehouse.publish([person(n) for n in range(100)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    vendor.fails_after, vendor.trouble = 9, KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        send(warehouse, segment, contacts)
    assert len(warehouse.state()) == 80
    vendor.trouble = None
    result = send(warehouse, segment, contacts, 0.1)
    assert (result.sent, len(warehouse.state()), len(vendor.flagged())) == (20, 100, 100)


def test_a_sync_stops_when_a_later_plan_was_let_through(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    monkeypatch.setattr("include.activate.sync.GROUP_BATCHES", 1)
    warehouse.publish([person(n) for n in range(30)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)

    async def overtaken(session: Any, target: Any, changes: Any) -> Any:
        with warehouse.open() as engine:
            engine.execute(
                "INSERT INTO activation.plans (plan_id, sync, started_at) "
                "VALUES ('later', 'a_list__hubspot_contact', TIMESTAMP '2099-01-01 00:00:00+00')"
            )
        return await vendor.write(session, target, changes)

    with pytest.raises(StopSync, match="plan later was let through while this one was being sent"):
        send(warehouse, segment, replace(contacts, enter=overtaken, leave=overtaken, concurrency=1))
    assert (len(vendor.calls), len(warehouse.state())) == (1, 10)


def test_receipts_without_state_are_settled_first(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any
) -> None:
    """A process killed between writing receipts and moving the state."""
    warehouse.publish([person(n) for n in range(10)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    send(warehouse, segment, contacts)
    vendor.calls.clear()
    with warehouse.open() as engine:
        engine.execute("DELETE FROM activation.state WHERE address < '100005'")
        engine.execute("UPDATE activation.plans SET status = 'applying' WHERE TRUE")
    assert send(warehouse, segment, contacts, 0.1).counts.unchanged == 10
    assert vendor.calls == []


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


def test_receipts_say_when(warehouse: SmallWarehouse, contacts: Destination) -> None:
    warehouse.publish([person(1)])
    segment = warehouse.segment(SYNC)
    warehouse.compute(segment)
    send(warehouse, segment, contacts, 0.5)
    row = warehouse.rows("SELECT * FROM activation.receipts")[0]
    assert (row["as_of"], row["attempt"], row["operation"]) == (NOW + timedelta(days=0.5), 1, "enter")
