"""Erasing whom a request wrote down: each unify takes their records out, and whatever later pulls bring back of them.

Every step may be killed anywhere and is done again: records leave raw and landing, a whole generation is built without
them, every other one is dropped, and at last the bytes go from the files of the embedded warehouse.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime

from include.connect.errors import CheckFailed
from include.connect.landing_rewrite import take_out
from include.privacy.salt import checked_salt, hashed
from include.privacy.search import NONE, find_records, write_down
from include.privacy.trace import ADDRESS
from include.run import Run
from include.settings import Settings
from include.warehouse.engine import Engine, Statement
from include.warehouse.models import BEGINNING, clock
from include.warehouse.stage import latest_loads, unstage

log = logging.getLogger(__name__)


def keep_out(engine: Engine, settings: Settings, run: Run, seq_to: int) -> dict[str, int]:
    """Take out of raw and landing what was written down to go, and what loads brought back of erased people.

    Call it before staging: what it takes was never anybody's. Without tombstones it costs one query.

    Returns:
        Records taken out, by raw table.

    Raises:
        FixSettings: there are tombstones, and the salt that made them is missing.
    """
    if not engine.query("SELECT COUNT(*) AS n FROM ops.tombstones")[0]["n"]:
        return {}
    salt = checked_salt(engine, settings)
    seq_from = int(engine.query("SELECT COALESCE(MIN(seq), 0) AS seq FROM ops.staged")[0]["seq"])
    if any(seq > seq_from for seq in latest_loads(engine).values()):
        engine.execute(
            "CREATE OR REPLACE TABLE scratch.tombstones AS SELECT kind, digest, erasure_id FROM ops.tombstones"
        )
        engine.execute(
            f"CREATE OR REPLACE TABLE scratch.owned AS SELECT value AS event_id, erasure_id FROM ({NONE}) AS n"
        )
        find_records(engine, settings, run, salt, seq_from, seq_to)
        back = engine.query("SELECT erasure_id, COUNT(*) AS n FROM scratch.erasing GROUP BY erasure_id")
        # Deleted again, they leave bytes in the files again.
        again = (
            "UPDATE ops.erasures SET returned = returned + @n, returned_at = @as_of, "
            "status = IF(status = 'started', 'started', 'erased') WHERE erasure_id = @erasure_id"
        )
        counted = [Statement(again, {**row, "as_of": run.as_of}) for row in back]
        engine.atomically([*counted, *write_down(run)])
    _take_out_rejected(engine, settings, salt, seq_from)
    return _remove(engine, settings)


def is_started(engine: Engine) -> bool:
    """Whether somebody is being erased: the next generation is a whole one."""
    return bool(engine.query("SELECT COUNT(*) AS n FROM ops.erasures WHERE status = 'started'")[0]["n"])


def forget_sent(built: Engine) -> None:
    """Clear lists, plans and receipts of erased people; what a destination still holds stays until it has let go.

    Args:
        built: the engine at the generation that is published next; who is in it is nobody erased.

    Raises:
        CheckFailed: the generation was made before the erasure.
    """
    if not built.query("SELECT COUNT(*) AS n FROM ops.erasures WHERE customer_id IS NOT NULL")[0]["n"]:
        return
    in_it = "EXISTS (SELECT 1 FROM identity.customers AS c WHERE c.customer_id = e.customer_id)"
    if built.query(f"SELECT COUNT(*) AS n FROM ops.erasures AS e WHERE status = 'started' AND {in_it}")[0]["n"]:
        raise CheckFailed(
            "somebody was erased while this generation was made",
            where=f"generation {built.generation}",
            fix="Nothing to do: the next unify makes one without them.",
        )
    gone = f"(SELECT e.customer_id FROM ops.erasures AS e WHERE e.customer_id IS NOT NULL AND NOT {in_it})"
    statements: list[Statement | str] = [
        f"DELETE FROM segments.{table} WHERE customer_id IN {gone}"
        for table in built.tables("segments")
        if "customer_id" in built.columns(f"segments.{table}")
    ]
    if built.columns("activation.state"):
        statements += [
            f"DELETE FROM activation.plan_rows WHERE customer_id IN {gone} "
            "AND plan_id NOT IN (SELECT plan_id FROM activation.plans WHERE status = 'applying')",
            "UPDATE activation.receipts AS r SET address = '', fields_hash = '', message = NULL "
            f"WHERE address != '' AND customer_id IN {gone} AND NOT EXISTS ("
            "SELECT 1 FROM activation.state AS s WHERE s.sync = r.sync AND s.customer_id = r.customer_id)",
        ]
    if statements:
        built.atomically(statements)


def finish(engine: Engine) -> bool:
    """Note that nobody reads an erased person any more; returns whether files still hold what `scrub` clears away."""
    if not engine.query("SELECT COUNT(*) AS n FROM ops.erasing")[0]["n"]:
        engine.execute("UPDATE ops.erasures SET status = 'erased' WHERE status = 'started'")
    waiting = f"status = 'erased' OR (status = 'leaving' AND NOT {_held(engine)})"
    return bool(engine.query(f"SELECT COUNT(*) AS n FROM ops.erasures AS e WHERE {waiting}")[0]["n"])


def scrub(settings: Settings) -> None:
    """Rewrite the files of the embedded warehouse, in which deleted rows leave their bytes, and close the erasures.

    Where a destination still holds the person, its address is kept until it has let go; that erasure ends later.
    """
    from include.warehouse.engine import connect

    if settings.warehouse == "duckdb":
        from include.warehouse.duckdb_rewrite import rewrite

        rewrite(settings)
    with connect(settings) as engine:
        engine.execute(
            f"UPDATE ops.erasures AS e SET status = IF({_held(engine)}, 'leaving', 'done'), finished_at = @now "
            "WHERE status IN ('erased', 'leaving')",
            {"now": datetime.now(UTC)},
        )


def _held(engine: Engine) -> str:
    """SQL: whether a destination still holds the person of erasure `e` because of us."""
    if not engine.columns("activation.state"):
        return "FALSE"
    return "EXISTS (SELECT 1 FROM activation.state AS s WHERE s.customer_id = e.customer_id)"


def _remove(engine: Engine, settings: Settings) -> dict[str, int]:
    """Take the records written down out of raw, landing and staging."""
    where = (
        "SELECT place, account, run_id, MIN(erasure_id) AS erasure_id FROM ops.erasing GROUP BY place, account, run_id"
    )
    listed = sorted(engine.query(where), key=lambda row: (row["place"], row["account"], row["run_id"]))
    places = list(dict.fromkeys(row["place"] for row in listed))
    counts = {}
    for place in places:
        counts[place] = engine.execute(
            f"DELETE FROM {place} AS r WHERE r._loaded_at >= @beginning AND EXISTS (SELECT 1 FROM ops.erasing AS e "
            f"WHERE e.place = '{place}' AND e.account = r._account AND e.run_id = r._run_id AND e.record_key = r._key)",
            {"beginning": BEGINNING},
        )
    now = datetime.now(UTC)
    for row in listed:
        found = engine.query(
            "SELECT record_key FROM ops.erasing WHERE place = @place AND account = @account AND run_id = @run_id", row
        )
        source, _, stream = str(row["place"]).removeprefix("raw.").partition("__")
        whose = (source, row["account"], stream, row["run_id"])
        keys = [each["record_key"] for each in found]
        take_out(settings.landing_root, *whose, keys, lambda text: False, row["erasure_id"], now)
    if is_started(engine):
        unstage(engine, places)
    if places:
        engine.execute("DELETE FROM ops.erasing WHERE TRUE")
        log.info("records of erased people were taken out: %s", json.dumps(counts))
    return counts


def _take_out_rejected(engine: Engine, settings: Settings, salt: str, seq_from: int) -> None:
    """What landed and was no record has no key to go by: it goes when it holds an address of somebody erased."""
    seq_from = 0 if is_started(engine) else seq_from
    runs = engine.query(
        "SELECT source, account, stream, run_id FROM ops.loads WHERE quarantined > 0 AND seq > @seq_from",
        {"seq_from": seq_from},
    )
    if not runs:
        return
    rows = engine.query("SELECT digest FROM ops.tombstones WHERE kind = 'email'")
    erased = {str(row["digest"]) for row in rows}
    space = str(clock(None, settings)["space"])

    def is_theirs(text: str) -> bool:
        found = re.findall(ADDRESS, text.lower())
        return any(hashed(salt, "email", f"{space}{address}") in erased for address in found)

    for row in runs:
        whose = (row["source"], row["account"], row["stream"], row["run_id"])
        take_out(settings.landing_root, *whose, (), is_theirs, "", datetime.now(UTC))
