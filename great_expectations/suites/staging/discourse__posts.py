"""Forum posts, with who wrote them."""

from datetime import timedelta

from include.checks.suite import not_in_future, not_null, references, staged

SUITE = staged(
    "discourse__posts",
    key="discourse_post_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "discourse_post_id": "STRING",
        "discourse_topic_id": "STRING",
        "discourse_user_id": "STRING",
        "topic_title": "STRING",
        "post_number": "INT64",
        "created_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        not_null("discourse_user_id"),
        not_null("created_at"),
        not_in_future("created_at"),
        references("discourse_user_id", "staging.discourse__users", mostly=0.8),
    ],
)
