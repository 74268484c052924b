"""What one run is: its id, its clock, and which attempt of it this is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Run:
    """One DAG run as every part of the program sees it; equal for every retry except `attempt`.

    `as_of` is the run's only clock: time-dependent SQL reads it as `@as_of`, and nothing reads the
    wall clock to decide what data means.
    """

    run_id: str
    as_of: datetime
    dag_id: str
    airflow_run_id: str
    attempt: int = 1

    @classmethod
    def of(cls, dag_id: str, airflow_run_id: str, as_of: datetime, attempt: int = 1) -> Run:
        """Build the run from what Airflow knows; `as_of` must carry a time zone.

        Raises:
            ValueError: `as_of` is naive, so its meaning would depend on the machine.
        """
        if as_of.tzinfo is None:
            raise ValueError(f"as_of {as_of.isoformat()} of {dag_id} has no time zone; pass an aware datetime")
        at = as_of.astimezone(UTC)
        digest = hashlib.sha256(f"{dag_id}\n{airflow_run_id}".encode()).hexdigest()[:8]
        return cls(f"{at:%Y%m%dT%H%M%SZ}-{digest}", at, dag_id, airflow_run_id, attempt)
