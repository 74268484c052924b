"""Mailchimp Marketing API 3.0: audiences, their members, archived ones included, and what members did with mails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import msgspec

from include.connect.auth import BasicAuth
from include.connect.connection import Connection
from include.connect.cursor import written
from include.connect.http import Session
from include.connect.pages import Listing, OffsetPages
from include.connect.records import Lifter
from include.connect.signatures import HmacSignature
from include.connect.source import Connections, Page, Scalar, Source, Stream, Sweep, Window
from include.connect.webhook import Webhook, form_fields

PAGES = OffsetPages(limit="count", offset="offset", size=1000, total="total_items")
READ_FOR = timedelta(days=60)
"""How long after it was sent a campaign is still asked about; hardly anybody opens an older one."""


class _Did(msgspec.Struct):
    activity: list[Any] = []


def data_center(connection: Connection) -> Mapping[str, str]:
    """The data center is in the extra, or the part of an API key behind the dash."""
    return {"data_center": str(connection.extra.get("data_center") or connection.password.rpartition("-")[2])}


def _did_something(record: bytes | msgspec.Raw) -> bool:
    try:
        return bool(msgspec.json.decode(record, type=_Did).activity)
    except msgspec.ValidationError:
        return True  # whatever it is, it is kept


async def read_activity(session: Session, window: Window) -> AsyncIterator[Page]:
    """What members did with each campaign, campaign by campaign in the order they were sent.

    Later runs ask for what was done since the last one; a report has no upper bound, and what comes twice has one
    key. The place to go on from is the campaign and the page of its report.
    """
    campaign, activity = Lifter(("id",)), Lifter(("campaign_id", "email_id"))

    def listing(path: str, records: str, key: Lifter, params: Mapping[str, Scalar]) -> Listing:
        return Listing(
            *(session, path, records, PAGES, lambda one: key.lift(one).key),
            params=params,
            label="email_activity",
            is_missing_empty=True,  # deleted meanwhile
        )

    since = window.since_at
    asked: dict[str, Scalar] = {"status": "sent", "sort_field": "send_time", "sort_dir": "ASC"}
    asked["fields"] = "campaigns.id,total_items"
    if since is not None:
        asked["since_send_time"] = written(since - READ_FOR)
    found: dict[str, None] = {}  # pages overlap
    async for body, _ in listing("/campaigns", "campaigns", campaign, asked).pages():
        found |= dict.fromkeys(str(campaign.lift(one).key) for one in body.records)
    sent = list(found)
    first, token = msgspec.json.decode(window.resume or "[null,null]", type=tuple[str | None, str | None])
    bound = {} if since is None else {"since": written(since)}
    left = [] if first == "" else sent[sent.index(first) if first in sent else 0 :]
    for number, after in zip(left, [*left[1:], ""], strict=True):
        path = f"/reports/{quote(number, safe='')}/email-activity"
        pages = listing(path, "emails", activity, bound).pages(token if number == first else None)
        async for body, following in pages:
            # A report lists everybody it was sent to, most of whom did nothing.
            records = [one for one in body.records if _did_something(one)]
            place = (number, following) if following else (after, None)
            yield Page(records, msgspec.json.encode(place).decode(), written(window.until), body.rejected)


SOURCE = Source(
    name="mailchimp",
    title="Mailchimp",
    base_url="https://{data_center}.api.mailchimp.com/3.0",
    fields=data_center,
    auth=BasicAuth(user="airflow", password="{password}"),
    pages=PAGES,
    budget=Connections(10),  # vendor limit: 10 simultaneous connections; no rate headers
    is_bare_403_throttling=True,
    docs_url="https://mailchimp.com/developer/marketing/api/",
    not_covered="Campaigns but for their ids, and what members do with them more than 60 days after.",
    webhook=Webhook(
        "mailchimp_events",
        HmacSignature("x-mailchimp-signature", signs="{timestamp}.{body}", timestamp="t", is_resigned=True),
        split=form_fields,
        timestamp="fired_at",
        answers_get=True,
        description="Members who subscribed, unsubscribed, were cleaned or changed",
    ),
    streams=(
        Stream(
            "lists",
            path="/lists",
            records="lists",
            deletes=Sweep({"fields": "lists.id,total_items"}),
            description="Audiences with their counts",
        ),
        Stream(
            "members",
            path="/lists/{parent.id}/members",
            records="members",
            parent="lists",
            key=("list_id", "id"),
            # Not by last_changed: an order that changes while it is read makes offsets skip members.
            params={"sort_field": "timestamp_signup", "sort_dir": "ASC"},
            # Archived members are listed only when asked for; without them an archived member would look subscribed.
            variants=({}, {"status": "archived"}),
            cursor="last_changed",
            since="since_last_changed",
            until="before_last_changed",
            lookback=timedelta(minutes=10),
            concurrency=2,
            deletes=Sweep({"fields": "members.id,members.list_id,total_items"}),
            description="Members of every audience, with consent status and merge fields",
        ),
        Stream(
            "email_activity",
            key=("campaign_id", "email_id"),
            read=read_activity,
            lookback=timedelta(hours=6),
            deletes="what was done is not undone",
            description="Opens, clicks and bounces of each member in each campaign",
        ),
    ),
)
