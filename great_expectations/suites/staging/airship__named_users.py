"""Airship named users: the website's user ids."""

from datetime import timedelta

from include.checks.suite import WARNING, not_in_future, row_condition, staged

SUITE = staged(
    "airship__named_users",
    key="user_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "user_id": "STRING",
        "channel_count": "INT64",
        "created_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        row_condition("most named users can be reached", "t.channel_count = 0", WARNING, 0.5),
        not_in_future("updated_at"),
    ],
)
