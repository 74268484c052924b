"""Numbers for Prometheus, in its text format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from include.collector.land import Landed
from include.collector.spool import Spool

PREFIX = "stitchline_collector"


@dataclass(slots=True)
class Metrics:
    """What the collector counts since it started."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    records: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    repeated: int = 0
    hits_lost: int = 0
    reload_failures: int = 0
    landed: Landed = field(default_factory=Landed)
    landed_records: int = 0
    landing_failures: int = 0
    landed_at: float = 0.0

    def note_landed(self, landed: Landed, now: float) -> None:
        """A round of landing ended."""
        self.landed = landed
        self.landed_records += landed.records
        if landed.failure:
            self.landing_failures += 1
        else:
            self.landed_at = now

    def text(self, spool: Spool) -> str:
        """All of it, as Prometheus reads it."""
        lines: list[str] = []

        def add(name: str, kind: str, about: str, values: Mapping[str, float]) -> None:
            lines.extend((f"# HELP {PREFIX}_{name} {about}", f"# TYPE {PREFIX}_{name} {kind}"))
            lines.extend(f"{PREFIX}_{name}{labels} {value:g}" for labels, value in values.items())

        requests = {f'{{route="{r}",status="{s}"}}': float(n) for (r, s), n in sorted(self.requests.items())}
        records = {f'{{route="{r}"}}': float(n) for r, n in sorted(self.records.items())}
        add("requests_total", "counter", "Requests by route and status.", requests)
        add("records_total", "counter", "Records made durable, by route.", records)
        for name, about, value in (
            ("bytes_total", "Bytes of bodies made durable.", self.bytes),
            ("repeated_total", "Deliveries that were here already.", self.repeated),
            ("hits_lost_total", "Redirects that could not be kept.", self.hits_lost),
            ("reload_failures_total", "Times that secrets could not be read again.", self.reload_failures),
            ("commits_total", "Fsyncs, each for all requests that waited.", spool.commits),
            ("commit_seconds_total", "Time spent in them.", spool.commit_seconds),
            ("append_failures_total", "Commits that the disk refused.", spool.failures),
            ("landed_records_total", "Records landed.", self.landed_records),
            ("landing_failures_total", "Rounds of landing that failed.", self.landing_failures),
        ):
            add(name, "counter", about, {"": float(value)})
        add("landing_waiting", "gauge", "Files of the spool that wait to be landed.", {"": self.landed.waiting})
        add("landed_timestamp_seconds", "gauge", "When landing last worked.", {"": self.landed_at})
        return "\n".join(lines) + "\n"
