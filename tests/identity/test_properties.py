"""What holds for any evidence: order does not matter, repeats change nothing, history does not matter, guards hold."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.warehouse.engine import Engine

Identifier = tuple[str, str]
World = Any

POOL: list[Identifier] = [
    *(("user_id", f"user-{number}") for number in range(3)),
    *(("email", f"person{number}@work.example.org") for number in range(4)),
    *(("anonymous_id", f"device-{number}") for number in range(3)),
    *(("stripe_customer_id", f"main/cus_{number}") for number in range(3)),
    *(("phone", f"+1200555010{number}") for number in range(2)),
    ("zendesk_user_id", "main/z1"),
    ("email", "info@shop.example.org"),
]
RECORD_POOL: list[Identifier] = [
    (kind, f"x{number}") for kind in ("left_id", "right_id", "other_id") for number in range(6)
]
carried = st.lists(st.sampled_from(POOL), min_size=1, max_size=3, unique=True)
histories = st.lists(st.tuples(carried, st.booleans()), min_size=1, max_size=14)
few = settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))


def live(new_world: Callable[[], World], history: list[tuple[list[Identifier], bool]]) -> World:
    world = new_world()
    for number, (identifiers, is_event) in enumerate(history):
        if is_event:
            world.event(f"e{number}", *identifiers)
        else:
            world.see(*identifiers, rule="record")
    for number in range(4):
        world.call(("email", f"person{number}@work.example.org"), "Ann" if number % 2 else "Bob", "Smith")
    return world


def answer(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    tables = {
        "customers": "customer_id, anchor_kind, anchor_value, anchor_seq",
        "identifiers": "kind, value, customer_id, is_inferred, evidence",
        "events": "event_id, customer_id, is_inferred",
        "ownership": "kind, value, customer_id, valid_from, valid_to",
        "blocked_values": "kind, value, reason, met",
    }
    return {
        name: sorted(
            (tuple(row.values()) for row in engine.query(f"SELECT {columns} FROM identity.{name} AS t")), key=repr
        )
        for name, columns in tables.items()
    }


@few
@given(histories, st.randoms(use_true_random=False))
def test_order_of_rows_changes_nothing(
    new_world: Callable[[], World], history: list[tuple[list[Identifier], bool]], rng: random.Random
) -> None:
    world = live(new_world, history)
    first = answer(world.stitch()[0])
    for rows in (world.facts, world.occurrences, world.names):
        rng.shuffle(rows)
    assert answer(world.stitch()[0]) == first
    world.engine.connection.close()


@few
@given(histories, st.integers(1, 14))
def test_runs_one_after_the_other_give_the_ids_of_a_rebuild(
    new_world: Callable[[], World], history: list[tuple[list[Identifier], bool]], upto: int
) -> None:
    world = live(new_world, history)
    before, _ = world.stitch(upto=upto)
    after, _ = world.stitch(previous=before.generation)
    again, summary = world.stitch(previous=after.generation)
    rebuilt, _ = world.stitch()
    assert answer(after) == answer(rebuilt) == answer(again)
    assert (summary.merges, summary.splits) == (0, 0)
    old, now, redirects = (
        {row["id"]: row["to"] for row in engine.query(sql)}
        for engine, sql in (
            (before, "SELECT customer_id AS id, anchor_value AS `to` FROM identity.customers AS c"),
            (after, "SELECT customer_id AS id, anchor_value AS `to` FROM identity.customers AS c"),
            (after, "SELECT old_customer_id AS id, customer_id AS `to` FROM identity.redirects AS r"),
        )
    )
    said = {
        row["gone"]
        for row in after.query(
            "SELECT IF(change = 'merged', other_customer_id, customer_id) AS gone FROM identity.changes AS c "
            "WHERE change IN ('merged', 'retired')"
        )
    }
    for customer_id in old:
        assert customer_id in now or customer_id in said, "no id vanishes unsaid"
        if customer_id in redirects:
            assert redirects[customer_id] in now, "an old id leads to somebody who exists"
    assert again.query(
        "SELECT COUNT(*) AS n FROM identity.changes AS c WHERE generation = @g", {"g": again.generation}
    ) == [{"n": 0}]
    world.engine.connection.close()


@few
@given(histories)
def test_guards_hold_for_any_evidence(
    new_world: Callable[[], World], history: list[tuple[list[Identifier], bool]]
) -> None:
    world = live(new_world, history)
    engine, summary = world.stitch()
    mine = defaultdict(set)
    for row in engine.query("SELECT kind, value, customer_id FROM identity.identifiers AS i"):
        mine[row["customer_id"]].add((row["kind"], row["value"]))
    for identifiers in mine.values():
        assert sum(kind == "user_id" for kind, _ in identifiers) <= 1
    assert ("email", "info@shop.example.org") not in set().union(*mine.values())
    owners = engine.query(
        "SELECT event_id, COUNT(*) AS n, COUNT(customer_id) AS owners FROM identity.events AS e GROUP BY event_id"
    )
    assert {row["event_id"] for row in owners} == {row["event_id"] for row in world.occurrences}
    assert all((row["n"], row["owners"]) == (1, 1) for row in owners)
    customers = {row["customer_id"] for row in engine.query("SELECT customer_id FROM identity.customers AS c")}
    assert len(customers) == summary.people
    assert {row["customer_id"] for row in engine.query("SELECT customer_id FROM identity.events AS e")} <= customers
    assert set(mine) == customers
    world.engine.connection.close()


@few
@given(st.lists(st.tuples(st.sampled_from(RECORD_POOL), st.sampled_from(RECORD_POOL)), min_size=1, max_size=20))
def test_trusted_links_give_exactly_the_connected_components(
    new_world: Callable[[], World], pairs: list[tuple[Identifier, Identifier]]
) -> None:
    world = new_world()
    together: dict[Identifier, set[Identifier]] = {}
    for left, right in pairs:
        world.see(*dict.fromkeys((left, right)))
        merged = together.setdefault(left, {left}) | together.setdefault(right, {right})
        for one in merged:
            together[one] = merged
    engine, _ = world.stitch()
    found = defaultdict(set)
    for row in engine.query("SELECT kind, value, customer_id FROM identity.identifiers AS i"):
        found[row["customer_id"]].add((row["kind"], row["value"]))
    assert sorted(map(sorted, found.values())) == sorted(map(sorted, {frozenset(group) for group in together.values()}))
    world.engine.connection.close()
