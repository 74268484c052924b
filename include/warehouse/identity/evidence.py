"""Runs the evidence rules over every version of every record, and keeps what they found, per generation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from include.connect.errors import FixSettings
from include.run import Run
from include.settings import Settings
from include.warehouse.engine import Column, Engine, Table
from include.warehouse.identity.normalize import normalized
from include.warehouse.models import (
    FOLDER,
    Model,
    clock,
    identity_models,
    published,
    read_model,
    staging_models,
    window,
    windowed,
)
from include.warehouse.render import inlined
from include.warehouse.schema import ERASED_LINKS
from include.warehouse.stage import latest_loads, quarantine_of

EVIDENCE = Table(
    "identity.evidence",
    (
        Column("rule", "STRING", "file in identity/rules that found it"),
        Column("left_kind", "STRING", "kind of one identifier"),
        Column("left_value", "STRING", "one identifier, normalized"),
        Column("right_kind", "STRING", "NULL where the record carries one identifier only"),
        Column("right_value", "STRING", "the other identifier, normalized"),
        Column("is_inferred", "BOOL", "whether the rule is a guess, which attaches but never joins"),
        Column("first_seq", "INT64", "first load that carried it"),
        Column("first_seen_at", "TIMESTAMP", "when a record first carried both"),
        Column("last_seen_at", "TIMESTAMP", "when a record last carried both"),
        Column("occurrences", "INT64", "versions of records that carry both"),
        Column("source", "STRING", "table of the record, source__stream"),
        Column("record_key", "STRING", "key of a record that carries it"),
    ),
    "Which identifiers were seen together, by which rule, when.",
)
INPUTS = Table(
    "identity.inputs",
    (
        Column("seq_to", "INT64", "greatest load whose evidence the generation holds"),
        Column("rule_hash", "STRING", "hash of the rules and the staging SQL they read"),
        Column("decision_hash", "STRING", "hash of decisions, block lists, limits, kinds, and the SQL of marts"),
        Column("base", "STRING", "whole generation under this one; its own name where this one is whole"),
    ),
    "What a generation was made of.",
)
CHANGED_EVENTS = Table(
    "identity.changed_events",
    (
        Column("event_id", "STRING", "the event, its source first (`segment/...`)"),
        Column("layer", "INT64", "number of the layer that did so last"),
    ),
    "Events that are new or different since the generation's base.",
)
HELD = Table(
    "identity.held",
    (
        Column("name", "STRING", "staging table the row belongs to"),
        Column("account", "STRING", "`_account` of the row"),
        Column("record_key", "STRING", "`_key` of the row"),
    ),
    "Rows that a check had set aside when the generation was made; the next one looks at them again.",
)
GROUPED = "rule, left_kind, left_value, right_kind, right_value, is_inferred"


@dataclass(frozen=True, slots=True)
class EvidenceSummary:
    """How much evidence a generation stands on."""

    links: int
    new_from_seq: int
    seq_to: int


@cache
def rules() -> tuple[Model, ...]:
    """Every `identity/rules/*.sql`."""
    return tuple(
        read_model(path, f"rules.{path.stem}") for path in sorted((FOLDER / "identity" / "rules").glob("*.sql"))
    )


def rule_hash() -> str:
    """Changes when a rule, or staging SQL, changes: evidence is then taken from all of raw again."""
    digest = hashlib.sha256()
    for model in (*rules(), *staging_models()):
        digest.update(f"{model.name}\n{model.sql}\n".encode())
    return digest.hexdigest()


def scores() -> dict[str, float]:
    """How far each inferred rule is to be believed, 0 to 1, as its header says.

    Raises:
        FixSettings: an inferred rule has no score, or one that is none; names the file.
    """
    found = {}
    for rule in rules():
        score = rule.header.get("score")
        if not rule.header["inferred"]:
            continue
        if not isinstance(score, (int, float)) or not 0 < score < 1:
            raise FixSettings(
                f"score {score!r} of an inferred rule", where=str(rule.path), fix="Write score: 0.9, or what it earns."
            )
        found[rule.path.stem] = float(score)
    return found


def extract_evidence(engine: Engine, run: Run, settings: Settings, *, full_refresh: bool = False) -> EvidenceSummary:
    """Fill the run's generation with evidence, occurrences and names.

    Trusted rules see each version of each record once: the previous generation's evidence plus the loads since.
    Inferred rules depend on everybody's records, so they are asked again each time, about the latest versions.
    """
    here = engine.at(run.run_id)
    before = published(engine, before=run.run_id)
    seq_to = int(engine.query("SELECT COALESCE(MIN(seq), 0) AS seq FROM ops.staged")[0]["seq"])
    seq_from = 0
    here.ensure([EVIDENCE, CHANGED_EVENTS, ERASED_LINKS])
    if before is not None and not full_refresh:
        old = engine.at(before.generation)
        kept = old.query("SELECT seq_to, rule_hash FROM identity.inputs")
        if kept and kept[0]["rule_hash"] == rule_hash():
            seq_from = int(kept[0]["seq_to"])
            old.execute(
                "CREATE OR REPLACE TABLE scratch.known AS SELECT * FROM identity.evidence WHERE NOT is_inferred"
            )
    columns = ", ".join(column.name for column in EVIDENCE.columns)
    known = f"SELECT {columns} FROM {'scratch.known' if seq_from else f'({ERASED})'} AS k UNION ALL "
    params = {**clock(run, settings), **window(engine, seq_from, seq_to)}
    found = added_up(f"{known}{trusted(engine, seq_from)} UNION ALL {guessed()}")
    here.execute(f"INSERT INTO identity.evidence ({columns}) {found}", params)
    for name in identity_models():
        rows = all_names() if name == "names" else carried(name)
        here.execute(f"CREATE OR REPLACE TABLE identity.{name} AS {rows}", params)
    write_held(here)
    links = int(here.query("SELECT COUNT(*) AS n FROM identity.evidence")[0]["n"])
    return EvidenceSummary(links, seq_from, seq_to)


def trusted(engine: Engine, seq_from: int) -> str:
    """SELECT of what the trusted rules find in the versions of records that a window of loads brought.

    Rules about what no load of the window brought are left out: spelling them costs more than the others take.
    """
    staging = {model.name: model for model in staging_models()}
    loaded = {table for table, seq in latest_loads(engine).items() if seq > seq_from}
    return _normal(
        _found(rule, inlined(rule.sql, {name: windowed(staging[name].sql) for name in rule.reads}))
        for rule in rules()
        if not rule.header["inferred"] and any(staging[name].reads & loaded for name in rule.reads)
    )


def guessed(tables: frozenset[str] | None = None) -> str:
    """SELECT of what every inferred rule finds, or those that read nothing but the tables named.

    Each depends on everybody's latest records.
    """
    guesses = [rule for rule in rules() if rule.header["inferred"] and (tables is None or rule.reads <= tables)]
    return _normal(_found(rule, rule.sql) for rule in guesses)


def found_in(tables: Mapping[str, str]) -> str:
    """SELECT of what every rule finds in other rows than the staging tables' (`staging.x` -> SELECT)."""
    return _normal(_found(rule, inlined(rule.sql, tables)) for rule in rules())


def added_up(rows: str) -> str:
    """One row per rule and pair of identifiers, out of evidence taken in parts."""
    return f"""SELECT {GROUPED}, MIN(first_seq) AS first_seq, MIN(first_seen_at) AS first_seen_at,
          MAX(last_seen_at) AS last_seen_at, SUM(occurrences) AS occurrences, MIN(source) AS source,
          MIN(record_key) AS record_key
        FROM ({rows})
        GROUP BY {GROUPED}"""


def carried(name: str, tables: Mapping[str, str] | None = None) -> str:
    """SELECT of `identity.occurrences` or `identity.names`, over other rows than the staging tables' where given.

    A value that is no such thing (an address without @) normalises to NULL: it identifies nobody.
    """
    sql = identity_models()[name].sql
    extra = "event_id, ts" if name == "occurrences" else "first_name, last_name"
    return (
        f"SELECT * FROM (SELECT {extra}, kind, CONCAT(@space, {normalized('kind', 'value')}) AS value "
        f"FROM ({inlined(sql, tables) if tables else sql})) WHERE value IS NOT NULL"
    )


def all_names() -> str:
    """SELECT of `identity.names`, erased people's as hashes with them: several names make an inbox a shared one."""
    columns = "first_name, last_name, kind, value"
    return (
        f"SELECT {columns} FROM ({carried('names')}) AS n UNION ALL "
        "SELECT first_name, last_name, left_kind AS kind, left_value AS value FROM ops.erased_links AS e "
        "WHERE right_kind IS NULL"
    )


def write_held(here: Engine) -> None:
    """Note which rows are set aside now."""
    rows = " UNION ALL ".join(
        f"SELECT '{model.name}' AS name, _account AS account, _key AS record_key FROM {quarantine_of(model.name)}"
        for model in staging_models()
    )
    here.execute(f"CREATE OR REPLACE TABLE identity.held AS {rows}")


ERASED = (
    "SELECT 'erased' AS rule, left_kind, left_value, right_kind, right_value, FALSE AS is_inferred, first_seq, "
    "first_seen_at, last_seen_at, 1 AS occurrences, CAST(NULL AS STRING) AS source, CAST(NULL AS STRING) AS record_key "
    "FROM ops.erased_links AS e WHERE right_kind IS NOT NULL"
)
"""What is left of erased people's evidence, as a rule would find it."""
NOTHING = (
    "SELECT '' AS rule, '' AS left_kind, '' AS left_value, '' AS right_kind, '' AS right_value, FALSE AS is_inferred, "
    "0 AS _seq, TIMESTAMP '1970-01-01 00:00:00+00' AS seen_at, '' AS source, '' AS record_key "
    "FROM (SELECT 1 AS one) AS n WHERE FALSE"
)
"""What no rule finds."""


def _normal(found: Iterable[str]) -> str:
    left, right = normalized("left_kind", "left_value"), normalized("right_kind", "right_value")
    return f"""SELECT rule, left_kind, left_value, IF(right_value IS NULL, NULL, right_kind) AS right_kind,
          right_value, is_inferred, _seq AS first_seq, seen_at AS first_seen_at, seen_at AS last_seen_at,
          1 AS occurrences, source, record_key
        FROM (
          SELECT rule, left_kind, CONCAT(@space, {left}) AS left_value,
            right_kind, CONCAT(@space, {right}) AS right_value, is_inferred, _seq, seen_at, source, record_key
          FROM ({" UNION ALL ".join(found) or NOTHING})
        )
        WHERE left_value IS NOT NULL"""


def _found(rule: Model, sql: str) -> str:
    """One rule's evidence as the rule gives it."""
    source = min(rule.reads).removeprefix("staging.")
    flag = "TRUE" if rule.header["inferred"] else "FALSE"
    return (
        f"SELECT '{rule.path.stem}' AS rule, left_kind, left_value, right_kind, right_value, {flag} AS is_inferred, "
        f"_seq, seen_at, '{source}' AS source, _key AS record_key FROM ({sql})"
    )
