"""A request to erase a person: who it is, what goes with them, written down in one transaction.

Salted hashes of the person's identifiers (tombstones) and the list of their records are all that the next unify needs.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from include.connect.errors import FixSettings
from include.privacy.salt import checked_salt, digest, salt_id
from include.privacy.search import NONE, find_records, write_down
from include.run import Run
from include.settings import Settings
from include.warehouse.engine import Engine, Statement
from include.warehouse.identity.explain import CUSTOMER, owner
from include.warehouse.identity.hashed import hashes_of
from include.warehouse.identity.nodes import ERASED
from include.warehouse.identity.normalize import name_key, normalized
from include.warehouse.models import clock, frontier, published
from include.warehouse.schema import ERASED_LINKS
from include.warehouse.stage import ensure_all

log = logging.getLogger(__name__)

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
    ensure_all(engine, settings)
    salt = checked_salt(engine, settings)
    space = str(clock(None, settings)["space"])
    state = published(engine)
    here = engine.at(state.generation if state else None)
    customer_id, identifiers = _person(here, kind, value, space, unknown=unknown)
    name = customer_id or f"{salt}:{sorted(identifiers.params.items())}"
    erasure_id = hashlib.sha256(f"{run.run_id}/{name}".encode()).hexdigest()[:16]
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
        "salt_id": salt_id(salt),
        "counts": json.dumps(counts),
    }
    kept = [Statement(_shared_links(here, params), row)] if customer_id is not None else []
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
            Statement("DELETE FROM ops.erased_links WHERE erasure_id = @erasure_id", row),
            Statement(
                "INSERT INTO ops.erasures "
                "(erasure_id, requested_at, kind, customer_id, status, salt_id, counts_json, returned) VALUES "
                "(@erasure_id, @as_of, @kind, CAST(@customer AS STRING), 'started', @salt_id, @counts, 0)",
                row,
            ),
            *write_down(run),
            *renamed,
            *kept,
        ]
    )
    log.info("erasure %s is written down: %s", erasure_id, json.dumps(counts))
    return Erasure(erasure_id, customer_id, counts)


def _person(here: Engine, kind: str | None, value: str, space: str, *, unknown: bool) -> tuple[str | None, Statement]:
    """Who is meant, and the SELECT (kind, value) of their identifiers."""
    everything = "SELECT kind, value FROM identity.identifiers AS i WHERE customer_id = @customer_id"
    known = bool(here.columns("identity.identifiers"))
    if kind == CUSTOMER or not unknown:
        if not known:
            raise FixSettings("nothing is published yet", where="ops.published", fix="Run the unify DAG once.")
        return owner(here, kind, value, space), Statement(everything)
    if kind is None:
        raise FixSettings("no kind", where="privacy erase", fix="Say of which kind the identifier is, such as email.")
    spelled = f"CONCAT(@space, {normalized('@kind', '@value')})"
    only = {"kind": kind, "value": value, "space": space}
    if here.query(f"SELECT {spelled} AS spelled", only)[0]["spelled"] is None:
        raise FixSettings(f"this is no {kind}", where="privacy erase", fix="Check its spelling.")
    return None, Statement(f"SELECT @kind AS kind, {spelled} AS value", only)


def _shared_links(here: Engine, params: Mapping[str, Any]) -> str:
    """Keep what makes others' shared values shared: the person's own links as hashes, if they touch such a value.

    A device of two people would else be one person's, and with it what the other did there. Returns the statement.
    """
    left, right = (
        f"IF({side}.kind IS NULL, e.{name}_value, "
        f"CONCAT(@space, '{ERASED}', {digest(f'e.{name}_kind', f'e.{name}_value')})) AS {name}_value"
        for side, name in (("l", "left"), ("r", "right"))
    )
    here.execute(
        f"""CREATE OR REPLACE TABLE scratch.their_links AS
        SELECT e.left_kind, {left}, e.right_kind, {right}, e.first_seq, e.first_seen_at, e.last_seen_at,
          l.kind IS NOT NULL AND r.kind IS NOT NULL AS is_inside, x.kind IS NOT NULL OR y.kind IS NOT NULL AS is_shared,
          CAST(NULL AS STRING) AS first_name, CAST(NULL AS STRING) AS last_name
        FROM (
          SELECT left_kind, left_value, right_kind, right_value, first_seq, first_seen_at, last_seen_at
          FROM identity.evidence AS v
          WHERE NOT is_inferred AND right_kind IS NOT NULL
          UNION ALL
          SELECT left_kind, left_value, right_kind, right_value, 1 AS first_seq, first_seen_at,
            first_seen_at AS last_seen_at
          FROM identity.links AS k
          WHERE customer_id = @customer_id AND rule IN ('email_hash', 'phone_hash', 'must_link')
        ) AS e
        LEFT JOIN scratch.theirs AS l ON l.kind = e.left_kind AND l.value = e.left_value
        LEFT JOIN scratch.theirs AS r ON r.kind = e.right_kind AND r.value = e.right_value
        LEFT JOIN identity.blocked_values AS x
          ON x.kind = e.left_kind AND x.value = e.left_value AND STARTS_WITH(x.reason, 'shared')
        LEFT JOIN identity.blocked_values AS y
          ON y.kind = e.right_kind AND y.value = e.right_value AND STARTS_WITH(y.reason, 'shared')
        WHERE l.kind IS NOT NULL OR r.kind IS NOT NULL""",
        params,
    )
    first, last = (digest("'name'", name_key(f"n.{column}")) for column in ("first_name", "last_name"))
    value = f"CONCAT(@space, '{ERASED}', {digest('n.kind', 'n.value')})"
    here.execute(
        f"""INSERT INTO scratch.their_links (left_kind, left_value, is_inside, is_shared, first_name, last_name)
        SELECT DISTINCT n.kind, {value} AS value, TRUE AS is_inside, FALSE AS is_shared,
          {first} AS first_name, {last} AS last_name
        FROM identity.names AS n
        INNER JOIN scratch.theirs AS t ON t.kind = n.kind AND t.value = n.value
        WHERE {name_key("n.first_name")} IS NOT NULL""",
        params,
    )
    columns = ", ".join(column.name for column in ERASED_LINKS.columns[1:])
    return (
        f"INSERT INTO ops.erased_links (erasure_id, {columns}) SELECT @erasure_id, {columns} "
        "FROM scratch.their_links AS t WHERE is_shared OR (is_inside AND "
        "(SELECT COUNT(*) FROM scratch.their_links AS o WHERE is_shared) > 0)"
    )


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
