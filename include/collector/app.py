"""The collector's ASGI app: who sends, is it theirs, is it whole; durable first, then the answer."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import math
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from starlette.types import Receive, Scope, Send

from include.collector.bounds import Deliveries, Rates
from include.collector.entry import Entry, frame
from include.collector.fetch import Fetcher
from include.collector.keys import Keys, Route
from include.collector.metrics import Metrics
from include.collector.request import JSON, TEXT, Header, Reply, Request
from include.collector.spool import Busy, Spool
from include.collector.streams import BATCH, CALL, CLICK, OPEN, webhooks
from include.connect.connection import DEFAULT_ACCOUNT
from include.connect.cursor import written
from include.connect.records import BrokenAnswer
from include.connect.signatures import Delivery, Refused, basic
from include.settings import Settings

log = logging.getLogger(__name__)

CALLS = frozenset({"track", "identify", "page", "screen", "group", "alias", "batch"})
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
SCRIPT = Path(__file__).with_name("stitchline.js")
STALE_SECONDS = 300.0
"""Without a round of landing for so long, the collector calls itself unwell."""
NEVER_CACHED = (b"cache-control", b"no-store, max-age=0")
OK = Reply(200)
"""No body: a sender looks at the status, and a body would be a second write to its socket."""
TAKEN = Reply(200, b'{"success":true}', (JSON,))


class Collector:
    """Takes webhooks, calls, pixels and links.

    Args:
        settings: bounds and addresses.
        keys: routes and secrets; `reload` replaces them.
        spool: where requests become durable.
        fetch: calls a vendor where a webhook needs that.
        clock: epoch seconds.
        metrics: what is counted.
    """

    def __init__(
        self,
        settings: Settings,
        keys: Keys,
        spool: Spool,
        fetch: Fetcher,
        clock: Callable[[], float] = time.time,
        metrics: Metrics | None = None,
    ) -> None:
        self.settings = settings
        self.keys = keys
        self.spool = spool
        self.metrics = metrics or Metrics()
        self._fetch = fetch
        self._clock = clock
        self._rates = Rates(settings.collector_rate)
        self._deliveries = Deliveries()
        self._script = SCRIPT.read_bytes()
        self._started = clock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; nothing a sender does ends in anything but an answer."""
        if scope["type"] != "http":
            raise RuntimeError(f"the collector does not speak {scope['type']}")
        request = Request(scope, receive)
        label, handle = self._handler(request)
        try:
            if handle not in (self._health, self._metrics):
                self._check_rate(request)
            reply = await handle(request)
        except Refused as error:
            reply = Reply(error.status, error.reason.encode(), (TEXT, *error.headers))
        except BrokenAnswer as error:
            reply = Reply(400, str(error).encode())
        except RecursionError:
            reply = Reply(400, b"the body is nested too deeply")
        except Busy as error:
            reply = Reply(503, f"not kept, come again: {error}".encode(), (TEXT, (b"retry-after", b"5")))
        self.metrics.requests[label, reply.status] += 1
        await reply.send(send, self._cors(request), has_body=request.method != "HEAD")

    def _handler(self, request: Request) -> tuple[str, Callable[[Request], Awaitable[Reply]]]:
        path = request.path.rstrip("/")
        start = path[:4]
        if start == "/v1/" and path[4:] in CALLS and self.keys.write_keys:
            return "segment", self._preflight if request.method == "OPTIONS" else self._segment
        if path in self.keys.routes:
            route = self.keys.routes[path]
            return route.name, self._webhook
        if self.keys.takes_email and path in ("/p.gif", "/r"):
            return ("pixel", self._pixel) if path == "/p.gif" else ("redirect", self._redirect)
        fixed = {"/stitchline.js": self._site, "/healthz": self._health, "/metrics": self._metrics}
        return path[1:] if path in fixed else "unknown", fixed.get(path, self._unknown)

    def _check_rate(self, request: Request) -> None:
        wait = self._rates.take(request.caller, self._clock())
        if wait:
            raise Refused(429, "too many requests", ((b"retry-after", str(math.ceil(wait)).encode()),))

    async def _unknown(self, request: Request) -> Reply:
        raise Refused(404, "nothing is taken here")

    async def _webhook(self, request: Request) -> Reply:
        route = self.keys.routes[request.path.rstrip("/")]
        hook = route.webhook
        if request.method in ("GET", "HEAD") and hook.answers_get:
            return OK
        _only(request, "POST")
        body = await request.body(self.settings.collector_max_bytes)
        delivery = Delivery(request.method, request.url(self.settings.collector_url), request.headers, body)
        if hook.is_probe is not None and hook.is_probe(delivery):
            return OK
        if hook.certificate_url is not None:
            url = hook.certificate_url(delivery, route.secrets)
            delivery.certificate = await self._fetch.certificate(url, route.host)
        now = self._clock()
        proof = route.signature.verify(delivery, route.secrets, now)
        confirm = hook.confirm_url(body) if hook.confirm_url is not None else None
        if confirm is not None:
            await self._fetch.call(confirm, route.host)
            log.info("subscription confirmed webhook=%s account=%s", route.name, route.account)
            return OK
        count = hook.count(body)
        outside = {**route.outside, **{name: request.headers.get(name, "") for name in hook.headers}}
        entry = Entry(route.name, route.account, now, outside, body)
        await self._keep_once(route, proof, entry, count)
        return OK

    async def _keep_once(self, route: Route, proof: bytes, entry: Entry, count: int) -> None:
        """Keep a delivery unless the very same one is here; a replay of a vendor that signs anew is refused."""
        if not count:
            return
        if not proof:
            await self._keep(route.name, entry, count)
            return
        # What a vendor says outside the signed body tells deliveries apart too: Shopify's topics may have equal bodies.
        told = msgspec.json.encode([route.name, route.account, *entry.outside.values()])
        known_as = hashlib.blake2b(told + proof, digest_size=16).digest()
        now = self._clock()
        earlier = self._deliveries.find(known_as, now)
        if earlier is not None:
            self.metrics.repeated += 1
            if route.signature.is_resigned:
                raise Refused(409, "this very delivery was taken before")
            await earlier
            return
        durable = self.spool.append(frame(entry))
        self._deliveries.add(known_as, durable, now)
        try:
            await durable
        except Busy:
            self._deliveries.forget(known_as)
            raise
        self._count(route.name, entry, count)

    async def _keep(self, label: str, entry: Entry, count: int) -> None:
        await self.spool.append(frame(entry))
        self._count(label, entry, count)

    def _count(self, label: str, entry: Entry, count: int) -> None:
        self.metrics.records[label] += count
        self.metrics.bytes += len(entry.body)

    async def _preflight(self, request: Request) -> Reply:
        return Reply(204)

    async def _segment(self, request: Request) -> Reply:
        _only(request, "POST")
        origin = request.headers.get("origin")
        if origin is not None and not self._allows(origin):
            raise Refused(403, "this web site may not send here")
        body = await request.body(self.settings.collector_max_bytes, may_be_packed=True)
        kind = request.path.rstrip("/")[4:]
        name = BATCH if kind == "batch" else CALL
        count = webhooks()[name].count(body)
        given = basic(request.headers)[0]
        top = _top(body) if not given or kind == "batch" else _Top()
        outside = {"type": kind, "write_key": self._write_key(given or top.key or "")}
        if kind == "batch" and top.sent_at:
            outside["sent_at"] = top.sent_at
        if count:
            await self._keep("segment", Entry(name, DEFAULT_ACCOUNT, self._clock(), outside, body), count)
        return TAKEN

    def _write_key(self, given: str) -> str:
        """The name of a write key."""
        found = ""
        for name, key in self.keys.write_keys.items():
            if hmac.compare_digest(key.encode(), given.encode()):
                found = name
        if not found:
            raise Refused(401, "the write key is unknown" if given else "no write key")
        return found

    async def _pixel(self, request: Request) -> Reply:
        _only(request, "GET")
        if request.method == "GET":
            await self._keep("pixel", self._hit(OPEN, request), 1)
        return Reply(200, PIXEL, ((b"content-type", b"image/gif"), NEVER_CACHED))

    async def _redirect(self, request: Request) -> Reply:
        _only(request, "GET")
        to = request.fields().get("u", "")
        if not leads_to(to, self.settings.collector_redirect_hosts):
            raise Refused(400, "u is no address to which links may lead")
        try:
            if request.method == "GET":
                await self._keep("redirect", self._hit(CLICK, request), 1)
        except Busy:
            # Somebody wants to see a page; that we cannot count it is not their trouble.
            self.metrics.hits_lost += 1
        return Reply(302, b"", ((b"location", to.encode("ascii")), NEVER_CACHED))

    def _hit(self, name: str, request: Request) -> Entry:
        """A visit nobody else has an id for; it gets one here, in the first write."""
        now = self._clock()
        record = {
            "id": uuid.uuid4().hex,
            "at": written(datetime.fromtimestamp(now, UTC)),
            "query": request.fields(),
            "user_agent": request.headers.get("user-agent", ""),
            "referrer": request.headers.get("referer", ""),
        }
        return Entry(name, DEFAULT_ACCOUNT, now, {}, msgspec.json.encode(record))

    async def _site(self, request: Request) -> Reply:
        _only(request, "GET")
        headers = ((b"content-type", b"text/javascript; charset=utf-8"), (b"cache-control", b"public, max-age=3600"))
        return Reply(200, self._script, headers)

    async def _health(self, request: Request) -> Reply:
        age = self._clock() - max(self.metrics.landed_at, self._started)
        failed = self.spool.failure or (f"nothing was landed for {age:.0f} s" if age > STALE_SECONDS else "")
        return Reply(503 if failed else 200, (failed or "ok").encode())

    async def _metrics(self, request: Request) -> Reply:
        return Reply(200, self.metrics.text(self.spool).encode(), ((b"content-type", b"text/plain; version=0.0.4"),))

    def _cors(self, request: Request) -> list[Header]:
        origin = request.headers.get("origin")
        if origin is None or not request.path.startswith("/v1/") or not self._allows(origin):
            return []
        return [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-allow-credentials", b"true"),
            (b"access-control-allow-methods", b"POST, OPTIONS"),
            (b"access-control-allow-headers", b"authorization, content-type, content-encoding"),
            (b"access-control-max-age", b"86400"),
            (b"vary", b"origin"),
        ]

    def _allows(self, origin: str) -> bool:
        allowed = self.settings.collector_origins
        return "*" in allowed or origin in allowed


class _Top(msgspec.Struct, rename={"key": "writeKey", "sent_at": "sentAt"}):
    key: str | None = None
    sent_at: str | None = None


def _top(body: bytes) -> _Top:
    """What a call says beside its records."""
    try:
        return msgspec.json.decode(body, type=_Top)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Refused(400, "writeKey and sentAt are no text") from None


def leads_to(url: str, hosts: tuple[str, ...]) -> bool:
    """Whether an address is http(s) at one of the hosts (`*.example.com`: any below), with nothing hidden in it."""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url or "@" in url.partition("?")[0]:
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not host or port not in (None, 80, 443):
        return False
    return any(host == one or (one.startswith("*.") and host.endswith(one[1:])) for one in hosts)


def _only(request: Request, method: str) -> None:
    if request.method != method and not (method == "GET" and request.method == "HEAD"):
        raise Refused(405, f"only {method} is taken here", ((b"allow", method.encode()),))
