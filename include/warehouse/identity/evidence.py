"""Runs the evidence rules over every version of every record, and keeps what they found, per generation."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

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
    ),
    "What a generation's evidence was made of.",
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


def extract_evidence(engine: Engine, run: Run, settings: Settings, *, full_refresh: bool = False) -> EvidenceSummary:
    """Fill the run's generation with evidence, occurrences and names.

    Trusted rules see each version of each record once: the previous generation's evidence plus the loads since.
    Inferred rules depend on everybody's records, so they are asked again each time, about the latest versions.
    """
    here = engine.at(run.run_id)
    before = published(engine, before=run.run_id)
    seq_to = int(engine.query("SELECT COALESCE(MIN(seq), 0) AS seq FROM ops.staged")[0]["seq"])
    seq_from = 0
    here.execute("DROP TABLE IF EXISTS identity.evidence")
    here.ensure([EVIDENCE, INPUTS])
    if before is not None and not full_refresh:
        old = engine.at(before.generation)
        kept = old.query("SELECT seq_to, rule_hash FROM identity.inputs")
        if kept and kept[0]["rule_hash"] == rule_hash():
            seq_from = int(kept[0]["seq_to"])
            old.execute(
                "CREATE OR REPLACE TABLE scratch.known AS SELECT * FROM identity.evidence WHERE NOT is_inferred"
            )
    columns = ", ".join(column.name for column in EVIDENCE.columns)
    known = f"SELECT {columns} FROM scratch.known UNION ALL " if seq_from else ""
    staging = {model.name: model for model in staging_models()}
    found = " UNION ALL ".join(
        _found(
            rule,
            rule.sql
            if rule.header["inferred"]
            else inlined(rule.sql, {name: windowed(staging[name].sql) for name in rule.reads}),
        )
        for rule in rules()
    )
    # A value that is no such thing (an address without @) normalises to NULL: it is no evidence.
    left, right = normalized("left_kind", "left_value"), normalized("right_kind", "right_value")
    params = {**clock(run, settings), **window(engine, seq_from, seq_to)}
    here.execute(
        f"""INSERT INTO identity.evidence ({columns})
        SELECT {GROUPED}, MIN(first_seq), MIN(first_seen_at), MAX(last_seen_at), SUM(occurrences),
          MIN(source), MIN(record_key)
        FROM ({known}SELECT rule, left_kind, left_value, IF(right_value IS NULL, NULL, right_kind) AS right_kind,
            right_value, is_inferred, _seq AS first_seq, seen_at AS first_seen_at, seen_at AS last_seen_at,
            1 AS occurrences, source, record_key
          FROM (
            SELECT rule, left_kind, CONCAT(@space, {left}) AS left_value,
              right_kind, CONCAT(@space, {right}) AS right_value, is_inferred, _seq, seen_at, source, record_key
            FROM ({found})
          ))
        WHERE left_value IS NOT NULL
        GROUP BY {GROUPED}""",
        params,
    )
    for name, model in identity_models().items():
        value = normalized("kind", "value")
        extra = "event_id, ts" if name == "occurrences" else "first_name, last_name"
        here.execute(
            f"CREATE OR REPLACE TABLE identity.{name} AS SELECT * FROM "
            f"(SELECT {extra}, kind, CONCAT(@space, {value}) AS value FROM ({model.sql})) WHERE value IS NOT NULL",
            params,
        )
    here.execute("DELETE FROM identity.inputs WHERE TRUE")
    here.append("identity.inputs", [{"seq_to": seq_to, "rule_hash": rule_hash()}])
    links = int(here.query("SELECT COUNT(*) AS n FROM identity.evidence")[0]["n"])
    return EvidenceSummary(links, seq_from, seq_to)


def _found(rule: Model, sql: str) -> str:
    """One rule's evidence as the rule gives it."""
    source = min(rule.reads).removeprefix("staging.")
    flag = "TRUE" if rule.header["inferred"] else "FALSE"
    return (
        f"SELECT '{rule.path.stem}' AS rule, left_kind, left_value, right_kind, right_value, {flag} AS is_inferred, "
        f"_seq, seen_at, '{source}' AS source, _key AS record_key FROM ({sql})"
    )
