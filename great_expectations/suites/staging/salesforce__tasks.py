"""Salesforce tasks: what sales did."""

from datetime import timedelta

from include.checks.suite import not_in_future, not_null, staged

SUITE = staged(
    "salesforce__tasks",
    key="salesforce_task_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "salesforce_task_id": "STRING",
        "salesforce_lead_id": "STRING",
        "salesforce_contact_id": "STRING",
        "salesforce_account_id": "STRING",
        "subject": "STRING",
        "task_type": "STRING",
        "status": "STRING",
        "is_closed": "BOOL",
        "duration_seconds": "INT64",
        "due_date": "DATE",
        "completed_at": "TIMESTAMP",
        "created_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        not_null("updated_at"),
        not_in_future("updated_at"),
        not_in_future("completed_at"),
    ],
)
