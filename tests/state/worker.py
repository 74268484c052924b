"""One process of a crowd: `python worker.py JOB ARGUMENTS-AS-JSON`, prints its results as one JSON line."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from include.settings import read_settings
from include.state.store import Store


def count(store: Store, counter: str, times: int) -> list[int]:
    """Take numbers."""
    return [store.next_value(counter) for _ in range(times)]


def count_aloud(store: Store, counter: str) -> list[int]:
    """Take numbers, saying each, until killed."""
    while True:
        print(store.next_value(counter), flush=True)


def book(store: Store, key: str, rate: float, per_seconds: float, burst: int, times: int) -> list[float]:
    """Book calls back to back; returns the moments at which they were allowed."""
    moments = []
    for _ in range(times):
        now = time.time()
        moments.append(now + store.reserve(key, rate, per_seconds, burst, now))
    return moments


def occupy(store: Store, key: str, limit: int, holder: str, times: int) -> list[tuple[float, float]]:
    """Take and give back a place; returns the stretches in which it was surely held."""
    held = []
    while len(held) < times:
        lease = store.acquire_lease(key, limit, holder, 60, time.time())
        if lease is None:
            continue
        since = time.monotonic()
        held.append((since, time.monotonic()))
        store.release_lease(lease)
    return held


def hold(store: Store, key: str, holder: str, ttl_seconds: float, now: float) -> str | None:
    """Take a place and stay until killed."""
    print(store.acquire_lease(key, 1, holder, ttl_seconds, now), flush=True)
    sys.stdin.read()
    return None


def hold_lock(store: Store, name: str, holder: str, ttl_seconds: float, now: float) -> None:
    """Take a lock and stay until killed."""
    with store.lock(name, holder, ttl_seconds, now):
        print("held", flush=True)
        sys.stdin.read()


def half_write(store: Store, counter: str) -> None:
    """Raise a counter and stay inside the transaction until killed."""
    with store._write() as connection:
        connection.exec_driver_sql(f"UPDATE counters SET value = 1000 WHERE name = '{counter}'")
        print("inside", flush=True)
        sys.stdin.read()


def report(store: Store, cause: str, times: int) -> list[bool]:
    """Meet the same trouble again and again."""
    return [store.open_incident(cause, "trouble", "", "tier_1", 1.0)[1] for _ in range(times)]


def claim(store: Store, incident_id: str, times: int) -> list[bool]:
    """Try to be the one who sends the message."""
    return [store.claim_alert(incident_id, 5.0) for _ in range(times)]


def probe(store: Store, host: str, now: float) -> bool:
    """Try to be the one who probes."""
    return store.circuit_probe(host, "worker", now)


def version(store: Store) -> int:
    """Only open the store."""
    return store.schema_version


JOBS: dict[str, Callable[..., Any]] = {
    job.__name__: job
    for job in (count, count_aloud, book, occupy, hold, hold_lock, half_write, report, claim, probe, version)
}

if __name__ == "__main__":
    with Store.open(read_settings()) as opened:
        print(json.dumps(JOBS[sys.argv[1]](opened, **json.loads(sys.argv[2]))))
