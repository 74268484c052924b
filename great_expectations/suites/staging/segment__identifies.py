"""Moments a visitor said who they are."""

from datetime import timedelta

from include.checks.suite import matches_email, not_in_future, not_null, row_condition, staged

SUITE = staged(
    "segment__identifies",
    key="event_id",
    max_age=timedelta(hours=26),
    sources=("segment", "rudderstack"),
    types={
        "event_id": "STRING",
        "source": "STRING",
        "anonymous_id": "STRING",
        "user_id": "STRING",
        "email": "STRING",
        "first_name": "STRING",
        "last_name": "STRING",
        "phone": "STRING",
        "url": "STRING",
        "ts": "TIMESTAMP",
        "received_at": "TIMESTAMP",
        "loaded_at": "TIMESTAMP",
    },
    expectations=[
        row_condition("has a visitor", "t.anonymous_id IS NULL AND t.user_id IS NULL"),
        not_null("ts"),
        not_in_future("ts"),
        matches_email("email"),
    ],
)
