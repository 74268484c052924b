"""The simulator's clock and the vendors' rate limits, all driven by one injected tick."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


class Clock:
    """The world's time: starts at `start`, passes as real time passes, and can be moved forward.

    `seconds()` is for limits: it never jumps, so moving the world a month ahead refills no bucket.
    """

    def __init__(self, start: datetime, tick: Callable[[], float] = time.monotonic) -> None:
        self._start = start.astimezone(UTC)
        self._tick = tick
        self._began = tick()
        self._moved = timedelta(0)

    def seconds(self) -> float:
        """Real seconds since the simulator started."""
        return self._tick() - self._began

    def now(self) -> datetime:
        """The world's present, in UTC."""
        return self._start + timedelta(seconds=self.seconds()) + self._moved

    def forward(self, by: timedelta) -> None:
        """Move the world's present ahead; time never runs backwards."""
        if by < timedelta(0):
            raise ValueError(f"the simulated clock cannot go back by {by}; days must not be negative")
        self._moved += by


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a limit says about one request, in the numbers vendors put into headers."""

    allowed: bool
    limit: int
    remaining: int
    resets_in: float


class SlidingWindow:
    """At most `limit` requests in any stretch of `seconds` (HubSpot, Stripe, per-user limits)."""

    def __init__(self, limit: int, seconds: float, clock: Clock) -> None:
        self.limit = limit
        self.seconds = seconds
        self._clock = clock
        self._taken: deque[float] = deque()

    def take(self) -> Verdict:
        """Count one request; a refused one does not count."""
        now = self._clock.seconds()
        while self._taken and self._taken[0] <= now - self.seconds:
            self._taken.popleft()
        allowed = len(self._taken) < self.limit
        if allowed:
            self._taken.append(now)
        resets_in = self._taken[0] + self.seconds - now if self._taken else self.seconds
        return Verdict(allowed, self.limit, self.limit - len(self._taken), resets_in)


class FixedWindow:
    """At most `limit` requests in each whole window of `seconds` (Zendesk's and Calendly's minutes)."""

    def __init__(self, limit: int, seconds: float, clock: Clock) -> None:
        self.limit = limit
        self.seconds = seconds
        self._clock = clock
        self._window = -1
        self._taken = 0

    def take(self) -> Verdict:
        """Count one request; a refused one does not count."""
        now = self._clock.seconds()
        window = int(now // self.seconds)
        if window != self._window:
            self._window, self._taken = window, 0
        allowed = self._taken < self.limit
        if allowed:
            self._taken += 1
        return Verdict(allowed, self.limit, self.limit - self._taken, (window + 1) * self.seconds - now)
