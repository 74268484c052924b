"""Calendly API v2: scheduled meetings and who booked them; `tracking.utm_term` carries the visitor's id."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

from include.connect.auth import BearerAuth
from include.connect.cursor import written
from include.connect.http import Session
from include.connect.pages import Listing, TokenPages, as_pages
from include.connect.records import Lifter
from include.connect.signatures import HmacSignature
from include.connect.source import Page, Rate, Source, Stream, Window
from include.connect.webhook import Webhook

PAGES = TokenPages(token="pagination.next_page_token", param="page_token", limit="count", size=100)


async def read_scheduled_events(session: Session, window: Window) -> AsyncIterator[Page]:
    """Meetings of the whole organization. There is no filter by change time, only by start time."""
    me = await session.get_json("/users/me", label="users/me")
    params = {"organization": str(me["resource"]["current_organization"]), "sort": "start_time:asc"}
    if window.since_at is not None:
        params["min_start_time"] = written(window.since_at)
    if window.end is not None:
        params["max_start_time"] = written(window.end)
    key = Lifter(("uri",))
    listing = Listing(
        session,
        "/scheduled_events",
        "collection",
        PAGES,
        lambda record: key.lift(record).key,
        params=params,
        label="scheduled_events",
    )
    async for page in as_pages(listing, window.resume):
        yield page


SOURCE = Source(
    name="calendly",
    title="Calendly",
    base_url="https://api.calendly.com",
    auth=BearerAuth("{password}"),
    pages=PAGES,
    budget=Rate(500, seconds=60),  # per user on paid plans; 50 on the free one: rate_limit in the extra
    docs_url="https://developer.calendly.com/api-docs",
    not_covered="Event types, routing forms and the organization's members.",
    webhook=Webhook(
        "calendly_events",
        HmacSignature("calendly-webhook-signature", signs="{timestamp}.{body}", timestamp="t", is_resigned=True),
        timestamp="created_at",
        description="Meetings booked, canceled and missed; kept raw, the pull brings the invitee",
    ),
    streams=(
        Stream(
            "scheduled_events",
            key=("uri",),
            read=read_scheduled_events,
            # Changes are found by reading again: meetings of the last 30 days and all to come.
            rescan=timedelta(days=30),
            deletes="canceled ones are marked",
            description="Meetings, canceled ones marked",
        ),
        Stream(
            "invitees",
            path="/scheduled_events/{parent.uri}/invitees",
            records="collection",
            parent="scheduled_events",
            key=("uri",),
            concurrency=8,
            deletes="canceled ones are marked",
            description="Who booked, their answers and tracking parameters",
        ),
    ),
)
