"""A HubSpot portal with a limit of our choice, in a process of its own, that remembers every call it answered.

It answers as the simulated vendor does, row by row, but permits so many calls in any ten seconds, says in `Retry-After`
when the next one may come, and has the properties that every way writes. `POST /faults` sets what goes wrong,
`GET /told` says what came and what the contacts hold now.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from include.simulate.faults import TRANSPORT, Gate
from include.simulate.hubspot import HubSpot
from include.simulate.hubspot_records import definition
from include.simulate.limits import Clock, SlidingWindow
from include.simulate.people import Population
from include.simulate.server import serve
from include.simulate.vendor import Call, Faults

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
WINDOW = 10
"""Seconds in which HubSpot counts calls."""
FLAG, FIELD = "bench_member", "bench_orders"


class Portal(HubSpot):
    """One portal with made-up contacts; `answered` are the seconds at which calls passed the limit."""

    def __init__(self, contacts: int, rate: float) -> None:
        clock = Clock(NOW)
        super().__init__(Population.generate(1, 7, NOW), clock, synthetic_contacts=contacts)
        self._burst = SlidingWindow(round(rate * WINDOW), WINDOW, clock)
        self.answered: list[float] = []
        self.refused: list[float] = []
        self.rows = 0
        for name, kind in ((FLAG, "bool"), (FIELD, "number")):
            self.contacts.definitions[name] = definition(name, kind, built_in=False)

    def limit(self, call: Call, in_flight: int) -> Response | None:
        """So many calls in any ten seconds; a refused one does not count."""
        if super().limit(call, in_flight) is not None:
            assert call.verdict is not None
            self.refused.append(self.clock.seconds())
            return self.too_many(call, math.ceil(call.verdict.resets_in))
        self.answered.append(self.clock.seconds())
        if "/batch/" in call.path:
            self.rows += len(msgspec.json.decode(call.body)["inputs"])
        return None

    def held(self) -> dict[str, list[str | None]]:
        """Flag and field of every contact that was ever written."""
        written = self.contacts.records.values()
        return {str(one.id): [one.properties.get(FLAG), one.properties.get(FIELD)] for one in written}


def used(answered: Sequence[float], rate: float) -> float | None:
    """How full the window was from its first end to the last call, on average; None where that is under ten seconds.

    One is all that is permitted, however the calls are spread: a window never holds more.
    """
    if not answered or answered[-1] - answered[0] < 2 * WINDOW:
        return None
    begin, end = answered[0] + WINDOW, answered[-1]
    held = sum(max(0.0, min(at + WINDOW, end) - max(at, begin)) for at in answered)
    return held / ((end - begin) * rate * WINDOW)


def main(contacts: int, rate: float) -> None:
    """Serve until killed; the port is the first line of the output."""
    portal = Portal(contacts, rate)
    gate = Gate(portal)

    async def told(request: Request) -> Response:
        stats: dict[str, Any] = msgspec.to_builtins(gate.stats)
        seen = {"answered": portal.answered, "refused": portal.refused, "rows": portal.rows}
        return JSONResponse({**stats, **seen, "in_flight": gate.in_flight})

    async def held(request: Request) -> Response:
        return JSONResponse(portal.held())

    async def set_faults(request: Request) -> Response:
        faults = msgspec.json.decode(await request.body(), type=Faults)
        gate.set_faults(faults)
        return JSONResponse({})

    control = [Route("/told", told), Route("/held", held), Route("/faults", set_faults, methods=["POST"])]
    inner = Starlette(routes=[*control, Mount("/hubspot", app=gate)])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # As in the simulator: only uvicorn's `send` knows the connection, which a fault really breaks.
        scope[TRANSPORT] = getattr(getattr(send, "__self__", None), "transport", None)
        await inner(scope, receive, send)

    serve(app, ready=lambda port: print(port, flush=True))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
