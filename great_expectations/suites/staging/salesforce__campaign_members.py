"""Salesforce campaign members: whom a campaign reached."""

from datetime import timedelta

from include.checks.suite import WARNING, not_in_future, not_null, row_condition, staged

SUITE = staged(
    "salesforce__campaign_members",
    key="salesforce_campaign_member_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "salesforce_campaign_member_id": "STRING",
        "salesforce_campaign_id": "STRING",
        "salesforce_lead_id": "STRING",
        "salesforce_contact_id": "STRING",
        "status": "STRING",
        "has_responded": "BOOL",
        "first_responded_date": "DATE",
        "created_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        not_null("salesforce_campaign_id"),
        row_condition(
            "a lead or a contact is set",
            "t.salesforce_lead_id IS NULL AND t.salesforce_contact_id IS NULL",
            WARNING,
        ),
        not_null("updated_at"),
        not_in_future("updated_at"),
    ],
)
