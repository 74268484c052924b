"""One HTTP request read with bounds, and the answer to it."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from include.connect.signatures import Refused

Header = tuple[bytes, bytes]
BODY_SECONDS = 30.0
JSON, TEXT = (b"content-type", b"application/json"), (b"content-type", b"text/plain; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; bodies are short and whole."""

    status: int
    body: bytes = b""
    headers: Sequence[Header] = (TEXT,)

    async def send(self, send: Send, more: Sequence[Header] = (), *, has_body: bool = True) -> None:
        """Send it; an answer to HEAD has no body."""
        headers = [*self.headers, *more, (b"content-length", str(len(self.body)).encode())]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body if has_body else b""})


class Request:
    """What of a request the collector looks at."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[str, str] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        client = scope.get("client")
        self.caller: str = client[0] if client else ""

    @property
    def query(self) -> str:
        """The query string as it came."""
        return str(self._scope["query_string"].decode("latin-1"))

    def fields(self) -> dict[str, str]:
        """Query parameters; the first of each name."""
        return {name: values[0] for name, values in parse_qs(self.query, keep_blank_values=True).items()}

    def url(self, public: str | None) -> str:
        """The address as the sender wrote it."""
        host = public or f"{self._scope['scheme']}://{self.headers.get('host', '')}"
        path = self._scope.get("raw_path", self.path.encode()).decode("latin-1")
        return f"{host.rstrip('/')}{path}{'?' if self.query else ''}{self.query}"

    async def body(self, most: int, *, may_be_packed: bool = False) -> bytes:
        """The whole body.

        Raises:
            Refused: 413, larger than `most` bytes; 408, too slow; 415, packed in a way that is not taken.
        """
        packing = self.headers.get("content-encoding", "identity").lower()
        if packing != "identity" and not (may_be_packed and packing == "gzip"):
            raise Refused(415, "send the body without Content-Encoding")
        declared = self.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > most:
            raise _too_large(most)
        message = await self._receive()
        data = message.get("body", b"")
        if message.get("more_body"):
            data = await self._rest(data, most)
        if message["type"] == "http.disconnect":
            raise Refused(400, "the connection ended before the body did")
        if len(data) > most:
            raise _too_large(most)
        return _unpacked(data, most) if packing == "gzip" else bytes(data)

    async def _rest(self, first: bytes, most: int) -> bytes:
        parts, size = [first], len(first)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    message: Any = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise Refused(400, "the connection ended before the body did")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > most:
                        raise _too_large(most)
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            raise Refused(408, "the body came too slowly") from None


def _too_large(most: int) -> Refused:
    # The rest is not read, so the connection cannot be used again.
    return Refused(413, f"the body is larger than {most} bytes", ((b"connection", b"close"),))


def _unpacked(data: bytes, most: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(data, most + 1)
    except zlib.error:
        raise Refused(400, "the body is not gzip") from None
    if len(plain) > most:
        raise _too_large(most)
    if not unpacker.eof:
        raise Refused(400, "the body is cut short")
    return plain
