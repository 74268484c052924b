"""Salesforce events: meetings."""

from datetime import timedelta

from include.checks.suite import WARNING, not_in_future, not_null, row_condition, staged

SUITE = staged(
    "salesforce__events",
    key="salesforce_event_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "salesforce_event_id": "STRING",
        "salesforce_lead_id": "STRING",
        "salesforce_contact_id": "STRING",
        "salesforce_account_id": "STRING",
        "subject": "STRING",
        "event_type": "STRING",
        "starts_at": "TIMESTAMP",
        "ends_at": "TIMESTAMP",
        "is_all_day": "BOOL",
        "created_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        not_null("updated_at"),
        not_in_future("updated_at"),
        row_condition("it ends after it starts", "t.ends_at < t.starts_at", WARNING),
    ],
)
