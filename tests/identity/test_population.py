"""A simulated population, scored against the truth of who is who."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from include.simulate.people import Population
from include.simulate.truth import score

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("people", "seed"),
    [
        (500, 11),
        (500, 12),
        pytest.param(500, 13, marks=pytest.mark.long),
        pytest.param(500, 14, marks=pytest.mark.long),
        pytest.param(500, 15, marks=pytest.mark.long),
        pytest.param(5000, 16, marks=pytest.mark.long),
    ],
)
def test_people_are_told_apart_and_together(
    world_of: Callable[[Population], Any], people_of: Callable[[Any], Any], people: int, seed: int
) -> None:
    population = Population.generate(people, seed, NOW)
    engine, _ = world_of(population).stitch()
    result = score(population, people_of(engine).events)
    assert result.precision >= 0.99
    assert result.recall_of_oracle >= 0.97
    assert result.most_people_per_person <= 2
    assert len(result.wrong_merges) <= max(1, people // 500)
