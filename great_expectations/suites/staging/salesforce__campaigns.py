"""Salesforce campaigns: what marketing did."""

from datetime import timedelta

from include.checks.suite import not_in_future, not_null, staged

SUITE = staged(
    "salesforce__campaigns",
    key="salesforce_campaign_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "salesforce_campaign_id": "STRING",
        "name": "STRING",
        "campaign_type": "STRING",
        "status": "STRING",
        "is_active": "BOOL",
        "start_date": "DATE",
        "end_date": "DATE",
        "created_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        not_null("updated_at"),
        not_in_future("updated_at"),
    ],
)
