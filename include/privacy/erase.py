"""Erasing a person: who it is, what is theirs, and how it goes; done by the next unify, and by every one after it.

`request` writes down what must go, in one transaction: salted hashes of the person's identifiers (tombstones) and the
list of records. Everything after it may be killed anywhere and is done again: unify takes the records out of raw and
landing, builds a whole generation without them, and drops every other one.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from include.connect.errors import CheckFailed, FixSettings
from include.connect.landing_rewrite import rejecting_runs, take_out
from include.privacy.search import NONE, digest, find_records
from include.run import Run
from include.settings import Settings
from include.warehouse.engine import Engine, Statement
from include.warehouse.identity.explain import Step, find
from include.warehouse.identity.hashed import hashes_of
from include.warehouse.models import BEGINNING, clock, frontier, published
from include.warehouse.stage import ensure_all, latest_loads, unstage

log = logging.getLogger(__name__)

CUSTOMER = "customer_id"
"""What stands for a kind where a person is named by their id."""
PERSONAL_TABLES = ("activation.receipts", "activation.plan_rows", "activation.state", "segments.memberships")


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure takes: `counts` is rows by place; `erasure_id` None where nothing was written."""

    erasure_id: str | None
    customer_id: str | None
    counts: Mapping[str, int] = field(default_factory=dict)


def request(
    engine: Engine,
    settings: Settings,
    run: Run,
    kind: str | None,
    value: str,
    *,
    dry_run: bool = False,
    unknown: bool = False,
) -> Erasure:
    """Write down that a person is to be erased, and what goes with them; the next unify does it.

    Args:
        engine: the warehouse, open for writing.
        settings: the settings.
        run: names the erasure; asking again in the same run changes nothing.
        kind: the identifier's kind, or customer_id; None looks in every kind.
        value: the identifier, spelled in any way.
        dry_run: only count.
        unknown: bar the identifier although nobody has it.

    Raises:
        FixSettings: nobody has the identifier, it is shared, or the salt is missing or another one.
    """
    salt = salt_of(settings)
    ensure_all(engine, settings)
    _same_salt(engine, salt)
    space = str(clock(None, settings)["space"])
    state = published(engine)
    here = engine.at(state.generation if state else None)
    customer_id, identifiers = _person(here, kind, value, space, unknown=unknown)
    erasure_id = hashlib.sha256(f"{run.run_id}/{customer_id or salted(salt, identifiers)}".encode()).hexdigest()[:16]
    params = {"salt": salt, "erasure_id": erasure_id, "customer_id": customer_id or "", "space": space}
    here.execute(f"CREATE OR REPLACE TABLE scratch.theirs AS {identifiers.sql}", {**params, **identifiers.params})
    clear = hashes_of("0 AS one", "scratch.theirs", space)
    here.execute(
        "CREATE OR REPLACE TABLE scratch.tombstones AS "
        "SELECT kind, digest, erasure_id FROM ops.tombstones AS t UNION DISTINCT "
        f"SELECT kind, {digest('i.kind', 'i.value')} AS digest, @erasure_id AS erasure_id FROM ("
        f"SELECT kind, value FROM scratch.theirs AS t UNION ALL SELECT kind, value FROM ({clear}) AS h) AS i",
        params,
    )
    if customer_id is None:
        engine.execute(
            f"CREATE OR REPLACE TABLE scratch.owned AS SELECT value AS event_id, erasure_id FROM ({NONE}) AS n"
        )
    else:
        here.execute(
            "CREATE OR REPLACE TABLE scratch.owned AS "
            "SELECT event_id, @erasure_id AS erasure_id FROM identity.events AS e WHERE customer_id = @customer_id",
            params,
        )
    find_records(engine, settings, run, salt, 0, frontier(engine))
    counts = _counts(engine, params)
    if dry_run:
        return Erasure(None, customer_id, counts)
    row = {
        **params,
        "kind": kind or "",
        "customer": customer_id,
        "as_of": run.as_of,
        "salt_id": _salt_id(salt),
        "counts": json.dumps(counts),
    }
    # People who merged into this one left rows under their own ids.
    merged = "(SELECT old_customer_id FROM identity.redirects AS r WHERE r.customer_id = @customer_id)"
    renamed = [
        Statement(f"UPDATE {table} SET customer_id = @customer_id WHERE customer_id IN {merged}", row)
        for table in PERSONAL_TABLES
        if customer_id is not None and engine.columns(table)
    ]
    here.atomically(
        [
            Statement("DELETE FROM ops.erasures WHERE erasure_id = @erasure_id", row),
            Statement(
                "INSERT INTO ops.erasures "
                "(erasure_id, requested_at, kind, customer_id, status, salt_id, counts_json, returned) VALUES "
                "(@erasure_id, @as_of, @kind, CAST(@customer AS STRING), 'started', @salt_id, @counts, 0)",
                row,
            ),
            *_write_down(run),
            *renamed,
        ]
    )
    log.info("erasure %s is written down: %s", erasure_id, json.dumps(counts))
    return Erasure(erasure_id, customer_id, counts)


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
    salt = salt_of(settings)
    _same_salt(engine, salt)
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
        engine.atomically(
            [
                *(
                    Statement(
                        "UPDATE ops.erasures SET returned = returned + @n, returned_at = @as_of "
                        "WHERE erasure_id = @erasure_id",
                        {**row, "as_of": run.as_of},
                    )
                    for row in back
                ),
                *_write_down(run),
            ]
        )
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


def salt_of(settings: Settings) -> str:
    """The secret that tombstones are made with.

    Raises:
        FixSettings: there is none.
    """
    if settings.erasure_salt is None:
        raise FixSettings(
            "erased people cannot be known again without the secret salt",
            where="STITCHLINE_ERASURE_SALT",
            fix="Set it to 32 random characters, the same everywhere and for ever: docs/runbooks/erasure.md.",
        )
    return settings.erasure_salt.get_secret_value()


def salted(salt: str, identifiers: Statement) -> str:
    """A name for an erasure of somebody unknown that does not tell the identifier."""
    return hashlib.sha256(f"{salt}:{sorted(identifiers.params.items())}".encode()).hexdigest()


def _same_salt(engine: Engine, salt: str) -> None:
    rows = engine.query("SELECT COUNT(*) AS n FROM ops.erasures WHERE salt_id != @salt_id", {"salt_id": _salt_id(salt)})
    if rows[0]["n"]:
        raise FixSettings(
            "the salt is not the one that earlier tombstones were made with",
            where="STITCHLINE_ERASURE_SALT",
            fix="Put the former value back; without it erased people would return.",
        )


def _salt_id(salt: str) -> str:
    return hashlib.sha256(f"which salt: {salt}".encode()).hexdigest()[:8]


def _person(here: Engine, kind: str | None, value: str, space: str, *, unknown: bool) -> tuple[str | None, Statement]:
    """Who is meant, and the SELECT (kind, value) of their identifiers."""
    everything = "SELECT kind, value FROM identity.identifiers AS i WHERE customer_id = @customer_id"
    known = bool(here.columns("identity.identifiers"))
    if kind == CUSTOMER:
        rows = (
            here.query(
                "SELECT customer_id FROM identity.customers AS c WHERE customer_id = @id UNION ALL "
                "SELECT customer_id FROM identity.redirects AS r WHERE old_customer_id = @id",
                {"id": value},
            )
            if known
            else []
        )
        if rows:
            return str(rows[0]["customer_id"]), Statement(everything)
        raise FixSettings("nobody has this id", where="identity.customers", fix="Name another identifier of theirs.")
    if not unknown:
        found = find(here, kind, value, space) if known else None
        if found is None:
            raise FixSettings("nothing is published yet", where="ops.published", fix="Run the unify DAG once.")
        if isinstance(found, Step):
            raise FixSettings(
                f"this {found.left_kind} is nobody's alone ({found.note})",
                where="identity.blocked_values",
                fix="Name an identifier that is the person's own, or their customer_id.",
            )
        return str(found["customer_id"]), Statement(everything)
    if kind is None:
        raise FixSettings("no kind", where="privacy erase", fix="Say of which kind the identifier is, such as email.")
    from include.warehouse.identity.normalize import normalized

    spelled = f"CONCAT(@space, {normalized('@kind', '@value')})"
    only = {"kind": kind, "value": value, "space": space}
    if here.query(f"SELECT {spelled} AS spelled", only)[0]["spelled"] is None:
        raise FixSettings(f"this is no {kind}", where="privacy erase", fix="Check its spelling.")
    return None, Statement(f"SELECT @kind AS kind, {spelled} AS value", only)


def _write_down(run: Run) -> Sequence[Statement]:
    """Keep the tombstones and records that were found; twice changes nothing."""
    return [
        Statement(
            "INSERT INTO ops.tombstones (kind, digest, erasure_id, created_at) "
            "SELECT DISTINCT t.kind, t.digest, t.erasure_id, @as_of FROM scratch.tombstones AS t WHERE NOT EXISTS ("
            "SELECT 1 FROM ops.tombstones AS o WHERE o.kind = t.kind AND o.digest = t.digest)",
            {"as_of": run.as_of},
        ),
        Statement(
            "INSERT INTO ops.erasing (erasure_id, place, account, run_id, record_key) "
            "SELECT erasure_id, place, account, run_id, record_key FROM scratch.erasing AS t WHERE NOT EXISTS ("
            "SELECT 1 FROM ops.erasing AS o WHERE o.place = t.place AND o.account = t.account "
            "AND o.run_id = t.run_id AND o.record_key = t.record_key)"
        ),
    ]


def _counts(engine: Engine, params: Mapping[str, Any]) -> dict[str, int]:
    """Rows that go, by place."""
    counts = {
        str(row["place"]): int(row["n"])
        for row in engine.query("SELECT place, COUNT(*) AS n FROM scratch.erasing GROUP BY place ORDER BY place")
    }
    theirs = engine.query("SELECT COUNT(*) AS n FROM scratch.theirs")[0]["n"]
    counts["identity.identifiers"] = int(theirs)
    counts["identity.events"] = int(engine.query("SELECT COUNT(*) AS n FROM scratch.owned")[0]["n"])
    for table in PERSONAL_TABLES:
        if engine.columns(table):
            rows = engine.query(f"SELECT COUNT(*) AS n FROM {table} WHERE customer_id = @customer_id", params)
            counts[table] = int(rows[0]["n"])
    return counts


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
        take_out(settings.landing_root, *whose, [each["record_key"] for each in found], (), row["erasure_id"], now)
    if is_started(engine):
        _take_out_rejected(engine, settings, now)
        unstage(engine, places)
    if places:
        engine.execute("DELETE FROM ops.erasing WHERE TRUE")
        log.info("records of erased people were taken out: %s", json.dumps(counts))
    return counts


def _take_out_rejected(engine: Engine, settings: Settings, now: datetime) -> None:
    """What landed and was no record has no identifiers to go by: it goes when it holds one of their addresses."""
    state = published(engine)
    if state is None:
        return
    old = engine.at(state.generation)
    rows = old.query(
        "SELECT i.value, e.erasure_id FROM identity.identifiers AS i "
        "INNER JOIN ops.erasures AS e ON e.customer_id = i.customer_id AND e.status = 'started' "
        "WHERE i.kind IN ('email', 'phone')"
    )
    space = str(clock(None, settings)["space"])
    texts = [str(row["value"]).removeprefix(space) for row in rows]
    for whose in rejecting_runs(settings.landing_root) if texts else ():
        take_out(settings.landing_root, *whose, (), texts, rows[0]["erasure_id"], now)
