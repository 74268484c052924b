"""The simulated company of one home: which population it is, and where its SaaS tools answer."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.connect.errors import FixSettings, RetryLater
from include.launcher import write_private
from include.settings import Settings

if TYPE_CHECKING:
    from include.simulate.people import Population
    from include.simulate.truth import Score

CONNECTION = "AIRFLOW_CONN_"
SOURCES = ("calendly", "hubspot", "mailchimp", "segment", "stripe", "zendesk")
"""What a demo pulls; the simulators serve more."""


@dataclass(frozen=True)
class World:
    """A population and the simulators that serve it; a home keeps the one it began with."""

    home: Path
    people: int
    seed: int
    now: datetime
    port: int

    @classmethod
    def of(cls, home: Path, people: int, seed: int, port: int) -> World:
        """The world of this home, made on first use.

        Raises:
            FixSettings: the home holds the data of another population.
        """
        file = home / "world.json"
        if not file.exists():
            now = datetime.now(UTC).replace(microsecond=0)
            write_private(file, json.dumps({"people": people, "seed": seed, "now": now.isoformat()}))
        kept = json.loads(file.read_text())
        if (kept["people"], kept["seed"]) != (people, seed):
            raise FixSettings(
                f"it holds a simulated company of {kept['people']} people with seed {kept['seed']}",
                where=str(home),
                fix=f"Pass --people {kept['people']} --seed {kept['seed']}, or another --home.",
            )
        return cls(home, people, seed, datetime.fromisoformat(kept["now"]), port)

    @property
    def folder(self) -> Path:
        """Where the simulated warehouse tables are written."""
        return self.home / "simulator"

    def command(self) -> list[str]:
        """The command that serves this world."""
        now = self.now.isoformat().replace("+00:00", "Z")
        return [
            *(sys.executable, "-m", "include.simulate", "--people", str(self.people), "--seed", str(self.seed)),
            *("--port", str(self.port), "--now", now, "--folder", str(self.folder)),
        ]

    def environment(self, warehouse: str = "duckdb") -> dict[str, str]:
        """Connections to the simulators, and DAGs for what a demo pulls."""
        from include.simulate.bigquery import SEGMENT_DATASET
        from include.simulate.server import connections

        found = connections(self.port, self.folder)
        if warehouse == "bigquery":
            found[f"{CONNECTION}SEGMENT"] = json.dumps({"conn_type": "generic", "host": SEGMENT_DATASET})
        # The first week's sweep would find nothing, in the middle of the demo.
        switched = {"STITCHLINE_SOURCES": ",".join(SOURCES), "STITCHLINE_SYNCS": "*", "STITCHLINE_SWEEP_SCHEDULE": ""}
        return {**found, **switched}

    def wait_ready(self, seconds: float = 300) -> None:
        """Return once the simulators answer.

        Raises:
            RetryLater: they do not in time.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                self._control("GET", "stats")
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
            else:
                return
        raise RetryLater(
            "the simulators do not answer", where=f"127.0.0.1:{self.port}", fix="Read simulator.log in the home."
        )

    def fill(self, settings: Settings) -> None:
        """Put the tables that Segment writes where the warehouse reads them; on DuckDB they are a file beside it."""
        if settings.warehouse == "bigquery":
            from include.simulate.bigquery import load_segment
            from include.simulate.server import SEGMENT_FILE
            from include.warehouse.bigquery import open_client

            with open_client(settings) as client:
                load_segment(self.folder / SEGMENT_FILE, client, settings.bigquery_location)

    def stats(self) -> dict[str, dict[str, int]]:
        """What each simulated vendor counted: requests, writes, throttled, errors."""
        counted: dict[str, dict[str, int]] = self._control("GET", "stats")
        return counted

    def reset_stats(self) -> None:
        """Count from zero."""
        self._control("POST", "reset_stats")

    @cached_property
    def population(self) -> Population:
        """The people as they were when this world began."""
        from include.simulate.people import Population

        return Population.generate(self.people, self.seed, self.now)

    def score(self, assignment: Mapping[str, str | None]) -> Score:
        """How right an answer to "who is who" is."""
        from include.simulate.truth import score

        return score(self.population, assignment)

    def compare_list(
        self, segment: str, as_of: datetime, members: Iterable[str], assignment: Mapping[str, str | None]
    ) -> str | None:
        """How a list differs from the people who truly belong on it, in words; None where the truth is not known."""
        from include.simulate.truth import LISTS, people_of_customers

        if segment not in LISTS:
            return None
        people = people_of_customers(self.population, assignment)
        listed = set().union(*(people.get(customer, set()) for customer in members))
        true = LISTS[segment](self.population, as_of)
        if listed == true:
            return f"the same {len(true)}"
        return f"{len(true - listed)} missing, {len(listed - true)} wrong of {len(true)}"

    def _control(self, method: str, what: str) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/_control/{what}", method=method, data=b"{}" if method == "POST" else None
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            body = answer.read()
        return json.loads(body) if body else None


def remember(home: Path, environment: Mapping[str, str]) -> None:
    """Keep what a demo set, so that later commands in the same home see the same sources and connections."""
    write_private(home / "environment.json", json.dumps(dict(environment)))


def recall(home: Path) -> None:
    """Set what an earlier demo of this home set, where the caller's environment says nothing."""
    file = home / "environment.json"
    if file.exists():
        for name, value in json.loads(file.read_text()).items():
            os.environ.setdefault(name, value)
