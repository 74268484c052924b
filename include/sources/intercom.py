"""Intercom API 2.14: contacts and conversations, by searches for what changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import msgspec

from include.connect.auth import BearerAuth
from include.connect.http import Session
from include.connect.pages import Listing, Step
from include.connect.records import Body, Lifter
from include.connect.source import Page, Rate, ReadFunction, Source, Stream, Sweep, Window

CHANGED = "updated_at"


class _Changed(msgspec.Struct):
    updated_at: int | None = None


@dataclass(frozen=True, slots=True)
class SearchPages:
    """Paging of a search: page size and place are one object of the body."""

    size: int = 150
    place: Literal["query", "body"] = "body"

    def ask(self, token: str | None) -> Mapping[str, Any]:
        """Size, and from the second page on the place."""
        return {"pagination": {"per_page": self.size, **({"starting_after": token} if token else {})}}

    def after(self, token: str | None, body: Body, key_of: Callable[[Any], str | None]) -> Step:
        """The place in the answer; the last page has none."""
        following = body.at("pages.next.starting_after")
        return Step(str(following) if following else None)


def search(name: str, records: str, days: int) -> ReadFunction:
    """Read what changed in the window, oldest change first: what changes meanwhile comes again at the end.

    Args:
        name: path and label.
        records: where the answer holds them.
        days: how much wider to ask. Contacts are searched by whole days, and "greater" leaves out the day itself.
    """
    key = Lifter(("id",))

    async def read(session: Session, window: Window) -> AsyncIterator[Page]:
        since = int(window.since_at.timestamp()) if window.since_at is not None else 0
        wider = int(timedelta(days=days).total_seconds()) + 1
        rules: list[Mapping[str, Any]] = [{"field": CHANGED, "operator": ">", "value": max(0, since - wider)}]
        if window.end is not None:
            rules.append({"field": CHANGED, "operator": "<", "value": int(window.end.timestamp()) + wider})
        listing = Listing(
            session,
            f"/{name}/search",
            records,
            SearchPages(),
            lambda record: key.lift(record).key,
            method="POST",
            body={
                "query": {"operator": "AND", "value": rules},
                "sort": {"field": CHANGED, "order": "ascending"},
            },
            label=name,
        )
        async for body, following in listing.pages(window.resume):
            changed = [record for record in body.records if _changed_at(record) >= since]
            yield Page(changed, following, rejected=body.rejected)

    return read


def _changed_at(record: Any) -> float:
    """When a record changed; one that does not say so is taken for new."""
    try:
        at = msgspec.json.decode(record, type=_Changed).updated_at
    except msgspec.ValidationError:
        return float("inf")
    return float("inf") if at is None else at


SOURCE = Source(
    name="intercom",
    title="Intercom",
    base_url="https://api.intercom.io",  # hosts elsewhere are https://api.eu.intercom.io and https://api.au.intercom.io
    auth=BearerAuth("{password}"),
    headers={"Intercom-Version": "2.14"},
    budget=Rate(1600, seconds=10),  # 10,000 a minute, granted in slices of ten seconds
    docs_url="https://developers.intercom.com/docs/references/rest-api/api.intercom.io",
    not_covered="Companies, tickets and help articles.",
    streams=(
        Stream(
            "contacts",
            read=search("contacts", "data", days=1),
            cursor=CHANGED,
            lookback=timedelta(minutes=10),
            deletes=Sweep(),
            description="Users and leads",
        ),
        Stream(
            "conversations",
            read=search("conversations", "conversations", days=0),
            cursor=CHANGED,
            lookback=timedelta(minutes=10),
            deletes=Sweep(),
            description="Conversations with their contact, state and rating; re-opened ones come again",
        ),
    ),
)
