"""Airship channels: what can be written to, and who is signed in there."""

from datetime import timedelta

from include.checks.suite import WARNING, accepted_values, not_in_future, not_null, references, staged

SUITE = staged(
    "airship__channels",
    key="airship_channel_id",
    max_age=timedelta(hours=26),
    types={
        "airship_channel_id": "STRING",
        "user_id": "STRING",
        "channel_type": "STRING",
        "is_installed": "BOOL",
        "has_opted_in": "BOOL",
        "created_at": "TIMESTAMP",
        "registered_at": "TIMESTAMP",
    },
    expectations=[
        not_null("channel_type"),
        accepted_values("channel_type", "ios", "android", "amazon", "web", "email", "sms", "open", severity=WARNING),
        not_in_future("registered_at"),
        references("user_id", "staging.airship__named_users", mostly=0.95),
    ],
)
