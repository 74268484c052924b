"""Salesforce contacts: who sales know at their accounts."""

from datetime import timedelta

from include.checks.suite import matches_email, not_in_future, not_null, references, staged

SUITE = staged(
    "salesforce__contacts",
    key="salesforce_contact_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "salesforce_contact_id": "STRING",
        "salesforce_account_id": "STRING",
        "email": "STRING",
        "first_name": "STRING",
        "last_name": "STRING",
        "phone": "STRING",
        "job_title": "STRING",
        "lead_source": "STRING",
        "has_opted_out_of_email": "BOOL",
        "is_not_to_be_called": "BOOL",
        "email_bounced_at": "TIMESTAMP",
        "merged_into_contact_id": "STRING",
        "created_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        matches_email("email"),
        not_null("created_at"),
        not_null("updated_at"),
        not_in_future("updated_at"),
        references("salesforce_account_id", "staging.salesforce__accounts", mostly=0.95),
    ],
)
