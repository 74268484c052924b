"""A company laid day by day is the company stitched whole; test_properties.py shows the same for any history."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from include.simulate.people import Population
from tests.identity.test_properties import differences, rows

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("people", "seed"),
    [(120, 21), pytest.param(400, 22, marks=pytest.mark.long), pytest.param(400, 23, marks=pytest.mark.long)],
)
def test_days_laid_one_on_the_other_are_a_whole_generation(
    world_of: Callable[[Population], Any], people: int, seed: int
) -> None:
    world = world_of(Population.generate(people, seed, NOW))
    loads = sorted({fact["seq"] for fact in world.facts})
    stops = [*sorted(random.Random(seed).sample(loads[len(loads) // 2 : -1], 2)), loads[-1]]
    first, _ = world.stitch(upto=stops[0])
    whole = laid = first
    for since, upto in pairwise(stops):
        whole, _ = world.stitch(previous=whole.generation, upto=upto)
        laid = world.lay(laid.generation, first.generation, since, upto=upto)
    assert differences(rows(laid), rows(whole)) == {}
    assert len(laid.query("SELECT customer_id FROM identity.touched AS t")) > 0
    world.engine.connection.close()
