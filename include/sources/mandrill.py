"""Mandrill (Mailchimp Transactional): messages by searching day by day, and the addresses mail is refused to."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, time, timedelta
from io import TextIOWrapper
from tempfile import TemporaryFile
from typing import Any
from urllib.parse import parse_qs
from zipfile import BadZipFile, ZipFile

import msgspec

from include.connect.cursor import instant
from include.connect.download import download
from include.connect.errors import RetryLater
from include.connect.http import Session
from include.connect.signatures import Delivery, HmacSignature
from include.connect.source import Page, Rate, Source, Stream, Window
from include.connect.webhook import Webhook, objects_in_form

KEPT_DAYS = 30
"""How far back a first run searches."""
MOST = 1000
"""A search shows no more, and has no second page."""
SEARCHES = Rate(20, seconds=60, name="search")
READY_SECONDS = 3600.0
POLL_SECONDS = 10.0
NO_SUBJECT = "(no subject)"
COLUMNS = frozenset(
    ("date", "email address", "sender", "subject", "status", "tags", "subaccount", "opens", "clicks", "bounce detail")
)
"""What an export of messages has for all accounts; what else it has is metadata."""
DAY = timedelta(days=1)

Row = dict[str, Any]


class _Refusal(msgspec.Struct):
    name: str = ""


def is_key_refused(body: bytes) -> bool:
    """Mandrill says so in the body, with a status of 500 or 401."""
    try:
        return msgspec.json.decode(body, type=_Refusal).name == "Invalid_Key"
    except msgspec.MsgspecError:
        return False


async def read_messages(session: Session, window: Window) -> AsyncIterator[Page]:
    """Messages, a day at a time; a day of more than a search shows is exported.

    An export has no ids, so a message is known by when it went from whom to whom, and its subject. A place to go on
    from is the next day.
    """
    until = window.end or window.until
    day = datetime.combine((window.since_at or until - KEPT_DAYS * DAY).astimezone(UTC), time(), UTC)
    day = instant(window.resume) or day
    most = min(int(session.connection.extra.get("page_size") or MOST), MOST)
    found: list[Row] = []
    while day < until:
        following = (day + DAY).isoformat()
        found = await _search(session, day, most, found)
        if len(found) < most:
            yield Page(_of_day(found, day), following)
        else:
            asked = {"date_from": _written(day), "date_to": _written(day + DAY)}
            messages: list[bytes] = []
            async for rows in _exported(session, "activity", asked, _message, "messages"):
                if messages:
                    yield Page(messages)
                messages = _of_day(rows, day)
            yield Page(messages, following)
        day += DAY


async def read_rejects(session: Session, window: Window) -> AsyncIterator[Page]:
    """The whole deny list by an export: a list shows a part of it, and neither has a filter by time."""
    async for rows in _exported(session, "rejects", {}, dict, "rejects"):
        yield Page([msgspec.json.encode(row) for row in rows])


async def _search(session: Session, day: datetime, most: int, before: list[Row]) -> list[Row]:
    """A day's messages, and some of the next one's.

    Args:
        session: of the account.
        day: its first moment.
        most: how many to ask for.
        before: the answer for the day before, which must not come again.
    """
    attempt = 0
    while True:
        # Whether the last day is included is written nowhere; what belongs to the next one is left to it.
        asked = {"query": "*", "date_from": f"{day:%Y-%m-%d}", "date_to": f"{day + DAY:%Y-%m-%d}", "limit": most}
        found: list[Row] = await _call(session, "messages/search", asked, "messages", budget=SEARCHES)
        if found != before or all(_at(row) >= day for row in found):
            return found
        attempt += 1
        await session.back_off(attempt, "the vendor sent the same page again", "messages")


def _of_day(rows: list[Row], day: datetime) -> list[bytes]:
    return [
        msgspec.json.encode({**row, "subject": row.get("subject") or NO_SUBJECT})
        for row in rows
        if day <= _at(row) < day + DAY
    ]


def _at(row: Row) -> datetime:
    return datetime.fromtimestamp(row["ts"], UTC)


async def _exported(
    session: Session, kind: str, asked: Mapping[str, Any], make: Callable[[Row], Row], label: str
) -> AsyncIterator[list[Row]]:
    """Rows of an export's one file, columns in lower case, `MOST` at a time."""
    job = (await _call(session, f"exports/{kind}", asked, label))["id"]
    url = await _ready(session, str(job), label)
    attempt = 0
    with TemporaryFile() as file:
        while True:
            await download(session, url, label, into=file)
            try:
                with ZipFile(file) as packed:
                    (name,) = packed.namelist()
                    if packed.testzip() is None:
                        break
            except (BadZipFile, ValueError):
                file.seek(0)
            attempt += 1
            await session.back_off(attempt, "an export's file is not whole", label)
        with ZipFile(file) as packed, packed.open(name) as member:
            rows: list[Row] = []
            for row in csv.DictReader(TextIOWrapper(member, "utf-8-sig", newline="")):
                rows.append(make({column.strip().lower(): value for column, value in row.items() if column}))
                if len(rows) == MOST:
                    yield rows
                    rows = []
            yield rows


async def _ready(session: Session, job: str, label: str) -> str:
    until = session.clock.now() + READY_SECONDS
    while session.clock.now() < until:
        state = await _call(session, "exports/info", {"id": job}, label)
        if state["state"] == "complete":
            return str(state["result_url"])
        if state["state"] not in ("waiting", "working"):
            break
        await session.clock.sleep(POLL_SECONDS)
    raise RetryLater(f"the export is {state['state']}", where=f"{session.where} {label}", after=600)


async def _call(session: Session, method: str, asked: Mapping[str, Any], label: str, **options: Any) -> Any:
    """Every call is a POST with the key in its body."""
    body = {**asked, "key": session.connection.fill("{password}")}
    answer = await session.send(
        "POST", f"/{method}.json", json=body, reads=True, label=label, decode=msgspec.json.decode, **options
    )
    return answer.value


def _message(row: Row) -> Row:
    """A row of an export as a search would show it, but for its id."""
    at = instant(row.get("date"))
    return {
        "ts": int(at.timestamp()) if at is not None else 0,
        "email": row.get("email address"),
        "sender": row.get("sender"),
        "subject": row.get("subject"),
        "state": (row.get("status") or "").lower(),
        "tags": [tag.strip() for tag in (row.get("tags") or "").split(",") if tag.strip()],
        "opens": _count(row.get("opens")),
        "clicks": _count(row.get("clicks")),
        "metadata": {name: value for name, value in row.items() if name not in COLUMNS and value},
    }


def _count(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


def _written(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


EVENTS_FIELD = "mandrill_events"
"""Field of the webhook's form."""


def is_probe(delivery: Delivery) -> bool:
    """The trial when a webhook is made: no events, signed with a key that is not ours yet."""
    return not delivery.body or parse_qs(delivery.body.decode("utf-8", "replace")).get(EVENTS_FIELD) == ["[]"]


SOURCE = Source(
    name="mandrill",
    title="Mandrill",
    base_url="https://mandrillapp.com/api/1.0",
    budget=Rate(10),  # searches have a limit of their own; the vendor publishes no other
    is_key_refused=is_key_refused,
    docs_url="https://mailchimp.com/developer/transactional/api/",
    not_covered="Bodies of messages, and those older than 30 days at the first run.",
    webhook=Webhook(
        "mandrill_events",
        HmacSignature("x-mandrill-signature", signs="{url}{form}", digest="sha1", encoding="base64"),
        split=objects_in_form(EVENTS_FIELD),
        # `_id` names the message, not the event: two opens of one message have the same.
        timestamp="ts",
        answers_get=True,
        is_probe=is_probe,
        description="Deliveries, opens, clicks, bounces and unsubscribes, one per event",
    ),
    streams=(
        Stream(
            "messages",
            read=read_messages,
            key=("ts", "email", "sender", "subject"),
            # Opens, clicks and bounces come later; nothing says which message changed.
            rescan=timedelta(days=7),
            deletes="what was sent stays sent; old ones only leave the search",
            description="Messages sent in the last 30 days, with what became of them",
        ),
        Stream(
            "rejects",
            read=read_rejects,
            key=("email",),
            deletes="an address that is let off is listed no more; its refusal stands here until it agrees anew",
            description="Addresses mail is refused to, and why; one that is let off is listed no more",
        ),
    ),
)
