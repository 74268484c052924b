"""One destination, its vendor, and a list to send there."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from seen import SEEN
from small_warehouse import SOURCES, SmallWarehouse, person
from vendors import Seen, Simulator

from include.activate.destination import Destination
from include.activate.segment import Segment
from include.activate.sync import SyncResult, sync
from include.destinations import get_destination
from include.settings import Settings

ADDRESSES = (
    "email_marketing_address",
    "hubspot_contact_id",
    "zendesk_user_id",
    "stripe_customer_id",
    "salesforce_contact_id",
    "shopify_customer_id",
    "user_id",
)


@dataclass
class Bench:
    """One destination, its vendor, and a list to send there."""

    name: str
    seen: Seen
    simulator: Simulator
    warehouse: SmallWarehouse
    target: str
    everybody: list[dict[str, Any]] = field(default_factory=list)
    days: float = 0

    @property
    def destination(self) -> Destination:
        found = get_destination(self.name)
        return replace(found, batch=self.seen.batch or found.batch)

    @property
    def batch(self) -> int:
        return self.destination.batch

    @property
    def vendor(self) -> str:
        return get_destination(self.name).connection

    @property
    def key(self) -> str:
        return get_destination(self.name).key

    def publish(self, people: list[dict[str, Any]], **options: str) -> Segment:
        """Publish these people and compute the list of them all."""
        self.days += 0.01
        more = "".join(f", {name}: {value}" for name, value in ({"first_run": "approved"} | options).items())
        spec = f"{{to: {self.name}, {self.seen.option.format(self.target)}{more}}}"
        segment = self.warehouse.segment(spec)
        self.warehouse.publish(people, days=self.days)
        self.warehouse.compute(segment, self.days)
        return segment

    def send(self, segment: Segment, **options: Any) -> SyncResult:
        self.days += 0.01
        run = self.warehouse.run(self.days)
        return sync(segment, self.destination, self.warehouse.settings, run, self.warehouse.open, **options)

    def flagged(self) -> set[str]:
        return self.seen.flagged(self.simulator, self.target)

    def addresses(self, people: list[dict[str, Any]]) -> set[str]:
        return {row[self.key] for row in people}

    def held(self) -> set[str]:
        """Addresses in `activation.state`."""
        return {address for _, address in self.warehouse.state()}

    def stats(self) -> dict[str, int]:
        return self.simulator.stats(self.vendor)


def make_bench(name: str, simulator: Simulator, tmp_path: Path, test: str) -> Bench:
    settings = Settings(home=tmp_path / "home", sources=SOURCES, warehouse_wait_seconds=60)
    # Short and of this test alone: some vendors take no more than forty characters.
    target = f"t_{hashlib.sha256(test.encode()).hexdigest()[:8]}"
    found = Bench(name, SEEN[name], simulator, SmallWarehouse(settings, tmp_path), target)
    known = SEEN[name].people(simulator)
    unknown = dict.fromkeys(ADDRESSES)
    found.everybody = [person(number, **unknown | row) for number, row in enumerate(known)]
    if found.seen.make_by_hand is not None:
        found.seen.make_by_hand(simulator, target)
    simulator.reset_stats()
    return found
