"""Trying a source out: is the connection there, are the credentials accepted, can each stream be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import msgspec

from include.connect.budget import Clock, WallClock
from include.connect.connection import Connection, read_connection
from include.connect.errors import FixCredentials, StitchlineError
from include.connect.http import Session
from include.connect.pages import Listing, OnePage, as_pages
from include.connect.pull_stream import fill_path, path_of
from include.connect.records import Lifter
from include.connect.source import Page, Source, Stream, Window
from include.settings import Settings
from include.state.store import Store

PATIENCE_SECONDS = 60.0


class Check(NamedTuple):
    """One thing that was tried."""

    check: str
    ok: bool
    detail: str


def check(
    source: Source,
    account: str,
    settings: Settings,
    *,
    connection: Connection | None = None,
    clock: Clock | None = None,
) -> list[Check]:
    """Try the connection and the first page of every stream; nothing is landed and nothing raised."""
    try:
        connection = connection or read_connection(source.name, account)
    except StitchlineError as error:
        return [Check("connection", False, str(error))]
    seen = Check("connection", True, f"{connection.id} found")
    if source.tables is not None:
        named = connection.base_url
        detail = f"tables of {named}" if named else f"connection {connection.id} has no host: name the dataset there"
        return [seen, Check("dataset", named is not None, detail)]
    with Store.open(settings) as store:
        return [seen, *asyncio.run(_try_streams(source, connection, store, clock or WallClock()))]


async def _try_streams(source: Source, connection: Connection, store: Store, clock: Clock) -> list[Check]:
    checks: list[Check] = []
    first: dict[str, Any] = {}
    try:
        session = Session(source, connection, store, clock=clock, total_seconds=PATIENCE_SECONDS)
    except StitchlineError as error:
        return [Check("credentials", False, str(error))]
    async with session:
        for stream in source.streams:
            if stream.parent is not None and stream.parent not in first:
                checks.append(Check(stream.name, True, f"not tried: there are no {stream.parent}"))
                continue
            try:
                page = await _first_page(session, stream, first.get(stream.parent or ""))
            except FixCredentials as error:
                if not any(found.check == "credentials" for found in checks):
                    return [Check("credentials", False, str(error))]
                checks.append(Check(stream.name, False, str(error)))
                continue
            except StitchlineError as error:
                checks.append(Check(stream.name, False, str(error)))
                continue
            if not any(found.check == "credentials" for found in checks):
                checks.insert(0, Check("credentials", True, "accepted"))
            checks.append(_judged(stream, page))
            if page is not None and page.records:
                first[stream.name] = msgspec.json.decode(page.records[0])
    return checks


def _judged(stream: Stream, page: Page | None) -> Check:
    if page is None:
        return Check(stream.name, True, "readable, and empty")
    lifter = Lifter(stream.key)
    bad = next((reason for reason in (lifter.lift(record).reason for record in page.records) if reason), "")
    return Check(stream.name, not bad, f"a record {bad}" if bad else f"{len(page.records)} records on the first page")


async def _first_page(session: Session, stream: Stream, parent: Any) -> Page | None:
    async for page in _pages(session, stream, parent):
        if page.records:
            return page
    return None


def _pages(session: Session, stream: Stream, parent: Any) -> AsyncIterator[Page]:
    if stream.read is not None:
        now = datetime.fromtimestamp(session.clock.now(), UTC)
        return stream.read(session, Window("full", None, now, session.connection.account))
    listing = partial(
        Listing,
        session,
        fill_path(path_of(session, stream), parent) or "",
        stream.records,
        stream.pages or session.source.pages or OnePage(),
        lambda record: Lifter(stream.key).lift(record).key,
    )
    return as_pages(listing(method=stream.method, params=stream.params, body=stream.body, label=stream.name))
