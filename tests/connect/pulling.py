"""Runs of a made-up source into a test's own landing."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from include.connect.connection import Connection
from include.connect.files import Files
from include.connect.landing import Manifest
from include.connect.pull import pull
from include.connect.source import Source
from include.run import Run
from include.settings import Settings

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def run_of(name: str, hours: int = 0, attempt: int = 1) -> Run:
    return Run.of("ingest_acme", name, NOW + timedelta(hours=hours), attempt)


class Pulling:
    def __init__(self, settings: Settings, connection: Connection, clock: Any) -> None:
        self.settings, self.connection, self.clock = settings, connection, clock

    def __call__(self, run: Run, source: Source, **options: Any) -> list[Manifest]:
        given: dict[str, Any] = {"connection": self.connection, "clock": self.clock, **options}
        return pull(source, "main", self.settings, run, **given)

    def lines(self, manifest: Manifest) -> list[dict[str, Any]]:
        files = Files(self.settings.landing_root)
        text = b"".join(gzip.decompress(files.read(part.path)) for part in manifest.parts)
        return [json.loads(line) for line in text.splitlines()]

    def keys(self, manifest: Manifest) -> list[str]:
        return [line["_key"] for line in self.lines(manifest)]
