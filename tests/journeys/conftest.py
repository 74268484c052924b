"""The journeys' own fixtures: one company, walked once, that the cheap questions share."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _module(name: str) -> ModuleType:
    """A neighbour of this file; test folders are no packages."""
    known = sys.modules.get(name)
    if known is not None:
        return known
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


for neighbour in ("destinations", "activate"):
    sys.path.insert(0, str(Path(__file__).parents[1] / neighbour))
chaos_module = _module("chaos")
road_module = _module("road")
fingerprint_module = _module("fingerprint")


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Simulators of 500 people."""
    with road_module.company(tmp_path_factory.mktemp("company")) as started:
        yield started


@pytest.fixture(scope="module")
def walked(company: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A road walked once, checks included."""
    road = road_module.Road(tmp_path_factory.mktemp("home"), company)
    road.walk(checked=True)
    return road
