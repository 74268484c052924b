"""The small warehouse of the activation tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from include.settings import Settings

sys.path.insert(0, str(Path(__file__).parent.parent / "activate"))
from small_warehouse import SOURCES, SmallWarehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> SmallWarehouse:
    """An empty warehouse of one test."""
    return SmallWarehouse(Settings(home=tmp_path, sources=SOURCES, warehouse_wait_seconds=20), tmp_path)
