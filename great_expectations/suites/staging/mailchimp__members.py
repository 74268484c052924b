"""Mailchimp members: consent to e-mail is read from their status."""

from datetime import timedelta

from include.checks.suite import accepted_values, matches_email, not_in_future, not_null, references, staged

SUITE = staged(
    "mailchimp__members",
    key="mailchimp_member_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "mailchimp_member_id": "STRING",
        "mailchimp_list_id": "STRING",
        "email": "STRING",
        "status": "STRING",
        "first_name": "STRING",
        "last_name": "STRING",
        "phone": "STRING",
        "opted_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        not_null("mailchimp_list_id"),
        not_null("email"),
        matches_email("email"),
        not_null("status"),
        accepted_values("status", "subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived"),
        not_null("updated_at"),
        not_in_future("updated_at"),
        references("mailchimp_list_id", "staging.mailchimp__lists"),
    ],
)
