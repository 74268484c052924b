"""What every simulated vendor is: routes over a store of its own, its way of refusing, its headers."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import msgspec
from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response
from starlette.routing import compile_path

from include.simulate.limits import Clock, Verdict
from include.simulate.people import Population


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What goes wrong at one vendor; `*_every: n` means every n-th request since the faults were set."""

    throttle_every: int | None = None
    retry_after: int | None = None
    error_every: int | None = None
    reset_every: int | None = None
    truncate_every: int | None = None
    repeat_page_every: int | None = None
    slow_seconds: float = 0.0
    expire_token: bool | int = False
    drift: bool = False
    reject_emails: frozenset[str] = frozenset()


@dataclass(slots=True)
class Call:
    """One request, read completely."""

    method: str
    path: str
    base: str
    query: QueryParams
    headers: Headers
    body: bytes
    params: dict[str, str] = field(default_factory=dict)
    verdict: Verdict | None = None

    def int_query(self, name: str, default: int) -> int | None:
        """A whole number from the query; None when it is something else."""
        value = self.query.get(name)
        if value is None:
            return default
        return int(value) if re.fullmatch(r"-?\d{1,18}", value) else None

    def basic(self) -> tuple[str, str] | None:
        """User and password of HTTP Basic."""
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return user, password

    def bearer(self) -> str | None:
        """The token of a Bearer header."""
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        return value.strip() if scheme.lower() == "bearer" else None


Handler = Callable[[Call], Response]


class Route:
    """One path of a vendor; `is_write` says which requests change a vendor's records."""

    def __init__(
        self, method: str, path: str, handler: Handler, *, is_write: Callable[[Call], bool] = lambda call: False
    ) -> None:
        self.method = method
        self.path = path
        self.handler = handler
        self.is_write = is_write
        self.regex, _, _ = compile_path(path)


def read(path: str, handler: Handler, method: str = "GET") -> Route:
    """A route that changes nothing (a POST search too)."""
    return Route(method, path, handler)


def write(method: str, path: str, handler: Handler) -> Route:
    """A route that changes records."""
    return Route(method, path, handler, is_write=lambda call: True)


class Refused(Exception):
    """A handler gives up; carries the vendor's answer."""

    def __init__(self, response: Response) -> None:
        self.response = response
        super().__init__(response.status_code)


class Order:
    """Ids kept in the order of a key that changes; reading a page from any key costs the page."""

    def __init__(self, keys: Mapping[Any, Any] | None = None) -> None:
        self._keys: dict[Hashable, Any] = dict(keys or {})
        self.pairs: Sequence[tuple[Any, Any]] = sorted((key, item) for item, key in self._keys.items())

    def __len__(self) -> int:
        return len(self.pairs)

    def __contains__(self, item: Hashable) -> bool:
        return item in self._keys

    def put(self, item: Hashable, key: Any) -> None:
        """Add the id, or move it to its new place."""
        self.drop(item)
        self._keys[item] = key
        assert isinstance(self.pairs, list)
        insort(self.pairs, (key, item))

    def drop(self, item: Hashable) -> None:
        """Take the id out, if it is in."""
        if item in self._keys:
            assert isinstance(self.pairs, list)
            del self.pairs[bisect_left(self.pairs, (self._keys.pop(item), item))]

    def at(self, key: Any) -> int:
        """Index of the first pair whose key is not below `key`."""
        return bisect_left(self.pairs, (key,))

    def index(self, item: Hashable) -> int:
        """Where the id stands."""
        return bisect_left(self.pairs, (self._keys[item], item))

    def take(self, item: Hashable) -> Callable[[], None]:
        """Take the id out; returns what puts it back."""
        key = self._keys[item]
        self.drop(item)
        return partial(self.put, item, key)

    def ids(self, start: int, stop: int) -> list[Any]:
        """The ids at these indexes."""
        return [item for _, item in self.pairs[start:stop]]


def retyped(value: Any) -> Any:
    """The same value in another JSON type, as a vendor's careless release would send it."""
    if isinstance(value, str):
        return {"value": value}
    return value if value is None else str(value)


class Vendor(ABC):
    """One simulated tool: a store built from the population, and the routes that read and change it."""

    name: ClassVar[str]
    media_type: ClassVar[str] = "application/json; charset=utf-8"
    error_media_type: ClassVar[str | None] = None
    is_chunked: ClassVar[bool] = False
    retyped_fields: ClassVar[Mapping[str, str]] = {}
    """Record kind -> the field whose type changes under the `drift` fault."""

    def __init__(self, population: Population, clock: Clock, *, unlimited: bool = False) -> None:
        self.population = population
        self.clock = clock
        self.unlimited = unlimited
        self.faults = Faults()

    @abstractmethod
    def routes(self) -> list[Route]:
        """What the vendor serves, first match wins."""

    @abstractmethod
    def accepts(self, call: Call) -> bool:
        """Whether the credentials are right."""

    @abstractmethod
    def refuse(self, call: Call) -> Response:
        """The answer to wrong or expired credentials."""

    @abstractmethod
    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """The vendor's 429."""

    @abstractmethod
    def broken(self, call: Call) -> Response:
        """The vendor's 500."""

    @abstractmethod
    def missing(self, call: Call) -> Response:
        """The vendor's 404."""

    def limit(self, call: Call, in_flight: int) -> Response | None:
        """The vendor's own rate limit: an answer when it is used up."""
        return None

    def stamp(self, call: Call, response: Response) -> None:  # noqa: B027 - having none is a fair choice
        """Add the headers every answer of this vendor carries."""

    def normalised(self, path: str) -> str:
        """The path as the routes spell it, where a vendor knows several spellings."""
        return path

    def continues(self, call: Call) -> bool:
        """Whether the request asks for a later page of a list (what the repeated page fault works on)."""
        return False

    def list_of(self, call: Call) -> str:
        """Which list the request asks for a page of."""
        return f"{call.method} {call.path}"

    def grow(self, recovered: Sequence[int]) -> None:  # noqa: B027 - nothing grows at most vendors
        """Take in what the world added, and touch the records of the people who changed."""

    def lose(self, stream: str, key: str) -> Callable[[], None]:
        """Delete a record for good and tell nobody; returns what brings it back.

        Args:
            stream: as the source calls it.
            key: as the source's landing has it.

        Raises:
            KeyError: there is no such record, or this vendor's records are never lost.
        """
        raise KeyError(stream)

    def reply(self, body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """A JSON answer in the vendor's content type."""
        media_type = self.error_media_type if status >= 400 and self.error_media_type else self.media_type
        return Response(msgspec.json.encode(body), status, headers, media_type)

    def json(self, call: Call) -> dict[str, Any]:
        """The request's JSON object; anything else is refused as the vendor's malformed request."""
        try:
            body = msgspec.json.decode(call.body) if call.body else {}
        except msgspec.DecodeError:
            raise Refused(self.malformed(call)) from None
        if not isinstance(body, dict):
            raise Refused(self.malformed(call))
        return body

    def malformed(self, call: Call) -> Response:
        """The vendor's 400 for a body that is not the JSON object it expects."""
        return self.reply({"error": "malformed request body"}, 400)

    def drifted(self, kind: str, record: dict[str, Any]) -> dict[str, Any]:
        """The record as sent: under the `drift` fault with a new field and a field of another type."""
        if self.faults.drift:
            changed = self.retyped_fields[kind]
            record = {**record, "engagement_tier": "gold", changed: retyped(record[changed])}
        return record

    def rejects(self, email: str | None) -> bool:
        """Whether the `reject_emails` fault names this address."""
        return email is not None and email.strip().lower() in self.faults.reject_emails


def take(store: MutableMapping[Any, Any], key: Hashable) -> Callable[[], None]:
    """Take an entry out of a store; returns what puts it back.

    Raises:
        KeyError: there is none.
    """
    return partial(store.__setitem__, key, store.pop(key))


def new_id() -> str:
    """A request or correlation id."""
    return str(uuid.uuid4())
