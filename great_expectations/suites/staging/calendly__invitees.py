"""Who booked a Calendly meeting; an invitee without a meeting is of no use."""

from datetime import timedelta

from include.checks.suite import accepted_values, matches_email, not_in_future, not_null, references, staged

SUITE = staged(
    "calendly__invitees",
    key="calendly_invitee_id",
    max_age=timedelta(hours=26),
    types={
        "calendly_invitee_id": "STRING",
        "calendly_invitee_uri": "STRING",
        "calendly_event_uri": "STRING",
        "email": "STRING",
        "full_name": "STRING",
        "phone": "STRING",
        "utm_term": "STRING",
        "status": "STRING",
        "is_no_show": "BOOL",
        "created_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        not_null("calendly_event_uri"),
        matches_email("email"),
        accepted_values("status", "active", "canceled"),
        not_in_future("created_at"),
        references("calendly_event_uri", "staging.calendly__scheduled_events", mostly=0.95),
    ],
)
