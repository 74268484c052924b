"""Xero payments: money that came in or went out."""

from datetime import timedelta

from include.checks.suite import WARNING, not_in_future, not_null, references, row_condition, staged

SUITE = staged(
    "xero__payments",
    key="xero_payment_id",
    max_age=timedelta(hours=26),
    types={
        "xero_payment_id": "STRING",
        "xero_invoice_id": "STRING",
        "xero_contact_id": "STRING",
        "payment_type": "STRING",
        "status": "STRING",
        "amount": "NUMERIC",
        "currency": "STRING",
        "payment_date": "DATE",
        "is_reconciled": "BOOL",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        not_null("amount"),
        row_condition("amount is not negative", "t.amount < 0", WARNING),
        not_null("updated_at"),
        not_in_future("updated_at"),
        references("xero_invoice_id", "staging.xero__invoices", mostly=0.95),
    ],
)
