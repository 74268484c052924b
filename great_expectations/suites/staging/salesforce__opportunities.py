"""Salesforce opportunities: what is being sold, to which company."""

from datetime import timedelta

from include.checks.suite import WARNING, not_in_future, not_null, references, row_condition, staged

SUITE = staged(
    "salesforce__opportunities",
    key="salesforce_opportunity_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "salesforce_opportunity_id": "STRING",
        "salesforce_account_id": "STRING",
        "salesforce_contact_id": "STRING",
        "salesforce_campaign_id": "STRING",
        "name": "STRING",
        "stage": "STRING",
        "opportunity_type": "STRING",
        "amount": "NUMERIC",
        "currency": "STRING",
        "close_date": "DATE",
        "is_closed": "BOOL",
        "is_won": "BOOL",
        "created_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        not_null("updated_at"),
        not_in_future("updated_at"),
        row_condition("amount is not negative", "t.amount < 0", WARNING),
        references("salesforce_account_id", "staging.salesforce__accounts", mostly=0.95),
    ],
)
