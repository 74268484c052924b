"""Finding the records of erased people by what they carry: once in everything, then in the news of each unify."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from include.privacy.salt import digest
from include.privacy.trace import WINDOW, carried, mentioned, number, typed, unstaged
from include.run import Run
from include.settings import Settings
from include.warehouse.engine import Engine, Statement
from include.warehouse.identity.hashed import hashes_of
from include.warehouse.identity.kinds import KINDS, Role
from include.warehouse.models import BEGINNING, clock, published, staging_models, window
from include.warehouse.stage import latest_loads

SHARING = ", ".join(f"'{kind.name}'" for kind in KINDS if kind.role in (Role.WEAK, Role.DEVICE))
"""Kinds that several people may have: a record that names somebody else besides is not the erased person's."""
NONE = (
    "SELECT '' AS kind, '' AS value, '' AS erasure_id, CAST(0 AS INT64) AS number "
    "FROM (SELECT 1 AS one) AS n WHERE FALSE"
)
MOST_ROUNDS = 20


def find_records(engine: Engine, settings: Settings, run: Run, salt: str, seq_from: int, seq_to: int) -> None:
    """Write `scratch.erasing`: the records of a window of loads that are those of erased people.

    Reads `scratch.tombstones` and `scratch.owned` (event_id, erasure_id), events that are theirs whatever they carry.
    A record is theirs when it carries an account, address or vendor's record of theirs, or a device or phone of
    theirs and nobody else. What such a record carries that nobody has yet is theirs too, and is added to
    `scratch.tombstones`, until nothing is.
    """
    state = published(engine)
    old = engine.at(state.generation if state else None)
    nobody = "SELECT kind, value FROM {} AS x" if state else f"SELECT kind, value FROM ({NONE}) AS x"
    old.execute(f"CREATE OR REPLACE TABLE scratch.nobodys AS {nobody.format('identity.blocked_values')}")
    old.execute(f"CREATE OR REPLACE TABLE scratch.known AS {nobody.format('identity.identifiers')}")
    space = str(clock(None, settings)["space"])
    params = {**clock(run, settings), **window(engine, seq_from, seq_to), "salt": salt}
    if seq_from == 0:
        params["loaded_from"] = BEGINNING
    loaded = {table for table, seq in latest_loads(engine).items() if seq > seq_from}
    for _ in range(MOST_ROUNDS):
        engine.execute(f"CREATE OR REPLACE TABLE scratch.doomed AS SELECT number, erasure_id FROM ({NONE}) AS n")
        engine.execute(f"CREATE OR REPLACE TABLE scratch.met AS SELECT kind, value, erasure_id FROM ({NONE}) AS n")
        for model in staging_models():
            carrying = carried(model) if model.reads & loaded else ""
            if carrying:
                engine.execute(f"CREATE OR REPLACE TABLE scratch.typed AS {typed(model)}", params)
                engine.execute(f"CREATE OR REPLACE TABLE scratch.carrying AS {carrying}", params)
                _judge(engine, space, params)
        for table in unstaged():
            if table in loaded:
                engine.execute(f"CREATE OR REPLACE TABLE scratch.carrying AS {mentioned(table)}", params)
                _judge(engine, space, params)
        if not engine.query("SELECT COUNT(*) AS n FROM scratch.met")[0]["n"]:
            break
        engine.execute(
            f"INSERT INTO scratch.tombstones (kind, digest, erasure_id) SELECT DISTINCT kind, "
            f"{digest('m.kind', 'm.value')} AS digest, erasure_id FROM scratch.met AS m",
            params,
        )
    else:
        raise RuntimeError("the records around erased people did not settle")
    engine.execute(
        "CREATE OR REPLACE TABLE scratch.erasing AS SELECT erasure_id, value AS place, value AS account, "
        f"value AS run_id, value AS record_key FROM ({NONE}) AS n"
    )
    for table in sorted(loaded):
        engine.execute(
            "INSERT INTO scratch.erasing (erasure_id, place, account, run_id, record_key) "
            f"SELECT DISTINCT d.erasure_id, '{table}' AS place, r._account, r._run_id, r._key FROM {table} AS r "
            f"INNER JOIN scratch.doomed AS d ON d.number = {number(table)} WHERE {WINDOW}",
            params,
        )


def _judge(engine: Engine, space: str, params: Mapping[str, Any]) -> None:
    """Add to `scratch.doomed` and `scratch.met` what `scratch.carrying` (number, kind, value, event_id) says."""
    hashes = hashes_of(
        "c.kind AS own_kind, c.value AS own_value", "(SELECT DISTINCT kind, value FROM scratch.carrying)", space
    )
    engine.execute(
        f"""CREATE OR REPLACE TABLE scratch.dead AS
        SELECT i.own_kind AS kind, i.own_value AS value, MIN(t.erasure_id) AS erasure_id
        FROM (
          SELECT DISTINCT kind AS own_kind, value AS own_value, kind, value FROM scratch.carrying AS c
          UNION ALL
          SELECT own_kind, own_value, kind, value FROM ({hashes}) AS h
        ) AS i
        INNER JOIN scratch.tombstones AS t ON t.kind = i.kind AND t.digest = {digest("i.kind", "i.value")}
        GROUP BY i.own_kind, i.own_value""",
        params,
    )
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.judged AS
        SELECT number, MIN(erasure_id) AS erasure_id, LOGICAL_OR(is_dead AND is_own) AS is_named
        FROM (
          SELECT c.number, COALESCE(d.erasure_id, o.erasure_id) AS erasure_id, o.event_id IS NOT NULL AS is_owned,
            d.kind IS NOT NULL AS is_dead, c.kind NOT IN ({SHARING}) AS is_own, b.kind IS NOT NULL AS is_nobodys
          FROM scratch.carrying AS c
          LEFT JOIN scratch.dead AS d ON d.kind = c.kind AND d.value = c.value
          LEFT JOIN scratch.owned AS o ON o.event_id = c.event_id
          LEFT JOIN scratch.nobodys AS b ON b.kind = c.kind AND b.value = c.value
        ) AS j
        GROUP BY number
        HAVING LOGICAL_OR(is_owned OR (is_dead AND is_own))
          OR (LOGICAL_OR(is_dead) AND NOT LOGICAL_OR(is_own AND NOT is_dead AND NOT is_nobodys))""")
    engine.execute("INSERT INTO scratch.doomed (number, erasure_id) SELECT number, erasure_id FROM scratch.judged AS j")
    engine.execute("""
        INSERT INTO scratch.met (kind, value, erasure_id)
        SELECT DISTINCT c.kind, c.value, j.erasure_id
        FROM scratch.carrying AS c
        INNER JOIN scratch.judged AS j ON j.number = c.number AND j.is_named
        LEFT JOIN scratch.dead AS d ON d.kind = c.kind AND d.value = c.value
        LEFT JOIN scratch.nobodys AS b ON b.kind = c.kind AND b.value = c.value
        LEFT JOIN scratch.known AS k ON k.kind = c.kind AND k.value = c.value
        WHERE d.kind IS NULL AND b.kind IS NULL AND k.kind IS NULL""")


def write_down(run: Run) -> Sequence[Statement]:
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
