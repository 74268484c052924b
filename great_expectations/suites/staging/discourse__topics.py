"""Forum topics, with who began them."""

from datetime import timedelta

from include.checks.suite import not_in_future, not_null, references, staged

SUITE = staged(
    "discourse__topics",
    key="discourse_topic_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "discourse_topic_id": "STRING",
        "title": "STRING",
        "discourse_user_id": "STRING",
        "post_count": "INT64",
        "view_count": "INT64",
        "is_closed": "BOOL",
        "is_pinned": "BOOL",
        "created_at": "TIMESTAMP",
        "last_active_at": "TIMESTAMP",
    },
    expectations=[
        not_null("title"),
        not_null("created_at"),
        not_in_future("created_at"),
        references("discourse_user_id", "staging.discourse__users", mostly=0.8),
    ],
)
