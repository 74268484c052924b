"""Mailchimp audiences: few rows, so one bad one is a large share."""

from datetime import timedelta

from include.checks.suite import WARNING, not_null, row_condition, staged

SUITE = staged(
    "mailchimp__lists",
    key="mailchimp_list_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "mailchimp_list_id": "STRING",
        "name": "STRING",
        "member_count": "INT64",
        "created_at": "TIMESTAMP",
    },
    expectations=[
        not_null("name", WARNING),
        row_condition("member_count is not negative", "t.member_count < 0", WARNING),
    ],
)
