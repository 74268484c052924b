"""A small warehouse, and a vendor that keeps what it is sent."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from include.activate.destination import BatchRejected, Change, Destination, RowResult, Target
from include.destinations import get_destination
from include.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))
from small_warehouse import SOURCES, SmallWarehouse


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallWarehouse:
    """An empty warehouse of one test; connections allow writes in dev."""
    for name in ("hubspot", "mailchimp", "zendesk"):
        connection = {
            "conn_type": "http",
            "host": "http://127.0.0.1:9",
            "password": "x-us1",
            "login": "a@b.example",
            "extra": {"allow_writes_in": ["dev"]},
        }
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
    settings = Settings(home=tmp_path / "home", sources=SOURCES, warehouse_wait_seconds=20)
    return SmallWarehouse(settings, tmp_path)


@dataclass
class Vendor:
    """A vendor in memory: what it holds, and how it was called."""

    held: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    calls: list[list[Change]] = field(default_factory=list)
    prepared: list[str] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)
    refuses_batches_with: set[str] = field(default_factory=set)
    silent_about: set[str] = field(default_factory=set)
    fails_after: int | None = None
    trouble: BaseException | None = None

    async def prepare(self, session: Any, target: Target) -> Target:
        self.prepared.append(target.name)
        return target

    async def write(self, session: Any, target: Target, changes: Sequence[Change]) -> list[RowResult]:
        if self.trouble is not None and len(self.calls) >= (self.fails_after or 0):
            raise self.trouble
        self.calls.append(list(changes))
        if self.refuses_batches_with & {change.address for change in changes}:
            raise BatchRejected("bad_row", "one of them is bad", "req-1")
        results = []
        for change in changes:
            if change.address in self.silent_about:
                continue
            if change.address in self.refuses:
                results.append(RowResult(change.address, False, "refused", "no", "req-2"))
                continue
            self.held.setdefault((target.name, change.address), {}).update(change.fields)
            results.append(RowResult(change.address, True, request_id="req-3"))
        return results

    def flagged(self, field_name: str = "is_x") -> set[str]:
        return {address for (_, address), fields in self.held.items() if fields.get(field_name)}

    @property
    def sizes(self) -> list[int]:
        return [len(call) for call in self.calls]


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def contacts(vendor: Vendor) -> Destination:
    """HubSpot's declaration in front of the vendor in memory."""
    return replace(
        get_destination("hubspot_contact"),
        prepare=vendor.prepare,
        enter=vendor.write,
        leave=vendor.write,
        read_back=None,
        batch=10,
    )
