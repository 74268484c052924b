"""Drives the road for a test: the tasks' own bodies against simulators in their own process, without a scheduler."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from include import steps
from include.run import Run
from include.settings import Settings, read_settings
from include.simulate.people import Population
from include.simulate.server import connections
from include.warehouse.engine import connect
from include.warehouse.models import Published, published

STEP = Path(__file__).with_name("one_step.py")
SOURCES = ("calendly", "hubspot", "mailchimp", "segment", "stripe", "zendesk")
SEGMENT = "at_risk_customers"
DESTINATIONS = ("hubspot_contact", "mailchimp_tag", "zendesk_user")


@dataclass
class Company:
    """Simulators of one population, in their own process."""

    people: int
    seed: int
    now: datetime
    port: int
    folder: Path

    @property
    def population(self) -> Population:
        """The same people the simulators serve, as they were at the start."""
        return Population.generate(self.people, self.seed, self.now)

    def control(self, method: str, what: str, body: Any = None) -> Any:
        """Turn a handle of the simulators."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/_control/{what}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def writes(self) -> int:
        """Calls that changed something at a vendor since the counters were reset; alerts are not among them."""
        stats = self.control("GET", "stats")
        return sum(counted["writes"] for vendor, counted in stats.items() if vendor != "slack")

    def read(self, path: str, authorization: str) -> Any:
        """Ask a vendor as any client would."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": authorization}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())


@contextmanager
def company(folder: Path, people: int = 500, seed: int = 11, now: datetime | None = None) -> Iterator[Company]:
    """Start simulators, wait for their ready line, stop them at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    now = now or datetime.now(UTC).replace(microsecond=0)
    command = [sys.executable, "-m", "include.simulate", "--people", str(people), "--seed", str(seed), "--port", "0"]
    command += ["--now", now.isoformat().replace("+00:00", "Z"), "--folder", str(folder)]
    with open(folder / "simulator.log", "wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, f"the simulators did not start:\n{(folder / 'simulator.log').read_text()}"
        yield Company(people, seed, now, int(json.loads(line)["port"]), folder)
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


@dataclass
class Road:
    """One home on one company."""

    home: Path
    company: Company
    sources: tuple[str, ...] = SOURCES
    overrides: dict[str, str] = field(default_factory=dict)
    turns: int = 0
    ahead: timedelta = timedelta(0)
    moment: datetime = field(default_factory=lambda: datetime.now(UTC))

    def environment(self) -> dict[str, str]:
        """What the tasks of this home see."""
        return {
            **connections(self.company.port, self.company.folder),
            "STITCHLINE_HOME": str(self.home),
            "STITCHLINE_SOURCES": ",".join(self.sources),
            "STITCHLINE_SYNCS": "*",
            "STITCHLINE_UNIFY_EVERY_SECONDS": "0",
            **self.overrides,
        }

    @contextmanager
    def here(self) -> Iterator[Settings]:
        """This home's environment, for the block."""
        mine = self.environment()
        saved = {name: os.environ.get(name) for name in mine}
        os.environ.update(mine)
        try:
            yield read_settings()
        finally:
            for name, value in saved.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    def run(self, dag_id: str) -> Run:
        """A run of this turn; asked again it is the same run, as a retry's is."""
        return Run.of(dag_id, f"test__{self.turns}", self.moment)

    def turn(self) -> None:
        """Begin the next round of runs."""
        self.turns += 1
        self.moment = datetime.now(UTC) + self.ahead

    def ingest(self, *sources: str) -> None:
        """Pull and load."""
        with self.here():
            for source in sources or self.sources:
                run = self.run(f"ingest_{source}")
                steps.ingest_pull(source, "main", run, kind="incremental", start=None, end=None)
                _allow_skip(lambda source=source, run=run: steps.ingest_load(source, "main", run))

    def unify(self, *, checked: bool = False) -> None:
        """Stage, check, stitch, build, publish."""
        with self.here():
            run = self.run("unify")
            steps.unify_stage(run)
            if checked:
                steps.unify_check(run)
            steps.unify_identity(run)
            steps.unify_marts(run)
            steps.unify_publish(run)

    def segment(self) -> str | None:
        """Compute the list; why it is held, or None."""
        with self.here():
            return _allow_skip(lambda: steps.segment_compute(SEGMENT, self.run(f"segment_{SEGMENT}")))

    def sync(self, destination: str) -> dict[str, Any] | None:
        """Plan and deliver; None where there was nothing to do or nothing may be sent."""
        result: dict[str, Any] = {}
        with self.here():
            run = self.run(f"sync_{SEGMENT}__{destination}")

            def go() -> None:
                plan = steps.sync_plan(SEGMENT, destination, run, approve=None)
                result.update(plan)
                result.update(steps.sync_deliver(SEGMENT, destination, run, plan_id=plan["plan_id"], approve=None))

            _allow_skip(go)
        return result or None

    def walk(self, *, checked: bool = False) -> None:
        """The whole road once."""
        self.turn()
        self.ingest()
        self.unify(checked=checked)
        if self.segment() is None:
            for destination in DESTINATIONS:
                self.sync(destination)

    def kill_in_the_middle(self, step: str, patience: float) -> None:
        """Run one step in a process of its own; SIGKILL it a moment after it says it began."""
        env = {**os.environ, **self.environment(), "PYTHONPATH": os.pathsep.join([str(STEP.parent), *sys.path])}
        command = [sys.executable, str(STEP), str(self.home), str(self.company.port), str(self.company.folder), step]
        command += [self.moment.isoformat(), json.dumps(self.overrides)]
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("began"), "the step did not start"
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait(60)
        process.stdout.close()

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows, with `identity.*` and `marts.*` as published."""
        with self.here() as settings, connect(settings) as engine:
            state = published(engine)
            return engine.at(state.generation if state else None).query(sql)

    def state(self) -> Published:
        """What is published."""
        with self.here() as settings, connect(settings) as engine:
            found = published(engine)
        assert found is not None
        return found


def _allow_skip(body: Any) -> str | None:
    try:
        body()
    except AirflowSkipException as skipped:
        return str(skipped)
    return None
