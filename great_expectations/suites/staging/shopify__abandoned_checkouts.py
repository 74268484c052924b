"""Abandoned checkouts: people are reminded of them, so a completed one must show."""

from datetime import timedelta

from include.checks.suite import WARNING, not_in_future, not_null, references, row_condition, staged

SUITE = staged(
    "shopify__abandoned_checkouts",
    key="shopify_checkout_id",
    max_age=timedelta(hours=26),
    types={
        "shopify_checkout_id": "STRING",
        "shopify_customer_id": "STRING",
        "anonymous_id": "STRING",
        "amount": "NUMERIC",
        "currency": "STRING",
        "line_count": "INT64",
        "first_item_title": "STRING",
        "recovery_url": "STRING",
        "created_at": "TIMESTAMP",
        "completed_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        not_null("shopify_customer_id", severity=WARNING, mostly=0.9),
        row_condition("a checkout is not completed before it began", "t.completed_at < t.created_at"),
        not_null("created_at"),
        not_null("updated_at"),
        not_in_future("created_at"),
        references("shopify_customer_id", "staging.shopify__customers", mostly=0.9),
    ],
)
