"""Requests per second that are durable when they are answered: the collector, and FastAPI with an fsync a request.

A request is a batch of 100 SendGrid events, each signed by itself: a collector keeps what comes twice only once.
The client is wrk, one thread, which sends what was prepared. Turns are interleaved, figures are medians.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import shutil
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
    if shutil.which("wrk") is None:
        raise SystemExit("wrk sends the requests and is not here; install it (Debian: apt-get install wrk)")
    tell(f"wrk, 1 thread, {CONNECTIONS} connections, {seconds:g} s a turn")
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
    with tempfile.TemporaryDirectory(prefix="stitchline-bench-", dir=ROOT, ignore_cleanup_errors=True) as home:
        env = {**os.environ, "STITCHLINE_HOME": home, "STITCHLINE_COLLECTOR": "sendgrid", "PYTHONPATH": str(ROOT)}
        # What is measured is taking requests: nothing is landed meanwhile.
        env |= {"STITCHLINE_COLLECTOR_RATE": "1e9", "STITCHLINE_COLLECTOR_ROLL_BYTES": str(2**40)}
        command = [sys.executable, "-m", "benchmarks.collector", "serve", kind]
        process = subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            # What was taken is not worth landing.
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()


def _client(port: int, seconds: float) -> Turn:
    with tempfile.TemporaryDirectory(prefix="stitchline-bench-") as folder:
        bodies, headers = Path(folder) / "bodies", Path(folder) / "headers"
        _prepare(bodies, headers, int(seconds * FASTEST))
        command = [
            "wrk",
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{seconds:g}s",
            "--timeout",
            "60s",
            "-s",
            "benchmarks/collector.lua",
        ]
        command += [f"http://127.0.0.1:{port}/webhooks/sendgrid", "--", str(bodies), str(headers)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    requests, took, p99, failed = json.loads(done.stdout.splitlines()[-1])
    if failed:
        raise RuntimeError(f"{failed} of {requests} requests failed:\n{done.stdout}{done.stderr}")
    return Turn(requests / took, p99)


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


def _prepare(bodies: Path, headers: Path, count: int) -> None:
    """Write bodies, and so many requests' headers: bodies repeat, under another signed time."""
    from include.simulate.webhooks import SENDERS, events_of

    sender, now = SENDERS["sendgrid"], time.time()
    batches = events_of(sender, BODIES * sender.batch, ["ann@example.com"], datetime.now(UTC), random.Random(7))
    packed = [sender.pack(batch) for batch in batches]
    bodies.write_bytes(b"".join(body + b"\0" for body in packed))
    lines = []
    for number in range(count):
        signed = sender.sign("", packed[number % BODIES], now - number)
        lines.append(
            "\t".join(part for pair in (*signed.items(), ("Content-Type", sender.content_type)) for part in pair)
        )
    headers.write_text("\n".join(lines))


if __name__ == "__main__":
    serve(sys.argv[2])
