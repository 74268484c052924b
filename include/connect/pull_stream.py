"""Pulling one stream of one run: its window, its pages, its parts, its manifest."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec
from isal import isal_zlib

from include.connect.cursor import Highest, written
from include.connect.errors import StitchlineError
from include.connect.http import CallRefused, Counters, Session
from include.connect.in_order import in_order
from include.connect.landing import Manifest, landed_records, latest_manifest
from include.connect.landing_writer import Checkpoint, LandingWriter, PartLimits
from include.connect.pages import Listing, OnePage, as_pages
from include.connect.records import LARGEST_RECORD, TOO_LARGE, Lifter
from include.connect.source import Page, Scalar, Stream, Sweep, Window
from include.connect.window import as_text, bounds, cursor_after, span_of
from include.run import Run

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]


class StreamPull:
    """One stream of one run, from its window to its manifest; memory does not grow with the stream."""

    def __init__(
        self,
        session: Session,
        stream: Stream,
        window: Window,
        latest: Manifest | None,
        parent: Manifest | None,
        root: str,
        run: Run,
        limits: PartLimits,
        on_progress: Progress | None = None,
        accept_deletions: bool = False,
    ) -> None:
        self._session = session
        self._stream = stream
        self._window = window
        self._latest = latest
        self._parent = parent
        self._root = root
        self._run = run
        self._on_progress = on_progress
        self._lifter = Lifter(stream.key, stream.cursor)
        self._writer = LandingWriter(root, session.source.name, window.account, stream.name, run, limits)
        self._shape = _shape(stream, window)
        self._counters = session.counters.copy()
        self._earlier = Counters()
        self._accept_deletions = accept_deletions
        # Children of what came after a sweep's parents were read are not to be missed.
        self._started_at = parent.started_at if parent is not None and window.kind == "sweep" else self._time()
        self._extracted_at = ""
        self._restart()

    def _restart(self) -> None:
        self._highest = Highest()
        self._cursor: str | None = None
        self._resume: str | None = None
        self._last_page: dict[str, int] = {}

    async def run(self, next_seq: Callable[[], int]) -> Manifest:
        """Pull and commit.

        Raises:
            StitchlineError: the pull could not finish; whole pages landed so far stay for the next attempt.
        """
        is_resumed = self._adopt()
        try:
            await self._land_pages()
        except CallRefused as error:
            if not is_resumed or self._window.resume != self._resume:
                raise
            # Vendors forget page tokens after a while; then the window is read from its beginning.
            log.warning("cannot go on where=%s status=%d, starting afresh", self._where, error.status)
            self._writer.forget_adopted()
            self._restart()
            self._window = replace(self._window, resume=None)
            await self._land_pages()
        if self._writer.has_unfinished:
            self._writer.finish_part()
        return self._commit(next_seq)

    @property
    def _where(self) -> str:
        return f"{self._session.where}/{self._stream.name}"

    def _time(self) -> datetime:
        return datetime.fromtimestamp(self._session.clock.now(), UTC)

    async def _land_pages(self) -> None:
        try:
            # Closed at once when landing fails: what reads ahead must not outlive the session.
            async with aclosing(self._pages()) as pages:
                async for page in pages:
                    if self._land(page):
                        self._writer.finish_part()
                        self._keep_checkpoint()
        except StitchlineError:
            self._save_what_came()
            raise

    def _save_what_came(self) -> None:
        """Before giving up, make the pages since the last part durable too."""
        if self._resume is None or not self._writer.has_unfinished:
            return
        try:
            self._writer.finish_part()
            self._keep_checkpoint()
        except StitchlineError as error:
            log.warning("could not keep the last pages where=%s: %s", self._where, error.what)

    async def _pages(self) -> AsyncGenerator[Page, None]:
        if self._stream.read is not None:
            async for page in self._stream.read(self._session, self._window):
                yield page
            return
        async with aclosing(self._listed_pages()) as pages:
            async for page in pages:
                yield page

    async def _listed_pages(self) -> AsyncGenerator[Page, None]:
        """Pages of every list of the stream: one, or one per parent and variant."""
        first, token = msgspec.json.decode(self._window.resume or "[0,null]", type=tuple[int, str | None])
        readers = self._readers(first, token)
        width = self._stream.concurrency if self._stream.parent else 1
        async with aclosing(in_order(readers, width)) as pages:
            async for number, page in pages:
                place = (first + number, page.resume) if page.resume else (first + number + 1, None)
                yield replace(page, resume=msgspec.json.encode(place).decode())

    def _readers(self, first: int, token: str | None) -> Iterator[Callable[[], AsyncIterator[Page]]]:
        for number, listing in enumerate(self._listings()):
            if number >= first:
                yield partial(as_pages, listing, token if number == first else None)

    def _listings(self) -> Iterator[Listing]:
        stream, session = self._stream, self._session
        for path in self._paths():
            for variant in stream.variants:
                yield Listing(
                    session,
                    path,
                    stream.records,
                    stream.pages or session.source.pages or OnePage(),
                    lambda record: self._lifter.lift(record).key,
                    method=stream.method,
                    params={**stream.params, **bounds(stream, self._window), **variant, **self._smaller()},
                    body=stream.body,
                    budget=stream.budget,
                    label=stream.name,
                    is_missing_empty=self._parent is not None,
                )

    def _smaller(self) -> Mapping[str, Scalar]:
        """Parameters for no more than keys, in a sweep that has some."""
        swept = self._stream.deletes
        return swept.params if self._window.kind == "sweep" and isinstance(swept, Sweep) else {}

    def _paths(self) -> Iterator[str]:
        path = path_of(self._session, self._stream)
        if self._parent is None:
            yield path
            return
        seen: set[int] = set()
        for record in landed_records(self._root, self._parent):
            filled = fill_path(path, msgspec.json.decode(record))
            if filled is not None and hash(filled) not in seen:
                seen.add(hash(filled))
                yield filled

    def _land(self, page: Page) -> bool:
        """Write a page; records that the page before already brought, unchanged, are left out."""
        now = self._time()
        # Later pages are newer, whatever the clock does: staging keeps the latest.
        self._extracted_at = max(written(now), _next_microsecond(self._extracted_at))
        rejected = list(page.rejected)
        payloads: dict[str, bytes] = {}
        for record in page.records:
            payload = bytes(record)
            key, cursor, reason = self._lifter.lift(payload)
            if key is None or len(payload) > LARGEST_RECORD:
                rejected.append((payload, reason or TOO_LARGE))
                continue
            payloads.pop(key, None)
            payloads[key] = payload
            self._highest.see(cursor)
        sums = {key: isal_zlib.crc32(payload) for key, payload in payloads.items()}
        lines = [
            self._writer.line(key, payload, self._extracted_at)
            for key, payload in payloads.items()
            if self._last_page.get(key) != sums[key]
        ]
        self._last_page = sums
        self._resume = page.resume
        self._cursor = page.cursor or self._cursor
        is_grown = self._writer.write(lines, rejected, self._extracted_at, now.timestamp())
        if self._on_progress is not None:
            self._on_progress(self._stream.name, self._writer.records, self._spent().requests)
        return is_grown

    def _spent(self) -> Counters:
        spent = self._session.counters.since(self._counters)
        return Counters(
            spent.requests + self._earlier.requests,
            spent.retries + self._earlier.retries,
            spent.throttled + self._earlier.throttled,
            round(spent.throttled_seconds + self._earlier.throttled_seconds, 3),
        )

    def _adopt(self) -> bool:
        """Go on from an earlier attempt of this run, with the window it had."""
        found = self._writer.adopt(self._shape)
        if found is None:
            return False
        self._window = replace(self._window, since=found.window.from_, kind=found.kind, resume=found.resume)
        self._highest = Highest(found.highest)
        self._cursor = found.cursor
        self._resume = found.resume
        self._last_page = found.last_page
        self._started_at = found.started_at
        self._earlier = Counters(found.requests, found.retries, found.throttled, found.throttled_seconds)
        return True

    def _keep_checkpoint(self) -> None:
        if self._resume is None:
            return
        spent = self._spent()
        self._writer.keep_checkpoint(
            Checkpoint(
                shape=self._shape,
                resume=self._resume,
                cursor=self._cursor,
                highest=self._highest.value,
                window=span_of(self._window),
                kind=self._window.kind,
                parts=self._writer.parts,
                rejected=self._writer.rejected,
                requests=spent.requests,
                retries=spent.retries,
                throttled=spent.throttled,
                throttled_seconds=spent.throttled_seconds,
                started_at=self._started_at,
                last_page=self._last_page,
            )
        )

    def _commit(self, next_seq: Callable[[], int]) -> Manifest:
        source, stream, window, spent = self._session.source, self._stream, self._window, self._spent()
        reached = latest_manifest(self._root, source.name, window.account, stream.name)
        seen = self._cursor or self._highest.value
        cursor_from, cursor_to = cursor_after(window, self._latest, reached, seen)
        manifest = self._writer.commit(
            Manifest(
                source=source.name,
                account=window.account,
                stream=stream.name,
                run_id=self._run.run_id,
                attempt=self._writer.attempt or self._run.attempt,
                kind=window.kind,
                seq=next_seq(),
                as_of=self._run.as_of,
                started_at=self._started_at,
                committed_at=self._time(),
                cursor_from=cursor_from,
                cursor_to=cursor_to,
                parts=self._writer.parts,
                rejected=self._writer.rejected,
                records=self._writer.records,
                requests=spent.requests,
                retries=spent.retries,
                throttled=spent.throttled,
                throttled_seconds=spent.throttled_seconds,
                quarantined=self._writer.quarantined,
                window=span_of(window),
                accept_deletions=self._accept_deletions,
            )
        )
        log.info(
            "pulled where=%s kind=%s run=%s records=%d quarantined=%d requests=%d retries=%d throttled_seconds=%.1f",
            self._where, manifest.kind, manifest.run_id, manifest.records, manifest.quarantined,
            manifest.requests, manifest.retries, manifest.throttled_seconds,
        )  # fmt: skip
        return manifest


def path_of(session: Session, stream: Stream) -> str:
    """The stream's path with the connection's fields filled in; the parent's are left to `fill_path`."""
    template = re.sub(r"\{(parent\.[\w.]+)\}", r"{{\1}}", stream.path or "")
    return session.connection.fill(template, session.source.fields)


def fill_path(path: str, parent: Any) -> str | None:
    """The path with its parent's fields filled in; None where the parent lacks one. A URL gives its last segment."""
    missing = False

    def value(match: re.Match[str]) -> str:
        nonlocal missing
        found = parent
        for name in match[1].split("."):
            found = found.get(name) if isinstance(found, dict) else None
        if not isinstance(found, str | int) or isinstance(found, bool) or found == "":
            missing = True
            return ""
        text = str(found)
        return quote(text.rstrip("/").rpartition("/")[2] if text.startswith(("http://", "https://")) else text, safe="")

    filled = re.sub(r"\{parent\.([\w.]+)\}", value, path)
    return None if missing else filled


def _shape(stream: Stream, window: Window) -> str:
    """What is asked, but for the window's lower bound: parts of an earlier attempt answer the same question."""
    read = getattr(stream.read, "__qualname__", "")
    return as_text(
        {
            "path": stream.path,
            "params": as_text(stream.params),
            "variants": [as_text(variant) for variant in stream.variants],
            "body": stream.body,
            "key": stream.key,
            "read": read,
            "backfill": window.kind == "backfill",
            "sweep": window.kind == "sweep",
            "since": window.since if window.kind == "backfill" else None,
            "end": window.end,
        }
    )


def _next_microsecond(stamp: str) -> str:
    if not stamp:
        return ""
    return written(datetime.fromtimestamp(datetime.fromisoformat(stamp).timestamp() + 2e-6, UTC))
