"""SendGrid API v3: marketing contacts by export, and the addresses mail is no longer sent to."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from datetime import timedelta
from io import StringIO

import msgspec

from include.connect.auth import BearerAuth
from include.connect.cursor import instant
from include.connect.download import download
from include.connect.errors import RetryLater
from include.connect.http import Session
from include.connect.pages import OffsetPages
from include.connect.signatures import EcdsaSignature
from include.connect.source import Page, Rate, Source, Stream, Sweep, Window
from include.connect.webhook import Webhook, objects

FILE_MEGABYTES = 20
"""Exports come in files of at most this size, so that memory does not grow with the account."""
READY_SECONDS = 1800.0
POLL_SECONDS = 5.0
ROWS_A_PAGE = 1000


async def read_contacts(session: Session, window: Window) -> AsyncIterator[Page]:
    """Every contact by an export; of a later run only those changed since.

    Lists and searches show 50 contacts, so a whole export is the documented way and has no filter by time. A
    place to go on from is the export and the number of its next file.
    """
    export, _, number = (window.resume or "").partition("/")
    if not export:
        body = {"file_type": "csv", "max_file_size": FILE_MEGABYTES}
        export = str((await session.post_json("/marketing/contacts/exports", body, reads=True, label="contacts"))["id"])
    urls = await _ready(session, export)
    for place in range(int(number or 0), len(urls)):
        text = (await download(session, urls[place], "contacts")).decode("utf-8-sig")
        records: list[bytes] = []
        for row in csv.DictReader(StringIO(text)):
            at = instant(row.get("UPDATED_AT"))
            if at is not None and not (window.since_at or at) <= at <= (window.end or at):
                continue
            records.append(msgspec.json.encode({name.lower(): value for name, value in row.items() if name}))
            if len(records) == ROWS_A_PAGE:
                yield Page(records)
                records = []
        yield Page(records, resume=f"{export}/{place + 1}" if place + 1 < len(urls) else None)


async def _ready(session: Session, export: str) -> list[str]:
    """Addresses of an export's files, once it is ready."""
    until = session.clock.now() + READY_SECONDS
    while session.clock.now() < until:
        job = await session.get_json(f"/marketing/contacts/exports/{export}", label="contacts")
        if job["status"] == "ready":
            return [str(url) for url in job.get("urls") or ()]
        if job["status"] != "pending":
            break
        await session.clock.sleep(POLL_SECONDS)
    raise RetryLater(f"the export is {job['status']}", where=f"{session.where} contacts", after=READY_SECONDS)


def suppressions(name: str, description: str) -> Stream:
    """Addresses of one kind, by the time they were added. An address that is let off is not reported."""
    return Stream(
        name,
        path=f"/suppression/{name}",
        records="",
        key=("email",),
        pages=OffsetPages(limit="limit", offset="offset", size=500),
        cursor="created",
        since="start_time",
        until="end_time",
        times_as="seconds",
        lookback=timedelta(hours=1),
        deletes="an address that is let off is listed no more; its refusal stands here until it agrees anew",
        description=description,
    )


SOURCE = Source(
    name="sendgrid",
    title="SendGrid",
    base_url="https://api.sendgrid.com/v3",  # the host of accounts in the EU is https://api.eu.sendgrid.com
    auth=BearerAuth("{password}"),
    budget=Rate(200, seconds=60),
    docs_url="https://www.twilio.com/docs/sendgrid/api-reference",
    not_covered="Statistics of campaigns; what happened to each mail comes by the webhook.",
    webhook=Webhook(
        "sendgrid_events",
        EcdsaSignature(
            "x-twilio-email-event-webhook-signature",
            "x-twilio-email-event-webhook-timestamp",
            # It retries for 24 hours, and does not say whether with a new signature; an event keeps its id.
            tolerance=timedelta(hours=25),
        ),
        split=objects,
        event_id=("sg_event_id",),
        timestamp="timestamp",
        description="Deliveries, opens, clicks, bounces and unsubscribes, one per event",
    ),
    streams=(
        Stream(
            "contacts",
            read=read_contacts,
            key=("contact_id",),
            cursor="updated_at",
            lookback=timedelta(hours=1),
            deletes=Sweep(),
            description="Marketing contacts with their identifiers",
        ),
        suppressions("bounces", "Addresses that do not exist or refuse mail for good"),
        suppressions("blocks", "Addresses whose mail was refused for a passing reason"),
        suppressions("spam_reports", "Addresses whose owners called a mail spam"),
        suppressions("unsubscribes", "Addresses that want no mail at all"),
    ),
)
