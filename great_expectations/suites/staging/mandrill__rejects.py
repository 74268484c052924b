"""Mandrill's deny list; what is missing here is written to again."""

from datetime import timedelta

from include.checks.suite import WARNING, accepted_values, matches_email, not_in_future, not_null, staged

SUITE = staged(
    "mandrill__rejects",
    key="email",
    max_age=timedelta(hours=26),
    types={
        "email": "STRING",
        "reason": "STRING",
        "created_at": "TIMESTAMP",
        "last_event_at": "TIMESTAMP",
        "expires_at": "TIMESTAMP",
    },
    expectations=[
        matches_email("email"),
        accepted_values("reason", "hard-bounce", "soft-bounce", "spam", "unsub", "custom", severity=WARNING),
        not_null("created_at"),
        not_in_future("created_at"),
    ],
)
