"""HubSpot contacts: who sales and marketing know."""

from datetime import timedelta

from include.checks.suite import matches_email, not_in_future, not_null, staged

SUITE = staged(
    "hubspot__contacts",
    key="hubspot_contact_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "hubspot_contact_id": "STRING",
        "email": "STRING",
        "first_name": "STRING",
        "last_name": "STRING",
        "phone": "STRING",
        "lifecycle_stage": "STRING",
        "additional_emails": "STRING",
        "merged_contact_ids": "STRING",
        "created_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        matches_email("email"),
        not_null("created_at"),
        not_null("updated_at"),
        not_in_future("updated_at"),
    ],
)
