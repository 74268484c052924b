"""Forum members: who they are is known by their address."""

from datetime import timedelta

from include.checks.suite import matches_email, not_in_future, not_null, staged

SUITE = staged(
    "discourse__users",
    key="discourse_user_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "discourse_user_id": "STRING",
        "username": "STRING",
        "full_name": "STRING",
        "email": "STRING",
        "is_staff": "BOOL",
        "is_staged": "BOOL",
        "post_count": "INT64",
        "created_at": "TIMESTAMP",
        "last_seen_at": "TIMESTAMP",
    },
    expectations=[
        matches_email("email"),
        not_null("created_at"),
        not_in_future("created_at"),
    ],
)
