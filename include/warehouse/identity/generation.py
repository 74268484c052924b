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
    all_names,
    carried,
    extract_evidence,
    found_in,
    guessed,
    rule_hash,
    scores,
    trusted,
    write_held,
)
from include.warehouse.identity.kinds import DEFAULT, KINDS, Limits, with_limits
from include.warehouse.identity.nodes import write_lists
from include.warehouse.identity.overrides import OVERRIDES, Overrides, read_block_lists, read_overrides
from include.warehouse.identity.side_tables import write_side_tables
from include.warehouse.identity.stitch import StitchSummary, stitch, summary
from include.warehouse.identity.tables import TOUCHED
from include.warehouse.layers import CHANGED_EVENTS as REPLACED_EVENTS
from include.warehouse.layers import LAYERS, MOST_LAYERS, TOUCHED_PEOPLE, Layers, named, part_of
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
        base = _base(engine, before, decision_hash)
        if base is not None and _extend(engine, run, settings, before, base, decided, decision_hash, limits):
            return summary(engine.at(run.run_id), run)
        forget(engine, run.run_id)
    extract_evidence(engine, run, settings, full_refresh=full_refresh)
    here = engine.at(run.run_id)
    here.ensure([TOUCHED, LAYERS])
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


def _base(engine: Engine, before: Published, decision_hash: str) -> str | None:
    """The whole generation to lay on, or None where the published one was made by other rules."""
    if "decision_hash" not in engine.at(before.generation).columns("identity.inputs"):
        return None
    kept = engine.at(before.generation).query("SELECT rule_hash, decision_hash, base FROM identity.inputs")
    if not kept or (kept[0]["rule_hash"], kept[0]["decision_hash"]) != (rule_hash(), decision_hash):
        return None
    return str(kept[0]["base"])


def _extend(
    engine: Engine,
    run: Run,
    settings: Settings,
    before: Published,
    base: str,
    decided: Overrides,
    decision_hash: str,
    limits: Limits,
) -> bool:
    """Take what is new since the generation before, and lay it on; False where everybody should be stitched instead."""
    _take_news(engine, run, settings, before)
    space = str(clock(run, settings)["space"])
    if not lay_people(engine, run, before.generation, base, decided, limits, space):
        return False
    _note(engine.at(run.run_id), run.run_id, decision_hash, base)
    return True


def lay_people(
    engine: Engine,
    run: Run,
    previous: str,
    base: str,
    decided: Overrides,
    limits: Limits,
    space: str,
    most_touched: float = MOST_TOUCHED,
    most_layers: int = MOST_LAYERS,
) -> bool:
    """Stitch the people that something new is about, and lay them on the generation before.

    Reads `scratch.new_evidence`, `scratch.new_occurrences`, `scratch.changed_events`, `scratch.unsettled`, and the
    generation's `identity.names`; writes its other identity tables.

    Args:
        engine: the warehouse.
        run: whose generation it is.
        previous: the generation before.
        base: the whole generation under that one; itself where it is whole.
        decided: what people decided.
        limits: how much may meet in one place.
        space: what values begin with.
        most_touched: share of the base's people above which everybody should be stitched.
        most_layers: above how many some are taken over by the new one.

    Returns:
        False where everybody should be stitched instead: too many were touched since the base, or a blocked value is
        free again.

    Raises:
        CheckFailed: the result would break a promise; nothing should be published.
    """
    news = count(engine, "scratch.new_evidence", "NOT is_inferred") + count(engine, "scratch.new_occurrences")
    layers = Layers.begin(engine, run, previous, base, news, most_layers)
    layers.replace(REPLACED_EVENTS, "scratch.changed_events")
    layers.lay("identity.occurrences", REPLACED_EVENTS)
    # Trusted evidence only grows; what rules guess is taken whole from each run.
    layers.lay("identity.evidence", None, kept="NOT is_inferred")
    write_lists(engine, decided, read_block_lists(), limits)
    find_affected(layers, space)
    touched = count(engine, "scratch.touched") + count(layers.old, "identity.touched")
    if touched > most_touched * count(engine, named("identity.customers", base)):
        return False
    _take_part(layers)
    stitch(layers.part, run, previous, decided, limits, space, within="scratch.touched")
    if _is_unblocked(layers):
        log.info("a blocked value is free now: everybody is stitched anew")
        return False
    _drop_ghosts(layers)
    layers.replace(TOUCHED_PEOPLE, "scratch.touched")
    for table in PEOPLE_TABLES:
        layers.lay(f"identity.{table}", TOUCHED_PEOPLE)
    layers.lay("identity.changes", None)
    write_side_tables(layers, space)
    return True


def _take_news(engine: Engine, run: Run, settings: Settings, before: Published) -> None:
    """Write what is new since the generation before: evidence, occurrences, and rows that checks held or let go."""
    here, old, seq_from = engine.at(run.run_id), engine.at(before.generation), before.seq_to
    seq_to = int(engine.query("SELECT COALESCE(MIN(seq), 0) AS seq FROM ops.staged")[0]["seq"])
    params = {**clock(run, settings), **window(engine, seq_from, seq_to)}
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
    here.execute(f"CREATE OR REPLACE TABLE identity.names AS {all_names()}", params)


def _shaped(engine: Engine, table: str) -> str:
    """SELECT of a table's rows that are set aside, in the table's own columns."""
    return f"SELECT {', '.join(engine.columns(table))} FROM {quarantine(table)}"


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
