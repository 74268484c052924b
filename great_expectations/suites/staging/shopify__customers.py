"""Shopify customers: whom the shop may write to, and what they spent."""

from datetime import timedelta

from include.checks.suite import accepted_values, matches_email, not_in_future, not_null, row_condition, staged

SUITE = staged(
    "shopify__customers",
    key="shopify_customer_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "shopify_customer_id": "STRING",
        "email": "STRING",
        "first_name": "STRING",
        "last_name": "STRING",
        "phone": "STRING",
        "user_id": "STRING",
        "email_consent": "STRING",
        "email_consent_at": "TIMESTAMP",
        "has_verified_email": "BOOL",
        "has_account": "BOOL",
        "order_count": "INT64",
        "amount_spent": "NUMERIC",
        "currency": "STRING",
        "created_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        matches_email("email"),
        accepted_values("email_consent", "subscribed", "not_subscribed", "unsubscribed", "pending", "invalid"),
        row_condition("a consent belongs to an address", "t.email IS NULL AND t.email_consent IS NOT NULL"),
        not_null("updated_at"),
        not_in_future("updated_at"),
    ],
)
