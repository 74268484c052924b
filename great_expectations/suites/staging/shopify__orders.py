"""Shopify orders: revenue is computed from them."""

from datetime import timedelta

from include.checks.suite import (
    accepted_values,
    matches_email,
    not_in_future,
    not_null,
    references,
    row_condition,
    staged,
)

SUITE = staged(
    "shopify__orders",
    key="shopify_order_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "shopify_order_id": "STRING",
        "shopify_customer_id": "STRING",
        "order_name": "STRING",
        "email": "STRING",
        "phone": "STRING",
        "anonymous_id": "STRING",
        "financial_status": "STRING",
        "fulfillment_status": "STRING",
        "amount": "NUMERIC",
        "amount_refunded": "NUMERIC",
        "currency": "STRING",
        "item_count": "INT64",
        "is_test": "BOOL",
        "ordered_at": "TIMESTAMP",
        "canceled_at": "TIMESTAMP",
        "created_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        not_null("amount"),
        row_condition("amounts are not negative", "t.amount < 0 OR t.amount_refunded < 0"),
        row_condition("currency is three letters", r"NOT REGEXP_CONTAINS(t.currency, r'^[A-Z][A-Z][A-Z]$')"),
        accepted_values(
            "financial_status",
            *("authorized", "expired", "paid", "partially_paid", "partially_refunded"),
            *("pending", "refunded", "voided"),
        ),
        matches_email("email"),
        not_null("ordered_at"),
        not_null("updated_at"),
        not_in_future("ordered_at"),
        references("shopify_customer_id", "staging.shopify__customers", mostly=0.9),
    ],
)
