"""Paging: how a list is asked for page by page, so that no record is missed and no page counts twice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, cast
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec import Raw

from include.connect.errors import RetryLater
from include.connect.http import Session
from include.connect.records import Body, decode_page
from include.connect.source import Budget, Page, Scalar

STEPS_BACK = 20
"""A list that moves faster than it can be read is given up after this many steps back in a row."""


@dataclass(frozen=True, slots=True)
class Step:
    """What comes after a page: the next token (None = the end), and whether the page itself counts."""

    token: str | None
    is_accepted: bool = True


class Paging(Protocol):
    """A way of paging. Tokens are text, and enough to go on in another process."""

    def ask(self, token: str | None) -> Mapping[str, Any]:
        """Parameters that ask for the page of this token; None is the first page."""
        ...

    def after(self, token: str | None, body: Body, key_of: Callable[[Any], str | None]) -> Step:
        """What follows the page that was answered."""
        ...

    @property
    def place(self) -> Literal["query", "body", "path"]:
        """Where the parameters go; `path`: tokens are paths that ask for a page by themselves."""
        ...


@dataclass(frozen=True, slots=True)
class OffsetPages:
    """Paging by offset, safe while the list changes.

    Each page begins a little before the end of the last one. When none of the last page's keys shows up there,
    records left the list meanwhile, and the offset steps back until one does: nothing is skipped. This needs an
    order of the list that does not change by itself.
    """

    limit: str = "limit"
    offset: str = "offset"
    size: int = 100
    total: str | None = None
    place: Literal["query", "body"] = "query"

    @property
    def overlap(self) -> int:
        """Records that are asked for twice."""
        return max(1, self.size // 100)

    def ask(self, token: str | None) -> Mapping[str, Any]:
        """Size and offset."""
        return {self.limit: self.size, self.offset: self._read(token)[0]}

    def after(self, token: str | None, body: Body, key_of: Callable[[Any], str | None]) -> Step:
        """The next offset, or one step back where the list moved."""
        offset, tail = self._read(token)
        count = len(body.records) + len(body.rejected)
        known = set(tail)
        if known and offset and not any(key_of(record) in known for record in body.records):
            # The list shrank (also past its end, where the page is empty): look further up.
            return Step(self._written(max(0, offset - max(self.overlap, self.size // 2)), tail), is_accepted=False)
        total = body.at(self.total) if self.total else None
        is_last = offset + count >= total if isinstance(total, int) else count < self.size
        if is_last or not count:
            return Step(None)
        shared = min(self.overlap, count - 1)
        keys = [key for key in (key_of(record) for record in body.records[-5 * self.overlap :]) if key]
        return Step(self._written(offset + count - shared, keys if shared else []))

    def _read(self, token: str | None) -> tuple[int, list[str]]:
        return msgspec.json.decode(token, type=tuple[int, list[str]]) if token else (0, [])

    def _written(self, offset: int, tail: Sequence[str]) -> str:
        return msgspec.json.encode((offset, tail)).decode()


@dataclass(frozen=True, slots=True)
class TokenPages:
    """Paging by a token found in each answer; no token, or `end` being true, is the end.

    Args:
        token: dotted path of the next token.
        param: parameter that takes it.
        limit: parameter that takes the page size.
        size: page size.
        end: dotted path of a flag that is true on the last page.
        first: parameters of the first page, where the window gives no others.
        place: whether parameters go into the query or the JSON body.
    """

    token: str
    param: str
    limit: str | None = "limit"
    size: int = 100
    end: str | None = None
    first: Mapping[str, Scalar] = field(default_factory=dict)
    place: Literal["query", "body"] = "query"

    def ask(self, token: str | None) -> Mapping[str, Any]:
        """Size, and the token from the second page on."""
        sized: dict[str, Scalar] = {self.limit: self.size} if self.limit else {}
        return {**sized, **self.first} if token is None else {**sized, self.param: token}

    def after(self, token: str | None, body: Body, key_of: Callable[[Any], str | None]) -> Step:
        """The token in the answer."""
        if self.end and body.at(self.end) is True:
            return Step(None)
        following = body.at(self.token)
        return Step(str(following) if following not in (None, "") else None)


@dataclass(frozen=True, slots=True)
class UrlPages:
    """Paging by the URL of the next page, found in each answer; no URL is the end.

    Only its parameters are used: a URL in an answer never says to which host credentials go.

    Args:
        url: dotted path of the URL.
        limit: parameter that takes the page size.
        size: page size.
        first: parameters of the first page.
    """

    url: str
    limit: str | None = "limit"
    size: int = 100
    first: Mapping[str, Scalar] = field(default_factory=dict)
    place: Literal["query", "body"] = "query"

    def ask(self, token: str | None) -> Mapping[str, Any]:
        """Size and first parameters, then what the URL says."""
        if token is not None:
            return dict(parse_qsl(token, keep_blank_values=True))
        return {**({self.limit: self.size} if self.limit else {}), **self.first}

    def after(self, token: str | None, body: Body, key_of: Callable[[Any], str | None]) -> Step:
        """The parameters of the URL in the answer."""
        url = body.at(self.url)
        return Step(urlsplit(url).query or None if isinstance(url, str) else None)


@dataclass(frozen=True, slots=True)
class NumberedPages:
    """Paging by page number, for lists that only grow, in an order that does not change by itself.

    Args:
        page: parameter that takes the number; the first page is 1.
        limit: parameter that takes the page size.
        size: page size.
        count: dotted path of the number of pages.
    """

    page: str = "page"
    limit: str = "per_page"
    size: int = 100
    count: str | None = None
    place: Literal["query", "body"] = "query"

    def ask(self, token: str | None) -> Mapping[str, Any]:
        """Size and number."""
        return {self.limit: self.size, self.page: int(token or 1)}

    def after(self, token: str | None, body: Body, key_of: Callable[[Any], str | None]) -> Step:
        """The next number, until the last page or one that is not full."""
        number, held = int(token or 1), len(body.records) + len(body.rejected)
        pages = body.at(self.count) if self.count else None
        is_last = number >= pages if isinstance(pages, int) else held < self.size
        return Step(None if is_last or not held else str(number + 1))


@dataclass(frozen=True, slots=True)
class LastIdPages:
    """Paging by the id of the last record seen, until the answer says that there is no more."""

    param: str = "starting_after"
    more: str = "has_more"
    limit: str = "limit"
    size: int = 100
    place: Literal["query", "body"] = "query"

    def ask(self, token: str | None) -> Mapping[str, Any]:
        """Size, and the last id from the second page on."""
        return {self.limit: self.size} if token is None else {self.limit: self.size, self.param: token}

    def after(self, token: str | None, body: Body, key_of: Callable[[Any], str | None]) -> Step:
        """The last record's key."""
        if body.at(self.more) is not True or not body.records:
            return Step(None)
        last = next((key for key in map(key_of, reversed(body.records)) if key), None)
        return Step(last)


@dataclass(frozen=True, slots=True)
class OnePage:
    """No paging: one answer holds everything."""

    place: Literal["query", "body"] = "query"

    def ask(self, token: str | None) -> Mapping[str, Any]:
        """Nothing to add."""
        return {}

    def after(self, token: str | None, body: Body, key_of: Callable[[Any], str | None]) -> Step:
        """The end."""
        return Step(None)


@dataclass(slots=True)
class Listing:
    """One list at a vendor, read from its first page (or from a token) to its end.

    A page that repeats the one before it, by its records or by its token, is asked for again. `page_size` in the
    connection's extra makes pages smaller, for accounts whose records are too heavy for the vendor's time limit.
    """

    session: Session
    path: str
    records: str
    paging: Paging
    key_of: Callable[[Any], str | None]
    method: Literal["GET", "POST"] = "GET"
    params: Mapping[str, Scalar] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    budget: Budget | None = None
    label: str = ""
    is_missing_empty: bool = False
    decode: Callable[[bytes, str], Body] = decode_page

    def __post_init__(self) -> None:
        """Apply the connection's page size."""
        most = self.session.connection.extra.get("page_size")
        size = getattr(self.paging, "size", None)
        if isinstance(most, int) and isinstance(size, int) and 0 < most < size:
            self.paging = replace(cast("OffsetPages", self.paging), size=most)

    async def pages(self, token: str | None = None) -> AsyncIterator[tuple[Body, str | None]]:
        """Each page that counts, with the token of the page after it."""
        seen: Raw | bytes | None = None
        repeats = steps_back = 0
        while True:
            body = await self._fetch(token)
            if body is None:
                return
            step = self.paging.after(token, body, self.key_of)
            if (not body.is_empty and body.text == seen) or (step.token is not None and step.token == token):
                repeats += 1
                await self.session.back_off(repeats, "the vendor sent the same page again", self.label)
                continue
            repeats = 0
            if step.is_accepted:
                seen, steps_back = body.text, 0
                yield body, step.token
                if step.token is None:
                    return
            else:
                seen, steps_back = None, steps_back + 1
                if steps_back > STEPS_BACK:
                    raise RetryLater(
                        "the list changes faster than it can be read",
                        where=f"{self.session.where} {self.label}".rstrip(),
                    )
            token = step.token

    async def _fetch(self, token: str | None) -> Body | None:
        """One page; None where the list itself is gone and that is fine."""
        asked = self.paging.ask(token)
        in_query = self.paging.place == "query"
        path, params = self.path, self.params
        if self.paging.place == "path" and token is not None:
            path, params = token, {}
        elif in_query:
            params = {**asked, **self.params} if token is None else {**self.params, **asked}
        answer = await self.session.send(
            self.method,
            path,
            params=params,
            json=None if self.method == "GET" else {**(self.body or {}), **({} if in_query else asked)},
            headers=self.headers,
            reads=True,
            accept=(404,) if self.is_missing_empty else (),
            budget=self.budget,
            label=self.label,
            decode=lambda data: self.decode(data, self.records),
        )
        if answer.status == 404:
            return None
        body: Body = answer.value
        return body


async def as_pages(listing: Listing, token: str | None = None) -> AsyncIterator[Page]:
    """The listing's pages as the landing takes them."""
    async for body, following in listing.pages(token):
        yield Page(body.records, following, rejected=body.rejected)
