"""Google's Data Manager API: audience members that are taken in or out by requests, worked on a moment later."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.responses import Response

from include.simulate.limits import Clock
from include.simulate.people import Population
from include.simulate.vendor import Call, Refused, Route, Vendor, new_id, read, write

CLIENT_ID, CLIENT_SECRET = "google-client", "google-secret"
REFRESH_TOKEN, TOKEN = "google-refresh", "ya29.demo"
CUSTOMER_ID = "1234567890"
MOST, MOST_IDENTIFIERS = 10_000, 10
HASH = re.compile(r"[0-9a-f]{64}")
KINDS = ("emailAddress", "phoneNumber", "address")


@dataclass(slots=True)
class Request:
    """A request: what it does, how many people it holds, which of them it failed on, how often it was asked after."""

    how: str
    size: int
    failed: list[int]
    polls: int = 0


class Google(Vendor):
    """One Google Ads account with its audiences, which are made elsewhere."""

    name = "google"

    def __init__(self, population: Population, clock: Clock, *, unlimited: bool = False) -> None:
        super().__init__(population, clock, unlimited=unlimited)
        self.audiences: dict[str, dict[str, set[str]]] = {}
        self._requests: dict[str, Request] = {}

    def routes(self) -> list[Route]:
        """Tokens, members and what became of them; the last two are the account's own screens."""
        return [
            read("/token", self._token, "POST"),
            write("POST", "/v1/audienceMembers:ingest", lambda call: self._change(call, "ingest")),
            write("POST", "/v1/audienceMembers:remove", lambda call: self._change(call, "remove")),
            read("/v1/requestStatus:retrieve", self._status),
            read("/held", lambda call: self.reply({n: _sorted(held) for n, held in self.audiences.items()})),
            read("/held", self._by_hand, "POST"),
        ]

    def accepts(self, call: Call) -> bool:
        """The access token; the token endpoint judges for itself."""
        return call.path in ("/token", "/held") or call.bearer() == TOKEN

    def refuse(self, call: Call) -> Response:
        """401."""
        return self._error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")

    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """429; Google says when to come back only where a test asks for it."""
        response = self._error(429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Requests'.")
        if retry_after is not None:
            response.headers["Retry-After"] = str(retry_after)
        return response

    def broken(self, call: Call) -> Response:
        """500."""
        return self._error(500, "INTERNAL", "Internal error encountered.")

    def missing(self, call: Call) -> Response:
        """404."""
        return self._error(404, "NOT_FOUND", "Requested entity was not found.")

    def _error(self, status: int, code: str, message: str) -> Response:
        return self.reply({"error": {"code": status, "message": message, "status": code}}, status)

    def _invalid(self, message: str) -> Refused:
        return Refused(self._error(400, "INVALID_ARGUMENT", message))

    def _token(self, call: Call) -> Response:
        form = call.body.decode()
        if call.basic() != (CLIENT_ID, CLIENT_SECRET) or f"refresh_token={REFRESH_TOKEN}" not in form:
            return self.reply({"error": "invalid_grant", "error_description": "Bad Request"}, 400)
        return self.reply({"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"})

    def _change(self, call: Call, how: str) -> Response:
        given = self.json(call)
        destinations: list[dict[str, Any]] = given.get("destinations") or [{}]
        (destination,) = destinations
        account = destination.get("operatingAccount") or {}
        held = self.audiences.get(str(destination.get("productDestinationId")))
        if held is None or account != {"accountType": "GOOGLE_ADS", "accountId": CUSTOMER_ID}:
            raise self._invalid("The destination does not exist, or may not be used by this account.")
        terms = (given.get("termsOfService") or {}).get("customerMatchTermsOfServiceStatus")
        consent = set((given.get("consent") or {}).values())
        if how == "ingest" and (terms != "ACCEPTED" or not consent <= {"CONSENT_GRANTED"}):
            raise self._invalid("The terms of service are not accepted, or consent was denied.")
        members = given.get("audienceMembers") or []
        if not 1 <= len(members) <= MOST or given.get("encoding") != "HEX":
            raise self._invalid(f"1 to {MOST} audience members, with their encoding")
        unwanted = {hashlib.sha256(email.encode()).hexdigest() for email in self.faults.reject_emails}
        failed = []
        for number, member in enumerate(members):
            person = self._read(member)
            if how == "ingest" and person["emailAddress"] & unwanted:
                failed.append(number)
                continue
            for kind, values in person.items():
                held[kind] = held[kind] | values if how == "ingest" else held[kind] - values
        request_id = new_id()
        self._requests[request_id] = Request(how, len(members), failed)
        return self.reply({"requestId": request_id})

    def _read(self, member: dict[str, Any]) -> dict[str, set[str]]:
        """A member's identifiers by kind; anything that is not hashed refuses the whole call."""
        given = (member.get("userData") or {}).get("userIdentifiers") or []
        if not 1 <= len(given) <= MOST_IDENTIFIERS:
            raise self._invalid(f"A member has 1 to {MOST_IDENTIFIERS} identifiers")
        found: dict[str, set[str]] = {kind: set() for kind in KINDS}
        for one in given:
            ((kind, value),) = one.items()
            hashes = [value] if kind != "address" else [value["givenName"], value["familyName"]]
            if kind not in KINDS or not all(HASH.fullmatch(text) for text in hashes):
                raise self._invalid("Identifiers must be hashed")
            found[kind].add(value if kind != "address" else msgspec.json.encode(value, order="sorted").decode())
        return found

    def _status(self, call: Call) -> Response:
        request = self._requests.get(call.query.get("requestId", ""))
        if request is None:
            raise Refused(self.missing(call))
        request.polls += 1
        state = "PROCESSING"
        if request.polls > 1:
            state = "PARTIAL_SUCCESS" if request.failed else "SUCCESS"
            state = "FAILED" if len(request.failed) == request.size else state
        found: dict[str, Any] = {"requestStatus": state}
        if request.polls > 1:
            kind = "audienceMembersIngestionStatus" if request.how == "ingest" else "audienceMembersRemovalStatus"
            data = "userDataIngestionStatus" if request.how == "ingest" else "userDataRemovalStatus"
            found[kind] = {data: {"recordCount": str(request.size), "userIdentifierCount": str(request.size)}}
        if request.polls > 1 and request.failed:
            count = {
                "recordCount": str(len(request.failed)),
                "reason": "PROCESSING_ERROR_REASON_INVALID_FORMAT",
                "recordIndices": request.failed,
            }
            found["errorInfo"] = {"errorCounts": [count]}
        return self.reply({"requestStatusPerDestination": [found]})

    def _by_hand(self, call: Call) -> Response:
        """What somebody does in Google Ads: make an audience, upload a file of people."""
        given = self.json(call)
        held = self.audiences.setdefault(given["id"], {kind: set() for kind in KINDS})
        held["emailAddress"] |= set(given.get("emailAddress") or ())
        return self.reply({})


def _sorted(held: dict[str, set[str]]) -> dict[str, list[str]]:
    return {kind: sorted(values) for kind, values in held.items()}
