"""The name rule through the real stitching, on names spelled and mistyped in the ways that people do."""

from __future__ import annotations

import random
import sys
from itertools import product
from pathlib import Path

import pytest

from benchmarks.names import Named, attach, measure
from benchmarks.peers import uv
from include.simulate.names import FIRST_NAMES, LAST_NAMES


def test_spellings_of_a_name_lead_to_its_person_and_mistyped_ones_to_nobody() -> None:
    rng = random.Random(20_260_601)
    drawn = rng.sample(list(product(FIRST_NAMES, LAST_NAMES)), 600)
    people: list[Named] = [(f"p{number}", first, last) for number, (first, last) in enumerate(drawn)]
    same, other_case, last_name_first, mistyped = people[0::4], people[1::4], people[2::4], people[3::4]
    records: list[Named] = [
        *same,
        *((key, first.upper(), last.lower()) for key, first, last in other_case),
        *((key, f"{last},", first) for key, first, last in last_name_first),
        *((key, first, last[1] + last[0] + last[2:]) for key, first, last in mistyped),
    ]
    found = attach(people, records)
    assert (found.records, found.wrong, found.merged) == (len(people), 0, 0)
    assert found.right == len(people) - len(mistyped), "a name that is not the same is no match"


def test_an_initial_leads_to_the_only_person_it_fits_and_else_to_review() -> None:
    people: list[Named] = [("p1", "Ann", "Ash"), ("p2", "Tom", "Elm"), ("p3", "Tim", "Elm"), ("p4", "T", "Oak")]
    found = attach(people, [("p1", "A.", "Ash"), ("p2", "T.", "Elm"), ("p4", "T.", "Oak")])
    assert (found.right, found.wrong, found.ambiguous, found.merged) == (2, 0, 1, 0)


@pytest.mark.long
def test_mistyped_records_of_febrl_are_attached_as_often_as_ever(tmp_path: Path) -> None:
    """The sets that record linkage is compared on: their typos are no spellings, so most of what they miss is right."""
    found = measure(sys.executable, uv(), tmp_path)
    assert {name: each.merged for name, each in found.items()} == {"FEBRL 1": 0, "FEBRL 4": 0}
    one, four = found["FEBRL 1"], found["FEBRL 4"]
    assert (one.right >= 263, one.wrong) == (True, 0)
    assert four.right >= 2_378
    assert four.wrong <= 22
