from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources.simulator import HTTP_SOURCES, Launcher, Puller, Simulator, launching, simulating


@pytest.fixture(scope="session")
def world() -> Iterator[Simulator]:
    """Enough people for several pages at every vendor; nothing here changes it."""
    with simulating("--people", "600") as running:
        yield running


@pytest.fixture(scope="module")
def changing_world() -> Iterator[Simulator]:
    """A world that tests move on; each pulls it into a landing of its own first."""
    with simulating("--people", "500") as running:
        yield running


@pytest.fixture(scope="session")
def truth(world: Simulator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[str]]]:
    """Keys per source and stream, pulled while every vendor behaved."""
    found = {}
    for name in HTTP_SOURCES:
        pulling = Puller(world, tmp_path_factory.mktemp("truth"))
        found[name] = pulling.keys(pulling(name))
    return found


@pytest.fixture
def pulling(world: Simulator, tmp_path: Path) -> Iterator[Puller]:
    world.control("DELETE", "faults")
    yield Puller(world, tmp_path)
    world.control("DELETE", "faults")


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    with launching() as running:
        yield running
