"""Jira issues: support requests, with who reported them."""

from datetime import timedelta

from include.checks.suite import WARNING, accepted_values, matches_email, not_in_future, not_null, references, staged

SUITE = staged(
    "jira__issues",
    key="jira_issue_id",
    max_age=timedelta(hours=26),
    types={
        "_deleted_at": "TIMESTAMP",
        "jira_issue_id": "STRING",
        "issue_key": "STRING",
        "project_key": "STRING",
        "issue_type": "STRING",
        "subject": "STRING",
        "jira_account_id": "STRING",
        "reporter_email": "STRING",
        "reporter_type": "STRING",
        "assignee_account_id": "STRING",
        "status": "STRING",
        "status_category": "STRING",
        "priority": "STRING",
        "created_at": "TIMESTAMP",
        "resolved_at": "TIMESTAMP",
        "updated_at": "TIMESTAMP",
    },
    expectations=[
        not_null("jira_account_id", severity=WARNING, mostly=0.9),
        not_null("status"),
        accepted_values("status_category", "new", "indeterminate", "done", "undefined"),
        matches_email("reporter_email"),
        not_null("created_at"),
        not_null("updated_at"),
        not_in_future("created_at"),
        references("jira_account_id", "staging.jira__users", mostly=0.9),
    ],
)
