"""Jira Cloud REST API 3: issues by a search for what changed, and users."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

from include.connect.auth import BasicAuth
from include.connect.http import Session
from include.connect.pages import Listing, OffsetPages, TokenPages
from include.connect.records import Lifter
from include.connect.source import Page, Rate, Source, Stream, Sweep, Window

FIELDS = (
    *("summary", "status", "issuetype", "priority", "project", "reporter", "assignee", "creator", "labels"),
    *("resolution", "resolutiondate", "created", "updated", "duedate", "parent"),
)
"""The default is the id alone."""
EVERYTHING = '"1990-01-01"'
"""A search without any bound is refused; no issue is older."""


async def read_issues(session: Session, window: Window) -> AsyncIterator[Page]:
    """Issues that changed in the window, oldest change first: what changes meanwhile comes again at the end.

    Times go as epoch milliseconds: written out they would be minutes in the time zone of whoever owns the token.
    """
    since = str(int(window.since_at.timestamp() * 1000)) if window.since_at is not None else EVERYTHING
    until = f" AND updated < {int(window.end.timestamp() * 1000)}" if window.end is not None else ""
    key = Lifter(("id",))
    listing = Listing(
        session,
        "/search/jql",
        "issues",
        TokenPages(token="nextPageToken", param="nextPageToken", limit="maxResults", size=100, place="body"),
        lambda record: key.lift(record).key,
        method="POST",
        body={
            "jql": f"updated >= {since}{until} ORDER BY updated ASC",
            "fields": ("id",) if window.kind == "sweep" else FIELDS,
        },
        label="issues",
    )
    async for body, following in listing.pages(window.resume):
        yield Page(body.records, following, rejected=body.rejected)


SOURCE = Source(
    name="jira",
    title="Jira",
    base_url="https://{site}.atlassian.net/rest/api/3",
    auth=BasicAuth(user="{login}", password="{password}"),
    budget=Rate(10),  # the vendor publishes none for API tokens: it answers 429 and says how long to wait
    docs_url="https://developer.atlassian.com/cloud/jira/platform/rest/v3/",
    not_covered="Comments, worklogs and change histories.",
    streams=(
        Stream(
            "users",
            path="/users/search",
            records="",
            key=("accountId",),
            pages=OffsetPages(limit="maxResults", offset="startAt", size=1000),
            deletes="deleted ones stay listed, without name and address",
            description="People and apps, inactive ones too; addresses where their owners let them be seen",
        ),
        Stream(
            "issues",
            read=read_issues,
            cursor="fields.updated",
            lookback=timedelta(minutes=10),
            deletes=Sweep(),
            description="Issues with their reporter and state",
        ),
    ),
)
