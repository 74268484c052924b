"""One HubSpot account as key sweeps see it: what its runs land, load and stage."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from include.connect.files import Files
from include.connect.landing import Manifest, Part, digest_of, write_manifest
from include.connect.source import Kind
from include.run import Run
from include.settings import Settings
from include.warehouse import models, stage
from include.warehouse.engine import Engine
from include.warehouse.load import load
from include.warehouse.schema import raw_table

START = datetime(2026, 11, 1, tzinfo=UTC)
CONTACTS = "staging.hubspot__contacts"


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def contact(key: str, changed: float = 0, **more: Any) -> dict[str, Any]:
    return {"id": key, "properties": {"email": f"{key}@oak.example"}, "updatedAt": at(changed).isoformat(), **more}


@dataclass
class Account:
    """One HubSpot account: what its runs landed, loaded and staged."""

    engine: Engine
    settings: Settings
    seq: int = field(default=0)

    def land(self, hour: float, *records: Mapping[str, Any], kind: Kind = "full", **said: Any) -> Run:
        """What a pull of that hour leaves in landing, one record a second; not loaded yet."""
        run = Run.of("ingest_hubspot", f"{kind} {hour}", at(hour))
        files, self.seq, parts = Files(self.settings.landing_root), self.seq + 1, []
        if records:
            lines = [
                {"_key": one["id"], "_extracted_at": at(hour + number / 3600).isoformat(), "_payload": one}
                for number, one in enumerate(records)
            ]
            data = gzip.compress(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
            path = f"hubspot/main/contacts/dt={run.as_of:%Y-%m-%d}/run={run.run_id}/attempt=1/part-00000.ndjson.gz"
            files.write(path, data)
            parts = [Part(path, 0, digest_of(data), len(records), len(data))]
        written = Manifest(
            *("hubspot", "main", "contacts", run.run_id, 1, kind, self.seq),
            **{"as_of": at(hour), "started_at": at(hour), "committed_at": at(hour + 0.9)},
            **{"cursor_from": None, "cursor_to": None, "parts": parts, "records": len(records), **said},
        )
        write_manifest(self.settings.landing_root, written, run)
        return run

    def load(self, run: Run) -> None:
        load(self.engine, self.settings, "hubspot", "main", run)

    def pull(self, hour: float, *records: Mapping[str, Any]) -> None:
        self.load(self.land(hour, *records))

    def sweep(self, hour: float, *keys: str, **said: Any) -> None:
        self.load(self.land(hour, *({"id": key} for key in keys), kind="sweep", **said))

    def staged(self, *, full_refresh: bool = False) -> dict[str, bool]:
        """Which contacts staging holds, and whether each is marked."""
        stage.stage(self.engine, Run.of("unify", "one", at(1000)), Settings(), full_refresh=full_refresh)
        rows = self.engine.query(f"SELECT _key, email, is_deleted FROM {CONTACTS} ORDER BY _key")
        assert [row["email"] for row in rows] == [f"{row['_key']}@oak.example" for row in rows]
        return {row["_key"]: row["is_deleted"] for row in rows}

    def marks(self) -> dict[str, bool]:
        """The same, once a rebuild from raw has said so too."""
        found = self.staged()
        before = self.engine.query(f"SELECT * FROM {CONTACTS} ORDER BY _key")
        assert self.staged(full_refresh=True) == found
        assert self.engine.query(f"SELECT * FROM {CONTACTS} ORDER BY _key") == before
        return found

    def swept(self) -> list[dict[str, Any]]:
        return self.engine.query("SELECT known, seen, deleted, returned, reason FROM ops.sweeps ORDER BY loaded_at")


def contacts_only(patch: pytest.MonkeyPatch) -> None:
    """Stage one model: the others are staged by the same statements."""
    one = tuple(model for model in models.staging_models() if model.name == CONTACTS)
    patch.setattr(stage, "staging_models", lambda: one)
    patch.setattr(stage, "raw_tables", lambda: [raw_table("hubspot", "contacts")])
