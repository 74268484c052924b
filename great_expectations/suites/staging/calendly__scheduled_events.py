"""Calendly meetings."""

from datetime import timedelta

from include.checks.suite import WARNING, accepted_values, not_null, row_condition, staged

SUITE = staged(
    "calendly__scheduled_events",
    key="calendly_event_uri",
    max_age=timedelta(hours=26),
    types={
        "calendly_event_uri": "STRING",
        "name": "STRING",
        "status": "STRING",
        "starts_at": "TIMESTAMP",
        "ends_at": "TIMESTAMP",
        "created_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        not_null("starts_at"),
        accepted_values("status", "active", "canceled"),
        row_condition("ends after it starts", "t.ends_at < t.starts_at", WARNING),
    ],
)
