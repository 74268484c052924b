"""Intercom conversations: support requests, with the contact who asked."""

from datetime import timedelta

from include.checks.suite import WARNING, accepted_values, not_in_future, not_null, references, staged

SUITE = staged(
    "intercom__conversations",
    key="intercom_conversation_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "intercom_conversation_id": "STRING",
        "intercom_contact_id": "STRING",
        "subject": "STRING",
        "channel": "STRING",
        "status": "STRING",
        "rating": "INT64",
        "reopen_count": "INT64",
        "created_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        not_null("intercom_contact_id", severity=WARNING, mostly=0.95),
        not_null("status"),
        accepted_values("status", "open", "closed", "snoozed"),
        not_null("created_at"),
        not_null("updated_at"),
        not_in_future("created_at"),
        references("intercom_contact_id", "staging.intercom__contacts", mostly=0.95),
    ],
)
