"""Jira accounts: who they are is known by the account id, as many hide their address."""

from datetime import timedelta

from include.checks.suite import WARNING, accepted_values, matches_email, staged

SUITE = staged(
    "jira__users",
    key="jira_account_id",
    max_age=timedelta(hours=26),
    types={
        "jira_account_id": "STRING",
        "email": "STRING",
        "full_name": "STRING",
        "account_type": "STRING",
        "is_active": "BOOL",
    },
    expectations=[
        accepted_values("account_type", "atlassian", "customer", "app", "unknown", severity=WARNING),
        matches_email("email"),
    ],
)
