"""Intercom contacts: users and leads, with what they say about mail."""

from datetime import timedelta

from include.checks.suite import accepted_values, matches_email, not_in_future, not_null, row_condition, staged

SUITE = staged(
    "intercom__contacts",
    key="intercom_contact_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "intercom_contact_id": "STRING",
        "email": "STRING",
        "full_name": "STRING",
        "phone": "STRING",
        "user_id": "STRING",
        "role": "STRING",
        "is_unsubscribed": "BOOL",
        "has_hard_bounced": "BOOL",
        "has_reported_spam": "BOOL",
        "created_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
        "last_seen_at": "TIMESTAMP",
    },
    expectations=[
        not_null("role"),
        accepted_values("role", "user", "lead"),
        matches_email("email"),
        row_condition("a user has an address or an id", "t.role = 'user' AND t.email IS NULL AND t.user_id IS NULL"),
        not_null("updated_at"),
        not_in_future("updated_at"),
    ],
)
