"""An API that costs its callers no waiting: seeded contacts, every page rendered and packed before the first call.

`/contacts?page=N&per_page=100` answers at once; `/paced/contacts` permits so many calls in any second, answers 429
past that and ends after so many pages; `/told` says what `/paced/contacts` saw.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
import sys
import time
import zlib
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from include.simulate.names import FIRST_NAMES, LAST_NAMES

PER_PAGE = 100
RECORD_BYTES = 1500
START = datetime(2024, 1, 1, tzinfo=UTC)
COMPANIES = ("Northwind", "Tailspin", "Fabrikam", "Contoso", "Litware", "Proseware", "Wingtip", "Adatum", "Lucerne")
STREETS = ("Mill Lane", "Harbour Road", "Station Street", "Castle Hill", "Orchard Way", "Kings Avenue", "Bridge Street")
CITIES = ("Berlin", "Lisbon", "Oslo", "Austin", "Leeds", "Lyon", "Graz", "Porto", "Turin", "Ghent")
TITLES = ("Head of Marketing", "Account Manager", "Data Engineer", "Founder", "Support Lead", "Buyer", "Controller")
TAGS = ("newsletter", "trial", "webinar", "partner", "churn risk", "vip", "event 2025", "inbound", "outbound", "beta")
WORDS = re.findall(
    r"\w+",
    "asked for the annual plan and wants to know when the new report is ready before the board meets because their "
    "team moved from spreadsheets to our product in spring and still exports orders every Friday by hand which takes "
    "them most of an afternoon so please call back about invoices seats roles and single sign on",
)


def contact(number: int, rng: random.Random) -> dict[str, Any]:
    """One contact of about 1.5 kB, as a CRM would answer it."""
    first, last, company = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES), rng.choice(COMPANIES)
    created = START + timedelta(seconds=rng.randrange(50_000_000))
    updated = created + timedelta(seconds=rng.randrange(10_000_000))
    record: dict[str, Any] = {
        "id": f"contact-{number:08}",
        "created_at": created.isoformat().replace("+00:00", "Z"),
        "updated_at": updated.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "email": f"contact{number}@{company}.example".lower(),
        "first_name": first,
        "last_name": last,
        "phone": f"+49 30 {rng.randrange(10**7, 10**8)}",
        "job_title": rng.choice(TITLES),
        "company": {"name": f"{company} {last} GmbH", "domain": f"{company.lower()}.example", "seats": 40},
        "address": {
            "street": f"{rng.randrange(1, 200)} {rng.choice(STREETS)}",
            "city": rng.choice(CITIES),
            "postal_code": str(rng.randrange(10_000, 99_999)),
            "country": rng.choice(("DE", "PT", "NO", "US", "GB", "FR")),
            "latitude": round(rng.uniform(-60, 60), 6),
            "longitude": round(rng.uniform(-180, 180), 6),
        },
        "is_subscribed": rng.random() < 0.6,
        "lifetime_value": round(rng.lognormvariate(5, 1), 2),
        "orders_count": rng.randrange(40),
        "last_order_at": updated.date().isoformat() if rng.random() < 0.7 else None,
        "owner_id": rng.randrange(1, 60),
        "utm": {"source": rng.choice(("google", "bing", "mail")), "medium": "cpc", "campaign": rng.choice(TAGS)},
        "tags": rng.sample(TAGS, 3),
        "custom_fields": {f"field_{place:02}": rng.randrange(10**9) for place in range(12)},
        "note": "",
    }
    left = RECORD_BYTES - len(_written(record))
    return record | {"note": " ".join(rng.choices(WORDS, k=left // 2))[:left]}


def _written(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def rendered(records: int) -> list[bytes]:
    """Every page as a whole HTTP response, packed; the last one is empty."""
    rng = random.Random(20_261_122)
    pages = -(-records // PER_PAGE)
    found = []
    for page in range(pages + 1):
        numbers = range(page * PER_PAGE, min(records, (page + 1) * PER_PAGE))
        answer = {"results": [contact(number, rng) for number in numbers], "page": page + 1, "pages": pages}
        found.append(_response(200, answer))
    return found


def _response(status: int, answer: Any, headers: str = "") -> bytes:
    pack = zlib.compressobj(6, wbits=31)
    body = pack.compress(_written(answer)) + pack.flush()
    head = (
        f"HTTP/1.1 {status} {'OK' if status == 200 else 'Too Many Requests'}\r\nContent-Type: application/json\r\n"
        f"Content-Encoding: gzip\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    )
    return head.encode() + body


class Paced:
    """At most `rate` calls in any stretch of a second, and what came."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._taken: deque[float] = deque(maxlen=rate)
        self.answered = self.refused = 0
        self.first_at = self.last_at = 0.0

    def take(self) -> bool:
        """Whether a call may be answered now; a refused one does not count."""
        now = time.monotonic()
        if len(self._taken) == self._rate and now - self._taken[0] < 1:
            self.refused += 1
            return False
        self._taken.append(now)
        self.answered += 1
        self.first_at, self.last_at = self.first_at or now, now
        return True


class Answering(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, as much of it as clients of this API speak."""

    def __init__(self, pages: Sequence[bytes], paced: Paced, paced_pages: int) -> None:
        self._pages, self._paced, self._paced_pages = pages, paced, paced_pages
        self._buffer = b""
        self._refusal = _response(429, {"message": "slow down"}, "Retry-After: 1\r\n")

    def connection_made(self, transport: Any) -> None:
        """Keep where answers go."""
        self._transport: asyncio.Transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request; none has a body."""
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            self._transport.write(self._answer(head.split(b" ", 2)[1].decode()))

    def _answer(self, target: str) -> bytes:
        url = urlsplit(target)
        if url.path == "/told":
            return _response(200, {name: value for name, value in vars(self._paced).items() if name[0] != "_"})
        is_paced = url.path.startswith("/paced/")
        if is_paced and not self._paced.take():
            return self._refusal
        page = int(parse_qs(url.query).get("page", ["1"])[0]) - 1
        full = len(self._pages) - 1
        # The paced list is as long as asked for, of whatever pages there are.
        last = self._paced_pages if is_paced else full
        return self._pages[page % full if page < last else -1]


async def serve(records: int, rate: int, paced_pages: int) -> None:
    """Serve until killed; the port is the first line of the output."""
    pages, paced = rendered(records), Paced(rate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answering(pages, paced, paced_pages), "127.0.0.1", 0)
    listener: socket.socket = server.sockets[0]
    print(listener.getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(*(int(argument) for argument in sys.argv[1:])))
