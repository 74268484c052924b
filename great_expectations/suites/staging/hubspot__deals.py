"""HubSpot deals: what is being sold, to whom."""

from datetime import timedelta

from include.checks.suite import WARNING, not_in_future, not_null, references, row_condition, staged

SUITE = staged(
    "hubspot__deals",
    key="hubspot_deal_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "hubspot_deal_id": "STRING",
        "name": "STRING",
        "amount": "NUMERIC",
        "stage": "STRING",
        "hubspot_contact_id": "STRING",
        "created_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        not_null("updated_at"),
        not_in_future("updated_at"),
        row_condition("amount is not negative", "t.amount < 0", WARNING),
        references("hubspot_contact_id", "staging.hubspot__contacts", mostly=0.95),
    ],
)
