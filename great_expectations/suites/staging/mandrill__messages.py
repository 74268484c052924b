"""Mandrill messages: what was sent to whom, and whether it was read."""

from datetime import timedelta

from include.checks.suite import WARNING, accepted_values, matches_email, not_in_future, not_null, row_condition, staged

SUITE = staged(
    "mandrill__messages",
    key="_key",
    max_age=timedelta(hours=26),
    types={
        "mandrill_message_id": "STRING",
        "email": "STRING",
        "sender": "STRING",
        "subject": "STRING",
        "template": "STRING",
        "first_tag": "STRING",
        "status": "STRING",
        "open_count": "INT64",
        "click_count": "INT64",
        "user_id": "STRING",
        "sent_at": "TIMESTAMP",
    },
    expectations=[
        matches_email("email"),
        accepted_values(
            "status",
            *("sent", "bounced", "soft-bounced", "rejected", "spam", "unsub", "deferred", "queued", "scheduled"),
            severity=WARNING,
        ),
        row_condition("counts are not negative", "t.open_count < 0 OR t.click_count < 0"),
        not_null("sent_at"),
        not_in_future("sent_at"),
    ],
)
