"""Slack's incoming webhook: takes a message, says ok, and remembers it for the tests."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.responses import PlainTextResponse, Response

from include.simulate.limits import Clock
from include.simulate.people import Population
from include.simulate.vendor import Call, Route, Vendor, write


class Slack(Vendor):
    """One workspace; the secret of an incoming webhook is its path, so any path of the right form is accepted."""

    name = "slack"

    def __init__(self, population: Population, clock: Clock, *, unlimited: bool = False) -> None:
        super().__init__(population, clock, unlimited=unlimited)
        self.alerts: list[dict[str, Any]] = []

    def routes(self) -> list[Route]:
        """The webhook."""
        return [write("POST", "/services/{team}/{app}/{secret}", self._post)]

    def accepts(self, call: Call) -> bool:
        """The path is the credential."""
        return True

    def refuse(self, call: Call) -> Response:
        """The answer for a webhook that was revoked."""
        return PlainTextResponse("no_service", 403)

    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """429, always with Retry-After."""
        return PlainTextResponse("rate_limited", 429, {"Retry-After": str(retry_after or 1)})

    def broken(self, call: Call) -> Response:
        """500."""
        return PlainTextResponse("rollup_error", 500)

    def missing(self, call: Call) -> Response:
        """404."""
        return PlainTextResponse("no_team", 404)

    def _post(self, call: Call) -> Response:
        body = call.body
        if call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            body = parse_qs(call.body.decode()).get("payload", [""])[0].encode()
        try:
            message = msgspec.json.decode(body)
        except msgspec.DecodeError:
            return PlainTextResponse("invalid_payload", 400)
        if not isinstance(message, dict):
            return PlainTextResponse("invalid_payload", 400)
        if not message.get("text") and not message.get("blocks") and not message.get("attachments"):
            return PlainTextResponse("no_text", 400)
        self.alerts.append({"at": self.clock.now().isoformat(), "message": message})
        return PlainTextResponse("ok")
