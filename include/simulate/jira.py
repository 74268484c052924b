"""Jira Cloud: a search that has to be bounded and pages by tokens, and users who hide their addresses."""

from __future__ import annotations

import base64
import binascii
import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar

import msgspec
from starlette.responses import Response

from include.simulate.limits import Clock, SlidingWindow
from include.simulate.people import Population
from include.simulate.vendor import Call, Refused, Route, Vendor, new_id, read, take, write

EMAIL, TOKEN = "agent@acme.example", "jira-demo"
API = "/rest/api/3"
BURST, BURST_SECONDS = 100, 10
STATUSES = {"To Do": "new", "In Progress": "indeterminate", "Done": "done"}
SUMMARIES = ("Parcel did not arrive", "Cannot sign in", "Invoice is wrong", "Please delete my data")
BOUND = re.compile(r"updated\s*(>=|<)\s*(\d+|\"[\d-]+\")")
Record = dict[str, Any]


@dataclass(slots=True)
class Site:
    """Everything on one site, by id; `owners` says whose an account is, None for colleagues and apps."""

    users: dict[str, Record] = field(default_factory=dict)
    issues: dict[str, Record] = field(default_factory=dict)
    owners: dict[str, int | None] = field(default_factory=dict)


def make_site(population: Population, now: datetime) -> Site:
    """The site as it is at `now`; the same population gives the same one."""
    rng = random.Random(f"{population.seed}/jira")
    site = Site()
    for number in range(1, 6):
        kind, name = ("app", "Automation") if number == 1 else ("atlassian", f"Agent {number}")
        _user(site, rng, None, name, f"agent{number}@support.example.com", kind)
    agents = list(site.users.values())[1:]
    for person in population.people:
        if rng.random() >= 0.2:
            continue
        account = _user(site, rng, person.person_id, person.name, rng.choice(person.emails), "customer")
        for _ in range(rng.choice((0, 1, 1, 2))):
            _issue(site, rng, account, rng.choice((*agents, None)), now)
    return site


def _user(site: Site, rng: random.Random, owner: int | None, name: str, email: str, kind: str) -> Record:
    prefix = "qm:" if kind == "customer" else "557058:"
    number = f"{prefix}{rng.getrandbits(96):024x}"
    user = {
        "self": f"https://acme.atlassian.net{API}/user?accountId={number}",
        "accountId": number,
        "accountType": kind,
        "displayName": name,
        "active": rng.random() < 0.95,
        "timeZone": "Europe/Berlin",
        "locale": "en_US",
    }
    if rng.random() < 0.7:  # the others keep their address to themselves
        user["emailAddress"] = email
    site.users[number] = user
    site.owners[number] = owner
    return user


def _issue(site: Site, rng: random.Random, reporter: Record, assignee: Record | None, now: datetime) -> None:
    created = now - timedelta(seconds=round(rng.uniform(2, 100) * 86_400))
    updated = created + timedelta(seconds=round((now - created).total_seconds() * rng.uniform(0, 0.98)))
    status = rng.choice(tuple(STATUSES))
    number = 10_000 + len(site.issues)
    site.issues[str(number)] = {
        "id": str(number),
        "key": f"SUP-{number - 9_999}",
        "self": f"https://acme.atlassian.net{API}/issue/{number}",
        "fields": {
            "summary": rng.choice(SUMMARIES),
            "status": _status(status),
            "issuetype": {"id": "10002", "name": "Support", "subtask": False},
            "priority": {"id": "3", "name": rng.choice(("High", "Medium", "Low"))},
            "project": {"id": "10000", "key": "SUP", "name": "Support"},
            "reporter": reporter,
            "creator": reporter,
            "assignee": assignee,
            "labels": [],
            "resolution": {"id": "10000", "name": "Done"} if status == "Done" else None,
            "resolutiondate": _iso(updated) if status == "Done" else None,
            "created": _iso(created),
            "updated": _iso(updated),
            "duedate": None,
            "description": None,
        },
    }


def _status(name: str) -> Record:
    return {"name": name, "statusCategory": {"key": STATUSES[name], "name": name}}


class Jira(Vendor):
    """One site."""

    name = "jira"
    media_type = "application/json;charset=UTF-8"
    retyped_fields: ClassVar[Mapping[str, str]] = {"issue": "key", "user": "displayName"}

    def __init__(self, population: Population, clock: Clock, *, unlimited: bool = False) -> None:
        super().__init__(population, clock, unlimited=unlimited)
        self._began = population.now
        self._burst = SlidingWindow(BURST, BURST_SECONDS, clock)

    @cached_property
    def site(self) -> Site:
        """What the site holds, made when first asked for."""
        return make_site(self.population, self._began)

    def routes(self) -> list[Route]:
        """The search, the users, and deleting an issue."""
        return [
            read(f"{API}/search/jql", self._search, "POST"),
            read(f"{API}/users/search", self._users),
            read(f"{API}/myself", lambda call: self.reply(next(iter(self.site.users.values())))),
            write("DELETE", f"{API}/issue/{{id}}", self._delete),
        ]

    def accepts(self, call: Call) -> bool:
        """An API token, with the address of its owner."""
        return call.basic() == (EMAIL, TOKEN)

    def refuse(self, call: Call) -> Response:
        """401."""
        return self._error(401, "Client must be authenticated to access this resource.")

    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """429, with the reason."""
        wait = str(retry_after if retry_after is not None else 1)
        return self.reply(
            {"errorMessages": ["Rate limit exceeded."]},
            429,
            {"Retry-After": wait, "RateLimit-Reason": "jira-burst-based"},
        )

    def broken(self, call: Call) -> Response:
        """500."""
        return self._error(500, "Internal server error")

    def missing(self, call: Call) -> Response:
        """404."""
        return self._error(404, "Issue does not exist or you do not have permission to see it.")

    def malformed(self, call: Call) -> Response:
        """400."""
        return self._error(400, "There was an error parsing JSON. Check that your request body is valid.")

    def limit(self, call: Call, in_flight: int) -> Response | None:
        """Bursts only, as for traffic with API tokens."""
        call.verdict = self._burst.take()
        return None if call.verdict.allowed else self.too_many(call, math.ceil(call.verdict.resets_in))

    def stamp(self, call: Call, response: Response) -> None:
        """Atlassian's id of the call, and the rate headers."""
        response.headers["X-Request-Id"] = new_id()
        if call.verdict is not None:
            response.headers["X-RateLimit-Limit"] = str(call.verdict.limit)
            response.headers["X-RateLimit-Remaining"] = str(call.verdict.remaining)

    def continues(self, call: Call) -> bool:
        """A search with a token, or users from an offset on."""
        return b'"nextPageToken"' in call.body or call.query.get("startAt", "0") != "0"

    def grow(self, recovered: Sequence[int]) -> None:
        """The issues that were done longest ago are open once more."""
        if "site" not in vars(self):
            return  # nobody has looked yet
        done = [one for one in self.site.issues.values() if one["fields"]["status"]["name"] == "Done"]
        for issue in sorted(done, key=lambda one: (one["fields"]["updated"], one["id"]))[:3]:
            issue["fields"] |= {
                **{"status": _status("In Progress"), "resolution": None, "resolutiondate": None},
                "updated": _iso(self.population.now),
            }

    def lose(self, stream: str, key: str) -> Callable[[], None]:
        """An issue."""
        return take({"issues": self.site.issues}[stream], key)

    def _search(self, call: Call) -> Response:
        asked = self.json(call)
        jql, size = str(asked.get("jql", "")), asked.get("maxResults", 50)
        bounds = [(operator, _moment(value)) for operator, value in BOUND.findall(jql)]
        if not bounds:
            raise Refused(self._error(400, "Unbounded JQL queries are not allowed here. Add a search restriction."))
        if not jql.endswith("ORDER BY updated ASC") or not isinstance(size, int) or not 1 <= size <= 5000:
            raise Refused(self._error(400, "This simulator orders by updated only, 1 to 5000 at a time."))
        moments = ((_moment(one["fields"]["updated"]), one["id"]) for one in self.site.issues.values())
        found = sorted(
            pair for pair in moments if all((pair[0] >= bound) == (operator == ">=") for operator, bound in bounds)
        )
        if (token := asked.get("nextPageToken")) is not None:
            place = self._place(str(token))
            found = [pair for pair in found if pair > place]
        page, fields = found[:size], asked.get("fields") or ["id"]
        answer: Record = {"issues": [self._shown(number, fields) for _, number in page]}
        if len(found) > size:
            answer["nextPageToken"] = base64.b64encode(msgspec.json.encode(page[-1])).decode()
        return self.reply({**answer, "isLast": len(found) <= size})

    def _place(self, token: str) -> tuple[float, str]:
        try:
            return msgspec.json.decode(base64.b64decode(token, validate=True), type=tuple[float, str])
        except (binascii.Error, msgspec.DecodeError):
            raise Refused(self._error(400, "The provided nextPageToken is invalid or has expired.")) from None

    def _shown(self, number: str, fields: Sequence[str]) -> Record:
        issue = self.site.issues[number]
        if list(fields) == ["id"]:
            return {"id": issue["id"]}
        shown = {name: issue["fields"][name] for name in fields if name in issue["fields"]}
        return self.drifted("issue", {**issue, "expand": "", "fields": shown})

    def _users(self, call: Call) -> Response:
        start, size = call.int_query("startAt", 0), call.int_query("maxResults", 50)
        if start is None or size is None or start < 0 or size < 1:
            raise Refused(self._error(400, "startAt and maxResults must be numbers."))
        users = list(self.site.users.values())[start : start + min(size, 1000)]
        return self.reply([self.drifted("user", user) for user in users])

    def _delete(self, call: Call) -> Response:
        if self.site.issues.pop(call.params["id"], None) is None:
            raise Refused(self.missing(call))
        return Response(status_code=204)

    def _error(self, status: int, message: str) -> Response:
        return self.reply({"errorMessages": [message], "errors": {}}, status)


def _moment(value: str) -> float:
    """Epoch seconds of what a search or a record says."""
    if value.isdecimal():
        return int(value) / 1000
    at = datetime.fromisoformat(value.strip('"'))
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
