"""A small warehouse with the published tables that lists and syncs read, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from include.activate.destination import Destination
from include.activate.freshness import streams_of
from include.activate.segment import Segment, compute, read_segment
from include.activate.sync import SyncResult, sync
from include.run import Run
from include.settings import Settings
from include.warehouse.engine import Column, Engine, Table, connect
from include.warehouse.schema import OPS

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
TEXTS = """customer_id first_name last_name full_name email phone user_id hubspot_contact_id mailchimp_member_id
mailchimp_list_id zendesk_user_id stripe_customer_id salesforce_contact_id shopify_customer_id email_marketing_address
journey_stage""".split()  # noqa: SIM905
MARTS = (
    Table(
        "marts.customers",
        (
            *(Column(name, "STRING") for name in TEXTS),
            Column("emails", "ARRAY<STRING>"),
            Column("has_email_marketing_consent", "BOOL"),
            Column("order_count", "INT64"),
            Column("last_order_at", "TIMESTAMP"),
            Column("is_identified", "BOOL"),
        ),
    ),
    Table(
        "marts.consents",
        tuple(Column(name, "STRING") for name in ("customer_id", "channel", "address", "status", "source")),
    ),
    Table(
        "marts.orders",
        (
            Column("order_id", "STRING"),
            Column("customer_id", "STRING"),
            Column("ordered_at", "TIMESTAMP"),
            Column("amount", "NUMERIC"),
            Column("currency", "STRING"),
            Column("status", "STRING"),
            Column("source", "STRING"),
            Column("is_inferred_identity", "BOOL"),
        ),
    ),
    Table(
        "marts.tickets",
        (
            Column("ticket_id", "STRING"),
            Column("customer_id", "STRING"),
            Column("created_at", "TIMESTAMP"),
            Column("updated_at", "TIMESTAMP"),
            Column("status", "STRING"),
            Column("subject", "STRING"),
            Column("source", "STRING"),
            Column("is_inferred_identity", "BOOL"),
        ),
    ),
    Table("identity.customers", (Column("customer_id", "STRING"),)),
    Table("identity.redirects", (Column("old_customer_id", "STRING"), Column("customer_id", "STRING"))),
    Table("identity.blocked_values", (Column("kind", "STRING"), Column("value", "STRING"))),
)
SOURCES = ("mailchimp", "stripe", "zendesk")
STREAMS = tuple(
    sorted({".".join(stream) for table in MARTS[:4] for stream in streams_of(table.name) if stream[0] in SOURCES})
)


def person(number: int, **changes: Any) -> dict[str, Any]:
    """One row of `marts.customers` that every destination can take."""
    return {
        "customer_id": f"c{number:05d}",
        "first_name": f"Person {number}",
        "email": f"person{number}@example.com",
        "emails": [f"person{number}@example.com"],
        "email_marketing_address": f"person{number}@example.com",
        "has_email_marketing_consent": True,
        "hubspot_contact_id": str(100_000 + number),
        "zendesk_user_id": str(500_000 + number),
        "mailchimp_member_id": f"member{number}",
        "mailchimp_list_id": "audience1",
        "order_count": number % 3,
        "is_identified": True,
        **changes,
    }


@dataclass
class SmallWarehouse:
    """Publishes generations and computes lists in a DuckDB file of its own."""

    settings: Settings
    folder: Path
    seq: int = 0
    generations: list[str] = field(default_factory=list)

    @contextmanager
    def open(self) -> Iterator[Engine]:
        """The warehouse, for as long as the block lasts."""
        with connect(self.settings) as engine:
            yield engine

    def run(self, days: float = 0, attempt: int = 1) -> Run:
        """A run, some days after the beginning."""
        return Run.of("test", f"run at {days}", NOW + timedelta(days=days), attempt)

    def load(self, *streams: str, days: float = 0, is_complete: bool = True, **changes: Any) -> int:
        """Rows of `ops.loads`; returns the place of the last in the order."""
        with self.open() as engine:
            engine.ensure(OPS)
            self._load(engine, streams, days, is_complete=is_complete, **changes)
        return self.seq

    def publish(
        self,
        people: Sequence[Mapping[str, Any]],
        *,
        days: float = 0,
        loads: Sequence[str] = STREAMS,
        **tables: Sequence[Mapping[str, Any]],
    ) -> str:
        """Publish a generation with these people, and rows for other tables (`marts_orders=[...]`)."""
        generation = f"g{len(self.generations) + 1}"
        self.generations.append(generation)
        with self.open() as engine:
            if len(self.generations) == 1:
                engine.ensure(OPS)
            self._load(engine, loads, days)
            inside = engine.at(generation)
            inside.ensure(MARTS)
            inside.append("marts.customers", _whole(people))
            inside.append("identity.customers", [{"customer_id": one["customer_id"]} for one in people])
            for name, rows in tables.items():
                inside.append(name.replace("_", ".", 1), _whole(rows))
            at = NOW + timedelta(days=days)
            row = {"generation": generation, "as_of": at, "published_at": at, "seq_to": self.seq, "people": len(people)}
            engine.append("ops.published", [{**row, "events": 0}])
        return generation

    def _load(self, engine: Engine, streams: Sequence[str], days: float, **changes: Any) -> None:
        rows = []
        for stream in streams:
            self.seq += 1
            source, _, name = stream.partition(".")
            at = NOW + timedelta(days=days)
            rows.append(
                {
                    "seq": self.seq,
                    "source": source,
                    "account": "main",
                    "stream": name,
                    "run_id": f"r{self.seq}",
                    "kind": "incremental",
                    "loaded_at": at,
                    "as_of": at,
                    "is_complete": True,
                    **changes,
                }
            )
        engine.append("ops.loads", rows)

    def segment(self, sync: str = "", sql: str = "SELECT customer_id FROM marts.customers", **header: str) -> Segment:
        """A segment file, read."""
        lines = {"title": "A list", "why": "For the test.", "owner": "tests", "key": "customer_id", **header}
        text = "\n".join(f"{name}: {value}" for name, value in lines.items())
        text += f"\nsync:\n  - {sync}" if sync else ""
        path = self.folder / "a_list.sql"
        path.write_text(f"/*\n{text}\n*/\n{sql}\n")
        return read_segment(path)

    def compute(self, segment: Segment, days: float = 0) -> int:
        """Compute the list, which must not be held."""
        with self.open() as engine:
            result = compute(engine, segment, self.run(days), self.settings)
        assert result.status == "computed", result.reason
        assert result.members is not None
        return result.members

    def rows(self, sql: str, **params: Any) -> list[dict[str, Any]]:
        """Rows of a SELECT."""
        with self.open() as engine:
            return engine.query(sql, params)

    def state(self) -> dict[tuple[str, str], Any]:
        """What destinations hold because of us: (place, address) -> fields."""
        rows = self.rows("SELECT place, address, fields_json FROM activation.state")
        return {(row["place"], row["address"]): json.loads(row["fields_json"]) for row in rows}


def _whole(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows with the same keys."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: row.get(name) for name in names} for row in rows]


def send(
    warehouse: SmallWarehouse, segment: Segment, destination: Destination, days: float = 0, **options: Any
) -> SyncResult:
    """Sync a list, some days after the beginning."""
    return sync(segment, destination, warehouse.settings, warehouse.run(days), warehouse.open, **options)
