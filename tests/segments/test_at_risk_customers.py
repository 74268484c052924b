from __future__ import annotations

from datetime import timedelta
from typing import Any

from small_warehouse import NOW, SmallWarehouse, person

from include.activate.segment import compute, get_segment

ON_THE_EDGE = timedelta(days=30)
A_MOMENT = timedelta(seconds=1)


def ticket(number: int, ago: timedelta, **changes: Any) -> dict[str, Any]:
    at = NOW - ago
    return {"ticket_id": f"t{number}", "customer_id": f"c{number:05d}", "created_at": at, "status": "open", **changes}


def order(number: int, ago: timedelta, **changes: Any) -> dict[str, Any]:
    at = NOW - ago
    return {"order_id": f"o{number}", "customer_id": f"c{number:05d}", "ordered_at": at, "status": "paid", **changes}


def at_risk(warehouse: SmallWarehouse, tickets: list[Any], orders: list[Any], days: float = 0) -> set[int]:
    people = [person(number) for number in range(20)]
    warehouse.publish(people, days=days, marts_tickets=tickets, marts_orders=orders)
    with warehouse.open() as engine:
        result = compute(engine, get_segment("at_risk_customers"), warehouse.run(days), warehouse.settings)
    assert result.status == "computed", result.reason
    rows = warehouse.rows("SELECT customer_id FROM segments.at_risk_customers")
    return {int(row["customer_id"][1:]) for row in rows}


def test_a_ticket_and_no_order_in_the_same_thirty_days(warehouse: SmallWarehouse) -> None:
    recent, old = timedelta(days=3), timedelta(days=40)
    tickets = [ticket(1, recent), ticket(2, recent), ticket(3, old), ticket(5, recent), ticket(6, recent)]
    orders = [
        order(2, recent),
        order(3, recent),
        order(4, old),
        order(5, old),
        order(6, recent, status="failed"),
        order(6, recent, status="refunded", order_id="o6b"),
    ]
    assert at_risk(warehouse, [*tickets, ticket(1, recent, ticket_id="second")], orders) == {1, 5, 6}


def test_the_thirty_days_are_the_runs_own(warehouse: SmallWarehouse) -> None:
    tickets = [ticket(1, ON_THE_EDGE), ticket(2, ON_THE_EDGE + A_MOMENT), ticket(3, -A_MOMENT), ticket(4, A_MOMENT)]
    assert at_risk(warehouse, tickets, [order(4, ON_THE_EDGE + A_MOMENT)]) == {1, 4}


def test_people_enter_and_leave_by_time_passing(warehouse: SmallWarehouse) -> None:
    tickets, orders = [ticket(1, timedelta(days=1)), ticket(2, timedelta(days=20))], [order(1, timedelta(days=20))]
    assert at_risk(warehouse, tickets, orders) == {2}
    assert at_risk(warehouse, tickets, orders, days=11) == {1}


def test_guesses_about_who_somebody_is_count_for_nothing(warehouse: SmallWarehouse) -> None:
    recent = timedelta(days=3)
    guessed = {"is_inferred_identity": True}
    assert at_risk(warehouse, [ticket(1, recent, **guessed), ticket(2, recent)], [order(2, recent, **guessed)]) == {2}
