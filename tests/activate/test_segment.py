from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_warehouse import NOW, STREAMS, SmallWarehouse, person

from include.activate.preview import preview
from include.activate.segment import all_segments, compute, console_sql, get_segment, mask, read_segment
from include.connect.errors import FixSettings
from include.warehouse.engine import connect

GOOD = """/*
title: A list
why: For the test.
owner: tests
key: customer_id
sync:
  - {to: hubspot_contact, field: is_x}
*/
SELECT customer_id FROM marts.customers
"""


def read(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "broken.sql"
    path.write_text(text)
    return read_segment(path)


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("/*\n", "", 1, "no header"),
        ("title: A list\n", "", 2, "needs `title:`"),
        ("owner: tests", "owner: [tests", 5, "not YAML"),
        ("owner: tests", "ownr: tests", 4, "no option 'ownr'"),
        ("key: customer_id", "key: email", 5, "key 'email' cannot be synced"),
        ("to: hubspot_contact", "to: hubspot_contacts", 7, "no destination 'hubspot_contacts'"),
        ("field: is_x", "tag: is_x", 7, "has no tag"),
        ("field: is_x", "field: is-x", 7, "cannot be a field's name"),
        ("field: is_x}", "field: is_x, mode: mirrored}", 7, "'mirrored' is not known"),
        ("field: is_x}", "field: is_x, fields: {a: 1}}", 7, "must name a column"),
        ("field: is_x}", "field: is_x, fields: {page: journey_url}}", 7, "lasting address is not set"),
        ("field: is_x}", "field: is_x, guards: {max_leaving: many}}", 7, "must be a number"),
        ("field: is_x}", "field: is_x}\n  - {to: hubspot_contact, field: is_y}", 8, "named twice"),
        ("field: is_x}", "field: is_x}\nmax_age: {stripe.charges: soon}", 8, "'soon' is no age"),
        ("field: is_x}", "field: is_x}\ninclude_inferred: perhaps", 8, "must be true or false"),
        ("SELECT customer_id", "SELEC customer_id", 9, "not valid GoogleSQL"),
        ("SELECT customer_id", "SELECT email", 9, "no column customer_id"),
        ("SELECT customer_id", "SELECT customer_id,\n  FROM x WHERE (", 10, "not valid GoogleSQL"),
        ("FROM marts.customers", "FROM marts.customers; SELECT 1", 9, "not one SELECT"),
        ("SELECT customer_id FROM marts.customers", "DELETE FROM marts.customers WHERE TRUE", 9, "not one SELECT"),
        ("FROM marts.customers", "FROM marts.customers WHERE last_order_at < CURRENT_TIMESTAMP()", 9, "wall clock"),
        ("FROM marts.customers", "FROM marts.customers WHERE last_order_at < @now", 9, "@now is not known"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(tmp_path: Path, old: str, new: str, line: int, what: str) -> None:
    assert old in GOOD
    with pytest.raises(FixSettings) as caught:
        read(tmp_path, GOOD.replace(old, new, 1))
    assert caught.value.where == f"{tmp_path}/broken.sql:{line}"
    assert what in caught.value.what


def test_a_good_file_says_everything(tmp_path: Path) -> None:
    text = GOOD.replace(
        "{to: hubspot_contact, field: is_x}",
        "{to: hubspot_contact, field: is_x, mode: upsert, fields: {orders: order_count}, consent: email_marketing,\n"
        "     removal: keep, guards: {max_leaving: 5, allow_empty: true}, tolerance: 0.2, schedule: '@daily'}\n"
        "max_age: {stripe.charges: 90m, zendesk__eu.tickets: 2d}\ninclude_inferred: true",
    )
    segment = read(tmp_path, text)
    spec = segment.header.syncs[0]
    assert (spec.target, spec.fields, spec.consent, spec.removal) == (
        "is_x",
        (("orders", "order_count"),),
        "email_marketing",
        "keep",
    )
    assert (spec.guards.max_leaving, spec.guards.max_entering, spec.guards.allow_empty) == (5, 50, True)
    assert (spec.first_run_approved, spec.tolerance, spec.schedule) == (False, 0.2, "@daily")
    ages = {name: age.total_seconds() for name, age in segment.header.max_age.items()}
    assert ages == {"stripe.charges": 5400, "zendesk__eu.tickets": 172800}
    assert segment.header.include_inferred


def test_the_closest_name_is_suggested() -> None:
    with pytest.raises(FixSettings, match="Did you mean 'at_risk_customers'"):
        get_segment("at_risk_customer")
    with pytest.raises(FixSettings, match="no segment"):
        get_segment("../segments/at_risk_customers")
    assert "at_risk_customers" in all_segments()


def test_a_list_keeps_its_columns_and_its_history(warehouse: SmallWarehouse) -> None:
    segment = warehouse.segment(sql="SELECT order_count, customer_id FROM marts.customers")
    warehouse.publish([person(1), person(2)])
    assert warehouse.compute(segment) == 2
    warehouse.publish([person(2), person(3)], days=0.5)
    with warehouse.open() as engine:
        result = compute(engine, segment, warehouse.run(0.5), warehouse.settings)
        again = compute(engine, segment, warehouse.run(0.5), warehouse.settings)
    assert (result.members, result.entered, result.left, result.generation) == (2, 1, 1, "g2")
    assert (again.members, again.entered, again.left) == (2, 0, 0)
    assert warehouse.rows("SELECT * FROM segments.a_list ORDER BY customer_id") == [
        {"customer_id": "c00002", "order_count": 2},
        {"customer_id": "c00003", "order_count": 0},
    ]
    history = warehouse.rows("SELECT customer_id, left_at FROM segments.memberships ORDER BY customer_id")
    assert [(row["customer_id"], row["left_at"] is None) for row in history] == [
        ("c00001", False),
        ("c00002", True),
        ("c00003", True),
    ]
    runs = warehouse.rows("SELECT status, members, generation FROM segments.runs ORDER BY as_of")
    assert runs == [
        {"status": "computed", "members": 2, "generation": "g1"},
        {"status": "computed", "members": 2, "generation": "g2"},
    ]


def test_a_list_takes_other_columns_when_its_file_changes(warehouse: SmallWarehouse) -> None:
    warehouse.publish([person(1)])
    warehouse.compute(warehouse.segment())
    warehouse.compute(warehouse.segment(sql="SELECT customer_id, email FROM marts.customers"), 0.1)
    assert warehouse.rows("SELECT * FROM segments.a_list") == [
        {"customer_id": "c00001", "email": "person1@example.com"}
    ]


def test_nothing_published_is_held(warehouse: SmallWarehouse) -> None:
    warehouse.load(*STREAMS)
    with warehouse.open() as engine:
        result = compute(engine, warehouse.segment(), warehouse.run(), warehouse.settings)
    assert (result.status, result.members) == ("held", None)
    assert "nothing is published" in str(result.reason)


def test_only_the_published_generation_is_read(warehouse: SmallWarehouse) -> None:
    warehouse.publish([person(1)])
    with warehouse.open() as engine:
        unfinished = engine.at("unfinished")
        unfinished.execute("CREATE TABLE marts.customers AS SELECT 'nobody' AS customer_id")
    segment = warehouse.segment()
    warehouse.compute(segment)
    assert warehouse.rows("SELECT customer_id FROM segments.a_list") == [{"customer_id": "c00001"}]


def test_a_query_that_does_not_run_names_the_file(warehouse: SmallWarehouse) -> None:
    warehouse.publish([person(1)])
    segment = warehouse.segment(sql="SELECT customer_id FROM marts.customers WHERE shoe_size > 40")
    with warehouse.open() as engine, pytest.raises(FixSettings) as caught:
        compute(engine, segment, warehouse.run(), warehouse.settings)
    assert caught.value.where.endswith("a_list.sql:7")
    assert "shoe_size" in caught.value.what


def test_an_error_about_a_value_does_not_quote_it(warehouse: SmallWarehouse) -> None:
    warehouse.publish([person(1)])
    segment = warehouse.segment(sql="SELECT customer_id, CAST(email AS INT64) AS n FROM marts.customers")
    with warehouse.open() as engine, pytest.raises(FixSettings) as caught:
        compute(engine, segment, warehouse.run(), warehouse.settings)
    assert "example.com" not in str(caught.value)


def test_a_person_twice_on_a_list_is_a_mistake(warehouse: SmallWarehouse) -> None:
    warehouse.publish([person(1)])
    sql = "SELECT customer_id FROM marts.customers UNION ALL SELECT customer_id FROM marts.customers"
    with warehouse.open() as engine, pytest.raises(FixSettings, match="repeat a customer_id"):
        compute(engine, warehouse.segment(sql=sql), warehouse.run(), warehouse.settings)


def test_inferred_facts_count_only_where_asked(warehouse: SmallWarehouse) -> None:
    orders = [
        {"order_id": "1", "customer_id": "c00001", "is_inferred_identity": False},
        {"order_id": "2", "customer_id": "c00002", "is_inferred_identity": True},
    ]
    warehouse.publish([person(1), person(2)], marts_orders=orders)
    sql = "SELECT o.customer_id FROM marts.orders AS o"
    assert warehouse.compute(warehouse.segment(sql=sql)) == 1
    assert warehouse.compute(warehouse.segment(sql=sql, include_inferred="true"), 0.1) == 2


def test_a_preview_is_masked_and_writes_nothing(warehouse: SmallWarehouse) -> None:
    segment = warehouse.segment(sql="SELECT customer_id, email, order_count FROM marts.customers")
    warehouse.publish([person(1), person(2)])
    with warehouse.open() as engine:
        shown = preview(engine, segment, warehouse.settings, warehouse.run())
        assert engine.columns("segments.a_list") == {}
    assert (shown.members, shown.columns, shown.held) == (2, ("customer_id", "email", "order_count"), None)
    assert shown.sample[0] == {"customer_id": "c00001", "email": "p***@example.com", "order_count": "1"}
    assert mask("name", "Ada") == "A***"


def test_a_preview_says_what_would_hold_the_list(warehouse: SmallWarehouse) -> None:
    warehouse.publish([person(1)], loads=[name for name in STREAMS if name != "stripe.charges"])
    with warehouse.open() as engine:
        shown = preview(engine, warehouse.segment(), warehouse.settings, warehouse.run())
    assert "stripe.charges was never completely loaded" in str(shown.held)


def test_a_preview_reads_the_published_copy(warehouse: SmallWarehouse) -> None:
    segment = warehouse.segment(sql="SELECT customer_id FROM marts.customers")
    warehouse.publish([person(1), person(2)])
    with warehouse.open() as engine:
        engine.execute("CREATE VIEW marts.customers AS SELECT * FROM generations.marts__customers__g1")
        engine.publish("g1", "g1")
    with connect(warehouse.settings, read_only=True) as engine:
        shown = preview(engine, segment, warehouse.settings, warehouse.run())
    assert (shown.members, shown.held, shown.generation) == (2, None, "g1")


def test_the_console_gets_its_declarations(warehouse: SmallWarehouse) -> None:
    segment = warehouse.segment(sql="SELECT customer_id FROM marts.customers WHERE last_order_at < @as_of")
    assert console_sql(segment, NOW, warehouse.settings) == (
        "DECLARE as_of TIMESTAMP DEFAULT TIMESTAMP '2026-11-20 06:00:00+00';\n"
        "DECLARE timezone STRING DEFAULT 'UTC';\n\n"
        "SELECT customer_id FROM marts.customers WHERE last_order_at < as_of;\n"
    )
