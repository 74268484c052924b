"""What the state store hands out: plain frozen records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CircuitName = Literal["closed", "open", "half-open"]


@dataclass(frozen=True, slots=True)
class CircuitState:
    """What is known of one host; `half-open` means that one caller is out trying it."""

    state: CircuitName
    failures: int
    opened_at: float | None
    retry_at: float | None


@dataclass(frozen=True, slots=True)
class Incident:
    """One cause of trouble, however many tasks met it."""

    incident_id: str
    cause: str
    title: str
    detail: str
    tier: str
    opened_at: float
    last_seen_at: float
    occurrences: int
    resolved_at: float | None
    alert_tried_at: float | None
    alerted_at: float | None
    alert_error: str | None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to which personal data, and when."""

    audit_id: int
    at: float
    who: str
    action: str
    what: str
