"""HubSpot companies."""

from datetime import timedelta

from include.checks.suite import not_in_future, not_null, staged

SUITE = staged(
    "hubspot__companies",
    key="hubspot_company_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "hubspot_company_id": "STRING",
        "name": "STRING",
        "domain": "STRING",
        "created_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        not_null("updated_at"),
        not_in_future("updated_at"),
    ],
)
