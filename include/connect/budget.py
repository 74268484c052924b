"""The gate every call passes: the host's circuit, the vendor's budget, and waits a vendor asked for.

Budgets and circuits live in the state store, so all tasks and processes that use an account share them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Protocol

from include.connect.connection import Connection
from include.connect.errors import RetryLater
from include.connect.source import Budget, Connections, Rate
from include.state.store import Store

log = logging.getLogger(__name__)

LEASE_SECONDS = 300.0
"""A killed holder's connection frees itself after this; longer than any single call may take."""
JITTER_SECONDS, JITTER_SHARE = 0.045, 0.02
"""Calls reach the vendor a little late, each by another while: what is allowed in a window is spread over this much
more, whichever is longer, or a late call and the punctual ones after it would be one too many."""
LATE_SECONDS = 0.01
"""A call that this machine sends later than that is booked anew, at the moment it goes."""
CIRCUIT_READ_SECONDS = 1.0
CIRCUIT_THRESHOLD = 8
CIRCUIT_COOL_SECONDS = 60.0


class Clock(Protocol):
    """Time as calls see it; tests bring their own."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class WallClock:
    """The machine's time."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


def with_overrides(budget: Budget | None, connection: Connection) -> Budget | None:
    """The budget with the limit a connection's extra gives, for plans that differ from the usual one."""
    if budget is None:
        return None
    kind = "rate_limit" if isinstance(budget, Rate) else "connection_limit"
    limit = connection.extra.get(f"{kind}_{budget.name}" if budget.name else kind)
    if not isinstance(limit, int | float) or limit <= 0:
        return budget
    if isinstance(budget, Connections):
        return replace(budget, limit=max(1, int(limit)))
    burst = max(1, round(budget.burst * limit / budget.limit)) if budget.burst else None
    return replace(budget, limit=float(limit), burst=burst)


class Gate:
    """Lets calls of one account to one host through, at the pace that all its users share."""

    def __init__(self, store: Store, holder: str, host: str, clock: Clock) -> None:
        self._store = store
        self._account = holder
        self._host = host
        self._clock = clock
        self._me = f"{socket.gethostname()}/{os.getpid()}/{id(self):x}"
        self._not_before: dict[str, float] = {}
        self._circuit_read_at = 0.0
        self._failures = 0

    @asynccontextmanager
    async def passing(self, budget: Budget | None, deadline: float) -> AsyncIterator[None]:
        """Wait for the turn of one call, and hold its place while it is made.

        Raises:
            RetryLater: the turn would come after the deadline.
        """
        await self._wait_for_circuit(deadline)
        while (pause := self._not_before.get(_name(budget), 0.0) - self._clock.now()) > 0:
            await self._wait(pause, deadline, "the vendor asked to wait")
        if isinstance(budget, Rate):
            limit = max(1, int(budget.limit))
            # Less than one call in a window is one in a longer window.
            seconds = max(budget.seconds, budget.seconds / budget.limit)
            seconds += max(JITTER_SECONDS, JITTER_SHARE * seconds)
            booked_at = self._clock.now()
            number, wait = self._store.reserve(self._key(budget), limit, seconds, budget.burst or 1, booked_at)
            await self._wait(wait, deadline, "the budget shared by all users of the account is used up")
            if (now := self._clock.now()) - booked_at - wait > LATE_SECONDS:
                self._store.went(self._key(budget), number, now)
            yield
        elif isinstance(budget, Connections):
            lease_id = await self._lease(budget, deadline)
            try:
                yield
            finally:
                self._store.release_lease(lease_id)
        else:
            yield

    def hold(self, budget: Budget | None, seconds: float) -> None:
        """The vendor asked for a pause: no other call of this session goes out before it is over."""
        until = self._clock.now() + seconds
        self._not_before[_name(budget)] = max(until, self._not_before.get(_name(budget), 0.0))

    def failed(self) -> None:
        """The host did not answer properly."""
        self._failures += 1
        self._circuit_read_at = 0.0
        self._store.circuit_failed(self._host, self._clock.now(), CIRCUIT_THRESHOLD, CIRCUIT_COOL_SECONDS)

    def answered(self) -> None:
        """The host is alive."""
        if self._failures:
            self._failures = 0
            self._store.circuit_succeeded(self._host)

    def _key(self, budget: Budget) -> str:
        return f"{self._account}/{budget.name}" if budget.name else self._account

    async def _wait(self, seconds: float, deadline: float, why: str) -> None:
        if seconds <= 0:
            return
        if self._clock.now() + seconds > deadline:
            raise RetryLater(f"{why}; the next call may go in {seconds:.0f} s", where=self._account, after=seconds)
        await self._clock.sleep(seconds)

    async def _wait_for_circuit(self, deadline: float) -> None:
        now = self._clock.now()
        if now - self._circuit_read_at < CIRCUIT_READ_SECONDS:
            return
        state = self._store.circuit(self._host)
        while state.state != "closed":
            self._failures += 1
            if self._store.circuit_probe(self._host, self._me, self._clock.now()):
                log.info("trying host=%s after its circuit was open", self._host)
                return
            # Whoever probes needs a moment; a little chance keeps all others from asking at once.
            wait = max((state.retry_at or 0.0) - self._clock.now(), 1.0) + random.uniform(0, 1)
            await self._wait(wait, deadline, f"{self._host} has been failing, so nobody calls it")
            state = self._store.circuit(self._host)
        self._circuit_read_at = self._clock.now()

    async def _lease(self, budget: Connections, deadline: float) -> str:
        while True:
            now = self._clock.now()
            found = self._store.acquire_lease(self._key(budget), budget.limit, self._me, LEASE_SECONDS, now)
            if found is not None:
                return found
            await self._wait(random.uniform(0.1, 0.5), deadline, f"all {budget.limit} connections are in use")


def _name(budget: Budget | None) -> str:
    return budget.name if budget is not None else ""
