"""Segment's HTTP API: takes batches of calls without looking at them, refuses what is too large, keeps traits."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from starlette.responses import Response

from include.simulate.limits import Clock
from include.simulate.people import Population
from include.simulate.vendor import Call, Refused, Route, Vendor, new_id, read, write

WRITE_KEY = "segment-demo-write-key"
MESSAGES, CALL_BYTES, MESSAGE_BYTES = 2500, 500_000, 32_000


class SegmentTracking(Vendor):
    """One source of a workspace."""

    name = "segment_tracking"
    media_type = "application/json"

    def __init__(self, population: Population, clock: Clock, *, unlimited: bool = False) -> None:
        super().__init__(population, clock, unlimited=unlimited)
        self.traits: dict[str, dict[str, Any]] = {}
        self._seen: set[str] = set()

    @cached_property
    def _emails(self) -> dict[str, str]:
        return {person.user_id: person.emails[0] for person in self.population.people if person.user_id}

    def routes(self) -> list[Route]:
        """The batch call, and the users as the debugger shows them."""
        return [
            write("POST", "/v1/batch", self._batch),
            read("/debugger", lambda call: self.reply(self.traits)),
        ]

    def accepts(self, call: Call) -> bool:
        """The write key as user, without a password."""
        return call.path == "/debugger" or call.basic() == (WRITE_KEY, "")

    def refuse(self, call: Call) -> Response:
        """401."""
        return self._error(401, "invalid_write_key", "the write key is not known")

    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """429."""
        response = self._error(429, "too_many_requests", "slow down")
        if retry_after is not None:
            response.headers["Retry-After"] = str(retry_after)
        return response

    def broken(self, call: Call) -> Response:
        """500."""
        return self._error(500, "internal", "internal error")

    def missing(self, call: Call) -> Response:
        """404."""
        return self._error(404, "not_found", "not found")

    def stamp(self, call: Call, response: Response) -> None:
        """A request id."""
        response.headers["X-Request-Id"] = new_id()

    def _batch(self, call: Call) -> Response:
        messages = self.json(call).get("batch")
        if not isinstance(messages, list) or len(call.body) > CALL_BYTES or len(messages) > MESSAGES:
            raise Refused(self._error(400, "too_large", "a batch has at most 2500 messages and 500 KB"))
        if any(self.rejects(self._emails.get(str(message.get("userId")))) for message in messages):
            raise Refused(self._error(400, "invalid_request", "a message cannot be read"))
        for message in messages:
            if message.get("messageId") not in self._seen and message.get("type") == "identify":
                self.traits.setdefault(str(message.get("userId")), {}).update(message.get("traits") or {})
            self._seen.add(str(message.get("messageId")))
        return self.reply({"success": True})

    def _error(self, status: int, code: str, message: str) -> Response:
        return self.reply({"success": False, "code": code, "message": message}, status)
