"""What became of mails; refusals are read from here, so one of an unknown kind would be mail to who said no."""

from include.checks.suite import accepted_values, matches_email, not_in_future, row_condition, staged

SUITE = staged(
    "collector__email_events",
    key="event_id",
    max_age=None,
    types={
        "event_id": "STRING",
        "source": "STRING",
        "kind": "STRING",
        "email": "STRING",
        "email_sha256": "STRING",
        "list_id": "STRING",
        "message_id": "STRING",
        "campaign": "STRING",
        "url": "STRING",
        "is_machine": "BOOL",
        "ts": "TIMESTAMP",
    },
    expectations=[
        row_condition("says who it went to", "t.email IS NULL AND t.source != 'email'"),
        matches_email("email"),
        accepted_values(
            "kind", "delivered", "opened", "clicked", "bounced", "reported_spam", "unsubscribed", "subscribed"
        ),
        not_in_future("ts"),
    ],
)
