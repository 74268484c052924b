"""A receiver of webhooks, as Zapier's catch hooks or a company's own service: checks the signature, keeps the list."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from starlette.responses import Response

from include.simulate.limits import Clock
from include.simulate.people import Population
from include.simulate.vendor import Call, Refused, Route, Vendor, new_id, read, write

SECRET = "whsec-demo"
LATEST = 100
"""How many deliveries are kept to be looked at."""


class Webhook(Vendor):
    """One receiver; whatever the path, the body names the list."""

    name = "webhook"
    media_type = "application/json"

    def __init__(self, population: Population, clock: Clock, *, unlimited: bool = False) -> None:
        super().__init__(population, clock, unlimited=unlimited)
        self.lists: dict[str, dict[str, Any]] = {}
        self.deliveries: list[dict[str, Any]] = []

    def routes(self) -> list[Route]:
        """Hooks to post to, and what they were sent."""
        return [
            write("POST", "/catch/{hook:path}", self._catch),
            write("POST", "/catch", self._catch),
            read("/seen", lambda call: self.reply({"lists": self.lists, "deliveries": self.deliveries})),
        ]

    def accepts(self, call: Call) -> bool:
        """A signature over the time and the body."""
        if call.method == "GET":
            return True
        given = dict(part.partition("=")[::2] for part in call.headers.get("x-stitchline-signature", "").split(","))
        signed = f"{given.get('t')}.".encode() + call.body
        proof = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        return hmac.compare_digest(proof, given.get("v1", ""))

    def refuse(self, call: Call) -> Response:
        """401."""
        return self.reply({"status": "error", "message": "wrong signature"}, 401)

    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """429."""
        headers = {"Retry-After": str(retry_after)} if retry_after is not None else None
        return self.reply({"status": "error", "message": "throttled"}, 429, headers)

    def broken(self, call: Call) -> Response:
        """500."""
        return self.reply({"status": "error", "message": "broken"}, 500)

    def missing(self, call: Call) -> Response:
        """404."""
        return self.reply({"status": "error", "message": "no such hook"}, 404)

    def stamp(self, call: Call, response: Response) -> None:
        """A request id."""
        response.headers["X-Request-Id"] = new_id()

    def _catch(self, call: Call) -> Response:
        body: Any = self.json(call) if call.body.startswith(b"{") else None
        rows = body.get("rows") if isinstance(body, dict) else None
        self.deliveries = [
            *self.deliveries[1 - LATEST :],
            {"path": call.path, "headers": dict(call.headers), "body": call.body.decode()},
        ]
        if isinstance(rows, list) and isinstance(body, dict):
            if any(self.rejects(row.get("fields", {}).get("email")) for row in rows):
                raise Refused(self.reply({"status": "error", "message": "a row is not wanted"}, 422))
            held = self.lists.setdefault(str(body.get("list")), {})
            for row in rows:
                if row["operation"] == "leave":
                    held.pop(row["customer_id"], None)
                else:
                    held.setdefault(row["customer_id"], {}).update(row["fields"])
        return self.reply({"status": "success", "attempt": new_id(), "id": new_id(), "request_id": new_id()})
