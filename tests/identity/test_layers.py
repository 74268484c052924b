"""A generation laid on an earlier one has the rows of a generation stitched whole, whatever came in between."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.simulate.people import Population
from include.warehouse.engine import Engine
from include.warehouse.identity.tables import TABLES
from tests.identity.test_properties import Identifier, World, histories, live

few = settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
NOW = datetime(2026, 6, 1, tzinfo=UTC)
OWN_RUN = {"changed_at", "generation"}


def rows(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """Every identity table, but for when a change was seen."""
    found = {}
    for table in TABLES:
        if table.name == "identity.touched":
            continue
        columns = ", ".join(column.name for column in table.columns if column.name not in OWN_RUN)
        found[table.name] = sorted(
            (tuple(row.values()) for row in engine.query(f"SELECT {columns} FROM {table.name} AS t")), key=repr
        )
    return found


def differences(layered: Engine, whole: Engine) -> dict[str, tuple[list[Any], list[Any]]]:
    """Rows that only one of two generations has, by table."""
    one, other = rows(layered), rows(whole)
    return {
        name: (
            [row for row in one[name] if row not in other[name]],
            [row for row in other[name] if row not in one[name]],
        )
        for name in one
        if one[name] != other[name]
    }


def walk(world: World, stops: list[int]) -> tuple[Engine | None, Engine]:
    """The last generation of runs that stop after those loads: laid one on the other, and stitched whole each time."""
    whole = laid = world.stitch(upto=stops[0])[0]
    base, free = whole.generation, False
    for since, upto in pairwise(stops):
        if not free:
            following = world.lay(laid.generation, base, since, upto=upto)
            laid, free = following or laid, following is None
        whole = world.stitch(previous=whole.generation, upto=upto)[0]
    return (None if free else laid), whole


@few
@given(histories, st.lists(st.integers(1, 14), min_size=2, max_size=4))
def test_layers_are_what_a_whole_generation_is(
    new_world: Callable[[], World], history: list[tuple[list[Identifier], bool]], stops: list[int]
) -> None:
    world = live(new_world, history)
    laid, whole = walk(world, [*sorted(stops), 10**6])
    if laid is not None:
        assert differences(laid, whole) == {}
    world.engine.connection.close()


@pytest.mark.parametrize("seed", [21])
def test_a_company_laid_day_by_day_is_the_company_stitched_whole(
    world_of: Callable[[Population], World], seed: int
) -> None:
    world = world_of(Population.generate(120, seed, NOW))
    loads = sorted({fact["seq"] for fact in world.facts})
    rng = random.Random(seed)
    stops = sorted(rng.sample(loads[len(loads) // 2 : -1], 2))
    laid, whole = walk(world, [*stops, loads[-1]])
    assert laid is not None
    assert differences(laid, whole) == {}
    assert len(laid.query("SELECT customer_id FROM identity.touched AS t")) > 0
    world.engine.connection.close()
