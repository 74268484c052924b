"""Salesforce accounts: companies."""

from datetime import timedelta

from include.checks.suite import not_in_future, not_null, staged

SUITE = staged(
    "salesforce__accounts",
    key="salesforce_account_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "salesforce_account_id": "STRING",
        "name": "STRING",
        "account_type": "STRING",
        "industry": "STRING",
        "website": "STRING",
        "employee_count": "INT64",
        "merged_into_account_id": "STRING",
        "created_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        not_null("updated_at"),
        not_in_future("updated_at"),
    ],
)
