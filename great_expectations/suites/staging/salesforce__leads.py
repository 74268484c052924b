"""Salesforce leads: who may become a customer."""

from datetime import timedelta

from include.checks.suite import matches_email, not_in_future, not_null, references, staged

SUITE = staged(
    "salesforce__leads",
    key="salesforce_lead_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "salesforce_lead_id": "STRING",
        "email": "STRING",
        "first_name": "STRING",
        "last_name": "STRING",
        "phone": "STRING",
        "job_title": "STRING",
        "lead_source": "STRING",
        "has_opted_out_of_email": "BOOL",
        "is_not_to_be_called": "BOOL",
        "email_bounced_at": "TIMESTAMP",
        "company_name": "STRING",
        "status": "STRING",
        "is_converted": "BOOL",
        "converted_date": "DATE",
        "salesforce_contact_id": "STRING",
        "salesforce_account_id": "STRING",
        "salesforce_opportunity_id": "STRING",
        "merged_into_lead_id": "STRING",
        "created_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        matches_email("email"),
        not_null("created_at"),
        not_null("updated_at"),
        not_in_future("updated_at"),
        references("salesforce_contact_id", "staging.salesforce__contacts", mostly=0.9),
    ],
)
