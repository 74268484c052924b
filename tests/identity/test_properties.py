"""What holds for any evidence: order does not matter, repeats change nothing, history does not matter, guards hold.

Every batch is many generated histories of a few people each, in one world: no evidence connects two of them, so
one stitching answers for all, and what fails names the history by its number.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Collection
from itertools import pairwise
from typing import Any

import pytest

from include.warehouse.engine import Engine
from include.warehouse.identity.overrides import Identifier as Decided
from include.warehouse.identity.overrides import Overrides
from include.warehouse.identity.tables import TABLES

Identifier = tuple[str, str]
World = Any
NewWorld = Callable[[], World]

STOPS = (5, 8, 11, 14)
"""Loads after which a history is looked at; the last looks at all of it."""
ALL = 10**6
OWN_RUN = {"changed_at", "generation"}
HISTORY = {"identity.changes", "identity.redirects", "identity.touched"}

histories_and_seeds = pytest.mark.parametrize(
    ("histories", "seed"), [(40, 1), pytest.param(1000, 2, marks=pytest.mark.long)], ids=["40", "1000"]
)


def pool(number: int) -> list[Identifier]:
    """The identifiers that may meet in one history."""
    here = f"h{number}"
    return [
        *(("user_id", f"{here}-user-{each}") for each in range(3)),
        *(("email", f"person{each}@{here}.example.org") for each in range(4)),
        # In every third history there are more than one person may have in a week.
        *(("anonymous_id", f"{here}-device-{each}") for each in range(3 if number % 3 else 8)),
        *(("stripe_customer_id", f"{here}/cus_{each}") for each in range(3)),
        *(("phone", f"+1{number:05d}55501{each:02d}") for each in range(2)),
        ("email_sha256", hashlib.sha256(f"person0@{here}.example.org".encode()).hexdigest()),
        ("phone_sha256", hashlib.sha256(f"1{number:05d}5550100".encode()).hexdigest()),
        ("zendesk_user_id", f"{here}/z1"),
        ("email", f"info@{here}.example.org"),
    ]


def live(world: World, histories: int, seed: int) -> World:
    """Write down what happened, load after load, in every history."""
    rng = random.Random(seed)
    for number in range(histories):
        identifiers = pool(number)
        for load in range(1, rng.randint(2, 15)):
            carried = rng.sample(identifiers, rng.randint(1, 3))
            if rng.random() < 0.5:
                world.event(f"h{number}-e{load}", *carried, seq=load)
            else:
                world.see(*carried, seq=load, inferred=rng.random() < 0.1)
        for each in range(4):
            world.call(("email", f"person{each}@h{number}.example.org"), "Ann" if each % 2 else "Bob", "Smith")
    return world


def rows(engine: Engine, without: Collection[str] = ("identity.touched",)) -> dict[str, list[tuple[Any, ...]]]:
    """Every identity table, but for when a change was seen."""
    found = {}
    for table in TABLES:
        if table.name not in without:
            columns = ", ".join(column.name for column in table.columns if column.name not in OWN_RUN)
            found[table.name] = sorted(
                (tuple(row.values()) for row in engine.query(f"SELECT {columns} FROM {table.name} AS t")), key=repr
            )
    return found


def differences(one: dict[str, list[Any]], other: dict[str, list[Any]]) -> dict[str, tuple[list[Any], ...]]:
    """The first rows that only one of two answers has, by table."""
    return {
        name: tuple(
            sorted(set(mine) - set(its), key=repr)[:5]
            for mine, its in ((one[name], other[name]), (other[name], one[name]))
        )
        for name in one
        if one[name] != other[name]
    }


@histories_and_seeds
def test_history_and_order_change_nothing(new_world: NewWorld, histories: int, seed: int) -> None:
    world = live(new_world(), histories, seed)
    first, _ = world.stitch(upto=STOPS[0])
    whole = laid = first
    for since, upto in pairwise(STOPS):
        whole, _ = world.stitch(previous=whole.generation, upto=upto)
        laid = world.lay(laid.generation, first.generation, since, upto=upto)
    assert differences(rows(laid), rows(whole)) == {}
    for listed in (world.facts, world.occurrences, world.names):
        random.Random(seed).shuffle(listed)
    rebuilt, _ = world.stitch()
    assert differences(rows(whole, HISTORY), rows(rebuilt, HISTORY)) == {}
    again, summary = world.stitch(previous=whole.generation)
    assert differences(rows(again), rows(whole)) == {}
    assert (summary.merges, summary.splits) == (0, 0)
    _every_old_id_leads_somewhere(first, whole)
    world.engine.connection.close()


def _every_old_id_leads_somewhere(before: Engine, after: Engine) -> None:
    def ids(engine: Engine, sql: str) -> set[str]:
        return {row["id"] for row in engine.query(sql)}

    now = ids(after, "SELECT customer_id AS id FROM identity.customers AS c")
    redirects = {
        row["old_customer_id"]: row["customer_id"]
        for row in after.query("SELECT old_customer_id, customer_id FROM identity.redirects AS r")
    }
    said = ids(
        after,
        "SELECT IF(change = 'merged', other_customer_id, customer_id) AS id FROM identity.changes AS c "
        "WHERE change IN ('merged', 'retired')",
    )
    assert ids(before, "SELECT customer_id AS id FROM identity.customers AS c") <= now | said, "no id vanishes unsaid"
    assert set(redirects.values()) <= now, "an old id leads to somebody who exists"
    assert redirects.keys() & now == set(), "whoever exists leads nowhere else"
    assert redirects, "some ids are gone, or the histories are too tame to show anything"


@histories_and_seeds
def test_what_people_decide_can_be_taken_back(new_world: NewWorld, histories: int, seed: int) -> None:
    world = live(new_world(), histories, seed)
    before, _ = world.stitch()
    linked = tuple(
        (Decided("user_id", f"h{number}-user-0"), Decided("user_id", f"h{number}-user-1"))
        for number in range(0, histories, 4)
    )
    apart = tuple(
        (Decided("email", f"person0@h{number}.example.org"), Decided("stripe_customer_id", f"h{number}/cus_0"))
        for number in range(1, histories, 4)
    )
    world.overrides = Overrides(must_link=linked, cannot_link=apart)
    decided, summary = world.stitch(previous=before.generation)
    assert summary.merges > 0
    world.overrides = Overrides()
    after, undone = world.stitch(previous=decided.generation)
    assert undone.splits > 0
    assert differences(rows(after, HISTORY), rows(before, HISTORY)) == {}
    world.engine.connection.close()


@histories_and_seeds
def test_guards_hold_for_any_evidence(new_world: NewWorld, histories: int, seed: int) -> None:
    world = live(new_world(), histories, seed)
    engine, summary = world.stitch()
    mine = defaultdict(set)
    for row in engine.query("SELECT kind, value, customer_id FROM identity.identifiers AS i"):
        mine[row["customer_id"]].add((row["kind"], row["value"]))
    for identifiers in mine.values():
        assert sum(kind == "user_id" for kind, _ in identifiers) <= 1
        assert not any(value.startswith("info@") for _, value in identifiers)
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


@histories_and_seeds
def test_trusted_links_give_exactly_the_connected_components(new_world: NewWorld, histories: int, seed: int) -> None:
    rng, world = random.Random(seed), new_world()
    together: dict[Identifier, set[Identifier]] = {}
    for number in range(histories):
        records = [(kind, f"h{number}-{each}") for kind in ("left_id", "right_id", "other_id") for each in range(6)]
        for _ in range(rng.randint(1, 20)):
            left, right = rng.choice(records), rng.choice(records)
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
