"""HubSpot CRM: contacts with their merged ids and extra addresses, companies, and deals with their contacts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal
from urllib.parse import quote

import msgspec
from msgspec import Raw

from include.connect.auth import BearerAuth
from include.connect.cursor import instant
from include.connect.http import Session
from include.connect.in_order import in_order
from include.connect.pages import Listing, Step, TokenPages, as_pages
from include.connect.records import Body, Lifter
from include.connect.signatures import HmacSignature
from include.connect.source import Page, Rate, Scalar, Source, Stream, Sweep, Window
from include.connect.webhook import Webhook, objects

SEARCHES = Rate(5, seconds=1, name="search")  # searches have a budget of their own, per account
PAGES = TokenPages(token="paging.next.after", param="after", limit="limit", size=100)
READ_AT_ONCE = 8
LISTED_FROM = 500
"""From this many changed records on, reading the whole list beats reading each with its associations."""


@dataclass(frozen=True, slots=True)
class SearchPages:
    """Search by id, each page starting after the last id seen: a search shows only its first 10,000 matches."""

    modified: str
    since_ms: int
    until_ms: int | None
    properties: tuple[str, ...]
    size: int = 200
    place: Literal["query", "body"] = "body"

    def ask(self, token: str | None) -> Mapping[str, Any]:
        """The search for the next ids."""
        filters = [
            {"propertyName": self.modified, "operator": "GTE", "value": str(self.since_ms)},
            {"propertyName": "hs_object_id", "operator": "GT", "value": token or "0"},
        ]
        if self.until_ms is not None:
            filters.append({"propertyName": self.modified, "operator": "LT", "value": str(self.until_ms)})
        return {
            "filterGroups": [{"filters": filters}],
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "properties": list(self.properties),
            "limit": self.size,
            "after": "0",
        }

    def after(self, token: str | None, body: Body, key_of: Callable[[Any], str | None]) -> Step:
        """The last id, while the search has more matches than the page shows."""
        last = next((key for key in map(key_of, reversed(body.records)) if key), None)
        total = body.at("total")
        is_last = isinstance(total, int) and total <= len(body.records) + len(body.rejected)
        return Step(None if is_last else last)


@dataclass(frozen=True, slots=True)
class Objects:
    """How one type of CRM object is read: listed at first, then searched by modification date; archived too."""

    kind: str
    modified: str
    properties: tuple[str, ...]
    associations: str = ""

    async def read(self, session: Session, window: Window) -> AsyncIterator[Page]:
        """All pages; `resume` says which list was being read, and the token there."""
        phase, _, token = (window.resume or "").partition(":")
        if not phase:
            phase = "search" if await self._is_searched(session, window) else "list"
        if phase != "archived":
            is_search = phase == "search"
            live = self._changed(session, window, token or None) if is_search else self._list(session, window, token)
            async for page in live:
                yield replace(page, resume=f"{phase}:{page.resume}" if page.resume else "archived:")
            token = ""
        since = instant(window.since)
        async for page in self._list(session, window, token, archived=True):
            fresh = [record for record in page.records if _is_archived_since(record, since)]
            yield replace(page, records=fresh, resume=f"archived:{page.resume}" if page.resume else None)

    async def _is_searched(self, session: Session, window: Window) -> bool:
        if window.since is None or not self.associations:
            return window.since is not None
        # Searches lack associations, so each record found is read by itself: the list is faster from some number on.
        async for body, _ in self._search(session, window).pages():
            return int(body.at("total") or 0) <= LISTED_FROM
        return True

    def _list(self, session: Session, window: Window, token: str, *, archived: bool = False) -> AsyncIterator[Page]:
        shown = {"properties": "hs_object_id"} if window.kind == "sweep" else self._shown()
        params = {**shown, "archived": archived}
        return as_pages(
            Listing(session, self._path, "results", PAGES, _key, params=params, label=self.kind), token or None
        )

    def _search(self, session: Session, window: Window) -> Listing:
        since = instant(window.since)
        pages = SearchPages(
            self.modified,
            int(since.timestamp() * 1000) if since else 0,
            int(window.end.timestamp() * 1000) if window.end else None,
            self.properties,
        )
        path = f"{self._path}/search"
        return Listing(session, path, "results", pages, _key, method="POST", budget=SEARCHES, label=self.kind)

    async def _changed(self, session: Session, window: Window, token: str | None) -> AsyncIterator[Page]:
        async for page in as_pages(self._search(session, window), token):
            if not self.associations:
                yield page
                continue
            ids = [key for key in map(_key, page.records) if key]
            readers = [partial(self._one, session, number) for number in ids]
            yield replace(page, records=[record async for _, record in in_order(readers, READ_AT_ONCE)])

    async def _one(self, session: Session, number: str) -> AsyncIterator[bytes]:
        compact = partial(msgspec.json.format, indent=-1)
        path = f"{self._path}/{quote(number, safe='')}"
        answer = await session.send("GET", path, params=self._shown(), accept=(404,), label=self.kind, decode=compact)
        if answer.status != 404:
            yield answer.value

    @property
    def _path(self) -> str:
        return f"/crm/v3/objects/{self.kind}"

    def _shown(self) -> dict[str, Scalar]:
        shown = {"properties": ",".join(self.properties)}
        return {**shown, "associations": self.associations} if self.associations else {**shown}

    def stream(self, description: str) -> Stream:
        """The stream of these objects; the search index lags behind by minutes."""
        return Stream(
            self.kind,
            read=self.read,
            cursor="updatedAt",
            lookback=timedelta(minutes=10),
            deletes=Sweep(),  # archived ones are listed for 90 days; those deleted for privacy, nowhere
            description=description,
        )


_lifter = Lifter(("id",), "archivedAt")


def _key(record: Raw | bytes) -> str | None:
    return _lifter.lift(record).key


def _is_archived_since(record: Raw | bytes, since: datetime | None) -> bool:
    at = instant(_lifter.lift(record).cursor)
    return since is None or at is None or at >= since


def is_daily_quota(headers: Mapping[str, str], body: bytes) -> bool:
    """A 429 for the day's calls, not for the last seconds'."""
    return headers.get("x-hubspot-ratelimit-daily-remaining") == "0" or b'"DAILY"' in body


SOURCE = Source(
    name="hubspot",
    title="HubSpot",
    base_url="https://api.hubapi.com",
    auth=BearerAuth("{password}"),
    budget=Rate(100, seconds=10),  # a free portal's; Pro and Enterprise have 190: rate_limit in the extra
    rejects_with=(401, 403, 530),
    is_bare_403_throttling=True,
    is_quota_used_up=is_daily_quota,
    docs_url="https://developers.hubspot.com/docs/api/crm/",
    not_covered="Custom objects, tickets, engagements (calls, mails, notes) and events of marketing mail.",
    webhook=Webhook(
        "hubspot_events",
        HmacSignature(
            "x-hubspot-signature-v3",
            signs="{method}{url}{body}{timestamp}",
            encoding="base64",
            timestamp="x-hubspot-request-timestamp",
            milliseconds=True,
            is_resigned=True,
        ),
        split=objects,
        event_id=("eventId", "subscriptionId", "occurredAt"),  # HubSpot does not promise that eventId alone is unique
        timestamp="occurredAt",
        description="Which records were created, changed, merged and deleted; kept raw, the pull brings them",
    ),
    streams=(
        Objects(
            "contacts",
            "lastmodifieddate",
            (
                *("email", "firstname", "lastname", "phone", "company", "lifecyclestage", "hs_email_optout"),
                *("hs_additional_emails", "hs_merged_object_ids", "hs_calculated_merged_vids"),
                *("createdate", "lastmodifieddate"),
            ),
        ).stream("Contacts, with former ids and extra addresses of merged ones"),
        Objects(
            "companies", "hs_lastmodifieddate", ("name", "domain", "website", "createdate", "hs_lastmodifieddate")
        ).stream("Companies"),
        Objects(
            "deals",
            "hs_lastmodifieddate",
            ("dealname", "amount", "dealstage", "pipeline", "closedate", "createdate", "hs_lastmodifieddate"),
            associations="contacts",
        ).stream("Deals with the contacts they belong to"),
    ),
)
