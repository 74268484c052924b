"""The gate in front of each vendor: counts requests, injects faults, checks credentials and limits."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from typing import Any

import msgspec
from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from include.simulate.vendor import Call, Faults, Refused, Route, Vendor

TRANSPORT = "stitchline.transport"
"""Scope key under which `server.py` passes the connection, so that a fault can really break it."""


class Stats(msgspec.Struct):
    """What a vendor has seen: `writes` reached its records, `errors` are all failures but throttling."""

    requests: int = 0
    writes: int = 0
    throttled: int = 0
    errors: int = 0


class Gate:
    """The ASGI app of one vendor; everything between the socket and the vendor's own code."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.stats = Stats()
        self._routes = vendor.routes()
        self.in_flight = 0
        self._count: Counter[str] = Counter()
        self._expired = 0
        self._last_page: dict[str, bytes] = {}

    def set_faults(self, faults: Faults) -> None:
        """Replace this vendor's faults and start counting anew."""
        self.vendor.faults = faults
        self._count.clear()
        self._last_page.clear()
        self._expired = int(faults.expire_token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        call = await self._read(scope, receive)
        self.in_flight += 1
        try:
            self.stats.requests += 1
            if self.vendor.faults.slow_seconds:
                await asyncio.sleep(self.vendor.faults.slow_seconds)
            if self._hits("reset_every"):
                self.stats.errors += 1
                await _break(scope, receive, hard=True)
                return
            response = self._answer(call)
            self.vendor.stamp(call, response)
            if response.status_code == 429:
                self.stats.throttled += 1
            elif response.status_code >= 400:
                self.stats.errors += 1
            if len(response.body) > 1 and response.status_code < 300 and self._hits("truncate_every"):
                self.stats.errors += 1
                await self._send_cut(response, scope, receive, send)
            else:
                if self.vendor.is_chunked and response.status_code < 300 and "content-length" in response.headers:
                    del response.headers["content-length"]
                await response(scope, receive, send)
        finally:
            self.in_flight -= 1

    def _answer(self, call: Call) -> Response:
        faults, vendor = self.vendor.faults, self.vendor
        if self._expired > 0:
            self._expired -= 1
            return vendor.refuse(call)
        if self._hits("throttle_every"):
            return vendor.too_many(call, faults.retry_after)
        if self._hits("error_every"):
            return vendor.broken(call)
        limited = None if vendor.unlimited else vendor.limit(call, self.in_flight)
        if limited is not None:
            return limited
        if not vendor.accepts(call):
            return vendor.refuse(call)
        route = self._match(call)
        if route is None:
            return vendor.missing(call)
        if route.is_write(call):
            self.stats.writes += 1
        try:
            response = route.handler(call)
        except Refused as refusal:
            return refusal.response
        return self._maybe_repeat(call, response)

    def _match(self, call: Call) -> Route | None:
        for route in self._routes:
            if route.method == call.method:
                found = route.regex.match(call.path)
                if found:
                    call.params = found.groupdict()
                    return route
        return None

    def _hits(self, fault: str) -> bool:
        every: int | None = getattr(self.vendor.faults, fault)
        if not every:
            return False
        self._count[fault] += 1
        return self._count[fault] % every == 0

    def _maybe_repeat(self, call: Call, response: Response) -> Response:
        if not self.vendor.faults.repeat_page_every or response.status_code != 200:
            return response
        page = self.vendor.list_of(call)
        if self.vendor.continues(call) and page in self._last_page and self._hits("repeat_page_every"):
            # The page before, its own next-page token included: a client that trusts the token reads on for ever.
            return Response(self._last_page[page], 200, None, self.vendor.media_type)
        self._last_page[page] = bytes(response.body)
        return response

    async def _send_cut(self, response: Response, scope: Scope, receive: Receive, send: Send) -> None:
        """Send half of the body, in each of the three ways a body gets cut, in turn."""
        half = bytes(response.body)[: len(response.body) // 2]
        way = ("content-length", "chunked", "whole")[self._count["cut"] % 3]
        self._count["cut"] += 1
        if way == "whole":
            # A proxy's doing: a complete HTTP answer whose JSON stops in the middle.
            response.headers["content-length"] = str(len(half))
        elif way == "chunked":
            del response.headers["content-length"]
        await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
        await send({"type": "http.response.body", "body": half, "more_body": way != "whole"})
        if way != "whole":
            await _break(scope, receive, hard=False)

    async def _read(self, scope: Scope, receive: Receive) -> Call:
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = Headers(scope=scope)
        prefix = scope.get("root_path", "")
        return Call(
            method=scope["method"],
            path=self.vendor.normalised(scope["path"].removeprefix(prefix)),
            base=f"{scope['scheme']}://{headers.get('host', '127.0.0.1')}{prefix}",
            query=QueryParams(scope["query_string"]),
            headers=headers,
            body=bytes(body),
        )


async def _break(scope: Scope, receive: Receive, *, hard: bool) -> None:
    """End the connection under the client: `hard` is a TCP reset, otherwise a close after what was sent."""
    transport: Any = scope[TRANSPORT]
    if hard:
        # Linger of zero turns the close into RST; without it the client would see an orderly end.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()
    while (await receive())["type"] != "http.disconnect":
        continue
