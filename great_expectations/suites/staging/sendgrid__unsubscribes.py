"""Global unsubscribes: a no that must never be lost."""

from datetime import timedelta

from include.checks.suite import matches_email, not_in_future, not_null, staged

SUITE = staged(
    "sendgrid__unsubscribes",
    key="email",
    max_age=timedelta(hours=26),
    types={
        "email": "STRING",
        "created_at": "TIMESTAMP",
    },
    expectations=[
        matches_email("email"),
        not_null("created_at"),
        not_in_future("created_at"),
    ],
)
