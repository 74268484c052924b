"""Stripe API: customers and charges; first by listing them, then by the events that changed them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from include.connect.auth import BearerAuth
from include.connect.cursor import instant, written
from include.connect.http import Session
from include.connect.in_order import in_order
from include.connect.pages import LastIdPages, Listing
from include.connect.records import Lifter
from include.connect.signatures import HmacSignature
from include.connect.source import Page, Rate, ReadFunction, Scalar, Source, Stream, Sweep, Window
from include.connect.webhook import Webhook

EVENTS_KEPT = timedelta(days=29)
"""Stripe keeps events for 30 days; a day is left for the pull itself."""

READ_AT_ONCE = 8
PAGES = LastIdPages(param="starting_after", more="has_more", limit="limit", size=100)


class _Changed(Struct):
    object: Raw


class _Event(Struct):
    type: str
    created: Any
    data: _Changed


class _Object(Struct):
    id: str
    object: str


def changes(path: str, kind: str, types: tuple[str, ...]) -> ReadFunction:
    """Read all objects, or those that events of the window changed.

    Objects have no filter by change time. Events come newest first, so the first event of an object shows its
    latest state, and only that is landed. Where two events of an object share a second, which is the later one
    cannot be told: that object is read once more by itself.
    """
    key = Lifter(("id",))

    def listing(session: Session, path: str, params: Any) -> Listing:
        return Listing(session, path, "data", PAGES, lambda record: key.lift(record).key, params=params, label=kind)

    async def read(session: Session, window: Window) -> AsyncIterator[Page]:
        since = window.since_at
        if window.kind != "incremental" or since is None or window.until - since > EVENTS_KEPT:
            async for page in _list(session, window):
                yield page
            return
        seen: dict[str, object] = {}
        unclear: dict[str, None] = {}
        newest: str | None = None
        params: dict[str, Scalar] = {"created[gte]": int(since.timestamp())}
        params |= {f"types[{number}]": name for number, name in enumerate(types)}
        async for body, _ in listing(session, "/events", params).pages():
            records: list[bytes] = []
            rejected = list(body.rejected)
            for record in body.records:
                try:
                    event = msgspec.json.decode(record, type=_Event)
                    changed = msgspec.json.decode(event.data.object, type=_Object)
                except msgspec.ValidationError:
                    rejected.append((bytes(record), "is no event about an object"))
                    continue
                newest = newest or _moment(event.created)
                if changed.object != kind:
                    continue
                if changed.id in seen:
                    if seen[changed.id] == event.created:
                        unclear[changed.id] = None
                    continue
                seen[changed.id] = event.created
                is_deleted = event.type.endswith(".deleted")
                records.append(_tombstone(changed) if is_deleted else bytes(event.data.object))
            yield Page(records, cursor=newest, rejected=rejected)
        readers = [partial(_one, session, f"{path}/{quote(number, safe='')}") for number in unclear]
        async for _, record in in_order(readers, READ_AT_ONCE):
            yield Page([record])

    async def _one(session: Session, path: str) -> AsyncIterator[bytes]:
        compact = partial(msgspec.json.format, indent=-1)
        yield (await session.send("GET", path, label=kind, decode=compact)).value

    async def _list(session: Session, window: Window) -> AsyncIterator[Page]:
        cursor = None
        if window.resume is None:
            # Whatever changes while the list is read has a later event than this one.
            latest = await session.get_json("/events", params={"limit": 1}, label=kind)
            cursor = _moment(latest["data"][0]["created"]) if latest["data"] else None
        params: dict[str, int] = {}
        if window.since_at is not None and window.kind != "incremental":
            params["created[gte]"] = int(window.since_at.timestamp())
        if window.end is not None:
            params["created[lt]"] = int(window.end.timestamp())
        async for body, following in listing(session, path, params).pages(window.resume):
            yield Page(body.records, following, cursor, body.rejected)

    return read


def _moment(created: object) -> str | None:
    at = instant(created)
    return None if at is None else written(at)


def _tombstone(changed: _Object) -> bytes:
    """A deleted object in the form in which Stripe shows one."""
    return msgspec.json.encode({"id": changed.id, "object": changed.object, "deleted": True})


SOURCE = Source(
    name="stripe",
    title="Stripe",
    base_url="https://api.stripe.com/v1",
    auth=BearerAuth("{password}"),
    pages=PAGES,
    budget=Rate(25, seconds=1),  # a sandbox's; live accounts have 100: rate_limit in the extra
    docs_url="https://docs.stripe.com/api",
    not_covered="Subscriptions, invoices, disputes and refunds on their own; a charge says what of it was given back.",
    webhook=Webhook(
        "stripe_events",
        HmacSignature("stripe-signature", signs="{timestamp}.{body}", timestamp="t", is_resigned=True),
        event_id=("id",),
        timestamp="created",
        description="Events with the object as it was then; kept raw, the pull brings the object",
    ),
    streams=(
        Stream(
            "customers",
            read=changes("/customers", "customer", ("customer.created", "customer.updated", "customer.deleted")),
            lookback=timedelta(minutes=10),
            deletes=Sweep(),  # events tell for 30 days; a longer gap between pulls loses some
            description="Customers, deleted ones marked",
        ),
        Stream(
            "charges",
            read=changes(
                "/charges",
                "charge",
                tuple(
                    f"charge.{what}"
                    for what in ("succeeded", "failed", "pending", "captured", "expired", "updated", "refunded")
                ),
            ),
            lookback=timedelta(minutes=10),
            deletes="never deleted",
            description="Charges with their status and refunds",
        ),
    ),
)
