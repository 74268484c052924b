"""A collector inside the test: requests by hand, a clock that is set, and what was made durable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from include.collector.app import Collector
from include.collector.entry import Entry, Segment
from include.collector.keys import Keys, read_keys
from include.collector.spool import Spool
from include.connect.connection import Connection
from include.settings import Settings
from include.simulate import webhooks

T = TypeVar("T")
PUBLIC = "https://collect.example.com"
NOW = 1_780_000_000.0


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Certificates:
    """Stands for the network: what SNS would answer, and what it was asked."""

    def __init__(self, pem: bytes = b"") -> None:
        self.pem = pem
        self.asked: list[str] = []

    async def certificate(self, url: str, host: str | None) -> bytes:
        self.pem = self.pem or webhooks.sns_certificate()
        return self.pem

    async def call(self, url: str, host: str | None) -> bytes:
        self.asked.append(url)
        return b""

    async def close(self) -> None:
        return


@dataclass
class Receiver:
    app: Collector
    folder: Path
    time: list[float]
    fetch: Certificates = field(default_factory=Certificates)

    @property
    def now(self) -> float:
        return self.time[0]

    async def __call__(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        caller: str = "203.0.113.7",
        chunks: int = 1,
    ) -> Answer:
        plain, _, query = path.partition("?")
        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "scheme": "http",
            "path": plain,
            "raw_path": plain.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()],
            "client": (caller, 4711),
        }
        size = max(1, -(-len(body) // chunks))
        parts = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
        messages = [
            {"type": "http.request", "body": part, "more_body": number < len(parts) - 1}
            for number, part in enumerate(parts)
        ]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return messages.pop(0)

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)  # type: ignore[arg-type]
        told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], told, sent[1]["body"])

    async def send(self, sender: webhooks.Sender, body: bytes, headers: Mapping[str, str], **more: Any) -> Answer:
        given = {"content-type": sender.content_type, **headers}
        return await self("POST", f"/webhooks/{sender.name}", body, given, **more)

    def sign(self, sender: webhooks.Sender, body: bytes, at: float | None = None) -> dict[str, str]:
        return sender.sign(f"{PUBLIC}/webhooks/{sender.name}", body, self.now if at is None else at)

    def kept(self) -> list[Entry]:
        files = sorted(path for path in self.folder.iterdir() if path.suffix in (".open", ".log"))
        return [entry for path in files for entry in Segment(path)]


def connections() -> dict[str, Connection]:
    """What Airflow would answer, by connection id."""
    import json

    found = {}
    for variable, text in webhooks.connections().items():
        name = variable.removeprefix("AIRFLOW_CONN_").lower()
        found[name] = Connection(name, extra=json.loads(text)["extra"])
    return found


def reader(given: Mapping[str, Connection]) -> Callable[[str, str], Connection]:
    return lambda name, account: given[name if account == "main" else f"{name}__{account}"]


def settings(folder: Path, **more: Any) -> Settings:
    takes = ("segment", "hook", "email", *webhooks.SENDERS)
    return Settings(**{"home": folder, "collector": takes, "collector_url": PUBLIC, **more})


def receiving(
    folder: Path,
    test: Callable[[Receiver], Coroutine[Any, Any, T]],
    *,
    keys: Keys | None = None,
    sync: Callable[[int], None] | None = None,
    **more: Any,
) -> T:
    """Run a test with a collector whose spool is real."""
    chosen = settings(folder, **more)

    async def run() -> T:
        given = {"sync": sync} if sync is not None else {}
        spool = Spool(chosen.spool, roll_bytes=2**26, roll_seconds=3600, **given)
        fetch, time = Certificates(), [NOW]
        app = Collector(
            chosen,
            keys or read_keys(chosen, reader(connections())),
            spool,
            fetch,  # type: ignore[arg-type]
            clock=lambda: time[0],
        )
        receiver = Receiver(app, chosen.spool, time, fetch)
        try:
            return await test(receiver)
        finally:
            await spool.close()

    return asyncio.run(run())


def lines(landing: Path, stream: str) -> Iterator[dict[str, Any]]:
    """Lines of every part that a manifest of a stream names."""
    import gzip
    import json

    from include.connect.landing import list_manifests

    for manifest in list_manifests(str(landing), "collector", "main", stream):
        for part in manifest.parts:
            for line in gzip.decompress((landing / part.path).read_bytes()).splitlines():
                yield json.loads(line)
