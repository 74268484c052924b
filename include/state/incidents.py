"""Incidents: one per cause of trouble, with who was told of it."""

from __future__ import annotations

import uuid

from sqlalchemy import text

from include.state.database import Database
from include.state.records import Incident


class Incidents(Database):
    """At most one open incident per cause, kept by a unique index."""

    def open_incident(self, cause: str, title: str, detail: str, tier: str, now: float) -> tuple[Incident, bool]:
        """Note trouble; the first of its cause opens an incident (True), the others are counted in it."""
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
        return incident, incident.occurrences == 1

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
