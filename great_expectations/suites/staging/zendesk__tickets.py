"""Zendesk tickets: support requests, with the user who asked."""

from datetime import timedelta

from include.checks.suite import WARNING, accepted_values, not_in_future, not_null, references, row_condition, staged

SUITE = staged(
    "zendesk__tickets",
    key="zendesk_ticket_id",
    max_age=timedelta(hours=26),
    types={
        "zendesk_ticket_id": "STRING",
        "zendesk_user_id": "STRING",
        "subject": "STRING",
        "status": "STRING",
        "priority": "STRING",
        "created_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        not_null("zendesk_user_id", mostly=0.95),
        not_null("status"),
        accepted_values("status", "new", "open", "pending", "hold", "solved", "closed", "deleted"),
        accepted_values("priority", "low", "normal", "high", "urgent", severity=WARNING),
        not_null("created_at"),
        not_null("updated_at"),
        not_in_future("created_at"),
        row_condition("updated after it was created", "t.updated_at < t.created_at", WARNING),
        references("zendesk_user_id", "staging.zendesk__users", mostly=0.95),
    ],
)
