"""What Snowplow's trackers saw; without an id of a visitor an event belongs to nobody."""

from datetime import timedelta

from include.checks.suite import WARNING, not_in_future, not_null, row_condition, staged

SUITE = staged(
    "snowplow__events",
    key="event_id",
    max_age=timedelta(hours=26),
    types={
        "event_id": "STRING",
        "app_id": "STRING",
        "platform": "STRING",
        "anonymous_id": "STRING",
        "network_user_id": "STRING",
        "user_id": "STRING",
        "event": "STRING",
        "event_text": "STRING",
        "category": "STRING",
        "label": "STRING",
        "name": "STRING",
        "url": "STRING",
        "path": "STRING",
        "referrer": "STRING",
        "traffic_source": "STRING",
        "medium": "STRING",
        "campaign": "STRING",
        "term": "STRING",
        "content": "STRING",
        "click_id": "STRING",
        "click_network": "STRING",
        "ts": "TIMESTAMP",
        "received_at": "TIMESTAMP",
        "loaded_at": "TIMESTAMP",
    },
    expectations=[
        # Trackers without cookies are a choice, so that many such events are no fault.
        row_condition(
            "most have a visitor",
            "t.anonymous_id IS NULL AND t.user_id IS NULL AND t.network_user_id IS NULL",
            WARNING,
            0.5,
        ),
        not_null("ts"),
        not_null("event"),
        not_in_future("ts"),
    ],
)
