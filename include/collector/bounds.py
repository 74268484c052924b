"""What keeps a sender from harming the collector: a rate per caller, and deliveries that come twice."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

MOST_CALLERS = 50_000
MOST_DELIVERIES = 250_000
BURST_SECONDS = 5.0
REMEMBERED_SECONDS = 25 * 3600.0


@dataclass(slots=True)
class Rates:
    """A bucket per caller: `rate` a second, and as much as `BURST_SECONDS` of it at once."""

    rate: float
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, caller: str, now: float) -> float:
        """Take one; 0 when it is there, else the seconds until it is."""
        most = max(1.0, self.rate * BURST_SECONDS)
        left, at = self._left.get(caller, (most, now))
        left = min(most, left + (now - at) * self.rate)
        self._left[caller] = (left - 1 if left >= 1 else left, now)
        self._left.move_to_end(caller)
        if len(self._left) > MOST_CALLERS:
            self._left.popitem(last=False)
        return 0.0 if left >= 1 else (1 - left) / self.rate


@dataclass(slots=True)
class Deliveries:
    """Deliveries by what proved them; past `MOST_DELIVERIES` the oldest are forgotten, and keys still tell them."""

    _kept: OrderedDict[bytes, tuple[float, asyncio.Future[None]]] = field(default_factory=OrderedDict)

    def find(self, proof: bytes, now: float) -> asyncio.Future[None] | None:
        """The earlier delivery with this proof, done when it is durable."""
        while self._kept:
            first = next(iter(self._kept))
            if self._kept[first][0] > now and len(self._kept) <= MOST_DELIVERIES:
                break
            del self._kept[first]
        found = self._kept.get(proof)
        return found[1] if found else None

    def add(self, proof: bytes, durable: asyncio.Future[None], now: float) -> None:
        """Remember a delivery that is being made durable."""
        self._kept[proof] = (now + REMEMBERED_SECONDS, durable)

    def forget(self, proof: bytes) -> None:
        """It did not become durable: the next attempt is a first one."""
        self._kept.pop(proof, None)
