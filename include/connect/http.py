"""Calls to a vendor: credentials, pace, retries and one meaning for every failure."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import msgspec
from tenacity import AsyncRetrying, RetryCallState, wait_random_exponential
from yarl import URL

from include.connect.answers import asked_to_wait, decompressed, request_id
from include.connect.budget import Clock, Gate, WallClock, with_overrides
from include.connect.connection import Connection
from include.connect.errors import FixCredentials, FixSettings, RetryLater, StopSync
from include.connect.oauth import PURCHASE_SECONDS, OAuth2, Tokens
from include.connect.records import BrokenAnswer, Throttled
from include.connect.source import Budget, Scalar, Source
from include.state.store import Store

log = logging.getLogger(__name__)

TOTAL_SECONDS = 900.0
CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 120.0
RETRIED = frozenset({408, 423, 425, 477, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
RETRIED_WRITES = frozenset({429, 502, 503, 504})
REFUSALS = tuple(set(range(400, 500)) - RETRIED - {429})

Params = Mapping[str, Scalar] | Sequence[tuple[str, Scalar]]
_backoff = wait_random_exponential(multiplier=0.5, max=60)


class CallRefused(FixSettings):
    """The vendor understood the call and said no (400, 404, 409, 422 ...); repeating it changes nothing."""

    def __init__(self, what: str, *, where: str, fix: str, request_id: str | None, status: int) -> None:
        super().__init__(what, where=where, fix=fix, request_id=request_id)
        self.status = status


@dataclass(slots=True)
class Counters:
    """What a session did so far."""

    requests: int = 0
    retries: int = 0
    throttled: int = 0
    throttled_seconds: float = 0.0

    def since(self, earlier: Counters) -> Counters:
        """What was added after `earlier`."""
        return Counters(
            self.requests - earlier.requests,
            self.retries - earlier.retries,
            self.throttled - earlier.throttled,
            round(self.throttled_seconds - earlier.throttled_seconds, 3),
        )

    def copy(self) -> Counters:
        """The counts of this moment."""
        return Counters(self.requests, self.retries, self.throttled, self.throttled_seconds)


@dataclass(frozen=True)
class Answer:
    """A vendor's answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    value: Any = field(default=None, repr=False)

    @cached_property
    def request_id(self) -> str | None:
        """The vendor's id of the call; asked for once per row of a batch."""
        return request_id(self.headers, self.body)

    def json(self) -> Any:
        """The body, decoded; None where it is empty."""
        return msgspec.json.decode(self.body) if self.body.strip() else None


@dataclass(frozen=True, slots=True)
class _Again:
    """A passing fault: what it was, and how long the vendor asked to wait."""

    what: str
    status: int | None = None
    after: float | None = None
    request_id: str | None = None


class Session:
    """Calls of one account of one source, over one keep-alive HTTP client.

    Reads are repeated after any passing fault. Writes go out only where `writable`, and are repeated only
    when the caller says that doing them twice is doing them once.
    """

    def __init__(
        self,
        source: Source,
        connection: Connection,
        store: Store,
        *,
        writable: bool = False,
        clock: Clock | None = None,
        total_seconds: float = TOTAL_SECONDS,
    ) -> None:
        self.source = source
        self.connection = connection
        self.base_url = source.base_url_of(connection)
        self.counters = Counters()
        self.clock: Clock = clock or WallClock()
        self._writable = writable
        self.total_seconds = total_seconds
        self._authorization = source.auth.headers(connection) if source.auth else {}
        account = f"{source.name}/{connection.account}"
        self.gate = Gate(store, account, self._host(), self.clock)
        self._client: aiohttp.ClientSession | None = None
        self._proxy = _proxy_of(self.base_url)
        root = self.base_url.removesuffix(urlsplit(source.base_url).path.rstrip("/"))
        auth = source.auth
        self._tokens = (
            Tokens(auth, connection, root, store, self.clock, self._buy) if isinstance(auth, OAuth2) else None
        )
        self._has_worked = False

    async def __aenter__(self) -> Session:
        """Open the HTTP client."""
        self._client = aiohttp.ClientSession(
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS, connect=CONNECT_SECONDS, sock_connect=CONNECT_SECONDS),
            headers={"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "stitchline"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    @property
    def where(self) -> str:
        """Source and account, for messages."""
        return f"{self.source.name}/{self.connection.account}"

    async def get_json(self, path: str, params: Params = (), **options: Any) -> Any:
        """GET, decoded; options as for `send`."""
        return (await self.send("GET", path, params=params, decode=msgspec.json.decode, **options)).value

    async def post_json(self, path: str, json: Any, **options: Any) -> Any:
        """POST a JSON body, answer decoded; `reads=True` marks a search."""
        return (await self.send("POST", path, json=json, decode=msgspec.json.decode, **options)).value

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: Params = (),
        json: Any = None,
        form: Params | None = None,
        headers: Mapping[str, str] | None = None,
        reads: bool = False,
        safe_to_repeat: bool = False,
        accept: Sequence[int] = (),
        budget: Budget | None = None,
        label: str = "",
        decode: Callable[[bytes], Any] | None = None,
    ) -> Answer:
        """Make one call, repeating it through passing faults for a bounded time.

        Args:
            method: HTTP method.
            path: below the base URL, already quoted; or an absolute URL below it.
            params: query parameters.
            json: body, encoded as JSON.
            form: body, encoded as a form.
            headers: extra headers.
            reads: a POST that changes nothing at the vendor.
            safe_to_repeat: a write that has the same effect when it arrives twice.
            accept: statuses past 299 to hand back instead of raising.
            budget: what the call counts against, if not the source's budget.
            label: what to call this in messages (stream or operation); paths can hold addresses.
            decode: applied to the body; a body it cannot decode counts as a passing fault.

        Raises:
            FixCredentials: the vendor refused who we are.
            CallRefused: the vendor refused the call itself.
            StopSync: writing is not allowed here, or the daily quota is used up.
            RetryLater: it kept failing for the whole time allowed.
        """
        is_read = reads or method in ("GET", "HEAD")
        where = f"{self.where} {label}".rstrip()
        if not is_read and not self._writable:
            raise StopSync(
                f"a {method} was refused before it was sent: writes are not allowed in this environment",
                where=where,
                fix=f'To allow them, name the environment in "allow_writes_in" of connection {self.connection.id}.',
            )
        url = self._url(path, params)
        options: dict[str, Any] = {"headers": {**self.source.headers, **(headers or {})}}
        if json is not None:
            options["data"] = msgspec.json.encode(json)
            options["headers"].setdefault("Content-Type", "application/json")
        elif form is not None:
            options["data"] = _encoded(form).encode()
            options["headers"].setdefault("Content-Type", "application/x-www-form-urlencoded")
        effective = with_overrides(budget or self.source.budget, self.connection)
        deadline = self.clock.now() + self.total_seconds
        state = RetryCallState(AsyncRetrying(), None, (), {})
        token = refused = None
        while True:
            async with self.gate.passing(effective, deadline):
                if self._tokens is not None:
                    token = await self._tokens.access(refused)
                    options["headers"]["Authorization"] = f"Bearer {token}"
                may_renew = token is not None and refused is None
                outcome = await self._once(method, url, options, (*accept, 401) if may_renew else accept, decode, where)
            if isinstance(outcome, Answer):
                if may_renew and outcome.status == 401:
                    refused = token
                    continue
                return outcome
            wait = outcome.after if outcome.after else _backoff(state)
            may_repeat = is_read or (safe_to_repeat and (outcome.status is None or outcome.status in RETRIED_WRITES))
            if not may_repeat or self.clock.now() + wait > deadline:
                tried = f" {state.attempt_number} times" if state.attempt_number > 1 else ""
                raise RetryLater(
                    f"{outcome.what}{tried}", where=where, request_id=outcome.request_id, after=outcome.after
                )
            log.info("waiting %.2f s where=%s attempt=%d: %s", wait, where, state.attempt_number, outcome.what)
            self.counters.retries += 1
            if outcome.status == 429 or outcome.status == 403:
                self.counters.throttled_seconds += wait
                self.gate.hold(effective, wait)
            state.attempt_number += 1
            await self.clock.sleep(wait)

    async def back_off(self, attempt: int, what: str, label: str = "") -> None:
        """Wait before asking again for something that looked wrong, longer each time.

        Raises:
            RetryLater: it has looked wrong often enough.
        """
        if attempt > 6:
            raise RetryLater(f"{what} {attempt} times in a row", where=f"{self.where} {label}".rstrip())
        state = RetryCallState(AsyncRetrying(), None, (), {})
        state.attempt_number = attempt
        self.counters.retries += 1
        log.info("asking again where=%s stream=%s attempt=%d: %s", self.where, label, attempt, what)
        await self.clock.sleep(_backoff(state))

    def _host(self) -> str:
        try:
            url = URL(self.base_url)
            if url.scheme in ("http", "https") and url.host:
                return url.authority
        except ValueError:
            log.debug("unusable address where=%s", self.where)
        raise FixSettings(
            "the host is no web address",
            where=f"connection {self.connection.id}",
            fix="Write the host as https://name/path, or leave it empty for the vendor's own.",
        )

    def _url(self, path: str, params: Params) -> URL:
        if not path.startswith("/"):
            # Vendors hand out absolute URLs; credentials follow them only to where they belong.
            if not path.startswith(f"{self.base_url}/"):
                raise StopSync("an answer points to another host", where=self.where, fix="Check the connection's host.")
            path = path.removeprefix(self.base_url)
        query = _encoded(params)
        joined = f"{self.base_url}{path}{'&' if '?' in path else '?'}{query}" if query else f"{self.base_url}{path}"
        return URL(joined, encoded=True)

    async def _once(
        self,
        method: str,
        url: URL,
        options: Mapping[str, Any],
        accept: Sequence[int],
        decode: Callable[[bytes], Any] | None,
        where: str,
    ) -> Answer | _Again:
        if self._client is None:
            raise RuntimeError("the session is not open")
        self.counters.requests += 1
        source = self.source
        headers = {**options["headers"], **self._authorization}
        started = time.perf_counter()
        try:
            async with self._client.request(
                method,
                url,
                data=options.get("data"),
                headers=headers,
                proxy=options.get("proxy", self._proxy),
                allow_redirects=method in ("GET", "HEAD"),
            ) as response:
                status = response.status
                seen = {name.lower(): value for name, value in response.headers.items()}
                body = decompressed(await response.read(), seen.get("content-encoding", "").lower())
        except (aiohttp.ClientPayloadError, BrokenAnswer):
            self.gate.failed()
            return _Again("the answer was cut short")
        except TimeoutError:
            self.gate.failed()
            return _Again(f"no answer within {time.perf_counter() - started:.0f} s")
        except (aiohttp.InvalidURL, aiohttp.ClientSSLError, aiohttp.TooManyRedirects) as error:
            raise FixSettings(
                f"cannot call the vendor ({type(error).__name__})",
                where=where,
                fix=f"Check the host of connection {self.connection.id}.",
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            self.gate.failed()
            return _Again(f"the connection failed ({type(error).__name__})")
        answer = Answer(status, seen, body)
        seconds = time.perf_counter() - started
        log.debug("called where=%s status=%d bytes=%d seconds=%.3f", where, status, len(body), seconds)
        is_key_refused = status >= 400 and source.is_key_refused is not None and source.is_key_refused(body)
        if status in RETRIED and status not in accept and not is_key_refused:
            self.gate.failed()
            after = asked_to_wait(seen, self.clock.now())
            return _Again(f"the vendor answered {status}", status, after, answer.request_id)
        if 200 <= status < 300:
            try:
                value = decode(body) if decode is not None and status != 204 else None
            except Throttled as error:
                self.gate.answered()
                self.counters.throttled += 1
                return _Again(str(error), 429, error.after, answer.request_id)
            except (msgspec.DecodeError, BrokenAnswer) as error:
                self.gate.failed()
                what = str(error) if isinstance(error, BrokenAnswer) else "the answer is not whole JSON"
                return _Again(what, request_id=answer.request_id)
            self.gate.answered()
            self._has_worked = True
            return Answer(status, seen, body, value)
        self.gate.answered()
        return answer if status in accept else self._refused(answer, where, is_key_refused)

    async def _buy(self, address: str, headers: Mapping[str, str], form: Mapping[str, str]) -> Answer:
        """Post a form to a token endpoint: no budget, passing faults repeated for a short time."""
        form_type = {"Content-Type": "application/x-www-form-urlencoded"}
        options = {"data": _encoded(form).encode(), "headers": {**form_type, **headers}, "proxy": _proxy_of(address)}
        where = f"connection {self.connection.id}"
        deadline = self.clock.now() + PURCHASE_SECONDS
        state = RetryCallState(AsyncRetrying(), None, (), {})
        while True:
            outcome = await self._once("POST", URL(address), options, REFUSALS, msgspec.json.decode, where)
            if isinstance(outcome, Answer):
                return outcome
            wait = outcome.after if outcome.after else _backoff(state)
            if self.clock.now() + wait > deadline:
                what = f"the token endpoint fails: {outcome.what}"
                raise RetryLater(what, where=where, request_id=outcome.request_id, after=outcome.after)
            self.counters.retries += 1
            state.attempt_number += 1
            await self.clock.sleep(wait)

    def _refused(self, answer: Answer, where: str, is_key_refused: bool) -> _Again:
        """Sort an answer that is no success: a pause, or the error that says what to do."""
        source, status = self.source, answer.status
        is_json = "json" in answer.headers.get("content-type", "")
        bare_403 = status == 403 and source.is_bare_403_throttling and self._has_worked and not is_json
        is_used_up = source.is_quota_used_up
        if status in (403, 429) and is_used_up is not None and is_used_up(answer.headers, answer.body):
            raise StopSync(
                "the daily quota of calls is used up",
                where=where,
                fix="It fills up again by itself; fewer syncs or a bigger plan prevent it.",
                request_id=answer.request_id,
            )
        if status == 429 or bare_403:
            self.counters.throttled += 1
            after = asked_to_wait(answer.headers, self.clock.now())
            return _Again("the vendor said: too many calls", status, after, answer.request_id)
        if is_key_refused or status in source.rejects_with:
            raise FixCredentials(
                f"the vendor refused the credentials or their permissions ({status})",
                where=f"connection {self.connection.id}, {where}",
                fix=f"Renew the credentials of connection {self.connection.id}, and check what they may read.",
                request_id=answer.request_id,
            )
        raise CallRefused(
            f"the vendor refused the call ({status})",
            where=where,
            fix="Check the connection's fields and the stream's parameters against the vendor's reference.",
            request_id=answer.request_id,
            status=status,
        )


def _proxy_of(url: str) -> str | None:
    """The proxy the environment names; found once, since aiohttp would look again (and into .netrc) at every call."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)


def _encoded(params: Params) -> str:
    pairs = params.items() if isinstance(params, Mapping) else params
    return urlencode([(name, str(value).lower() if isinstance(value, bool) else value) for name, value in pairs])
