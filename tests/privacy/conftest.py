"""A home into which records are landed by hand, and the steps that take them to people."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include import steps
from include.connect.landing import Manifest
from include.connect.landing_writer import LandingWriter, PartLimits
from include.privacy.request import Erasure, request
from include.run import Run
from include.settings import Settings, read_settings
from include.warehouse.engine import Engine, connect
from include.warehouse.models import mart_models, published, staging_models

START = datetime(2026, 11, 1, tzinfo=UTC)
SALT = "a salt that only tests have"
IDENTITY = ("customers", "identifiers", "events", "ownership", "links", "evidence", "blocked_values")


@dataclass
class Home:
    """One home; every landing and every unify is an hour later than the one before."""

    settings: Settings
    hours: int = 0

    def run(self, dag_id: str) -> Run:
        """The run of the present hour."""
        return Run.of(dag_id, f"test__{self.hours}", START + timedelta(hours=self.hours))

    def land(self, source: str, stream: str, records: Mapping[str, Any], rejected: tuple[bytes, ...] = ()) -> Run:
        """Land records (key -> what the vendor sent) as a pull does, and load them."""
        self.hours += 1
        run = self.run(f"ingest_{source}")
        at = run.as_of.isoformat()
        writer = LandingWriter(self.settings.landing_root, source, "main", stream, run, PartLimits())
        lines = [writer.line(key, json.dumps(payload).encode(), at) for key, payload in records.items()]
        writer.write(lines, [(data, "no key") for data in rejected], at, 0.0)
        writer.finish_part()
        times = {"as_of": run.as_of, "started_at": run.as_of, "committed_at": run.as_of}
        known = {"source": source, "account": "main", "stream": stream, "run_id": run.run_id, "attempt": writer.attempt}
        files = {"parts": writer.parts, "rejected": writer.rejected, "records": writer.records}
        files["quarantined"] = writer.quarantined
        cursor = {"kind": "incremental", "seq": self.hours, "cursor_from": None, "cursor_to": None}
        writer.commit(Manifest(**known, **times, **files, **cursor))
        steps.ingest_load(source, "main", run)
        return run

    def unify(self, *, whole: bool = False) -> dict[str, Any]:
        """Staging to a published generation; what staging said."""
        self.hours += 1
        run = self.run("unify")
        said = steps.unify_stage(run)
        steps.unify_identity(run, full_refresh=whole)
        steps.unify_marts(run)
        steps.unify_publish(run)
        return said

    def erase(self, kind: str | None, value: str, **more: Any) -> Erasure:
        """Ask for somebody's erasure."""
        self.hours += 1
        with self.open() as engine:
            return request(engine, self.settings, self.run("erase_person"), kind, value, **more)

    @contextmanager
    def open(self) -> Iterator[Engine]:
        """The warehouse at the published generation."""
        with connect(self.settings) as engine:
            state = published(engine)
            yield engine.at(state.generation if state else None)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows."""
        with self.open() as engine:
            return engine.query(sql)

    def customers(self) -> dict[str, str]:
        """E-mail address -> whose it is."""
        rows = self.query("SELECT value, customer_id FROM identity.identifiers WHERE kind = 'email'")
        return {row["value"]: row["customer_id"] for row in rows}

    def rows(self) -> dict[str, list[str]]:
        """Every row of staging, identity and marts."""
        names = [model.name for model in (*staging_models(), *mart_models())]
        names += [f"identity.{name}" for name in IDENTITY]
        with self.open() as engine:
            return {name: sorted(repr(row) for row in engine.query(f"SELECT * FROM {name}")) for name in names}

    def files_with(self, *words: str) -> list[str]:
        """Files of the home in which one of the words stands, packed ones unpacked, in any case."""
        found = []
        for path in sorted(self.settings.home.rglob("*")):
            if path.is_file():
                data = path.read_bytes()
                text = (gzip.decompress(data) if path.suffix == ".gz" else data).lower()
                if any(word.lower().encode() in text for word in words):
                    found.append(path.relative_to(self.settings.home).as_posix())
        return found


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home of its own."""
    monkeypatch.setenv("STITCHLINE_HOME", str(tmp_path))
    monkeypatch.setenv("STITCHLINE_ERASURE_SALT", SALT)
    return Home(read_settings())


Contact = Callable[..., dict[str, Any]]


@pytest.fixture
def contact() -> Contact:
    """A HubSpot contact."""

    def make(key: str, email: str, name: str, **more: Any) -> dict[str, Any]:
        first, _, last = name.partition(" ")
        properties = {"email": email, "firstname": first, "lastname": last, **more}
        changed = "2026-10-01T00:00:00Z"
        return {"id": key, "properties": properties, "createdAt": changed, "updatedAt": changed}

    return make
