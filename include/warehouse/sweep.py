"""Key sweeps: which records a vendor deleted without saying so, or shows again, kept in raw as versions of their own.

A sweep lands the keys of all records the vendor holds; here they are compared with raw, and then dropped. Whatever was
last read before the sweep began and did not show up gets one more version: the record as it last was, with
`_deleted_at`. So it flows on like any news, a rebuild from raw gives the same, and a later pull that brings the record
again wins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from include.connect.errors import FixSettings, StopSync
from include.connect.landing import Manifest
from include.connect.landing_rewrite import take_out
from include.connect.source import Source
from include.run import Run
from include.warehouse.engine import Engine, Part, Statement
from include.warehouse.models import BEGINNING, staging_models
from include.warehouse.render import inlined
from include.warehouse.schema import SWEEPS, SWEPT_KEYS
from include.warehouse.stage import newest_first

MOST_SHARE = 0.2
MOST_KEYS = 50
"""More deletions than both this share of the known records and this number look like a permission that was lost."""
MINE = "source = @source AND account = @account AND stream = @stream AND run_id = @run_id"


def compare(engine: Engine, manifest: Manifest, parts: Sequence[Part], stamp: Mapping[str, Any]) -> dict[str, Any]:
    """Load a sweep's keys and write `scratch.turned`: versions of records that are gone, or are there again.

    Args:
        engine: the warehouse.
        manifest: of the sweep. It is there, so every key was read.
        parts: its files.
        stamp: `_account`, `_run_id`, `_seq` and `_loaded_at` of the load.

    Returns:
        The sweep's row for `ops.sweeps`.

    Raises:
        FixSettings: no staging model says which version of a record stands.
    """
    table = f"raw.{manifest.source}__{manifest.stream}"
    about: dict[str, Any] = {"run": manifest.run_id, "account": manifest.account, "started": manifest.started_at}
    about["beginning"] = BEGINNING
    mine = "r._account = @account AND r._run_id != @run AND r._loaded_at >= @beginning"
    engine.load_parts(SWEPT_KEYS.name, parts, stamp)
    engine.execute(
        f"""CREATE OR REPLACE TABLE scratch.known AS
        SELECT r._key, k.seen_at, r.last_at < @started AND (k.seen_at IS NULL OR r.was_gone) AS is_asked
        FROM (
          SELECT _key, MAX(_extracted_at) AS last_at, LOGICAL_OR(_deleted_at IS NOT NULL) AS was_gone
          FROM {table} AS r
          WHERE {mine}
          GROUP BY _key
        ) AS r
        LEFT JOIN (SELECT _key, MAX(_extracted_at) AS seen_at FROM {SWEPT_KEYS.name} AS s GROUP BY _key) AS k
          ON k._key = r._key""",
        about,
    )
    # Which version stands is the staging model's to say: it may be an older one than that read last.
    model = next((model for model in staging_models() if model.reads == {table}), None)
    if model is None:
        raise FixSettings(
            f"no staging model is made of {table} alone, so nobody can say which version of a record stands",
            where=f"key sweep of {manifest.source}.{manifest.stream}",
            fix="Add include/warehouse/staging/<source>/<source>__<entity>.sql, or take the sweep off the stream.",
        )
    asked = (
        f"SELECT * FROM {table} AS r WHERE {mine} AND r._key IN (SELECT _key FROM scratch.known AS k WHERE is_asked)"
    )
    engine.execute(
        f"""CREATE OR REPLACE TABLE scratch.standing AS
        SELECT _key, _seq, _extracted_at, is_deleted, _deleted_at IS NOT NULL AS is_swept
        FROM ({inlined(model.sql, {table: asked})})
        QUALIFY ROW_NUMBER() OVER (PARTITION BY _key ORDER BY {newest_first(model)}) = 1""",
        about,
    )
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.turned AS
        SELECT s._key, s._seq, s._extracted_at, k.seen_at
        FROM scratch.standing AS s
        INNER JOIN scratch.known AS k ON k._key = s._key
        WHERE IF(k.seen_at IS NULL, NOT s.is_deleted, s.is_swept)""")
    counts = engine.query("""
        SELECT
          (SELECT COUNT(*) FROM scratch.known AS k)
          - (SELECT COUNT(*) FROM scratch.standing AS s WHERE s.is_deleted) AS known,
          (SELECT COUNT(*) FROM scratch.turned AS t WHERE t.seen_at IS NULL) AS deleted,
          (SELECT COUNT(*) FROM scratch.turned AS t WHERE t.seen_at IS NOT NULL) AS returned""")[0]
    reason = "" if manifest.accept_deletions else _doubt(manifest, **counts)
    return {
        **{name: getattr(manifest, name) for name in ("source", "account", "stream", "run_id", "started_at")},
        "loaded_at": manifest.committed_at,
        **counts,
        "seen": manifest.records,
        "reason": reason,
        "is_cleared": False,
    }


def written(manifest: Manifest, row: Mapping[str, Any], seq: int) -> list[Statement]:
    """Statements that keep what `compare` found: new versions in raw, where nothing speaks against it, and the row."""
    table = f"raw.{manifest.source}__{manifest.stream}"
    params = {**row, "seq": seq, "beginning": BEGINNING}
    names = [column.name for column in SWEEPS.columns]
    versions = [
        Statement(f"DELETE FROM {table} WHERE _loaded_at = @loaded_at AND _run_id = @run_id", params),
        Statement(
            f"""INSERT INTO {table}
            (_account, _run_id, _part, _seq, _key, _extracted_at, _loaded_at, _payload, _deleted_at)
            SELECT r._account, @run_id, 0, @seq, r._key, COALESCE(t.seen_at, @started_at), @loaded_at, r._payload,
              IF(t.seen_at IS NULL, @loaded_at, NULL)
            FROM {table} AS r
            INNER JOIN scratch.turned AS t
              ON t._key = r._key AND t._seq = r._seq AND t._extracted_at = r._extracted_at
            WHERE r._account = @account AND r._loaded_at >= @beginning
            QUALIFY ROW_NUMBER() OVER (PARTITION BY r._key ORDER BY r._part) = 1""",
            params,
        ),
    ]
    return [
        *([] if row["reason"] else versions),
        Statement(f"DELETE FROM {SWEPT_KEYS.name} WHERE TRUE"),
        Statement(f"DELETE FROM {SWEEPS.name} WHERE {MINE}", params),
        Statement(
            f"INSERT INTO {SWEEPS.name} ({', '.join(names)}) VALUES ({', '.join('@' + name for name in names)})", params
        ),
    ]


def clear(engine: Engine, root: str, source: Source, account: str) -> None:
    """Take the keys of compared sweeps out of landing, where an erasure would not find them.

    A stream's keys stay as long as a child's sweep of the same run may still be reading them.
    """
    rows = engine.query(
        f"SELECT stream, run_id, is_cleared FROM {SWEEPS.name} WHERE source = @source AND account = @account",
        {"source": source.name, "account": account},
    )
    done = {(row["stream"], row["run_id"]) for row in rows}
    for row in rows:
        children = [stream.name for stream in source.swept if stream.parent == row["stream"]]
        if row["is_cleared"] or any((child, row["run_id"]) not in done for child in children):
            continue
        stream, run_id = str(row["stream"]), str(row["run_id"])
        take_out(root, source.name, account, stream, run_id, None, lambda text: True, "", datetime.now(UTC))
        engine.execute(
            f"UPDATE {SWEEPS.name} SET is_cleared = TRUE WHERE {MINE}",
            {"source": source.name, "account": account, "stream": stream, "run_id": run_id},
        )


def raise_refused(engine: Engine, source: str, account: str, run: Run, loaded: Sequence[str]) -> None:
    """Say it where a sweep marked nothing though records were missing.

    Args:
        engine: the warehouse.
        source: whose sweeps.
        account: of which account.
        run: the run; its own sweeps are asked about whoever loaded them.
        loaded: other runs that were loaded just now.

    Raises:
        StopSync: a sweep of these runs did so.
    """
    rows = engine.query(
        f"SELECT stream, reason FROM {SWEEPS.name} WHERE source = @source AND account = @account "
        "AND run_id IN UNNEST(@runs) AND reason != '' ORDER BY stream",
        {"source": source, "account": account, "runs": [run.run_id, *loaded]},
    )
    if rows:
        raise StopSync(
            f"nothing was marked as deleted in {', '.join(row['stream'] for row in rows)}: "
            + "; ".join(dict.fromkeys(row["reason"] for row in rows)),
            where=f"key sweep of {source}, account {account}",
            fix="See whether the connection may still read every record. If they are really gone, sweep again with "
            "accept_deletions.",
        )


def _doubt(manifest: Manifest, known: int, deleted: int, returned: int) -> str:
    """Why what was not seen should not be taken for deleted; empty where nothing speaks against it."""
    if not deleted:
        return ""
    if manifest.quarantined:
        return f"{manifest.quarantined} records of the sweep could not be read, and may be among the missing"
    if not manifest.records:
        return f"the vendor showed no record at all, and {known} are known"
    if deleted > MOST_KEYS and deleted > MOST_SHARE * known:
        return f"{deleted} of {known} records are missing, more than {MOST_KEYS} and {MOST_SHARE:.0%} of them"
    return ""
