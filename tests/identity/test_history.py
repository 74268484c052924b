"""Ids through time: who keeps one, who gets a new one, and that an old one always leads somewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from include.warehouse.engine import Engine
from include.warehouse.identity.overrides import Identifier, Overrides

Ask = Callable[[Engine], Any]
ANN, BOB = ("user_id", "ann-1"), ("user_id", "bob-2")
TABLET = ("anonymous_id", "tablet")


def changes(engine: Engine) -> list[tuple[str, str, str | None]]:
    rows = engine.query(
        "SELECT change, customer_id, other_customer_id FROM identity.changes AS c WHERE generation = @g",
        {"g": engine.generation},
    )
    return sorted((row["change"], row["customer_id"], row["other_customer_id"]) for row in rows)


def redirects(engine: Engine) -> dict[str, str]:
    rows = engine.query("SELECT old_customer_id, customer_id FROM identity.redirects AS r")
    return {row["old_customer_id"]: row["customer_id"] for row in rows}


def test_elder_survives_a_merge_and_redirects_close_transitively(world: Any, people_of: Ask) -> None:
    records = [("left_id", "1"), ("left_id", "2"), ("left_id", "3")]
    for record in records:
        world.see(record)
    first, _ = world.stitch()
    ids = [people_of(first).ids[record] for record in records]
    assert changes(first) == sorted(("created", customer_id, None) for customer_id in ids)
    world.see(records[1], records[2])
    second, _ = world.stitch(previous=first.generation)
    assert changes(second) == [("merged", ids[1], ids[2])]
    world.see(records[0], records[1])
    third, _ = world.stitch(previous=second.generation)
    assert changes(third) == [("merged", ids[0], ids[1])]
    assert redirects(third) == {ids[1]: ids[0], ids[2]: ids[0]}
    history = third.query("SELECT COUNT(*) AS n FROM identity.changes AS c")
    assert history == [{"n": 5}]


def test_tablet_that_becomes_shared_keeps_its_own_past(world: Any, people_of: Ask) -> None:
    world.event("reads", TABLET, minute=0)
    world.event("ann in", TABLET, ANN, minute=10)
    first, _ = world.stitch()
    was = people_of(first).ids[ANN]
    world.event("bob in", TABLET, BOB, minute=9000)
    second, _ = world.stitch(previous=first.generation)
    people = people_of(second)
    assert people.events["reads"] == was, "the part that holds the anchor keeps the id"
    assert ("split", people.ids[ANN], was) in changes(second)
    assert ("created", people.ids[BOB], None) in changes(second)


def test_blocked_anchor_leads_to_the_same_person_under_a_new_id(world: Any, people_of: Ask) -> None:
    world.see(("email", "ann@work.example.org"), ANN)
    world.see(ANN, ("stripe_customer_id", "main/cus_1"))
    first, _ = world.stitch()
    was = people_of(first).ids[ANN]
    world.overrides = Overrides(block=(Identifier("email", "ann@work.example.org"),))
    second, _ = world.stitch(previous=first.generation)
    now = people_of(second).ids[ANN]
    assert now != was
    assert changes(second) == [("retired", was, now)]
    assert redirects(second) == {was: now}
    world.overrides = Overrides()
    third, _ = world.stitch(previous=second.generation)
    assert people_of(third).ids[ANN] == was
    assert redirects(third) == {now: was}


def test_person_of_whom_nothing_is_left_is_retired(world: Any, people_of: Ask) -> None:
    world.see(ANN)
    world.see(BOB)
    first, _ = world.stitch()
    gone = people_of(first).ids[BOB]
    world.facts = [row for row in world.facts if row["left_value"] != BOB[1]]
    second, _ = world.stitch(previous=first.generation)
    assert changes(second) == [("retired", gone, None)]
    assert redirects(second) == {}
