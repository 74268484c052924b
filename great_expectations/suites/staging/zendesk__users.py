"""Zendesk users: end users, agents and admins."""

from datetime import timedelta

from include.checks.suite import accepted_values, matches_email, not_in_future, not_null, staged

SUITE = staged(
    "zendesk__users",
    key="zendesk_user_id",
    max_age=timedelta(hours=26),
    types={
        "zendesk_user_id": "STRING",
        "email": "STRING",
        "full_name": "STRING",
        "phone": "STRING",
        "user_id": "STRING",
        "role": "STRING",
        "created_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        matches_email("email"),
        accepted_values("role", "end-user", "agent", "admin"),
        not_null("updated_at"),
        not_in_future("updated_at"),
    ],
)
