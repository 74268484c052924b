"""Loads committed landings into raw, exactly once, in the order they were committed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from include.connect.connection import read_connection
from include.connect.landing import Manifest, list_manifests
from include.connect.source import Source, WarehouseTables
from include.run import Run
from include.settings import Settings
from include.sources import get_source
from include.state.store import Store
from include.warehouse.engine import Engine, Part, Statement
from include.warehouse.schema import LOADS, OPS, raw_table
from include.warehouse.sweep import clear, compare, raise_refused, written

LOCK = "load_order"
LOCK_SECONDS = 300.0


@dataclass(slots=True)
class LoadSummary:
    """What reached the warehouse, per stream."""

    source: str
    account: str
    records: dict[str, int] = field(default_factory=dict)
    runs: int = 0

    @property
    def total(self) -> int:
        """Rows loaded over all streams."""
        return sum(self.records.values())


def load(engine: Engine, settings: Settings, source: str, account: str, run: Run) -> LoadSummary:
    """Load every landing of the source that is committed and not yet in the warehouse, oldest first.

    Not only this run's: a run whose load died and was never repeated would otherwise be lost, because the
    next pull goes on from its cursor. Repeating a load leaves the same rows.

    Raises:
        FixSettings: the source is unknown, or a part named by a manifest is gone.
        StopSync: a key sweep misses more records than can be believed; everything was loaded all the same.
    """
    declared = get_source(source)
    engine.ensure([*OPS, *(raw_table(source, stream.name, stream.description) for stream in declared.streams)])
    summary = LoadSummary(source, account)
    done: dict[str, set[str]] = {}
    for row in engine.query(
        "SELECT stream, run_id FROM ops.loads WHERE source = @source AND account = @account",
        {"source": source, "account": account},
    ):
        done.setdefault(row["stream"], set()).add(row["run_id"])
    waiting = [
        manifest
        for stream in declared.streams
        for manifest in list_manifests(
            settings.landing_root, source, account, stream.name, known=done.get(stream.name, ())
        )
    ]
    holder = f"{run.run_id}/{source}"
    for manifest in sorted(waiting, key=lambda item: item.seq):
        with _alone(engine, settings, holder):
            # Pulls and sweeps of an account load side by side: what another has loaded meanwhile keeps its place.
            if _is_loaded(engine, manifest):
                continue
            summary.records[manifest.stream] = summary.records.get(manifest.stream, 0) + _load_one(
                engine, settings, declared, manifest
            )
        summary.runs += 1
    if declared.swept:
        with _alone(engine, settings, holder):
            clear(engine, settings.landing_root, declared, account)
        raise_refused(engine, source, account, run, [manifest.run_id for manifest in waiting])
    return summary


@contextmanager
def _alone(engine: Engine, settings: Settings, holder: str) -> Iterator[None]:
    """Two loads at once must not take the same place in the order that identity's ids stand on."""
    if engine.is_exclusive:
        yield
        return
    with Store.open(settings) as store, store.lock(LOCK, holder, LOCK_SECONDS, time.time()):
        yield


def _is_loaded(engine: Engine, manifest: Manifest) -> bool:
    names = ("source", "account", "stream", "run_id")
    where = " AND ".join(f"{name} = @{name}" for name in names)
    params = {name: getattr(manifest, name) for name in names}
    return bool(engine.query(f"SELECT seq FROM ops.loads WHERE {where} LIMIT 1", params))


def _load_one(engine: Engine, settings: Settings, source: Source, manifest: Manifest) -> int:
    table = f"raw.{source.name}__{manifest.stream}"
    seq = int(engine.query("SELECT COALESCE(MAX(seq), 0) + 1 AS seq FROM ops.loads")[0]["seq"])
    stamp: dict[str, Any] = {
        "_account": manifest.account,
        "_run_id": manifest.run_id,
        "_seq": seq,
        "_loaded_at": manifest.committed_at,
    }
    if source.tables is not None:
        return _copy_tables(engine, source, source.tables, manifest, table, stamp)
    root = settings.landing_root.rstrip("/")
    parts = [Part(part.number, f"{root}/{part.path}", part.sha256) for part in manifest.parts]
    if manifest.kind == "sweep":
        found = compare(engine, manifest, parts, stamp)
        records = 0 if found["reason"] else int(found["deleted"]) + int(found["returned"])
        engine.atomically([*written(manifest, found, seq), *_book(manifest, seq, records)])
        return records
    return engine.load_parts(table, parts, stamp, _book(manifest, seq, manifest.records))


def _copy_tables(
    engine: Engine, source: Source, tables: WarehouseTables, manifest: Manifest, table: str, stamp: dict[str, Any]
) -> int:
    """A source that is tables in the warehouse: copy the manifest's window, inside the warehouse."""
    engine.attach(source.name, str(read_connection(source.name, manifest.account).base_url))
    foreign = f"{source.name}.{manifest.stream}"
    cursor = tables.cursor
    key = next(stream.key for stream in source.streams if stream.name == manifest.stream)[0]
    params = {
        "account": manifest.account,
        "run": manifest.run_id,
        "seq": stamp["_seq"],
        "loaded": manifest.committed_at,
        "since": manifest.window.from_ or "1970-01-01T00:00:00Z",
        "until": manifest.window.to or manifest.as_of.isoformat(),
    }
    where = f"t.{cursor} > CAST(@since AS TIMESTAMP) AND t.{cursor} <= CAST(@until AS TIMESTAMP)"
    rows = int(engine.query(f"SELECT COUNT(*) AS n FROM {foreign} AS t WHERE {where}", params)[0]["n"])
    engine.atomically(
        [
            Statement(f"DELETE FROM {table} WHERE _run_id = @run", params),
            Statement(
                f"INSERT INTO {table} (_account, _run_id, _part, _seq, _key, _extracted_at, _loaded_at, _payload) "
                f"SELECT @account, @run, 0, @seq, CAST(t.{key} AS STRING), @loaded, @loaded, TO_JSON(t) "
                f"FROM {foreign} AS t WHERE {where}",
                params,
            ),
            *_book(manifest, int(stamp["_seq"]), rows),
        ]
    )
    return rows


def _book(manifest: Manifest, seq: int, records: int) -> list[Statement]:
    row = {
        "seq": seq,
        "source": manifest.source,
        "account": manifest.account,
        "stream": manifest.stream,
        "run_id": manifest.run_id,
        "manifest_seq": manifest.seq,
        "kind": manifest.kind,
        "loaded_at": manifest.committed_at,
        "as_of": manifest.as_of,
        "records": records,
        "bytes": sum(part.bytes for part in manifest.parts),
        "requests": manifest.requests,
        "retries": manifest.retries,
        "throttled": manifest.throttled,
        "throttled_seconds": manifest.throttled_seconds,
        "quarantined": manifest.quarantined,
        "cursor_to": manifest.cursor_to,
        "is_complete": True,
    }
    names = [column.name for column in LOADS.columns]
    return [
        Statement(
            "DELETE FROM ops.loads "
            "WHERE source = @source AND account = @account AND stream = @stream AND run_id = @run_id",
            row,
        ),
        Statement(
            f"INSERT INTO ops.loads ({', '.join(names)}) VALUES ({', '.join('@' + name for name in names)})", row
        ),
    ]
