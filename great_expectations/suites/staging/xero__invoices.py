"""Xero invoices: what was sold and bought."""

from datetime import timedelta

from include.checks.suite import WARNING, accepted_values, not_in_future, not_null, references, staged

SUITE = staged(
    "xero__invoices",
    key="xero_invoice_id",
    max_age=timedelta(hours=26),
    types={
        "xero_invoice_id": "STRING",
        "xero_contact_id": "STRING",
        "invoice_number": "STRING",
        "reference": "STRING",
        "invoice_type": "STRING",
        "status": "STRING",
        "total": "NUMERIC",
        "total_tax": "NUMERIC",
        "amount_due": "NUMERIC",
        "amount_paid": "NUMERIC",
        "currency": "STRING",
        "issue_date": "DATE",
        "due_date": "DATE",
        "fully_paid_date": "DATE",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        not_null("status"),
        accepted_values("status", "DRAFT", "SUBMITTED", "AUTHORISED", "PAID", "VOIDED", "DELETED", severity=WARNING),
        not_null("total"),
        not_null("currency"),
        not_null("updated_at"),
        not_in_future("updated_at"),
        references("xero_contact_id", "staging.xero__contacts", mostly=0.95),
    ],
)
