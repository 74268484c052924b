"""PhantomBuster API v2: agents, the runs (containers) of each by when they ended, and each run's rows as JSON text."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar

import msgspec
from starlette.responses import Response

from include.simulate.limits import Clock, SlidingWindow
from include.simulate.names import plain
from include.simulate.people import Person, Population
from include.simulate.vendor import Call, Refused, Route, Vendor, new_id, read

KEY = "phantombuster-demo"
PER_SECOND = 10
RUNS = 16
"""Weekly runs of each agent before the world's present."""
POST = "https://www.linkedin.com/feed/update/urn:li:activity:70000000000000000"
AGENTS = {"1001": "LinkedIn Post Likers", "1002": "LinkedIn Post Commenters", "1003": "LinkedIn Profile Scraper"}
Row = dict[str, Any]


@dataclass(slots=True)
class Runs:
    """Every run by id, with its agent and its rows; `owners` says whose profile a slug is."""

    containers: dict[str, Row] = field(default_factory=dict)
    results: dict[str, list[Row] | None] = field(default_factory=dict)
    owners: dict[str, int] = field(default_factory=dict)


def make_runs(population: Population, now: datetime) -> Runs:
    """The runs as they are at `now`; the same population gives the same ones."""
    rng = random.Random(f"{population.seed}/phantombuster")
    runs = Runs()
    for agent in AGENTS:
        for week in range(RUNS, 0, -1):
            ended = now - timedelta(weeks=week) + timedelta(minutes=rng.randint(1, 600))
            rows = [_row(runs, rng, agent, rng.choice(population.people), ended) for _ in range(rng.randint(2, 6))]
            # A run now and then fails: it has no result at all.
            add_run(runs, agent, ended, None if rng.random() < 0.08 else rows)
    return runs


def add_run(runs: Runs, agent: str, ended: datetime, rows: list[Row] | None) -> None:
    """One more finished run."""
    number = str(6_000_000_000_000_000 + len(runs.containers))
    runs.containers[number] = {
        "id": number,
        "agentId": agent,
        "status": "finished",
        "launchType": "scheduled",
        "exitCode": 1 if rows is None else 0,
        "createdAt": _milliseconds(ended - timedelta(minutes=4)),
        "launchedAt": _milliseconds(ended - timedelta(minutes=3)),
        "endedAt": _milliseconds(ended),
    }
    runs.results[number] = rows


def _row(runs: Runs, rng: random.Random, agent: str, person: Person, at: datetime) -> Row:
    slug = f"{plain(person.first_name)}-{plain(person.last_name)}-{person.person_id:09x}"
    runs.owners[slug] = person.person_id
    profile = f"https://www.linkedin.com/in/{slug}/"
    if agent == "1003":
        return {
            **{"firstName": person.first_name, "lastName": person.last_name, "profileUrl": profile},
            **{"linkedinProfileSlug": slug, "linkedinProfileUrn": f"ACoAA{person.person_id:034d}"},
            **{"linkedinHeadline": "Engineer", "location": "Rochester, New York", "connectionDegree": "2nd"},
            **{"linkedinFollowersCount": str(rng.randint(1, 900)), "linkedinCompanyName": "Acme"},
            **{"professionalEmail": "", "timestamp": _iso(at)},
        }
    row = {
        **{"profileLink": profile, "fullName": person.name, "firstName": person.first_name},
        **{"lastName": person.last_name, "occupation": "Engineer", "degree": "2nd"},
        **{"postUrl": f"{POST}{rng.randint(1, 9)}", "timestamp": _iso(at)},
    }
    if agent == "1001":
        return {**row, "reactionType": rng.choice(("LIKE", "PRAISE", "EMPATHY"))}
    said = {"comment": "Great work!", "commentUrl": f"{row['postUrl']}?commentUrn={rng.getrandbits(40)}"}
    return {**row, **said, "commentDate": _iso(at - timedelta(hours=5)), "likesCount": "0"}


class PhantomBuster(Vendor):
    """One workspace with three agents."""

    name = "phantombuster"
    retyped_fields: ClassVar[Mapping[str, str]] = {"row": "timestamp"}

    def __init__(self, population: Population, clock: Clock, *, unlimited: bool = False) -> None:
        super().__init__(population, clock, unlimited=unlimited)
        self._began = population.now
        self._second = SlidingWindow(PER_SECOND, 1, clock)

    @cached_property
    def runs(self) -> Runs:
        """What the workspace holds, made when first asked for."""
        return make_runs(self.population, self._began)

    def routes(self) -> list[Route]:
        """Agents, their runs, and a run's result."""
        return [
            read("/api/v2/agents/fetch-all", self._agents),
            read("/api/v2/containers/fetch-all", self._containers),
            read("/api/v2/containers/fetch-result-object", self._result),
        ]

    def accepts(self, call: Call) -> bool:
        """A workspace's key in a header of its own."""
        return KEY in (call.headers.get("x-phantombuster-key-1"), call.headers.get("x-phantombuster-key"))

    def refuse(self, call: Call) -> Response:
        """401."""
        return self.reply({"error": "Unauthorized"}, 401)

    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """429; nothing says when to come back."""
        headers = None if retry_after is None else {"Retry-After": str(retry_after)}
        return self.reply({"error": "Too many requests"}, 429, headers)

    def broken(self, call: Call) -> Response:
        """500."""
        return self.reply({"error": "Internal server error"}, 500)

    def missing(self, call: Call) -> Response:
        """404."""
        return self.reply({"error": "Not found"}, 404)

    def limit(self, call: Call, in_flight: int) -> Response | None:
        """Some calls a second."""
        return None if self._second.take().allowed else self.too_many(call, None)

    def stamp(self, call: Call, response: Response) -> None:
        """The id of the call."""
        response.headers["X-Request-Id"] = new_id()

    def continues(self, call: Call) -> bool:
        """Runs that ended before another."""
        return "beforeEndedAt" in call.query

    def list_of(self, call: Call) -> str:
        """Each agent's runs are a list of their own."""
        return f"{call.path} {call.query.get('agentId')}"

    def grow(self, recovered: Sequence[int]) -> None:
        """The likers' agent ran once more."""
        if "runs" in vars(self):
            rng = random.Random(f"{self.population.seed}/phantombuster/{len(self.runs.containers)}")
            now, people = self.population.now, self.population.people
            rows = [_row(self.runs, rng, "1001", person, now) for person in rng.sample(people, 2)]
            add_run(self.runs, "1001", now, rows)

    def _agents(self, call: Call) -> Response:
        return self.reply([{"id": number, "name": name, "script": f"{name}.js"} for number, name in AGENTS.items()])

    def _containers(self, call: Call) -> Response:
        limit, before = call.int_query("limit", 20), call.int_query("beforeEndedAt", 1 << 60)
        if limit is None or before is None or not 1 <= limit <= 100 or call.query.get("agentId") not in AGENTS:
            raise Refused(self.reply({"error": "Invalid parameters"}, 400))
        ended = [
            container
            for container in self.runs.containers.values()
            if container["agentId"] == call.query["agentId"] and container["endedAt"] < before
        ]
        ended.sort(key=lambda container: (container["endedAt"], container["id"]), reverse=True)
        return self.reply({"containers": ended[:limit], "maxLimitReached": len(ended) > limit})

    def _result(self, call: Call) -> Response:
        if call.query.get("id") not in self.runs.containers:
            raise Refused(self.missing(call))
        rows = self.runs.results[call.query["id"]]
        if rows is None:
            return self.reply({"resultObject": None})
        text = msgspec.json.encode([self.drifted("row", row) for row in rows]).decode()
        return self.reply({"resultObject": text})


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
