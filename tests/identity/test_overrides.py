"""What people decide stands above the evidence, and a wrong file says where it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from include.connect.errors import FixSettings
from include.warehouse.engine import Engine
from include.warehouse.identity.overrides import (
    BLOCKED,
    OVERRIDES,
    Identifier,
    Overrides,
    read_block_lists,
    read_overrides,
)

Ask = Callable[[Engine], Any]
ANN, BOB = ("user_id", "ann-1"), ("user_id", "bob-2")
ANN_MAIL, BOB_MAIL = ("email", "ann@work.example.org"), ("email", "bob@work.example.org")


def one(identifier: tuple[str, str]) -> Identifier:
    return Identifier(*identifier)


def test_shipped_files_are_right() -> None:
    assert read_overrides(OVERRIDES) == Overrides()
    lists = read_block_lists(BLOCKED)
    assert "null" in lists.placeholders
    assert "info" in lists.inboxes
    assert "phone" in lists.patterns


def test_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "overrides.yaml"
    path.write_text(
        """
must_link:
  - {these: ["user_id:1", "email:a@x.example", "email:b@x.example"], why: "one person"}
cannot_link:
  - these: ["hubspot_contact_id:main/4", "user_id:2"]
    why: two people
block: [{this: "email:x@y.example", why: "a team"}]
allow:
"""
    )
    assert read_overrides(path) == Overrides(
        (
            (Identifier("user_id", "1"), Identifier("email", "a@x.example")),
            (Identifier("user_id", "1"), Identifier("email", "b@x.example")),
        ),
        ((Identifier("hubspot_contact_id", "main/4"), Identifier("user_id", "2")),),
        (Identifier("email", "x@y.example"),),
    )


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("must_link:\n  - {these: ['user_id:1'], why: x}\n", 2, "two identifiers"),
        ("must_link:\n  - {these: ['user_id:1', 'user_id:1'], why: x}\n", 2, "twice"),
        ("block:\n  - {this: 'nokind', why: x}\n", 2, "not an identifier"),
        ("block:\n  - {this: 'email:a@x.example'}\n", 2, "why"),
        ("block:\n  - {that: 'email:a@x.example', why: x}\n", 2, "unknown field"),
        ("\n\nblok: []\n", 3, "unknown section"),
        ("block: 3\n", 1, "not a list"),
        ("- 1\n", 1, "not a mapping"),
        ("block: [}\n", 1, "not valid YAML"),
    ],
)
def test_wrong_file_names_the_line_and_no_value(tmp_path: Path, text: str, line: int, says: str) -> None:
    path = tmp_path / "overrides.yaml"
    path.write_text(text)
    with pytest.raises(FixSettings, match=says) as caught:
        read_overrides(path)
    assert caught.value.where == f"{path}:{line}"
    assert "x.example" not in str(caught.value)


def test_linking_and_cutting_the_same_two_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "overrides.yaml"
    pair = "[{these: ['user_id:1', 'user_id:2'], why: x}]"
    path.write_text(f"must_link: {pair}\ncannot_link: {pair}\n")
    with pytest.raises(FixSettings, match="must and must not"):
        read_overrides(path)


def test_must_link_joins_two_accounts_and_survives_the_guards(world: Any, people_of: Ask) -> None:
    world.see(ANN, ANN_MAIL)
    world.see(BOB, BOB_MAIL)
    contact = ("hubspot_contact_id", "main/1")
    world.see(contact, ANN_MAIL)
    world.see(contact, BOB_MAIL)
    world.overrides = Overrides(must_link=((one(ANN), Identifier("user_id", " bob-2 ")),))
    assert people_of(world.stitch()[0]).same(ANN, BOB, ANN_MAIL, BOB_MAIL, contact)


def test_must_link_gives_a_device_to_one_person(world: Any, people_of: Ask) -> None:
    device = ("anonymous_id", "d1")
    world.event("e1", device, ANN)
    world.event("e2", device, BOB)
    world.event("e3", device)
    world.overrides = Overrides(must_link=((one(device), one(ANN)),))
    people = people_of(world.stitch()[0])
    assert people.same(device, ANN)
    assert people.ids[BOB] != people.ids[ANN]
    assert people.events["e3"] == people.ids[ANN]
    assert people.events["e2"] == people.ids[BOB]


def test_cannot_link_cuts_the_youngest_evidence_between_the_two(world: Any, people_of: Ask) -> None:
    chain = [ANN, ANN_MAIL, ("hubspot_contact_id", "main/1"), BOB_MAIL]
    for left, right in pairwise(chain):
        world.see(left, right)
    first, _ = world.stitch()
    assert people_of(first).same(*chain)
    world.overrides = Overrides(cannot_link=((one(ANN), one(BOB_MAIL)),))
    second, summary = world.stitch(previous=first.generation)
    people = people_of(second)
    assert people.same(*chain[:3])
    assert people.ids[BOB_MAIL] != people.ids[ANN]
    assert people.ids[ANN] == people_of(first).ids[ANN], "the part with the anchor keeps the id"
    assert summary.splits == 1
    assert second.query(
        "SELECT change, customer_id, other_customer_id FROM identity.changes AS c WHERE change = 'split'"
    ) == [{"change": "split", "customer_id": people.ids[BOB_MAIL], "other_customer_id": people.ids[ANN]}]


@pytest.mark.parametrize("cut", [ANN, ANN_MAIL])
def test_cannot_link_keeps_a_device_from_a_person(world: Any, people_of: Ask, cut: tuple[str, str]) -> None:
    device = ("anonymous_id", "d1")
    world.see(ANN, ANN_MAIL)
    world.event("e1", device, ANN)
    world.overrides = Overrides(cannot_link=((one(device), one(cut)),))
    people = people_of(world.stitch()[0])
    assert people.ids[device] != people.ids[ANN]
    assert people.events["e1"] == people.ids[ANN]


def test_block_and_allow(world: Any, people_of: Ask) -> None:
    inbox = ("email", "hello@ann.example.org")
    for record in (("hubspot_contact_id", "main/1"), ("stripe_customer_id", "main/cus_1")):
        world.see(record, inbox)
        world.see(record, ANN_MAIL)
    world.overrides = Overrides(block=(one(ANN_MAIL),), allow=(Identifier("email", "Hello@Ann.example.org"),))
    people = people_of(world.stitch()[0])
    assert people.same(inbox, ("hubspot_contact_id", "main/1"), ("stripe_customer_id", "main/cus_1"))
    assert people.blocked == {ANN_MAIL: "override"}
