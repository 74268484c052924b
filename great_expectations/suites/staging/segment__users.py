"""Signed-in users with their latest traits."""

from datetime import timedelta

from include.checks.suite import matches_email, staged

SUITE = staged(
    "segment__users",
    key="user_id",
    max_age=timedelta(hours=26),
    sources=("segment", "rudderstack"),
    types={
        "user_id": "STRING",
        "source": "STRING",
        "email": "STRING",
        "first_name": "STRING",
        "last_name": "STRING",
        "phone": "STRING",
        "received_at": "TIMESTAMP",
        "loaded_at": "TIMESTAMP",
    },
    expectations=[
        matches_email("email"),
    ],
)
