"""Requests per second that are durable when they are answered: the collector, and FastAPI with an fsync a request.

A request is a batch of 100 SendGrid events, each signed by itself: a collector keeps what comes twice only once.
The client is a process of its own that writes prepared bytes. Turns are interleaved, figures are medians.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.settings import ROOT

CONNECTIONS = 64
BODIES = 200
FASTEST = 8000
"""Requests per second for which the client prepares."""
KINDS = ("ours", "ours, no fsync", "fastapi")


@dataclass(frozen=True)
class Turn:
    """What one client saw: requests accepted each second, and the 99th percentile of their time."""

    requests_per_second: float
    p99_milliseconds: float


def measure(seconds: float, repeats: int, tell: Callable[[str], None]) -> dict[str, Turn]:
    """Medians per kind of server."""
    seen: dict[str, list[Turn]] = {kind: [] for kind in KINDS}
    tell(f"one asyncio client, {CONNECTIONS} connections, {seconds:g} s a turn")
    for _ in range(repeats):
        for kind in KINDS:
            with _server(kind) as port:
                turn = _client(port, seconds)
            seen[kind].append(turn)
            tell(f"{kind}: {turn.requests_per_second:,.0f} requests/s, p99 {turn.p99_milliseconds:.1f} ms")
    return {
        kind: Turn(
            statistics.median(turn.requests_per_second for turn in turns),
            statistics.median(turn.p99_milliseconds for turn in turns),
        )
        for kind, turns in seen.items()
    }


@contextmanager
def _server(kind: str) -> Iterator[int]:
    with tempfile.TemporaryDirectory(prefix="stitchline-bench-", dir=ROOT) as home:
        env = {**os.environ, "STITCHLINE_HOME": home, "STITCHLINE_COLLECTOR": "sendgrid", "PYTHONPATH": str(ROOT)}
        # What is measured is taking requests: nothing is landed meanwhile.
        env |= {"STITCHLINE_COLLECTOR_RATE": "1e9", "STITCHLINE_COLLECTOR_ROLL_BYTES": str(2**40)}
        command = [sys.executable, "-m", "benchmarks.collector", "serve", kind]
        process = subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        yield int(process.stdout.readline())
        # What was taken is not worth landing.
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


def _client(port: int, seconds: float) -> Turn:
    command = [sys.executable, "-m", "benchmarks.collector", "client", str(port), str(seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return Turn(*json.loads(done.stdout))


def serve(kind: str) -> None:
    """Serve until killed; the port is the first line of the output."""

    def ready(port: int) -> None:
        print(port, flush=True)

    if kind == "fastapi":
        _serve_fastapi(ready)
        return
    from include.collector.serve import serve as serve_ours
    from include.connect.connection import Connection
    from include.settings import read_settings
    from include.simulate.webhooks import sendgrid_public_key

    def read(name: str, account: str) -> Connection:
        return Connection(name, account, extra={"webhook_secret": sendgrid_public_key()})

    serve_ours(read_settings(), read=read, ready=ready, is_durable=kind == "ours")


def _serve_fastapi(ready: Callable[[int], None]) -> None:
    """What one would write first: FastAPI, a pydantic model, a line per event, an fsync per request."""
    import socket

    import uvicorn
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_public_key
    from fastapi import FastAPI, Request
    from pydantic import BaseModel, ConfigDict, TypeAdapter

    from include.simulate.webhooks import sendgrid_public_key

    class Event(BaseModel):
        model_config = ConfigDict(extra="allow")
        email: str
        timestamp: int
        event: str
        sg_event_id: str

    events: TypeAdapter[list[Event]] = TypeAdapter(list[Event])
    key: Any = load_der_public_key(base64.b64decode(sendgrid_public_key()))
    file = os.open(Path(os.environ["STITCHLINE_HOME"]) / "events.ndjson", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    app = FastAPI()

    def keep(data: bytes) -> None:
        os.write(file, data)
        os.fsync(file)

    async def take(request: Request) -> dict[str, bool]:
        body = await request.body()
        signature = base64.b64decode(request.headers["x-twilio-email-event-webhook-signature"])
        signed = request.headers["x-twilio-email-event-webhook-timestamp"].encode() + body
        key.verify(signature, signed, ec.ECDSA(SHA256()))
        lines = b"".join(one.model_dump_json().encode() + b"\n" for one in events.validate_json(body))
        await asyncio.to_thread(keep, lines)
        return {"ok": True}

    # Not as a decorator: its annotations are names of this function, which FastAPI could not look up.
    take.__annotations__["request"] = Request
    app.add_api_route("/webhooks/sendgrid", take, methods=["POST"], response_model=None)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(4096)
    ready(int(listener.getsockname()[1]))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="warning", access_log=False))
    server.run(sockets=[listener])


def client(port: int, seconds: float) -> None:
    """Send for so long and print the figures."""
    import uvloop

    print(json.dumps(uvloop.run(_pour(port, seconds, _requests(port, int(seconds * FASTEST))))))


def _requests(port: int, count: int) -> list[tuple[bytes, bytes]]:
    """Head and body of every request; bodies repeat, under another signed time."""
    from include.simulate.webhooks import SENDERS, events_of

    sender, now = SENDERS["sendgrid"], time.time()
    batches = events_of(sender, BODIES * sender.batch, ["ann@example.com"], datetime.now(UTC), random.Random(7))
    bodies = [sender.pack(batch) for batch in batches]
    made = []
    for number in range(count):
        body = bodies[number % BODIES]
        headers = {**sender.sign("", body, now - number), "Content-Type": sender.content_type, "Host": "127.0.0.1"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST /webhooks/sendgrid HTTP/1.1\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
        made.append((head.encode(), body))
    return made


async def _pour(port: int, seconds: float, requests: list[tuple[bytes, bytes]]) -> tuple[float, float]:
    took: list[float] = []
    waiting = iter(requests)
    until = time.perf_counter() + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (began := time.perf_counter()) < until:
            writer.writelines(next(waiting))
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            took.append(time.perf_counter() - began)
        writer.close()

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return len(took) / seconds, sorted(took)[int(len(took) * 0.99)] * 1000


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        client(int(sys.argv[2]), float(sys.argv[3]))
