"""Zendesk Support API: tickets, users and organizations through the incremental exports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

from include.connect.auth import BasicAuth
from include.connect.cursor import instant
from include.connect.http import Session
from include.connect.pages import Listing, TokenPages
from include.connect.records import Lifter
from include.connect.source import Page, Rate, ReadFunction, Source, Stream, Sweep, Window

EXPORTS = Rate(10, seconds=60, burst=5, name="incremental_export")  # with the add-on 30


def export(entity: str) -> ReadFunction:
    """Read a cursor export; the vendor's own cursor, which the last page carries too, is the next run's start."""

    async def read(session: Session, window: Window) -> AsyncIterator[Page]:
        at = instant(window.since)
        key = Lifter(("id",))
        listing = Listing(
            session,
            f"/incremental/{entity}/cursor",
            entity,
            TokenPages(
                token="after_cursor",
                param="cursor",
                limit="per_page",
                size=1000,
                end="end_of_stream",
                first={"start_time": int(at.timestamp()) if at else 0},
            ),
            lambda record: key.lift(record).key,
            budget=EXPORTS,
            label=entity,
        )
        # A cursor that is no time is where the last run stopped: go on there.
        start = window.resume or (window.since if at is None else None)
        async for body, _ in listing.pages(start):
            reached = body.at("after_cursor")
            cursor = reached if isinstance(reached, str) else None
            yield Page(body.records, resume=cursor, cursor=cursor, rejected=body.rejected)

    return read


SOURCE = Source(
    name="zendesk",
    title="Zendesk",
    base_url="https://{subdomain}.zendesk.com/api/v2",
    auth=BasicAuth(user="{login}/token", password="{password}"),
    budget=Rate(200, seconds=60),  # the Team plan's; higher plans: rate_limit in the extra
    docs_url="https://developer.zendesk.com/api-reference/",
    not_covered="Comments, satisfaction ratings, chats and calls.",
    streams=(
        Stream(
            "tickets",
            read=export("tickets"),
            deletes="exported once more, marked",
            description="Tickets, deleted ones marked",
        ),
        Stream("users", read=export("users"), deletes="exported once more, marked", description="Agents and end users"),
        Stream(
            "organizations",
            path="/incremental/organizations",
            records="organizations",
            pages=TokenPages(
                token="end_time",
                param="start_time",
                limit="per_page",
                size=1000,
                end="end_of_stream",
                first={"start_time": 0},
            ),
            cursor="updated_at",
            since="start_time",
            times_as="seconds",
            lookback=timedelta(minutes=5),
            budget=EXPORTS,
            deletes=Sweep(),
            description="Companies that users belong to",
        ),
    ),
)
