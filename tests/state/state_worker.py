"""Jobs of one process in a crowd; `say` sends to the test, `stay` waits for it (or for SIGKILL)."""

from __future__ import annotations

import time
from multiprocessing.connection import Connection
from typing import Any

from include.settings import Settings
from include.state.store import Store


def run(job: str, settings: dict[str, Any], arguments: dict[str, Any], pipe: Connection) -> None:
    """Where a process of the crowd starts."""
    with Store.open(Settings(**settings)) as store:
        pipe.send(JOBS[job](store, pipe, **arguments))


def count(store: Store, pipe: Connection, counter: str, times: int) -> list[int]:
    """Take numbers."""
    return [store.next_value(counter) for _ in range(times)]


def count_aloud(store: Store, pipe: Connection, counter: str) -> None:
    """Take numbers, saying each, until killed."""
    while True:
        pipe.send(store.next_value(counter))


def book(
    store: Store, pipe: Connection, key: str, limit: int, per_seconds: float, burst: int, times: int
) -> list[float]:
    """Book calls back to back; returns the moments at which they were allowed."""
    moments = []
    for _ in range(times):
        now = time.time()
        moments.append(now + store.reserve(key, limit, per_seconds, burst, now)[1])
    return moments


def occupy(store: Store, pipe: Connection, key: str, limit: int, holder: str, times: int) -> list[tuple[float, float]]:
    """Take and give back a place; returns the stretches in which it was surely held."""
    held = []
    while len(held) < times:
        lease = store.acquire_lease(key, limit, holder, 60, time.time())
        if lease is not None:
            since = time.monotonic()
            store.circuit("something to do meanwhile")
            held.append((since, time.monotonic()))
            store.release_lease(lease)
    return held


def hold(store: Store, pipe: Connection, key: str, holder: str, ttl_seconds: float, now: float) -> None:
    """Take a place and stay."""
    pipe.send(store.acquire_lease(key, 1, holder, ttl_seconds, now))
    pipe.recv()


def hold_lock(store: Store, pipe: Connection, name: str, holder: str, ttl_seconds: float, now: float) -> None:
    """Take a lock and stay."""
    with store.lock(name, holder, ttl_seconds, now):
        pipe.send("held")
        pipe.recv()


def half_write(store: Store, pipe: Connection, counter: str) -> None:
    """Raise a counter and stay inside the transaction."""
    with store._write() as connection:
        connection.exec_driver_sql(f"UPDATE counters SET value = 1000 WHERE name = '{counter}'")
        pipe.send("inside")
        pipe.recv()


def report(store: Store, pipe: Connection, cause: str, times: int) -> list[bool]:
    """Meet the same trouble again and again."""
    return [store.open_incident(cause, "trouble", "", "tier_1", 1.0)[1] for _ in range(times)]


def claim(store: Store, pipe: Connection, incident_id: str, times: int) -> list[bool]:
    """Try to be the one who sends the message."""
    return [store.claim_alert(incident_id, 5.0) for _ in range(times)]


def probe(store: Store, pipe: Connection, host: str, now: float) -> bool:
    """Try to be the one who probes."""
    return store.circuit_probe(host, "worker", now)


def version(store: Store, pipe: Connection) -> int:
    """Only open the store."""
    return store.schema_version


JOBS = {job.__name__: job for job in (count, count_aloud, book, occupy, hold, hold_lock, half_write)}
JOBS |= {job.__name__: job for job in (report, claim, probe, version)}
