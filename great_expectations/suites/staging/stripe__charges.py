"""Stripe charges: orders and revenue are computed from them."""

from datetime import timedelta

from include.checks.suite import accepted_values, not_in_future, not_null, references, row_condition, staged

SUITE = staged(
    "stripe__charges",
    key="stripe_charge_id",
    max_age=timedelta(hours=26),
    types={
        "stripe_charge_id": "STRING",
        "stripe_customer_id": "STRING",
        "amount_minor": "INT64",
        "currency": "STRING",
        "status": "STRING",
        "is_refunded": "BOOL",
        "is_paid": "BOOL",
        "created_at": "TIMESTAMP",
    },
    expectations=[
        not_null("amount_minor"),
        row_condition("amount is not negative", "t.amount_minor < 0"),
        not_null("currency"),
        row_condition(
            "currency is three letters",
            r"NOT REGEXP_CONTAINS(t.currency, r'^[A-Z][A-Z][A-Z]$')",
        ),
        not_null("status"),
        accepted_values("status", "succeeded", "pending", "failed"),
        not_null("created_at"),
        not_in_future("created_at"),
        references("stripe_customer_id", "staging.stripe__customers", mostly=0.95),
    ],
)
