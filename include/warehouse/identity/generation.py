"""Who is who in a new generation: the people that new evidence touches are stitched anew, the others stay."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import astuple

from include.run import Run
from include.settings import Settings
from include.warehouse.engine import Engine, Statement
from include.warehouse.identity.affected import COLUMNS, find_affected, touching
from include.warehouse.identity.components import count
from include.warehouse.identity.evidence import (
    EVIDENCE,
    INPUTS,
    added_up,
    carried,
    extract_evidence,
    found_in,
    guessed,
    rule_hash,
    scores,
    trusted,
    write_held,
)
from include.warehouse.identity.hashed import meetings
from include.warehouse.identity.kinds import DEFAULT, KINDS, Limits, with_limits
from include.warehouse.identity.nodes import write_lists
from include.warehouse.identity.overrides import OVERRIDES, Overrides, read_block_lists, read_overrides
from include.warehouse.identity.stitch import StitchSummary, stitch, summary
from include.warehouse.identity.tables import TOUCHED
from include.warehouse.layers import CHANGED_EVENTS as REPLACED_EVENTS
from include.warehouse.layers import TOUCHED_PEOPLE, Layers, delta_of, named, part_of
from include.warehouse.models import (
    Published,
    clock,
    forget,
    identity_models,
    mart_models,
    published,
    staging_models,
    window,
)
from include.warehouse.stage import quarantine_of as quarantine

log = logging.getLogger(__name__)
MOST_TOUCHED = 0.5
"""Share of the base's people above which a whole generation costs less than a layer, to make and to read."""
PEOPLE_TABLES = ("customers", "identifiers", "ownership", "events", "links")
SIDE_TABLES = ("blocked_values", "review")
_SAME = "{a}.kind = {b}.kind AND {a}.value = {b}.value"


def identify(
    engine: Engine,
    run: Run,
    settings: Settings,
    *,
    full_refresh: bool = False,
    overrides: Overrides | None = None,
    limits: Limits | None = None,
) -> StitchSummary:
    """Build the identity tables of the run's generation.

    A layer on the published generation where rules, decisions and limits are those it was made with, else whole:
    both give the same rows.

    Args:
        engine: the warehouse, staging up to date.
        run: whose generation it is.
        settings: the settings.
        full_refresh: take the evidence of every record ever loaded again, and stitch everybody.
        overrides: what people decided; read from the settings' file by default.
        limits: how much may meet in one place; the settings' by default.

    Raises:
        FixSettings: overrides.yaml, blocked.yaml or a limit is wrong.
        CheckFailed: the result would break a promise; nothing should be published.
    """
    decided = decisions(settings) if overrides is None else overrides
    limits = limits_of(settings) if limits is None else limits
    decision_hash = _decision_hash(decided, limits)
    forget(engine, run.run_id)
    before = None if full_refresh else published(engine, before=run.run_id)
    if before is not None and before.events >= settings.layer_from_events:
        layers = _layers(engine, run, before, decision_hash)
        if layers is not None and _extend(layers, settings, before, decided, decision_hash, limits):
            return summary(layers.here, run)
        forget(engine, run.run_id)
    extract_evidence(engine, run, settings, full_refresh=full_refresh)
    here = engine.at(run.run_id)
    here.ensure([TOUCHED])
    _note(here, run.run_id, decision_hash, run.run_id)
    previous = published(engine, before=run.run_id)
    space = str(clock(run, settings)["space"])
    return stitch(here, run, previous.generation if previous else None, decided, limits, space)


def decisions(settings: Settings) -> Overrides:
    """What people decided.

    Raises:
        FixSettings: the file is not as it should be.
    """
    return read_overrides(settings.identity_overrides or OVERRIDES)


def limits_of(settings: Settings) -> Limits:
    """How much may meet in one place.

    Raises:
        FixSettings: a limit is wrong.
    """
    return with_limits(DEFAULT, settings.identity_limits, "STITCHLINE_IDENTITY_LIMITS")


def base_of(engine: Engine, run_id: str) -> str:
    """The whole generation under the run's; its own where it is whole."""
    return str(engine.at(run_id).query("SELECT base FROM identity.inputs")[0]["base"])


def _layers(engine: Engine, run: Run, before: Published, decision_hash: str) -> Layers | None:
    """The layer to write, or None where the published generation was made by other rules."""
    if "decision_hash" not in engine.at(before.generation).columns("identity.inputs"):
        return None
    kept = engine.at(before.generation).query("SELECT rule_hash, decision_hash, base FROM identity.inputs")
    if not kept or (kept[0]["rule_hash"], kept[0]["decision_hash"]) != (rule_hash(), decision_hash):
        return None
    return Layers(engine, run, before.generation, str(kept[0]["base"]))


def _extend(
    layers: Layers, settings: Settings, before: Published, decided: Overrides, decision_hash: str, limits: Limits
) -> bool:
    """Take what is new since the generation before, and lay it on; False where everybody should be stitched instead."""
    _take_news(layers, settings, before.seq_to)
    if not lay_people(layers, decided, limits, str(clock(layers.run, settings)["space"])):
        return False
    _note(layers.here, layers.run.run_id, decision_hash, layers.base)
    return True


def lay_people(
    layers: Layers, decided: Overrides, limits: Limits, space: str, most_touched: float = MOST_TOUCHED
) -> bool:
    """Stitch the people that something new is about, and lay them on the generation before.

    Reads `scratch.new_evidence`, `scratch.new_occurrences`, `scratch.changed_events`, `scratch.unsettled`, and the
    generation's `identity.names`; writes its other identity tables.

    Returns:
        False where everybody should be stitched instead: too many are touched, or a blocked value is free again.

    Raises:
        CheckFailed: the result would break a promise; nothing should be published.
    """
    engine, run = layers.engine, layers.run
    layers.replace(REPLACED_EVENTS, "scratch.changed_events")
    layers.lay("identity.occurrences", "SELECT * FROM scratch.new_occurrences", REPLACED_EVENTS)
    _lay_evidence(layers)
    write_lists(engine, decided, read_block_lists(), limits)
    find_affected(layers, space)
    if count(engine, "scratch.touched") > most_touched * count(engine, named("identity.customers", layers.base)):
        return False
    _take_part(layers)
    stitch(layers.part, run, layers.previous, decided, limits, space, within="scratch.touched")
    if _is_unblocked(layers):
        log.info("a blocked value is free now: everybody is stitched anew")
        return False
    _drop_ghosts(layers)
    layers.replace(TOUCHED_PEOPLE, "scratch.touched")
    for table in PEOPLE_TABLES:
        layers.lay(f"identity.{table}", f"SELECT * FROM identity.{table}", TOUCHED_PEOPLE)
    layers.lay("identity.changes", "SELECT * FROM identity.changes", None)
    _write_side_tables(layers, space)
    return True


def _take_news(layers: Layers, settings: Settings, seq_from: int) -> None:
    """Write what is new since the generation before: evidence, occurrences, and rows that checks held or let go."""
    engine, here, old = layers.engine, layers.here, layers.old
    seq_to = int(engine.query("SELECT COALESCE(MIN(seq), 0) AS seq FROM ops.staged")[0]["seq"])
    params = {**clock(layers.run, settings), **window(engine, seq_from, seq_to)}
    found = added_up(f"{trusted(engine, seq_from)} UNION ALL {guessed()}")
    engine.execute(f"CREATE OR REPLACE TABLE scratch.new_evidence AS {found}", params)
    write_held(here)
    old.execute("CREATE OR REPLACE TABLE scratch.held AS SELECT DISTINCT name, account, record_key FROM identity.held")
    here.execute(
        "INSERT INTO scratch.held (name, account, record_key) SELECT name, account, record_key FROM identity.held"
    )
    changed, held, aside = {}, {}, {}
    for model in staging_models():
        mine = (
            f"EXISTS (SELECT 1 FROM scratch.held AS h WHERE h.name = '{model.name}' "
            "AND h.account = s._account AND h.record_key = s._key)"
        )
        held[model.name] = f"SELECT * FROM {model.name} AS s WHERE {mine}"
        changed[model.name] = f"SELECT * FROM {model.name} AS s WHERE _seq > @seq_from OR {mine}"
        aside[model.name] = f"SELECT * FROM {quarantine(model.name)}"
    has_held = count(engine, "scratch.held") > 0
    if not has_held:
        changed = {name: f"SELECT * FROM {name} AS s WHERE _seq > @seq_from" for name in changed}
    occurrences = identity_models()["occurrences"].reads
    names = identity_models()["names"].reads
    engine.execute(
        "CREATE OR REPLACE TABLE scratch.new_occurrences AS "
        + carried("occurrences", {name: changed[name] for name in occurrences}),
        params,
    )
    engine.execute(
        "CREATE OR REPLACE TABLE scratch.unsettled AS SELECT kind, value FROM scratch.new_occurrences AS o WHERE FALSE"
    )
    engine.execute(
        "CREATE OR REPLACE TABLE scratch.changed_events AS SELECT DISTINCT event_id FROM scratch.new_occurrences AS o"
    )
    if has_held:
        read = frozenset().union(*(references for references in (occurrences, names)))
        both = {name: f"{held[name]} UNION ALL {_shaped(engine, name)}" for name in held}
        engine.execute(
            f"""INSERT INTO scratch.unsettled (kind, value)
            SELECT left_kind, left_value FROM ({found_in(both)})
            UNION DISTINCT
            SELECT right_kind, right_value FROM ({found_in(both)}) WHERE right_kind IS NOT NULL
            UNION DISTINCT
            SELECT kind, value FROM ({carried("names", {name: both[name] for name in names & read})})""",
            params,
        )
        engine.execute(
            "INSERT INTO scratch.changed_events (event_id) SELECT DISTINCT event_id FROM ("
            + carried("occurrences", {name: _shaped(engine, name) for name in occurrences})
            + ") AS o WHERE NOT EXISTS (SELECT 1 FROM scratch.changed_events AS c WHERE c.event_id = o.event_id)",
            params,
        )
    here.execute(f"CREATE OR REPLACE TABLE identity.names AS {carried('names')}", params)


def _shaped(engine: Engine, table: str) -> str:
    """SELECT of a table's rows that are set aside, in the table's own columns."""
    return f"SELECT {', '.join(engine.columns(table))} FROM {quarantine(table)}"


def _lay_evidence(layers: Layers) -> None:
    """Trusted evidence only grows; what rules guess is taken whole from each run."""
    columns = ", ".join(column.name for column in EVIDENCE.columns)
    delta = named(EVIDENCE.name, delta_of(layers.run.run_id))
    earlier = ""
    if layers.previous != layers.base:
        known = named(EVIDENCE.name, delta_of(layers.previous))
        earlier = f"SELECT {columns} FROM {known} AS e WHERE NOT is_inferred UNION ALL "
    layers.engine.execute(
        f"CREATE OR REPLACE TABLE {delta} AS {earlier}SELECT {columns} FROM scratch.new_evidence AS n"
    )
    trusted_before = f"SELECT {columns} FROM {named(EVIDENCE.name, layers.base)} AS b WHERE NOT is_inferred"
    layers.view(EVIDENCE.name, trusted_before, delta, columns)


def _take_part(layers: Layers) -> None:
    """Give the part its evidence: all that touches the affected, and all that a border value is judged by."""
    here, part = layers.here, part_of(layers.run.run_id)
    here.execute(
        "CREATE OR REPLACE TABLE scratch.judged_border AS SELECT kind, value FROM scratch.border AS b WHERE is_judged"
    )
    rows = (
        f"SELECT {COLUMNS} FROM scratch.touching AS t UNION ALL {touching('scratch.judged_border', 'scratch.affected')}"
    )
    here.execute(
        f"CREATE OR REPLACE TABLE {named(EVIDENCE.name, part)} AS SELECT {COLUMNS} FROM ({added_up(rows)}) AS e"
    )
    here.execute(f"""
        CREATE OR REPLACE TABLE {named("identity.occurrences", part)} AS
        SELECT event_id, ts, kind, value FROM scratch.carrying AS c
        UNION ALL
        SELECT o.event_id, o.ts, o.kind, o.value
        FROM scratch.new_occurrences AS o
        LEFT JOIN scratch.affected AS a ON {_SAME.format(a="a", b="o")}
        WHERE a.kind IS NULL""")
    here.execute(f"""
        CREATE OR REPLACE TABLE {named("identity.names", part)} AS
        SELECT n.first_name, n.last_name, n.kind, n.value
        FROM identity.names AS n
        INNER JOIN (
          SELECT kind, value FROM scratch.affected AS a UNION DISTINCT SELECT kind, value FROM scratch.ghosts AS g
        ) AS t ON {_SAME.format(a="t", b="n")}""")


def _is_unblocked(layers: Layers) -> bool:
    """Whether a value that cut people apart no longer does: then more people are affected than were found."""
    rows = layers.part.query(f"""
        SELECT COUNT(*) AS n
        FROM scratch.cut AS c
        INNER JOIN scratch.nodes AS n ON {_SAME.format(a="n", b="c")}
        LEFT JOIN identity.blocked_values AS b ON {_SAME.format(a="b", b="c")}
        -- A ghost is seen without most of its neighbours, and judged by nobody.
        LEFT JOIN scratch.ghosts AS g ON {_SAME.format(a="g", b="c")}
        WHERE b.kind IS NULL AND g.kind IS NULL""")
    return bool(rows[0]["n"])


def _drop_ghosts(layers: Layers) -> None:
    """Take out whoever was there only so that a border value could be judged."""
    layers.part.execute(f"""
        CREATE OR REPLACE TABLE scratch.ghost_people AS
        SELECT DISTINCT i.customer_id
        FROM identity.identifiers AS i
        INNER JOIN scratch.ghosts AS g ON {_SAME.format(a="g", b="i")}""")
    if not count(layers.engine, "scratch.ghost_people"):
        return
    for table in (*PEOPLE_TABLES, "changes", "redirects"):
        layers.part.execute(
            f"DELETE FROM identity.{table} AS t "
            "WHERE EXISTS (SELECT 1 FROM scratch.ghost_people AS g WHERE g.customer_id = t.customer_id)"
        )


def _write_side_tables(layers: Layers, space: str) -> None:
    """The small tables, whole: blocked values, what is to be reviewed, redirects."""
    here, run = layers.here, layers.run.run_id
    here.execute(f"""
        CREATE OR REPLACE TABLE scratch.judged AS
        SELECT n.kind, n.value
        FROM scratch.nodes AS n
        LEFT JOIN scratch.ghosts AS g ON {_SAME.format(a="g", b="n")}
        WHERE g.kind IS NULL""")
    for table in SIDE_TABLES:
        columns = ", ".join(layers.old.columns(f"identity.{table}"))
        earlier, now = named(f"identity.{table}", layers.previous), named(f"identity.{table}", part_of(run))
        judged = f"SELECT 1 FROM scratch.judged AS j WHERE {_SAME.format(a='j', b='t')}"
        here.execute(f"""
            CREATE OR REPLACE TABLE identity.{table} AS
            SELECT {columns} FROM {earlier} AS t WHERE NOT EXISTS ({judged})
            UNION ALL
            SELECT {columns} FROM {now} AS t WHERE EXISTS ({judged})""")
    _count_links(layers, space)
    here.execute(f"""
        CREATE OR REPLACE TABLE identity.redirects AS
        SELECT old_customer_id, customer_id
        FROM {named("identity.redirects", layers.previous)} AS r
        WHERE NOT EXISTS (SELECT 1 FROM scratch.touched AS t WHERE t.customer_id = r.customer_id)
          AND NOT EXISTS (
            SELECT 1 FROM {named("identity.customers", part_of(run))} AS c WHERE c.customer_id = r.old_customer_id
          )
        UNION ALL
        SELECT old_customer_id, customer_id FROM {named("identity.redirects", part_of(run))} AS r""")


def _count_links(layers: Layers, space: str) -> None:
    """A value blocked by list stands at the border with all its links, of which the part saw those to the affected."""
    here = layers.here
    listed = "SELECT kind, value FROM scratch.border AS b WHERE NOT is_judged"
    if not count(here, "scratch.border", "NOT is_judged"):
        return
    hashes = meetings(
        "c.kind, c.value, h.kind AS other_kind, h.value AS other_value", f"({listed})", "scratch.hashed", space
    )
    hashed = meetings(
        "h.kind, h.value, c.kind AS other_kind, c.value AS other_value", "scratch.cut", f"({listed})", space
    )
    here.execute(
        f"""CREATE OR REPLACE TABLE scratch.linked AS
        SELECT l.kind, l.value, COUNT(DISTINCT CONCAT(l.other_kind, ':', l.other_value)) AS links
        FROM (
          SELECT b.kind, b.value, e.right_kind AS other_kind, e.right_value AS other_value
          FROM identity.evidence AS e
          INNER JOIN ({listed}) AS b ON b.kind = e.left_kind AND b.value = e.left_value
          WHERE NOT e.is_inferred AND e.right_kind IS NOT NULL
          UNION ALL
          SELECT b.kind, b.value, e.left_kind AS other_kind, e.left_value AS other_value
          FROM identity.evidence AS e
          INNER JOIN ({listed}) AS b ON b.kind = e.right_kind AND b.value = e.right_value
          WHERE NOT e.is_inferred
          UNION ALL
          SELECT kind, value, other_kind, other_value FROM ({hashes}) AS m
          UNION ALL
          SELECT kind, value, other_kind, other_value FROM ({hashed}) AS m
        ) AS l
        WHERE l.other_kind <> l.kind OR l.other_value <> l.value
        GROUP BY l.kind, l.value""",
        {"space": space},
    )
    here.execute(f"""
        CREATE OR REPLACE TABLE scratch.counted AS
        SELECT t.kind, t.value, t.reason, t.detail, IF(b.kind IS NULL, t.met, COALESCE(k.links, 0)) AS met
        FROM identity.blocked_values AS t
        LEFT JOIN ({listed}) AS b ON {_SAME.format(a="b", b="t")}
        LEFT JOIN scratch.linked AS k ON {_SAME.format(a="k", b="t")}""")
    here.execute("CREATE OR REPLACE TABLE identity.blocked_values AS SELECT * FROM scratch.counted AS c")


def _note(here: Engine, run_id: str, decision_hash: str, base: str) -> None:
    """Write what the generation was made of."""
    seq_to = int(here.query("SELECT COALESCE(MIN(seq), 0) AS seq FROM ops.staged")[0]["seq"])
    here.ensure([INPUTS])
    made = {"seq_to": seq_to, "rule_hash": rule_hash(), "decision_hash": decision_hash, "base": base}
    here.atomically(
        [
            "DELETE FROM identity.inputs WHERE TRUE",
            Statement(
                "INSERT INTO identity.inputs (seq_to, rule_hash, decision_hash, base) "
                "VALUES (@seq_to, @rule_hash, @decision_hash, @base)",
                made,
            ),
        ]
    )


def _decision_hash(decided: Overrides, limits: Limits) -> str:
    """Changes with whatever makes people and marts of evidence: then no layer fits on what was made before."""
    sql = [(model.name, model.sql) for model in (*identity_models().values(), *mart_models())]
    told = (astuple(decided), read_block_lists(), limits, KINDS, scores(), sql)
    return hashlib.sha256(repr(told).encode()).hexdigest()
