"""Sharing a vendor between processes: rate budgets, connection places and circuits."""

from __future__ import annotations

import uuid

from sqlalchemy import text

from include.state.database import Database
from include.state.records import CircuitState

PROBE_SECONDS = 60.0
"""A probe that was killed frees its place after this long."""


class Traffic(Database):
    """Who may call which vendor, and when; losing the last of it in a power cut does no harm."""

    def reserve(self, key: str, limit: int, per_seconds: float, burst: int, now: float) -> tuple[int, float]:
        """Book a call; returns its number and how many seconds to wait before making it.

        No window of `per_seconds` ever holds more than `limit` calls: a call goes no earlier than `per_seconds` after
        the one `limit` before it, so time lost is made up for as long as the window allows. Nor is it made up at
        once: `burst` calls may go together, and otherwise no faster than at twice the mean pace.

        Raises:
            ValueError: `limit`, `per_seconds` or `burst` cannot be honoured.
        """
        if limit < 1 or per_seconds <= 0 or burst < 1:
            raise ValueError(f"cannot reserve one of {limit} calls per {per_seconds} s with bursts of {burst}")
        burst = min(burst, limit)
        # How many calls before this one, and how long after it this one may go.
        distances = {limit: per_seconds}
        distances.setdefault(burst, burst * per_seconds / limit / 2)
        with self._write(durable=False) as connection:
            number = connection.execute(
                text(
                    "INSERT INTO budgets (name, calls) VALUES (:name, 1) ON CONFLICT (name) "
                    "DO UPDATE SET calls = budgets.calls + 1 RETURNING calls"
                ),
                {"name": key},
            ).scalar_one()
            earlier = connection.execute(
                text("SELECT number, goes_at FROM bookings WHERE name = :name AND number IN (:window, :burst)"),
                {"name": key, "window": number - limit, "burst": number - burst},
            )
            goes_at = max([now, *(at + distances[number - before] for before, at in earlier)])
            connection.execute(
                text("INSERT INTO bookings (name, number, goes_at) VALUES (:name, :number, :goes_at)"),
                {"name": key, "number": number, "goes_at": float(goes_at)},
            )
            connection.execute(
                text("DELETE FROM bookings WHERE name = :name AND number <= :spent"),
                {"name": key, "spent": number - limit},
            )
        return int(number), float(goes_at - now)

    def went(self, key: str, number: int, at: float) -> None:
        """Note that a booked call went later than it might have; those that count from it go later too."""
        with self._write(durable=False) as connection:
            connection.execute(
                text("UPDATE bookings SET goes_at = :at WHERE name = :name AND number = :number AND goes_at < :at"),
                {"name": key, "number": number, "at": float(at)},
            )

    def acquire_lease(self, key: str, limit: int, holder: str, ttl_seconds: float, now: float) -> str | None:
        """One of `limit` places under `key`, or None when all are taken; a dead holder's place frees after its ttl."""
        lease_id = uuid.uuid4().hex
        with self._write(durable=False) as connection:
            # The row under `key` is what two Postgres sessions queue on; SQLite's BEGIN IMMEDIATE already did.
            connection.execute(
                text("INSERT INTO leased (name) VALUES (:name) ON CONFLICT (name) DO UPDATE SET name = excluded.name"),
                {"name": key},
            )
            connection.execute(
                text("DELETE FROM leases WHERE name = :name AND expires_at <= :now"), {"name": key, "now": float(now)}
            )
            taken = connection.execute(
                text("SELECT COUNT(*) FROM leases WHERE name = :name"), {"name": key}
            ).scalar_one()
            if taken >= limit:
                return None
            connection.execute(
                text(
                    "INSERT INTO leases (lease_id, name, holder, expires_at) VALUES (:lease_id, :name, :holder, :until)"
                ),
                {"lease_id": lease_id, "name": key, "holder": holder, "until": now + ttl_seconds},
            )
        return lease_id

    def renew_lease(self, lease_id: str, ttl_seconds: float, now: float) -> bool:
        """Keep a place; False when it had expired, so the holder must stop and acquire again."""
        with self._write(durable=False) as connection:
            kept = connection.execute(
                text("UPDATE leases SET expires_at = :until WHERE lease_id = :lease_id AND expires_at > :now"),
                {"lease_id": lease_id, "until": now + ttl_seconds, "now": float(now)},
            )
            return kept.rowcount == 1

    def release_lease(self, lease_id: str) -> None:
        """Give a place back; giving back an expired one is fine."""
        with self._write(durable=False) as connection:
            connection.execute(text("DELETE FROM leases WHERE lease_id = :lease_id"), {"lease_id": lease_id})

    def circuit(self, host: str) -> CircuitState:
        """What is known of a host. While `open`, nobody calls it before `retry_at`; then ask `circuit_probe`."""
        rows = self._read(
            "SELECT state, failures, opened_at, retry_at FROM circuits WHERE host = :host", {"host": host}
        )
        return CircuitState(**rows[0]) if rows else CircuitState("closed", 0, None, None)

    def circuit_failed(self, host: str, now: float, threshold: int = 5, cool_seconds: float = 60) -> CircuitState:
        """Count a failure in a row; the `threshold`-th, or a failed probe, opens the circuit for `cool_seconds`."""
        with self._write(durable=False) as connection:
            row = connection.execute(
                text(
                    "INSERT INTO circuits (host, state, failures) VALUES (:host, 'closed', 1) ON CONFLICT (host) "
                    "DO UPDATE SET failures = circuits.failures + 1 RETURNING state, failures, opened_at, retry_at"
                ),
                {"host": host},
            ).mappings()
            seen = CircuitState(**row.one())
            if seen.state == "open" or (seen.state == "closed" and seen.failures < threshold):
                return seen
            opened = CircuitState("open", seen.failures, float(now), now + cool_seconds)
            connection.execute(
                text(
                    "UPDATE circuits SET state = 'open', opened_at = :opened_at, retry_at = :retry_at, "
                    "probe_holder = NULL, probe_until = NULL WHERE host = :host"
                ),
                {"host": host, "opened_at": opened.opened_at, "retry_at": opened.retry_at},
            )
            return opened

    def circuit_succeeded(self, host: str) -> None:
        """The host answered: close its circuit and forget its failures."""
        seen = self.circuit(host)
        if seen.state == "closed" and not seen.failures:
            return
        with self._write(durable=False) as connection:
            connection.execute(text("DELETE FROM circuits WHERE host = :host"), {"host": host})

    def circuit_probe(self, host: str, holder: str, now: float) -> bool:
        """May this caller call the host? Closed: yes. Open: only one caller at a time, from `retry_at` on."""
        if self.circuit(host).state == "closed":
            return True
        with self._write(durable=False) as connection:
            taken = connection.execute(
                text(
                    "UPDATE circuits SET state = 'half-open', probe_holder = :holder, probe_until = :until "
                    "WHERE host = :host AND "
                    "((state = 'open' AND retry_at <= :now) OR (state = 'half-open' AND probe_until <= :now))"
                ),
                {"host": host, "holder": holder, "until": now + PROBE_SECONDS, "now": float(now)},
            )
            return taken.rowcount == 1
