"""Incidents: one per cause of trouble, with who was told of it."""

from __future__ import annotations

import uuid

from sqlalchemy import text

from include.state.database import Database
from include.state.records import Incident


class Incidents(Database):
    """At most one open incident per cause, kept by a unique index."""

    def open_incident(
        self, cause: str, title: str, detail: str, tier: str, now: float, task: str | None = None
    ) -> tuple[Incident, bool]:
        """Note trouble; the first of its cause opens an incident (True), the others are counted in it.

        Args:
            cause: what makes two failures the same trouble.
            title: what happened, short.
            detail: what happened and what to do.
            tier: how much depends on it.
            now: epoch seconds.
            task: who met it; the incident is over once each of them has succeeded (`recovered`).
        """
        with self._write() as connection:
            row = connection.execute(
                text(
                    "INSERT INTO incidents "
                    "(incident_id, cause, title, detail, tier, opened_at, last_seen_at, occurrences) "
                    "VALUES (:incident_id, :cause, :title, :detail, :tier, :now, :now, 1) "
                    "ON CONFLICT (cause) WHERE resolved_at IS NULL DO UPDATE SET "
                    "occurrences = incidents.occurrences + 1, last_seen_at = excluded.last_seen_at RETURNING *"
                ),
                {
                    "incident_id": uuid.uuid4().hex,
                    "cause": cause,
                    "title": title,
                    "detail": detail,
                    "tier": tier,
                    "now": float(now),
                },
            ).mappings()
            incident = Incident(**row.one())
            if task is not None:
                connection.execute(
                    text(
                        "INSERT INTO incident_tasks (incident_id, task) VALUES (:incident_id, :task) "
                        "ON CONFLICT (incident_id, task) DO NOTHING"
                    ),
                    {"incident_id": incident.incident_id, "task": task},
                )
        return incident, incident.occurrences == 1

    def has_incidents(self, task: str) -> bool:
        """Whether the task failed and has not succeeded since."""
        return bool(self._read("SELECT 1 FROM incident_tasks WHERE task = :task", {"task": task}))

    def recovered(self, task: str, now: float) -> list[Incident]:
        """A task succeeded: the incidents that it was the last to suffer from, now resolved by this call."""
        if not self.has_incidents(task):
            return []
        met = "SELECT incident_id FROM incident_tasks WHERE task = :task"
        with self._write() as connection:
            # Its incidents' rows first: two last sufferers that succeed together must not each see the other.
            connection.execute(
                text(f"UPDATE incidents SET last_seen_at = last_seen_at WHERE incident_id IN ({met})"), {"task": task}
            )
            ids = list(connection.execute(text(f"{met} ORDER BY incident_id"), {"task": task}).scalars())
            connection.execute(text("DELETE FROM incident_tasks WHERE task = :task"), {"task": task})
            closed = []
            for incident_id in ids:
                row = connection.execute(
                    text(
                        "UPDATE incidents SET resolved_at = :now WHERE incident_id = :incident_id "
                        "AND resolved_at IS NULL AND NOT EXISTS "
                        "(SELECT 1 FROM incident_tasks AS t WHERE t.incident_id = :incident_id) RETURNING *"
                    ),
                    {"incident_id": incident_id, "now": float(now)},
                ).mappings()
                closed += [Incident(**found) for found in row]
        return closed

    def resolve_incident(self, cause: str, now: float) -> Incident | None:
        """Close the open incident of a cause; only the caller that closed it gets it back."""
        with self._write() as connection:
            row = connection.execute(
                text(
                    "UPDATE incidents SET resolved_at = :now WHERE cause = :cause AND resolved_at IS NULL RETURNING *"
                ),
                {"cause": cause, "now": float(now)},
            ).mappings()
            closed = row.one_or_none()
        return Incident(**closed) if closed else None

    def incidents(self, open_only: bool = True) -> list[Incident]:
        """Incidents, newest first."""
        rows = self._read(
            f"SELECT * FROM incidents {'WHERE resolved_at IS NULL' if open_only else ''} ORDER BY opened_at DESC"
        )
        return [Incident(**row) for row in rows]

    def claim_alert(self, incident_id: str, now: float, again_after: float = 300) -> bool:
        """May this caller send the incident's message? One may; another only if sending failed that long ago."""
        with self._write() as connection:
            claimed = connection.execute(
                text(
                    "UPDATE incidents SET alert_tried_at = :now WHERE incident_id = :incident_id "
                    "AND alerted_at IS NULL AND (alert_tried_at IS NULL OR alert_tried_at <= :before)"
                ),
                {"incident_id": incident_id, "now": float(now), "before": now - again_after},
            )
            return claimed.rowcount == 1

    def record_alert(self, incident_id: str, now: float, error: str | None = None) -> None:
        """Note that the incident's message was delivered, or why it was not."""
        with self._write() as connection:
            connection.execute(
                text("UPDATE incidents SET alerted_at = :at, alert_error = :error WHERE incident_id = :incident_id"),
                {"incident_id": incident_id, "at": None if error else float(now), "error": error},
            )
