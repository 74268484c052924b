from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from include.connect.auth import BearerAuth
from include.connect.cursor import written
from include.connect.errors import FixCredentials, RetryLater
from include.connect.files import Files
from include.connect.http import CallRefused, Session
from include.connect.landing import latest_manifest, read_manifest
from include.connect.landing_writer import PartLimits
from include.connect.pages import OffsetPages, TokenPages
from include.connect.records import LARGEST_RECORD, TOO_LARGE
from include.connect.source import Page, Source, Stream, WarehouseTables, Window
from tests.connect.pulling import NOW, Pulling, run_of
from tests.connect.vendor import Vendor, js

CHANGED = NOW - timedelta(days=1)
THINGS = Stream(
    "things",
    path="/things",
    key=("id",),
    cursor="at",
    since="since",
    until="until",
    lookback=timedelta(minutes=5),
    pages=TokenPages("next", "after", size=2),
)
SOURCE = Source("acme", "Acme", "https://acme.example", BearerAuth(), streams=(THINGS,))


class World:
    """Things with a change time, served in pages of `limit` by token."""

    def __init__(self, count: int) -> None:
        self.things = [{"id": n, "at": written(CHANGED + timedelta(seconds=n))} for n in range(count)]
        self.fail_at: int | None = None
        self.failure: web.Response | None = None

    def __call__(self, request: web.Request, body: bytes) -> web.Response:
        since = request.query.get("since", "")
        found = [thing for thing in self.things if str(thing["at"]) >= since]
        start, size = int(request.query.get("after", 0)), int(request.query["limit"])
        if self.fail_at is not None and start >= self.fail_at:
            return self.failure or js({"message": "no"}, 401)
        more = start + size < len(found)
        return js({"results": found[start : start + size], "next": str(start + size) if more else None})


# -- the ordinary road ----------------------------------------------------------------------------------------


def test_full_then_only_what_is_new(pulling: Pulling, vendor: Vendor) -> None:
    world = World(7)
    vendor.handler = world
    seen: list[tuple[str, int, int]] = []
    (full,) = pulling(run_of("1"), SOURCE, on_progress=lambda *progress: seen.append(progress))
    assert (full.kind, full.records, full.requests, full.seq) == ("full", 7, 4, 1)
    assert [(stream, records) for stream, records, _ in seen] == [("things", n) for n in (2, 4, 6, 7)]
    assert seen[-1] == ("things", 7, 4)
    assert pulling.keys(full) == [str(n) for n in range(7)]
    assert full.cursor_to == world.things[-1]["at"]

    world.things[2]["at"] = written(NOW + timedelta(minutes=10))
    world.things.append({"id": 99, "at": written(NOW + timedelta(minutes=20))})
    vendor.asked.clear()
    (new,) = pulling(run_of("2", hours=1), SOURCE)
    assert (new.kind, new.seq, new.cursor_from, new.cursor_to) == (
        "incremental",
        2,
        full.cursor_to,
        written(NOW + timedelta(minutes=20)),
    )
    # The lookback of five minutes brings the last few of the first run once more.
    assert {"2", "99"} <= set(pulling.keys(new))
    assert vendor.asked[0].query["since"] == written(CHANGED + timedelta(seconds=6) - THINGS.lookback)


def test_a_run_whose_manifest_exists_asks_nothing(pulling: Pulling, vendor: Vendor) -> None:
    vendor.handler = World(3)
    (first,) = pulling(run_of("1"), SOURCE)
    vendor.asked.clear()
    (again,) = pulling(run_of("1", attempt=2), SOURCE, connection=None)
    assert again == first
    assert vendor.asked == []


def test_later_pages_carry_later_times(pulling: Pulling, vendor: Vendor) -> None:
    """Staging keeps the newest version of a record by this time, so two pages never share it."""
    vendor.handler = World(6)
    (manifest,) = pulling(run_of("1"), SOURCE)
    stamps = [line["_extracted_at"] for line in pulling.lines(manifest)]
    assert stamps == sorted(stamps)
    assert len(set(stamps)) == 3


def test_a_record_from_the_future_does_not_hide_later_changes(pulling: Pulling, vendor: Vendor) -> None:
    world = World(3)
    world.things[1]["at"] = "2999-01-01T00:00:00Z"
    vendor.handler = world
    (manifest,) = pulling(run_of("1"), SOURCE)
    assert manifest.cursor_to == written(NOW)


def test_a_backfill_reads_its_range_and_leaves_the_cursor(pulling: Pulling, vendor: Vendor) -> None:
    vendor.handler = World(3)
    (first,) = pulling(run_of("1"), SOURCE)
    start, end = NOW - timedelta(days=30), NOW - timedelta(days=2)
    (filled,) = pulling(run_of("2", 1), SOURCE, kind="backfill", start=start, end=end)
    assert (filled.kind, filled.cursor_from, filled.cursor_to) == ("backfill", None, None)
    assert (vendor.asked[-1].query["since"], vendor.asked[-1].query["until"]) == (written(start), written(end))
    latest = latest_manifest(pulling.settings.landing_root, "acme", "main", "things")
    assert latest == first


def test_bad_records_are_put_aside_and_the_stream_goes_on(pulling: Pulling, vendor: Vendor) -> None:
    answer = {"results": [{"id": 1}, {"name": "jane@example.com"}, 7, {"id": 2, "at": {"odd": 1}}, {"id": None}]}
    vendor.handler = lambda request, body: js(answer)
    (manifest,) = pulling(run_of("1"), SOURCE)
    assert pulling.keys(manifest) == ["1", "2"]
    assert (manifest.records, manifest.quarantined) == (2, 3)
    assert manifest.rejected[0].reasons == {"has no usable key at id": 2, "is not an object": 1}
    text = gzip.decompress(Files(pulling.settings.landing_root).read(manifest.rejected[0].path)).decode()
    assert '{\\"name\\": \\"jane@example.com\\"}' in text


def test_a_record_too_large_for_a_warehouse_is_put_aside(pulling: Pulling, vendor: Vendor) -> None:
    big = {"id": 1, "text": "x" * LARGEST_RECORD}
    vendor.handler = lambda request, body: js({"results": [big, {"id": 2}]})
    (manifest,) = pulling(run_of("1"), SOURCE)
    assert pulling.keys(manifest) == ["2"]
    assert list(manifest.rejected[0].reasons) == [TOO_LARGE]


def test_the_same_record_twice_in_a_page_lands_in_its_last_version(pulling: Pulling, vendor: Vendor) -> None:
    vendor.handler = lambda request, body: js({"results": [{"id": 1, "v": 1}, {"id": 2}, {"id": 1, "v": 2}]})
    (manifest,) = pulling(run_of("1"), SOURCE)
    assert [line["_payload"] for line in pulling.lines(manifest)] == [{"id": 2}, {"id": 1, "v": 2}]


def test_records_that_offset_pages_bring_twice_land_once(pulling: Pulling, vendor: Vendor) -> None:
    def answer(request: web.Request, body: bytes) -> web.Response:
        start = int(request.query["offset"])
        return js({"results": [{"id": n} for n in range(start, min(start + 10, 35))], "total": 35})

    vendor.handler = answer
    stream = replace(THINGS, pages=OffsetPages(size=10, total="total"))
    (manifest,) = pulling(run_of("1"), replace(SOURCE, streams=(stream,)))
    assert pulling.keys(manifest) == [str(n) for n in range(35)]


def test_logs_and_manifests_hold_nobodys_data(
    pulling: Pulling, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "include")
    vendor.handler = lambda request, body: js({"results": [{"id": "jane@example.com"}, {"mail": "joe@example.com"}]})
    (manifest,) = pulling(run_of("1"), SOURCE)
    vendor.handler = lambda request, body: js({"message": "jane@example.com"}, 400)
    with pytest.raises(CallRefused) as refused:
        pulling(run_of("2"), SOURCE)
    kept = f"{caplog.text}{manifest}{refused.value}"
    assert "records=1 quarantined=1" in caplog.text
    for secret in ("jane", "joe", "s3cret"):
        assert secret not in kept


# -- failing and going on -------------------------------------------------------------------------------------


def test_the_next_attempt_goes_on_from_the_last_durable_page(pulling: Pulling, vendor: Vendor) -> None:
    world = World(9)
    world.fail_at = 6
    vendor.handler = world
    with pytest.raises(FixCredentials, match="connection acme"):
        pulling(run_of("1"), SOURCE, limits=PartLimits(records=4))
    assert read_manifest(pulling.settings.landing_root, "acme", "main", "things", run_of("1")) is None
    world.fail_at = None
    vendor.asked.clear()
    (manifest,) = pulling(run_of("1", attempt=2), SOURCE)
    # Three pages were durable: one part of four records, and the page saved when the credentials failed.
    assert [request.query.get("after") for request in vendor.asked] == ["6", "8"]
    assert pulling.keys(manifest) == [str(n) for n in range(9)]
    assert manifest.requests == 6
    assert manifest.cursor_to == world.things[-1]["at"]
    assert [part.number for part in manifest.parts] == [0, 1, 2]


def test_a_place_the_vendor_forgot_means_starting_afresh(pulling: Pulling, vendor: Vendor) -> None:
    world = World(9)
    world.fail_at = 6
    vendor.handler = world
    with pytest.raises(FixCredentials):
        pulling(run_of("1"), SOURCE, limits=PartLimits(records=2))
    world.fail_at = None

    def forgetful(request: web.Request, body: bytes) -> web.Response:
        if request.query.get("after") == "6" and len(vendor.asked) == 1:
            return js({"message": "cursor expired"}, 400)
        return world(request, body)

    vendor.asked.clear()
    vendor.handler = forgetful
    (manifest,) = pulling(run_of("1", attempt=2), SOURCE)
    assert pulling.keys(manifest) == [str(n) for n in range(9)]
    assert [part.number for part in manifest.parts] == [0]


def test_a_vendor_that_stays_down_is_a_bounded_wait(pulling: Pulling, vendor: Vendor) -> None:
    vendor.handler = lambda request, body: js({}, 503)
    before = pulling.clock.at
    with pytest.raises(RetryLater):
        pulling(run_of("1"), SOURCE)
    assert pulling.clock.at - before <= 900


def test_a_refused_stream_keeps_no_other_from_being_pulled(pulling: Pulling, vendor: Vendor) -> None:
    world = World(3)

    def answer(request: web.Request, body: bytes) -> web.Response:
        return js({}, 400) if request.path == "/bad" else world(request, body)

    vendor.handler = answer
    bad = replace(THINGS, name="bad", path="/bad")
    child = Stream("children", path="/bad/{parent.id}", parent="bad", pages=THINGS.pages)
    source = replace(SOURCE, streams=(bad, child, THINGS))
    with pytest.raises(CallRefused, match="bad"):
        pulling(run_of("1"), source)
    root = pulling.settings.landing_root
    assert read_manifest(root, "acme", "main", "things", run_of("1")) is not None
    assert read_manifest(root, "acme", "main", "bad", run_of("1")) is None


def test_a_run_overtaken_by_another_keeps_the_cursor_that_was_reached(pulling: Pulling, vendor: Vendor) -> None:
    world = World(4)
    vendor.handler = world
    pulling(run_of("1"), SOURCE)

    def overtaken(request: web.Request, body: bytes) -> web.Response:
        vendor.handler = world
        world.things.append({"id": 50, "at": written(NOW + timedelta(hours=5))})
        pulling(run_of("3", hours=6), SOURCE)
        world.things.pop()
        return world(request, body)

    def elsewhere(request: web.Request, body: bytes) -> Any:
        return asyncio.get_running_loop().run_in_executor(None, overtaken, request, body)

    vendor.handler = elsewhere
    (late,) = pulling(run_of("2", hours=1), SOURCE)
    assert late.cursor_to == written(NOW + timedelta(hours=5))


# -- other shapes of source -----------------------------------------------------------------------------------


async def read_twice(session: Session, window: Window) -> AsyncIterator[Page]:
    for number in range(3):
        if str(number) <= (window.resume or "-"):
            continue
        answer = await session.send("GET", f"/odd/{number}", label="odd")
        yield Page([answer.body], resume=str(number), cursor=f"token-{number}")


def test_an_odd_api_is_a_function(pulling: Pulling, vendor: Vendor) -> None:
    vendor.handler = lambda request, body: js({"id": request.path})
    source = replace(SOURCE, streams=(Stream("odd", read=read_twice),))
    (manifest,) = pulling(run_of("1"), source)
    assert pulling.keys(manifest) == ["/odd/0", "/odd/1", "/odd/2"]
    assert manifest.cursor_to == "token-2"
    (after,) = pulling(run_of("2"), source)
    assert after.window.from_ == "token-2"


def test_tables_in_a_warehouse_get_a_window_and_no_call(pulling: Pulling, vendor: Vendor) -> None:
    tables = WarehouseTables(cursor="loaded_at")
    stream = Stream("tracks", cursor="loaded_at", lookback=timedelta(hours=1))
    source = Source("acme", "Acme", tables=tables, streams=(stream,))
    (first,) = pulling(run_of("1"), source, connection=None)
    assert (first.kind, first.parts, first.window.from_, first.cursor_to) == ("full", [], None, written(NOW))
    (second,) = pulling(run_of("2", hours=2), source, connection=None)
    assert (second.window.from_, second.window.to) == (
        written(NOW - timedelta(hours=1)),
        written(NOW + timedelta(hours=2)),
    )
    (again,) = pulling(run_of("2", hours=2, attempt=2), source, connection=None)
    assert again == second
    assert vendor.asked == []
