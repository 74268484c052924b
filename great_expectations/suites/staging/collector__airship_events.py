"""What apps and pushes did; without a channel an event belongs to nobody."""

from include.checks.suite import WARNING, not_in_future, not_null, staged

SUITE = staged(
    "collector__airship_events",
    key="event_id",
    max_age=None,
    types={
        "event_id": "STRING",
        "airship_channel_id": "STRING",
        "user_id": "STRING",
        "kind": "STRING",
        "name": "STRING",
        "push_id": "STRING",
        "ts": "TIMESTAMP",
    },
    expectations=[
        not_null("airship_channel_id", WARNING),
        not_null("kind"),
        not_in_future("ts"),
    ],
)
