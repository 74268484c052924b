"""Actions on the website; without an id of a visitor they belong to nobody."""

from datetime import timedelta

from include.checks.suite import not_in_future, not_null, row_condition, staged

SUITE = staged(
    "segment__tracks",
    key="event_id",
    max_age=timedelta(hours=26),
    sources=("segment", "rudderstack"),
    types={
        "event_id": "STRING",
        "source": "STRING",
        "anonymous_id": "STRING",
        "user_id": "STRING",
        "event": "STRING",
        "event_text": "STRING",
        "url": "STRING",
        "ts": "TIMESTAMP",
        "received_at": "TIMESTAMP",
        "loaded_at": "TIMESTAMP",
    },
    expectations=[
        row_condition("has a visitor", "t.anonymous_id IS NULL AND t.user_id IS NULL"),
        not_null("event"),
        not_null("ts"),
        not_in_future("ts"),
    ],
)
