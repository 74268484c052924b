"""What PhantomBuster's agents saw people do."""

from datetime import timedelta

from include.checks.suite import WARNING, accepted_values, not_in_future, not_null, row_condition, staged

SUITE = staged(
    "phantombuster__rows",
    key="phantombuster_row_id",
    max_age=timedelta(hours=26),
    types={
        "phantombuster_row_id": "STRING",
        "agent_id": "STRING",
        "agent_name": "STRING",
        "container_id": "STRING",
        "kind": "STRING",
        "linkedin_url": "STRING",
        "twitter_handle": "STRING",
        "full_name": "STRING",
        "headline": "STRING",
        "post_url": "STRING",
        "comment_url": "STRING",
        "happened_at": "TIMESTAMP",
        "ended_at": "TIMESTAMP",
    },
    expectations=[
        not_null("happened_at"),
        not_in_future("happened_at"),
        accepted_values("kind", "liked", "commented", "seen"),
        # LinkedIn changes its pages, and agents then bring rows of nobody.
        row_condition("most rows name a profile", "t.linkedin_url IS NULL AND t.twitter_handle IS NULL", WARNING, 0.5),
    ],
)
