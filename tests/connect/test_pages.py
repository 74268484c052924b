from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from include.connect.auth import BearerAuth
from include.connect.connection import Connection
from include.connect.errors import RetryLater
from include.connect.http import Session
from include.connect.pages import LastIdPages, Listing, NumberedPages, OffsetPages, Paging, TokenPages, UrlPages
from include.connect.records import Body, Lifter, decode_page
from include.connect.source import Source
from include.state.store import Store
from tests.connect.vendor import Vendor, js

KEY = Lifter(("id",))
SOURCE = Source("acme", "Acme", "https://acme.example", BearerAuth())


def key_of(record: Any) -> str | None:
    return KEY.lift(record).key


def listed(connection: Connection, store: Store, clock: Any, paging: Paging, **options: Any) -> list[str]:
    async def run() -> list[str]:
        keys: list[str] = []
        async with Session(SOURCE, connection, store, clock=clock) as session:
            listing = Listing(session, "/things", "results", paging, key_of, **options)
            async for body, _ in listing.pages():
                keys += [key_of(record) or "?" for record in body.records]
        return keys

    return asyncio.run(run())


def page(ids: list[int], **more: Any) -> bytes:
    return json.dumps({"results": [{"id": number} for number in ids], **more}).encode()


def offset_server(count: int) -> Any:
    def answer(request: web.Request, body: bytes) -> web.Response:
        start, size = int(request.query["offset"]), int(request.query["limit"])
        return js({"results": [{"id": n} for n in range(start, min(start + size, count))], "total": count})

    return answer


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 19, 20, 95])
@pytest.mark.parametrize("total", ["total", None])
def test_offset_pages_bring_every_record(
    connection: Connection, store: Store, clock: Any, vendor: Vendor, count: int, total: str | None
) -> None:
    vendor.handler = offset_server(count)
    keys = listed(connection, store, clock, OffsetPages(size=10, total=total))
    assert sorted(set(keys), key=int) == [str(n) for n in range(count)]
    assert len(keys) <= count * 1.2 + 1
    assert len(vendor.asked) <= count / 9 + 2


@given(st.data())
def test_offset_pages_skip_nothing_however_the_list_changes(data: st.DataObject) -> None:
    """Records join and leave anywhere between two pages; whoever stays throughout is seen."""
    rows = [n * 10 for n in range(data.draw(st.integers(0, 60)))]
    paging = OffsetPages(size=data.draw(st.integers(2, 12)), total=data.draw(st.sampled_from(["total", None])))
    stayed, seen, token = set(rows), set(), None
    for _ in range(400):
        asked = paging.ask(token)
        start = int(asked["offset"])
        body = decode_page(page(rows[start : start + paging.size], total=len(rows)), "results")
        step = paging.after(token, body, key_of)
        if step.is_accepted:
            seen |= {key_of(record) for record in body.records}
        if step.token is None:
            break
        token = step.token
        leaving = data.draw(st.lists(st.sampled_from(rows), max_size=8, unique=True)) if rows else []
        rows = [row for row in rows if row not in leaving]
        stayed -= set(leaving)
        for place in data.draw(st.lists(st.integers(0, 700), max_size=2)):
            rows = sorted({*rows, place})
    else:
        raise AssertionError("never came to an end")
    assert {str(row) for row in stayed} <= seen


def token_server(pages: dict[str | None, tuple[list[int], str | None]], place: str = "query") -> Any:
    def answer(request: web.Request, body: bytes) -> web.Response:
        token = request.query.get("after") if place == "query" else json.loads(body).get("after")
        ids, following = pages[token]
        return js(
            {"results": [{"id": n} for n in ids], "paging": {"next": {"after": following}} if following else None}
        )

    return answer


TOKENS = {None: ([1, 2], "a"), "a": ([3, 4], "b"), "b": ([5], None)}


def test_tokens_in_the_query_and_in_the_body(connection: Connection, store: Store, clock: Any, vendor: Vendor) -> None:
    vendor.handler = token_server(TOKENS)
    assert listed(connection, store, clock, TokenPages("paging.next.after", "after")) == ["1", "2", "3", "4", "5"]
    vendor.handler = token_server(TOKENS, "body")
    paging = TokenPages("paging.next.after", "after", place="body")
    options: dict[str, Any] = {"method": "POST", "body": {"filter": "x"}}
    assert listed(connection, store, clock, paging, **options) == ["1", "2", "3", "4", "5"]
    assert json.loads(vendor.bodies[-1]) == {"filter": "x", "limit": 100, "after": "b"}


def test_an_end_flag_ends_although_the_token_is_still_there(
    connection: Connection, store: Store, clock: Any, vendor: Vendor
) -> None:
    vendor.script = [
        js({"results": [{"id": 1}], "after": "x", "done": False}),
        js({"results": [], "after": "x", "done": True}),
    ]
    assert listed(connection, store, clock, TokenPages("after", "after", end="done", first={"start": 0})) == ["1"]
    assert [dict(request.query) for request in vendor.asked] == [
        {"limit": "100", "start": "0"},
        {"limit": "100", "after": "x"},
    ]


def test_the_next_pages_url_gives_its_parameters_and_no_host(
    connection: Connection, store: Store, clock: Any, vendor: Vendor
) -> None:
    vendor.script = [
        js({"results": [{"id": 1}], "next": "https://elsewhere.example/other?after=a%26b&limit=2"}),
        js({"results": [{"id": 2}], "next": None}),
    ]
    assert listed(connection, store, clock, UrlPages("next", size=2, first={"sort": "id"})) == ["1", "2"]
    assert [dict(request.query) for request in vendor.asked] == [
        {"limit": "2", "sort": "id"},
        {"after": "a&b", "limit": "2"},
    ]
    assert {request.path for request in vendor.asked} == {"/things"}


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 25])
@pytest.mark.parametrize("pages", ["pages", None])
def test_numbered_pages_end_with_the_last_one(
    connection: Connection, store: Store, clock: Any, vendor: Vendor, count: int, pages: str | None
) -> None:
    def answer(request: web.Request, body: bytes) -> web.Response:
        number, size = int(request.query["page"]), int(request.query["per_page"])
        assert request.headers["If-Modified-Since"] == "2026-11-01T00:00:00Z"
        held = range((number - 1) * size, min(number * size, count))
        return js({"results": [{"id": n} for n in held], "pages": -(-count // size)})

    vendor.handler = answer
    headers = {"If-Modified-Since": "2026-11-01T00:00:00Z"}
    keys = listed(connection, store, clock, NumberedPages(size=10, count=pages), headers=headers)
    assert keys == [str(n) for n in range(count)]
    # Only where the vendor does not say how many there are, a full last page makes one call more.
    assert len(vendor.asked) == (max(1, -(-count // 10)) if pages else count // 10 + 1)


def test_pages_after_the_last_id(connection: Connection, store: Store, clock: Any, vendor: Vendor) -> None:
    def answer(request: web.Request, body: bytes) -> web.Response:
        last = int(request.query.get("starting_after", 0))
        ids = list(range(last + 1, min(last + 4, 9)))
        return js({"results": [{"id": n} for n in ids], "has_more": ids[-1] < 8})

    vendor.handler = answer
    assert listed(connection, store, clock, LastIdPages(size=3)) == [str(n) for n in range(1, 9)]


@pytest.mark.parametrize("paging", ["token", "offset", "last id"])
def test_a_repeated_page_is_asked_for_again_and_counts_once(
    connection: Connection, store: Store, clock: Any, vendor: Vendor, paging: str
) -> None:
    """The vendor repeats the whole page before, its own token included."""
    first = {"results": [{"id": 1}, {"id": 2}], "after": "a", "total": 3, "has_more": True}
    second = {"results": [{"id": 2}, {"id": 3}], "after": None, "total": 3, "has_more": False}
    vendor.script = [js(first), js(first), js(first), js(second)]
    kinds: dict[str, Paging] = {
        "token": TokenPages("after", "after"),
        "offset": OffsetPages(size=2, total="total"),
        "last id": LastIdPages(),
    }
    assert listed(connection, store, clock, kinds[paging]) == ["1", "2", "2", "3"]
    assert len(clock.slept) == 2


def test_a_page_that_repeats_for_ever_ends(connection: Connection, store: Store, clock: Any, vendor: Vendor) -> None:
    vendor.handler = lambda request, body: js({"results": [{"id": 1}], "after": "a"})
    with pytest.raises(RetryLater, match="same page again"):
        listed(connection, store, clock, TokenPages("after", "after"))
    assert len(vendor.asked) < 12


def test_empty_pages_with_new_tokens_are_no_repetition(
    connection: Connection, store: Store, clock: Any, vendor: Vendor
) -> None:
    pages = {None: ([], "a"), "a": ([], "b"), "b": ([7], None)}
    vendor.handler = token_server(pages)  # type: ignore[arg-type]
    assert listed(connection, store, clock, TokenPages("paging.next.after", "after")) == ["7"]


def test_a_list_that_is_gone_is_empty_where_that_is_fine(
    connection: Connection, store: Store, clock: Any, vendor: Vendor
) -> None:
    vendor.handler = lambda request, body: js({"message": "gone"}, 404)
    assert listed(connection, store, clock, TokenPages("after", "after"), is_missing_empty=True) == []


def test_a_body_knows_when_it_is_empty() -> None:
    assert Body([], [], {}, b"").is_empty
    assert not Body([], [(b"1", "is not an object")], {}, b"").is_empty
