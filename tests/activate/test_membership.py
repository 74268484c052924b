"""Lists over time: a small warehouse whose people enter and leave, against what the commands say of it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from small_warehouse import NOW, STREAMS, SmallWarehouse, person

from include.activate.membership import (
    Change,
    Day,
    Moved,
    Overlap,
    Stay,
    changed,
    computed,
    days,
    overlaps,
    stays,
)
from include.activate.preview import edit, preview
from include.activate.segment import compute, read_segment
from include.connect.errors import FixSettings
from include.warehouse.models import at_published

DAY = timedelta(days=1)


def members(*numbers: int, **changes: object) -> list[dict[str, object]]:
    return [person(number, **changes) for number in numbers]


def on(days: float) -> datetime:
    return NOW + timedelta(days=days)


def change(warehouse: SmallWarehouse, since: float, until: float) -> Change:
    with warehouse.open() as engine:
        return changed(at_published(engine)[0], "a_list", on(since), on(until))


def customer(number: int) -> str:
    return f"c{number:05d}"


@pytest.fixture
def listed(warehouse: SmallWarehouse) -> SmallWarehouse:
    """A list of three days: 1 2 3, then 2 3, then 1 3 4."""
    for number, people in enumerate(([1, 2, 3], [2, 3], [1, 3, 4])):
        warehouse.publish(members(*people), days=number)
        warehouse.compute(warehouse.segment(), number)
    return warehouse


def test_what_changed_between_two_moments(listed: SmallWarehouse) -> None:
    found = change(listed, 0, 2)
    assert (found.before, found.after, found.entered, found.left) == (3, 3, 1, 1)
    assert found.entered_sample == (Moved(customer(4), on(2), None),)
    assert found.left_sample == (Moved(customer(2), on(0), on(2)),)
    assert (change(listed, 0, 1).entered, change(listed, 0, 1).left) == (0, 1)
    assert (change(listed, 1, 2).entered, change(listed, 1, 2).left) == (2, 1)
    # Whoever enters at a moment is on the list at it, whoever leaves is not.
    assert change(listed, -0.001, 0).before == 0
    assert change(listed, 0.5, 1).after == 2
    assert change(listed, 2, 3).before == change(listed, 2, 3).after == 3


def test_a_person_who_came_back_is_told_with_both_stays(listed: SmallWarehouse) -> None:
    with listed.open() as engine:
        reader = at_published(engine)[0]
        assert stays(reader, customer(1)) == [
            Stay("a_list", on(0), on(1)),
            Stay("a_list", on(2), None),
        ]
        assert stays(reader, customer(1), "another_list") == []
        assert stays(reader, customer(9)) == []
    assert change(listed, 1, 2).entered_sample[0] == Moved(customer(1), on(2), on(1))


def test_merged_people_are_one_before_and_after(warehouse: SmallWarehouse) -> None:
    warehouse.publish(members(1, 2, 3))
    warehouse.compute(warehouse.segment(), 0)
    warehouse.publish(members(2, 3), days=1)
    warehouse.compute(warehouse.segment(), 1)
    gone = [{"old_customer_id": customer(1), "customer_id": customer(3)}]
    gone += [{"old_customer_id": customer(2), "customer_id": customer(3)}]
    warehouse.publish(members(3, 4), days=2, identity_redirects=gone)
    warehouse.compute(warehouse.segment(), 2)

    # 1, who left, and 2 and 3, who stayed, are all 3: nobody left.
    found = change(warehouse, 0, 2)
    assert (found.before, found.after, found.entered, found.left) == (1, 2, 1, 0)
    with warehouse.open() as engine:
        whole = stays(at_published(engine)[0], customer(3))
    assert [(stay.entered_at, stay.left_at) for stay in whole] == [(on(0), on(1)), (on(0), None)]


def test_days_are_of_the_time_zone_and_say_when_the_list_was_held(warehouse: SmallWarehouse) -> None:
    segment = warehouse.segment(sql="SELECT customer_id FROM marts.customers WHERE last_order_at IS NULL")
    warehouse.publish(members(1, 2))
    warehouse.compute(segment, 0)
    warehouse.publish(members(2, 3), days=0.72)  # 23:16 in UTC, the next day in Zurich
    warehouse.compute(segment, 0.72)
    with warehouse.open() as engine:
        assert compute(engine, segment, warehouse.run(3), warehouse.settings).status == "held"
        reader = at_published(engine)[0]
        utc = days(reader, "a_list", on(-30), "UTC")
        zurich = days(reader, "a_list", on(-30), "Europe/Zurich")
        late = days(reader, "a_list", on(0.5), "UTC")
    assert [(day.day, day.entered, day.left, day.members) for day in utc] == [
        (date(2026, 11, 20), 3, 1, 2),
        (date(2026, 11, 23), 0, 0, None),
    ]
    assert utc[0].held is None
    assert "old, allowed are" in str(utc[1].held)
    assert zurich[:2] == [Day(date(2026, 11, 20), 2, 0, 2, None), Day(date(2026, 11, 21), 1, 1, 2, None)]
    assert [(day.entered, day.left) for day in late] == [(1, 1), (0, 0)]


def test_lists_overlap_by_whom_both_hold_now(warehouse: SmallWarehouse) -> None:
    warehouse.publish(members(*range(10)))
    lists = {"low": "< 'c00006'", "high": ">= 'c00004'", "odd": "IN ('c00001', 'c00005')", "none": "IS NULL"}
    for name, which in lists.items():
        _compute(warehouse, name, which, 0)
    warehouse.publish(members(*range(1, 10)), days=1)
    for name, which in lists.items():
        _compute(warehouse, name, which, 1)
    with warehouse.open() as engine:
        reader = at_published(engine)[0]
        assert overlaps(reader, ["low", "high", "odd"]) == [
            Overlap(("low",), 5, 1.0),
            Overlap(("high",), 6, 1.0),
            Overlap(("odd",), 2, 1.0),
            Overlap(("low", "high"), 2, 0.4),
            Overlap(("low", "odd"), 2, 1.0),
            Overlap(("high", "odd"), 1, 0.5),
            Overlap(("low", "high", "odd"), 1, 0.5),
        ]
        assert overlaps(reader, ["none", "odd"]) == [
            Overlap(("none",), 0, None),
            Overlap(("odd",), 2, 1.0),
            Overlap(("none", "odd"), 0, None),
        ]


def _compute(warehouse: SmallWarehouse, name: str, which: str, days: float) -> None:
    path = warehouse.folder / f"{name}.sql"
    header = "title: A list\nwhy: For the test.\nowner: tests\nkey: customer_id"
    path.write_text(f"/*\n{header}\n*/\nSELECT customer_id FROM marts.customers WHERE customer_id {which}\n")
    warehouse.compute(read_segment(path), days)


def test_a_preview_tells_what_changed_since_yesterday(listed: SmallWarehouse) -> None:
    listed.publish(members(3, 4, 5, 6), days=2.5)
    with listed.open() as engine:
        shown = preview(engine, listed.segment(), listed.settings, listed.run(2.5))
    # Yesterday at this hour 2 and 3 were on it; what came of 1 since is neither.
    assert shown.since == on(1.5)
    assert shown.change is not None
    assert (shown.change.before, shown.change.after, shown.change.entered, shown.change.left) == (2, 4, 3, 1)


def test_a_list_that_was_not_there_yesterday_has_no_change(warehouse: SmallWarehouse) -> None:
    warehouse.publish(members(1, 2))
    with warehouse.open() as engine:
        assert preview(engine, warehouse.segment(), warehouse.settings, warehouse.run()).change is None
    warehouse.compute(warehouse.segment(), 0)
    with warehouse.open() as engine:
        almost = preview(engine, warehouse.segment(), warehouse.settings, warehouse.run(0.99))
        full = preview(engine, warehouse.segment(), warehouse.settings, warehouse.run(1))
    assert almost.change is None
    assert full.change is not None
    assert (full.change.before, full.change.entered, full.change.left) == (2, 0, 0)


def test_an_edit_is_compared_with_the_list_at_the_lists_own_clock(warehouse: SmallWarehouse, tmp_path: Path) -> None:
    tickets = [
        {"ticket_id": f"t{number}", "customer_id": customer(number), "created_at": on(-number)}
        for number in range(1, 9)
    ]
    within = "SELECT customer_id, status FROM marts.tickets WHERE created_at >= TIMESTAMP_SUB(@as_of, INTERVAL {} DAY)"
    warehouse.publish(members(*range(9)), marts_tickets=tickets)
    warehouse.compute(warehouse.segment(sql=within.format(3)), 0)
    before = warehouse.rows("SELECT * FROM segments.memberships ORDER BY customer_id")
    edited = warehouse.segment(sql=f"{within.format(5)} AND customer_id != 'c00002'")
    with warehouse.open() as engine:
        # Hours later, when by the wall clock somebody has grown too old for either file.
        found = edit(engine, "a_list", edited, warehouse.settings, warehouse.run(0.6))
    assert (found.as_of, found.newer, found.held) == (on(0), None, None)
    assert (found.change.before, found.change.after, found.change.entered, found.change.left) == (3, 4, 2, 1)
    assert [row["customer_id"] for row in found.entering] == [customer(4), customer(5)]
    assert found.change.left_sample == (Moved(customer(2), on(0), None),)
    assert warehouse.rows("SELECT * FROM segments.memberships ORDER BY customer_id") == before

    warehouse.publish(members(*range(9)), days=1, marts_tickets=tickets)
    with warehouse.open() as engine:
        assert edit(engine, "a_list", edited, warehouse.settings, warehouse.run(1)).newer == "g2"


def test_a_list_that_was_never_computed_says_so_and_why(warehouse: SmallWarehouse) -> None:
    warehouse.publish(members(1), loads=[name for name in STREAMS if name != "stripe.charges"])
    with warehouse.open() as engine:
        with pytest.raises(FixSettings, match=r"a_list was never computed\. Run the DAG segment_a_list"):
            computed(at_published(engine)[0], "a_list")
        compute(engine, warehouse.segment(), warehouse.run(), warehouse.settings)
        with pytest.raises(FixSettings, match=r"never computed; it is held: stripe\.charges was never"):
            computed(at_published(engine)[0], "a_list")


def test_a_list_that_is_held_is_the_last_one_and_says_why(listed: SmallWarehouse) -> None:
    with listed.open() as engine:
        compute(engine, listed.segment(), listed.run(9), listed.settings)
        found = computed(at_published(engine)[0], "a_list")
    assert (found.first_at, found.last_at, found.generation) == (on(0), on(2), "g3")
    assert "old, allowed are" in str(found.held)


def test_nothing_published_is_told(warehouse: SmallWarehouse) -> None:
    warehouse.load(*STREAMS)
    with warehouse.open() as engine, pytest.raises(FixSettings, match="nothing is published"):
        at_published(engine)
