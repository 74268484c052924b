"""Meta's custom audiences: made by name, filled with hashes, never shown; unreadable rows are only counted."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from starlette.responses import Response

from include.simulate.limits import Clock
from include.simulate.people import Population
from include.simulate.vendor import Call, Refused, Route, Vendor, new_id, read, write

TOKEN = "meta-demo-token"
AD_ACCOUNT = "1020304050"
MOST = 10_000
HASH = re.compile(r"[0-9a-f]{64}|")
KEYS = frozenset({"EXTERN_ID", "EMAIL", "PHONE", "FN", "LN", "CT", "ST", "ZIP", "COUNTRY"})


class Meta(Vendor):
    """One ad account."""

    name = "meta"
    media_type = "application/json; charset=UTF-8"

    def __init__(self, population: Population, clock: Clock, *, unlimited: bool = False) -> None:
        super().__init__(population, clock, unlimited=unlimited)
        self.audiences: dict[str, dict[str, Any]] = {}
        self.rows: dict[str, dict[str, dict[str, str]]] = {}

    def routes(self) -> list[Route]:
        """Audiences and their people; the last shows a test what Meta itself shows nobody."""
        audiences, users = f"/v26.0/act_{AD_ACCOUNT}/customaudiences", "/v26.0/{id}/users"
        return [
            read(audiences, self._list),
            write("POST", audiences, self._create),
            write("POST", users, self._add),
            write("DELETE", users, self._remove),
            read("/held", lambda call: self.reply({one["name"]: self.rows[n] for n, one in self.audiences.items()})),
        ]

    def accepts(self, call: Call) -> bool:
        """The system user's token."""
        return call.path == "/held" or call.bearer() == TOKEN

    def refuse(self, call: Call) -> Response:
        """400, as Graph refuses a token."""
        return self._error(400, 190, "Invalid OAuth access token.", "OAuthException")

    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """429 where a test says how long to wait; otherwise Graph's own way, a code behind 400."""
        if retry_after is None:
            return self._error(400, 80003, "There have been too many calls to this ad-account.")
        response = self._error(429, 80003, "There have been too many calls to this ad-account.")
        response.headers["Retry-After"] = str(retry_after)
        return response

    def broken(self, call: Call) -> Response:
        """500."""
        return self._error(500, 1, "An unknown error occurred", "OAuthException")

    def missing(self, call: Call) -> Response:
        """404 for what does not exist."""
        return self._error(404, 803, "Some of the aliases you requested do not exist")

    def stamp(self, call: Call, response: Response) -> None:
        """The trace id."""
        response.headers["x-fb-trace-id"] = new_id()[:11]
        response.headers["x-fb-request-id"] = new_id()

    def _error(self, status: int, code: int, message: str, kind: str = "FacebookApiException") -> Response:
        body = {"message": message, "type": kind, "code": code, "fbtrace_id": new_id()[:11]}
        return self.reply({"error": body}, status)

    def _list(self, call: Call) -> Response:
        limit, after = call.int_query("limit", 25) or 25, call.int_query("after", 0) or 0
        found = list(self.audiences.values())
        cursors = {"after": str(after + limit)}
        page: dict[str, Any] = {"data": found[after : after + limit], "paging": {"cursors": cursors}}
        if after + limit < len(found):
            page["paging"]["next"] = f"{call.base}{call.path}?after={after + limit}"
        return self.reply(page)

    def _create(self, call: Call) -> Response:
        given = self.json(call)
        if not given.get("name") or given.get("subtype") != "CUSTOM" or "customer_file_source" not in given:
            raise Refused(self._error(400, 100, "Invalid parameter"))
        number = str(23_850_000_000_001 + len(self.audiences))
        self.audiences[number] = {"id": number, "name": given["name"]}
        self.rows[number] = {}
        return self.reply({"id": number})

    def _people(self, call: Call) -> list[dict[str, str]]:
        if call.params["id"] not in self.audiences:
            raise Refused(self.missing(call))
        payload = self.json(call).get("payload") or {}
        schema, data = payload.get("schema") or [], payload.get("data") or []
        if not set(schema) <= KEYS or "EMAIL" not in schema or not 1 <= len(data) <= MOST:
            raise Refused(self._error(400, 100, "Invalid parameter"))
        return [dict(zip(schema, row, strict=True)) for row in data]

    def _add(self, call: Call) -> Response:
        people = self._people(call)
        unwanted = {hashlib.sha256(email.encode()).hexdigest() for email in self.faults.reject_emails}
        good = [
            one
            for one in people
            if one["EMAIL"] and one["EMAIL"] not in unwanted and all(HASH.fullmatch(value) for value in one.values())
        ]
        for one in good:
            self.rows[call.params["id"]].setdefault(one["EMAIL"], {}).update(one)
        return self._counted(call, len(people), len(people) - len(good))

    def _remove(self, call: Call) -> Response:
        people = self._people(call)
        for one in people:
            self.rows[call.params["id"]].pop(one["EMAIL"], None)
        return self._counted(call, len(people), 0)

    def _counted(self, call: Call, received: int, invalid: int) -> Response:
        counts = {"num_received": received, "num_invalid_entries": invalid, "invalid_entry_samples": {}}
        return self.reply({"audience_id": call.params["id"], "session_id": "1", **counts})
