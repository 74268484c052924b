"""The language in which a source is declared: data, read from top to bottom."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from msgspec import Raw

from include.connect.auth import Auth
from include.connect.connection import Connection
from include.connect.webhook import Webhook

if TYPE_CHECKING:
    from include.connect.http import Session
    from include.connect.pages import Paging

Kind = Literal["incremental", "full", "backfill", "sweep"]
Scalar = str | int | bool


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` calls in any `seconds`, over all tasks and processes of an account.

    `burst` of them may go at once, else they start at twice the mean pace until the window is full. A `name` keeps a
    second budget of the same vendor apart. A connection's extra may override the limit: `rate_limit`, or
    `rate_limit_<name>`.
    """

    limit: float
    seconds: float = 1
    burst: int | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Connections:
    """At most `limit` calls open at the same time, over all tasks and processes of an account."""

    limit: int
    name: str = ""


Budget = Rate | Connections


@dataclass(frozen=True, slots=True)
class Sweep:
    """The vendor deletes records without saying so: now and then all keys are read, and missing ones are marked.

    `params` are query parameters that make answers small; a reader of the stream's own sees `Window.kind`. Every
    record that the vendor still shows must come, those that are marked deleted too. Its parent is swept as well.
    """

    params: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Window:
    """What one pull of one stream asks for.

    Args:
        kind: why it is asked; only incremental and full move the cursor.
        since: lower bound, an ISO time in UTC (lookback already taken off) or the vendor's own cursor; None = all.
        until: the run's clock; the cursor never passes it.
        account: account of the connection.
        end: upper bound to send to the vendor, in a backfill.
        resume: `Page.resume` of the last page an earlier attempt made durable.
    """

    kind: Kind
    since: str | None
    until: datetime
    account: str = "main"
    end: datetime | None = None
    resume: str | None = None

    @property
    def since_at(self) -> datetime | None:
        """The lower bound as a time."""
        return None if self.since is None else datetime.fromisoformat(self.since)


@dataclass(frozen=True, slots=True)
class Page:
    """Some records in the order they came.

    Args:
        records: the vendor's bytes of each.
        resume: where a later attempt can go on after this page; None where it has to start again.
        cursor: the stream's cursor after this page, where it is not the greatest cursor of the records.
        rejected: what could not be read as a record, with the reason.
    """

    records: Sequence[Raw | bytes]
    resume: str | None = None
    cursor: str | None = None
    rejected: Sequence[tuple[bytes, str]] = ()


ReadFunction = Callable[["Session", Window], AsyncIterator[Page]]


@dataclass(frozen=True, slots=True)
class Stream:
    """One kind of record of a source.

    Args:
        name: plural, snake_case; the raw table is `raw.<source>__<name>`.
        path: below the base URL; `{parent.<field>}` comes from the parent's record, `{<field>}` from the connection.
            A field that holds an absolute URL stands for its last segment.
        records: dotted path of the list in the answer; "" where the answer is the list.
        key: dotted paths of the fields that together identify a record.
        method: POST for searches that only read.
        params: query parameters.
        body: JSON body of a POST.
        variants: extra query parameters; the stream is read once per entry.
        pages: overrides the source's paging.
        parent: stream whose records fill the path; it is pulled first.
        cursor: dotted path of the change time in a record.
        since: parameter that takes the lower bound.
        until: parameter that takes the upper bound of a backfill.
        times_as: how `since` and `until` are written; dates are a day wider, as vendors' days begin in other zones.
        lookback: how far before the cursor the next window starts.
        rescan: where the vendor has no change cursor: how far back every later run reads again.
        read: a function in the source's file, for what the fields above cannot say.
        max_age: older than this, segments that depend on the stream are held.
        budget: overrides the source's budget.
        deletes: how a deletion at the vendor is seen: by a key sweep, or in words how records themselves tell.
        concurrency: how many parents are read at the same time.
        description: one line for people.
    """

    name: str
    path: str | None = None
    records: str = "results"
    key: tuple[str, ...] = ("id",)
    method: Literal["GET", "POST"] = "GET"
    params: Mapping[str, Scalar] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    variants: tuple[Mapping[str, Scalar], ...] = ({},)
    pages: Paging | None = None
    parent: str | None = None
    cursor: str | None = None
    since: str | None = None
    until: str | None = None
    times_as: Literal["iso", "seconds", "milliseconds", "date"] = "iso"
    lookback: timedelta = timedelta(0)
    rescan: timedelta | None = None
    read: ReadFunction | None = None
    max_age: timedelta = timedelta(hours=26)
    budget: Budget | None = None
    deletes: Sweep | str = ""
    concurrency: int = 4
    description: str = ""


@dataclass(frozen=True, slots=True)
class WarehouseTables:
    """A source that already lives in a warehouse: each stream is a table of the dataset the connection's host names."""

    cursor: str
    lookback: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Source:
    """One API, or one dataset in a warehouse.

    Args:
        name: connection id, file name and prefix of the raw tables.
        title: what people call it.
        base_url: the vendor's real address; `{field}` comes from the connection. A connection's host replaces it,
            but for its path (the API's version), which is added where the host lacks it.
        auth: how calls say who we are.
        pages: how lists are paged.
        budget: the vendor's limit per account.
        streams: what can be pulled.
        headers: sent with every call.
        docs_url: the vendor's reference.
        tables: set for a source that is a warehouse dataset; then nothing is called.
        fields: derives connection fields that people should not have to type.
        rejects_with: statuses that mean the credentials are refused.
        is_bare_403_throttling: a 403 without a JSON body, after calls that worked, means too many calls.
        is_key_refused: tells refused credentials by the body, for a vendor whose status says something else.
        is_quota_used_up: tells a used-up daily quota from ordinary throttling in a 429 (headers, body).
        webhook: what the vendor sends by itself, taken by the collector.
        not_covered: what the vendor has and this source does not bring, for people.
    """

    name: str
    title: str
    base_url: str = ""
    auth: Auth | None = None
    pages: Paging | None = None
    budget: Budget | None = None
    streams: tuple[Stream, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    docs_url: str = ""
    tables: WarehouseTables | None = None
    fields: Callable[[Connection], Mapping[str, str]] | None = None
    rejects_with: tuple[int, ...] = (401, 403)
    is_bare_403_throttling: bool = False
    is_key_refused: Callable[[bytes], bool] | None = None
    is_quota_used_up: Callable[[Mapping[str, str], bytes], bool] | None = None
    webhook: Webhook | None = None
    not_covered: str = ""

    @property
    def swept(self) -> tuple[Stream, ...]:
        """The streams whose deletions only a key sweep finds."""
        return tuple(stream for stream in self.streams if isinstance(stream.deletes, Sweep))

    def stream(self, name: str) -> Stream:
        """The stream of that name.

        Raises:
            KeyError: there is none.
        """
        for stream in self.streams:
            if stream.name == name:
                return stream
        raise KeyError(f"{self.name} has no stream {name}; it has {', '.join(s.name for s in self.streams)}")

    def base_url_of(self, connection: Connection) -> str:
        """Where calls of this connection go, without a trailing slash.

        Raises:
            FixCredentials: the address needs a field that the connection does not have.
        """
        if connection.base_url is None:
            return connection.fill(self.base_url, self.fields).rstrip("/")
        path = urlsplit(self.base_url).path.rstrip("/")
        given = connection.base_url.rstrip("/")
        return given if given.endswith(path) else given + path
