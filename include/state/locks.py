"""Named locks that free themselves when their holder dies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from include.connect.errors import RetryLater
from include.state.database import Database


class Locks(Database):
    """One holder per name, until it lets go or its time is up."""

    def acquire_lock(self, name: str, holder: str, ttl_seconds: float, now: float) -> bool:
        """Take the lock if it is free or expired; a holder does not get it twice."""
        with self._write() as connection:
            taken = connection.execute(
                text(
                    "INSERT INTO locks (name, holder, expires_at) VALUES (:name, :holder, :until) ON CONFLICT (name) "
                    "DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at "
                    "WHERE locks.expires_at <= :now RETURNING name"
                ),
                {"name": name, "holder": holder, "until": now + ttl_seconds, "now": float(now)},
            )
            return taken.first() is not None

    def renew_lock(self, name: str, holder: str, ttl_seconds: float, now: float) -> bool:
        """Keep the lock; False when it was lost, so the holder must stop."""
        with self._write() as connection:
            kept = connection.execute(
                text(
                    "UPDATE locks SET expires_at = :until WHERE name = :name AND holder = :holder AND expires_at > :now"
                ),
                {"name": name, "holder": holder, "until": now + ttl_seconds, "now": float(now)},
            )
            return kept.rowcount == 1

    def release_lock(self, name: str, holder: str) -> None:
        """Free the lock if this holder still has it."""
        with self._write() as connection:
            connection.execute(
                text("DELETE FROM locks WHERE name = :name AND holder = :holder"), {"name": name, "holder": holder}
            )

    @contextmanager
    def lock(self, name: str, holder: str, ttl_seconds: float, now: float) -> Iterator[None]:
        """Hold a lock for the block; work that may outlast `ttl_seconds` must call `renew_lock`.

        Raises:
            RetryLater: another holder has it; `after` says when its ttl ends.
        """
        if not self.acquire_lock(name, holder, ttl_seconds, now):
            rows = self._read("SELECT holder, expires_at FROM locks WHERE name = :name", {"name": name})
            who, until = (rows[0]["holder"], rows[0]["expires_at"]) if rows else ("another process", now)
            raise RetryLater(f"{who} is working on it", where=name, after=max(1.0, until - now))
        try:
            yield
        finally:
            self.release_lock(name, holder)
