"""Zendesk organizations."""

from datetime import timedelta

from include.checks.suite import WARNING, not_null, staged

SUITE = staged(
    "zendesk__organizations",
    key="zendesk_organization_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "zendesk_organization_id": "STRING",
        "name": "STRING",
        "created_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        not_null("name", WARNING),
        not_null("updated_at"),
    ],
)
