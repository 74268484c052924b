"""CallRail calls: who phoned, when, and from which page."""

from datetime import timedelta

from include.checks.suite import WARNING, accepted_values, matches_email, not_in_future, not_null, row_condition, staged

SUITE = staged(
    "callrail__calls",
    key="callrail_call_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "callrail_call_id": "STRING",
        "phone": "STRING",
        "full_name": "STRING",
        "email": "STRING",
        "anonymous_id": "STRING",
        "direction": "STRING",
        "status": "STRING",
        "duration_seconds": "INT64",
        "source": "STRING",
        "medium": "STRING",
        "campaign": "STRING",
        "gclid": "STRING",
        "landing_page": "STRING",
        "lead_status": "STRING",
        "started_at": "TIMESTAMP",
    },
    expectations=[
        not_null("started_at"),
        not_in_future("started_at"),
        accepted_values("direction", "inbound", "outbound"),
        matches_email("email"),
        row_condition("most callers show their number", "t.phone IS NULL", WARNING, 0.8),
    ],
)
