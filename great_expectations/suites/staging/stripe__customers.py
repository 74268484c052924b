"""Stripe customers; a deleted one keeps nothing but its id."""

from datetime import timedelta

from include.checks.suite import matches_email, not_in_future, row_condition, staged

SUITE = staged(
    "stripe__customers",
    key="stripe_customer_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "stripe_customer_id": "STRING",
        "email": "STRING",
        "full_name": "STRING",
        "phone": "STRING",
        "user_id": "STRING",
        "created_at": "TIMESTAMP",
    },
    expectations=[
        matches_email("email"),
        row_condition("created_at is set unless deleted", "t.created_at IS NULL AND NOT t.is_deleted"),
        not_in_future("created_at"),
    ],
)
