"""SendGrid contacts: a contact without an address, number or id of another system is of no use."""

from datetime import timedelta

from include.checks.suite import matches_email, not_in_future, not_null, row_condition, staged

SUITE = staged(
    "sendgrid__contacts",
    key="sendgrid_contact_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "sendgrid_contact_id": "STRING",
        "email": "STRING",
        "additional_emails": "STRING",
        "first_name": "STRING",
        "last_name": "STRING",
        "phone": "STRING",
        "user_id": "STRING",
        "anonymous_id": "STRING",
        "created_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        matches_email("email"),
        row_condition(
            "one identifier is set",
            "t.email IS NULL AND t.phone IS NULL AND t.user_id IS NULL AND t.anonymous_id IS NULL",
        ),
        not_null("updated_at"),
        not_in_future("updated_at"),
    ],
)
