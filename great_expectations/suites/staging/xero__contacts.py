"""Xero contacts: who is invoiced, and who invoices."""

from datetime import timedelta

from include.checks.suite import matches_email, not_in_future, not_null, staged

SUITE = staged(
    "xero__contacts",
    key="xero_contact_id",
    max_age=timedelta(hours=26),
    types={
        "xero_contact_id": "STRING",
        "status": "STRING",
        "email": "STRING",
        "full_name": "STRING",
        "first_name": "STRING",
        "last_name": "STRING",
        "phone": "STRING",
        "contact_number": "STRING",
        "account_number": "STRING",
        "is_customer": "BOOL",
        "is_supplier": "BOOL",
        "merged_into_contact_id": "STRING",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        matches_email("email"),
        not_null("updated_at"),
        not_in_future("updated_at"),
    ],
)
