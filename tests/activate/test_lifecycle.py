"""What happens to people and lists over time: erased, renamed, on two lists, in two audiences, forgotten."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from small_warehouse import SmallWarehouse, person, send

from include.activate.destination import Destination
from include.activate.segment import Segment, read_segment
from include.connect.errors import FixSettings
from include.privacy.erase import forget_sent

SYNC = "{to: hubspot_contact, field: is_x, mode: mirror, first_run: approved}"


def another(warehouse: SmallWarehouse, segment: Segment, name: str, **header: str) -> Segment:
    """A second list, by default a copy of the first."""
    path = segment.path.with_name(f"{name}.sql")
    lines = "".join(f"{key}: {value}\n" for key, value in header.items())
    path.write_text(segment.path.read_text().replace("/*\n", f"/*\n{lines}", 1))
    return read_segment(path)


@pytest.mark.parametrize("mode", ["mirror", "add_only"])
def test_an_erased_person_leaves_and_no_address_of_theirs_stays(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any, mode: str
) -> None:
    warehouse.publish([person(1), person(2)])
    segment = warehouse.segment(SYNC.replace("mirror", mode))
    warehouse.compute(segment)
    send(warehouse, segment, contacts)

    def addresses() -> set[str]:
        rows = "SELECT address FROM activation.{} AS a"
        tables = ("state", "receipts", "plan_rows")
        return {row["address"] for table in tables for row in warehouse.rows(rows.format(table))} - {""}

    def forget(generation: str) -> None:
        with warehouse.open() as engine:
            forget_sent(engine.at(generation))

    with warehouse.open() as engine:
        engine.append("ops.erasures", [{"erasure_id": "e1", "customer_id": "c00001", "status": "erased"}])
    generation = warehouse.publish([person(2)], days=0.1)
    forget(generation)
    listed = "SELECT customer_id FROM segments.memberships AS m UNION ALL SELECT customer_id FROM segments.a_list AS l"
    held = warehouse.rows(listed)
    assert {row["customer_id"] for row in held} == {"c00002"}
    warehouse.compute(segment, 0.1)
    assert send(warehouse, segment, contacts, 0.1).counts.leave == 1
    assert vendor.flagged() == {"100002"}
    reasons = warehouse.rows("SELECT reason FROM activation.plan_rows AS p WHERE operation = 'leave'")
    assert reasons == [{"reason": "erased"}]
    assert addresses() == {"100001", "100002"}
    forget(generation)
    assert addresses() == {"100002"}
    assert send(warehouse, segment, contacts, 0.2).calls == 0


def test_a_person_on_two_lists_keeps_the_tag_until_both_are_left(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any
) -> None:
    """Whichever list is left first, and though both are left by the same change."""
    first = warehouse.segment(SYNC, "SELECT customer_id FROM marts.customers WHERE order_count IN (1, 2)")
    second = another(warehouse, first, "second")
    second.path.write_text(second.path.read_text().replace("IN (1, 2)", "IN (2, 3)"))
    second = read_segment(second.path)

    def go(days: float, *counts: int) -> list[int]:
        warehouse.publish([person(n, order_count=count) for n, count in enumerate(counts)], days=days)
        for segment in (first, second):
            warehouse.compute(segment, days)
        return [send(warehouse, segment, contacts, days).counts.leave for segment in (first, second)]

    go(0.1, 2, 2, 2, 1, 3)
    assert go(0.2, 3, 1, 2, 1, 3) == [0, 0]
    assert len(vendor.flagged()) == 5
    assert go(0.3, 9, 9, 9, 1, 3) == [1, 2]
    assert vendor.flagged() == {"100003", "100004"}
    # A list that nobody computes any more holds nobody.
    go(0.4, 2, 1, 1, 1, 3)
    warehouse.publish([person(0, order_count=3), *(person(n, order_count=1) for n in range(1, 4))], days=9)
    warehouse.compute(first, 9)
    assert send(warehouse, first, contacts, 9).counts.leave == 1


def test_lists_that_map_fields_share_nothing(warehouse: SmallWarehouse, contacts: Destination, vendor: Any) -> None:
    mapped = "{to: hubspot_contact, mode: mirror, first_run: approved, fields: {FIELD}}"
    first = warehouse.segment(mapped.replace("FIELD", "orders: order_count"))
    second = another(warehouse, first, "second")
    second.path.write_text(second.path.read_text().replace("orders: order_count", "first: first_name"))
    second = read_segment(second.path)
    for days, people in ((0.1, [person(1), person(2)]), (0.2, [person(2)])):
        warehouse.publish(people, days=days)
        for segment in (first, second):
            warehouse.compute(segment, days)
            send(warehouse, segment, contacts, days)
    assert vendor.held["", "100001"] == {"orders": None, "first": None}


def test_a_renamed_list_goes_on_where_it_was(warehouse: SmallWarehouse, contacts: Destination, vendor: Any) -> None:
    warehouse.publish([person(1), person(2)])
    old = warehouse.segment(SYNC)
    warehouse.compute(old)
    send(warehouse, old, contacts)
    renamed = another(warehouse, old, "renamed", formerly="a_list")
    with pytest.raises(FixSettings, match="is a segment of its own"):
        warehouse.compute(renamed, 0.1)
    old.path.unlink()
    vendor.calls.clear()
    warehouse.publish([person(2), person(3)], days=0.1)
    for days in (0.1, 0.2):
        warehouse.compute(renamed, days)
    result = send(warehouse, renamed, contacts, 0.2)
    assert (result.counts.enter, result.counts.leave, result.counts.unchanged) == (1, 1, 1)
    assert vendor.flagged() == {"100002", "100003"}
    history = warehouse.rows("SELECT segment, COUNT(*) AS n FROM segments.memberships GROUP BY segment")
    assert history == [{"segment": "renamed", "n": 3}]
    with warehouse.open() as engine:
        assert "a_list" not in engine.tables("segments")


def test_who_moves_to_another_audience_leaves_the_first(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any
) -> None:
    mailchimp = replace(
        contacts,
        name="mailchimp_tag",
        connection="mailchimp",
        key="email_marketing_address",
        target="tag",
        container="mailchimp_list_id",
    )
    segment = warehouse.segment("{to: mailchimp_tag, tag: x, mode: mirror, first_run: approved}")
    warehouse.publish([person(1), person(2)])
    warehouse.compute(segment)
    send(warehouse, segment, mailchimp)
    warehouse.publish([person(1, mailchimp_list_id="audience2"), person(2)], days=0.1)
    warehouse.compute(segment, 0.1)
    vendor.calls.clear()
    result = send(warehouse, segment, mailchimp, 0.1)
    assert (result.counts.enter, result.counts.leave, result.counts.unchanged) == (1, 1, 1)
    assert [[(one.operation, one.address) for one in call] for call in vendor.calls] == [
        [("leave", "person1@example.com")],
        [("enter", "person1@example.com")],
    ]
    assert {place for place, _ in warehouse.state()} == {"audience1/x", "audience2/x"}


def test_a_lost_state_is_built_anew_and_nobody_is_removed(
    warehouse: SmallWarehouse, contacts: Destination, vendor: Any
) -> None:
    warehouse.publish([person(n) for n in range(4)])
    segment = warehouse.segment(SYNC.replace(", first_run: approved", ""))
    warehouse.compute(segment)

    async def held(session: Any, target: Any) -> set[str]:
        return vendor.flagged()

    reading = replace(contacts, read_back=held)
    first = send(warehouse, segment, reading)
    send(warehouse, segment, reading, 0.01, approve=first.plan_id)
    with warehouse.open() as engine:
        for table in ("state", "receipts", "plans", "plan_rows"):
            engine.execute(f"DELETE FROM activation.{table} WHERE TRUE")
    warehouse.publish([person(n) for n in range(2, 6)], days=0.1)
    warehouse.compute(segment, 0.1)
    lost = send(warehouse, segment, reading, 0.1)
    assert (
        lost.held == "first sync of this list: 4 people enter; the destination holds 4 already, 2 of them on the list"
    )
    result = send(warehouse, segment, reading, 0.2, approve=lost.plan_id)
    assert (result.counts.enter, result.counts.leave) == (4, 0)
    assert vendor.flagged() == {str(100_000 + n) for n in range(6)}
