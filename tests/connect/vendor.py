"""A small real HTTP server whose answers a test writes itself."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request, bytes], web.StreamResponse | Awaitable[web.StreamResponse]]


@dataclass
class Vendor:
    """Answers with `handler`, or with the `script` one after another, and remembers what was asked."""

    url: str = ""
    handler: Handler | None = None
    script: list[web.StreamResponse | Handler] = field(default_factory=list)
    asked: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked.append(request)
        self.bodies.append(body)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            chosen: Any = self.script.pop(0) if self.script else self.handler
            if callable(chosen):
                chosen = chosen(request, body)
            if isinstance(chosen, Awaitable) and not isinstance(chosen, web.StreamResponse):
                chosen = await chosen
            return chosen
        finally:
            self.in_flight -= 1


@contextmanager
def serving() -> Iterator[Vendor]:
    vendor = Vendor()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> web.AppRunner:
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", vendor.answer)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        vendor.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    runner = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield vendor
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def js(value: Any, status: int = 200, **headers: str) -> web.Response:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return web.Response(body=json.dumps(value).encode(), status=status, content_type="application/json", headers=named)


async def cut_short(request: web.Request, body: bytes) -> web.StreamResponse:
    """Promise more bytes than are sent."""
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"results":[{"id":1}')
    assert request.transport is not None
    request.transport.close()
    return response


async def reset(request: web.Request, body: bytes) -> web.StreamResponse:
    """Drop the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
