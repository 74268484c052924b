"""Numbers every identifier by age, turns evidence into edges between numbers, and sets aside what is nobody by list."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from include.warehouse.engine import Engine
from include.warehouse.identity.components import components
from include.warehouse.identity.hashed import HASH_KINDS, meetings
from include.warehouse.identity.kinds import KINDS, UNKNOWN, Limits, Role
from include.warehouse.identity.normalize import bare, name_key, normalized
from include.warehouse.identity.overrides import BlockLists, Overrides

LATE = 9223372036854775807
"""Age of an identifier that only an event carries: younger than all evidence."""

ERASED = "erased:"
"""How a value begins, after the identity space, that is the salted hash of an erased person's."""

MUST, HASH, STRONG, WEAK, DEVICE = range(5)
"""Tiers of edges, the most trusted first; the tier decides which edge gives way when two contradict."""


def number(engine: Engine, overrides: Overrides, lists: BlockLists, limits: Limits, prefix: str) -> None:
    """Write `scratch.nodes`, `scratch.blocked`, `scratch.facts`, `scratch.edges`, `scratch.names`, `scratch.apart`.

    Nodes are numbered by (first load, kind, value), so the least number of a component is its anchor.
    """
    write_lists(engine, overrides, lists, limits)
    engine.execute(
        """
        CREATE OR REPLACE TABLE scratch.seen AS
        SELECT kind, value, MIN(seq) AS seq, MIN(first_seen_at) AS first_seen_at, MAX(last_seen_at) AS last_seen_at
        FROM (
          SELECT left_kind AS kind, left_value AS value, first_seq AS seq, first_seen_at, last_seen_at
          FROM identity.evidence AS e
          UNION ALL
          SELECT right_kind AS kind, right_value AS value, first_seq AS seq, first_seen_at, last_seen_at
          FROM identity.evidence AS e
          WHERE right_kind IS NOT NULL
          UNION ALL
          SELECT kind, value, @late AS seq, ts AS first_seen_at, ts AS last_seen_at
          FROM identity.occurrences AS o
        ) AS carried
        WHERE kind IS NOT NULL AND value IS NOT NULL
        GROUP BY kind, value""",
        {"late": LATE},
    )
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.nodes AS
        SELECT
          ROW_NUMBER() OVER (ORDER BY s.seq, s.kind, s.value) AS node,
          s.kind, s.value, s.seq, s.first_seen_at, s.last_seen_at,
          COALESCE(k.role, '{UNKNOWN.role}') AS role,
          COALESCE(k.deciding, {UNKNOWN.rank}) AS deciding,
          k.person_limit,
          COALESCE(k.is_single, FALSE) AS is_single
        FROM scratch.seen AS s
        LEFT JOIN scratch.kinds AS k ON k.kind = s.kind""")
    _block_by_list(engine, lists, prefix)
    _decide(engine, prefix)
    _link(engine, prefix)
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.names AS
        SELECT DISTINCT n.node, {name_key("x.first_name")} AS first_name, {name_key("x.last_name")} AS last_name
        FROM identity.names AS x
        INNER JOIN scratch.nodes AS n ON n.kind = x.kind AND n.value = x.value
        WHERE {name_key("x.first_name")} IS NOT NULL""")


def fill(engine: Engine, table: str, columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a small scratch table whole."""
    shape = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in columns.items())
    engine.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT {shape} FROM (SELECT 1 AS one) AS nothing WHERE FALSE")
    engine.append(table, rows)


def write_lists(engine: Engine, overrides: Overrides, lists: BlockLists, limits: Limits) -> None:
    """Write `scratch.kinds`, `scratch.words` and `scratch.decisions`: what was declared and decided."""
    fill(
        engine,
        "scratch.kinds",
        {"kind": "STRING", "role": "STRING", "deciding": "INT64", "person_limit": "INT64", "is_single": "BOOL"},
        [
            {
                "kind": kind.name,
                "role": str(kind.role),
                "deciding": kind.rank,
                "person_limit": limits.limit(kind) if kind.window_days is None else None,
                "is_single": kind.is_single,
            }
            for kind in KINDS
        ]
        + [
            {
                "kind": name,
                "role": str(UNKNOWN.role),
                "deciding": UNKNOWN.rank,
                "person_limit": most,
                "is_single": False,
            }
            for name, most in limits.per_person.items()
            if name not in {kind.name for kind in KINDS}
        ],
    )
    words = {"placeholder": lists.placeholders, "email": lists.emails, "inbox": lists.inboxes}
    hashes = {hashlib.sha256(word.encode()).hexdigest() for word in (*lists.emails, *lists.placeholders)}
    fill(
        engine,
        "scratch.words",
        {"list": "STRING", "word": "STRING"},
        [{"list": name, "word": word} for name, listed in words.items() for word in dict.fromkeys(listed)]
        + [{"list": "hash", "word": word} for word in sorted(hashes)],
    )
    pairs = [("must_link", pair) for pair in overrides.must_link] + [
        ("cannot_link", pair) for pair in overrides.cannot_link
    ]
    singles = [("block", one) for one in overrides.block] + [("allow", one) for one in overrides.allow]
    fill(
        engine,
        "scratch.decisions",
        {"section": "STRING", "number": "INT64", "side": "INT64", "kind": "STRING", "value": "STRING"},
        [
            {"section": section, "number": number, "side": side, "kind": one.kind, "value": one.value}
            for number, (section, pair) in enumerate(pairs)
            for side, one in enumerate(pair)
        ]
        + [
            {"section": section, "number": number, "side": 0, "kind": one.kind, "value": one.value}
            for number, (section, one) in enumerate(singles, start=len(pairs))
        ],
    )


def _block_by_list(engine: Engine, lists: BlockLists, prefix: str) -> None:
    engine.execute(
        f"""
        CREATE OR REPLACE TABLE scratch.decided AS
        SELECT d.section, d.number, d.side, n.node
        FROM scratch.decisions AS d
        INNER JOIN scratch.nodes AS n
          ON n.kind = d.kind AND n.value = CONCAT(@prefix, {normalized("d.kind", "d.value")})""",
        {"prefix": prefix},
    )
    # A vendor's id is `account/id`; a placeholder stands behind the slash.
    value = bare("n.value", prefix)
    in_account = f"n.role = '{Role.RECORD}' AND STRPOS({value}, '/') > 0"
    tail = f"LOWER(IF({in_account}, REGEXP_REPLACE({value}, r'^.*/', ''), {value}))"
    any_kind = lists.patterns.get("any", ())
    by_kind = {kind: (*any_kind, *listed) for kind, listed in sorted(lists.patterns.items()) if kind != "any"}
    # One pattern per kind, and every value meets one: a million values against each of them would be the slowest step.
    matches = " ".join(f"WHEN '{kind}' THEN REGEXP_CONTAINS(x.word, r'{_either(p)}')" for kind, p in by_kind.items())
    fits = f"CASE x.kind {matches} WHEN '' THEN FALSE ELSE REGEXP_CONTAINS(x.word, r'{_either(any_kind)}') END"
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.blocked AS
        SELECT node, reason, CAST(NULL AS STRING) AS detail, CAST(NULL AS INT64) AS met
        FROM (
          SELECT x.node, CASE
            WHEN b.node IS NOT NULL THEN 'override'
            WHEN p.word IS NOT NULL OR e.word IS NOT NULL OR h.word IS NOT NULL OR {fits} THEN 'placeholder'
            WHEN i.word IS NOT NULL THEN 'role_inbox'
          END AS reason
          FROM (SELECT n.node, n.kind, {tail} AS word FROM scratch.nodes AS n) AS x
          LEFT JOIN (SELECT DISTINCT node FROM scratch.decided AS d WHERE section = 'block') AS b ON b.node = x.node
          LEFT JOIN (SELECT DISTINCT node FROM scratch.decided AS d WHERE section IN ('allow', 'must_link')) AS a
            ON a.node = x.node
          LEFT JOIN scratch.words AS p ON p.list = 'placeholder' AND p.word = x.word
          LEFT JOIN scratch.words AS e ON e.list = 'email' AND x.kind = 'email' AND e.word = x.word
          LEFT JOIN scratch.words AS h ON h.list = 'hash' AND x.kind IN ({HASH_KINDS}) AND h.word = x.word
          LEFT JOIN scratch.words AS i ON i.list = 'inbox' AND x.kind = 'email'
            AND i.word = SPLIT(SPLIT(x.word, '@')[SAFE_OFFSET(0)], '+')[SAFE_OFFSET(0)]
          WHERE a.node IS NULL OR b.node IS NOT NULL
        ) AS judged
        WHERE reason IS NOT NULL""")


def _either(patterns: Sequence[str]) -> str:
    return "|".join(f"(?:{pattern})" for pattern in patterns) or "^$"


def _decide(engine: Engine, prefix: str) -> None:
    """Links between a value and its hash, and what people decided, as pairs of nodes; `scratch.units` follows."""
    met = meetings("c.node AS a, h.node AS b, h.kind, h.role", "scratch.nodes", "scratch.nodes", prefix, "@prefix")
    engine.execute(f"CREATE OR REPLACE TABLE scratch.hashes AS {met}", {"prefix": prefix})
    # The hash of a value that is nobody is nobody too.
    engine.execute("""
        INSERT INTO scratch.blocked (node, reason, detail, met)
        SELECT h.b, x.reason, 'hash of a blocked value', NULL
        FROM scratch.hashes AS h
        INNER JOIN scratch.blocked AS x ON x.node = h.a
        LEFT JOIN scratch.blocked AS y ON y.node = h.b
        WHERE y.node IS NULL""")
    pair = """
        SELECT l.node AS a, r.node AS b
        FROM scratch.decided AS l
        INNER JOIN scratch.decided AS r ON r.number = l.number AND l.side = 0 AND r.side = 1
        WHERE l.section = '{}' AND l.node <> r.node"""
    engine.execute(f"CREATE OR REPLACE TABLE scratch.must AS {pair.format('must_link')}")
    engine.execute(f"CREATE OR REPLACE TABLE scratch.apart AS {pair.format('cannot_link')}")
    # A device or phone that people gave to somebody no longer speaks for anybody else.
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.given AS
        SELECT DISTINCT n.node
        FROM (SELECT a AS node FROM scratch.must AS m UNION ALL SELECT b AS node FROM scratch.must AS m) AS linked
        INNER JOIN scratch.nodes AS n ON n.node = linked.node
        WHERE n.role IN ('{Role.DEVICE}', '{Role.WEAK}')""")
    # What people linked counts as one: two accounts of one person do not break the limit of one.
    components(engine, "scratch.must", "scratch.units")


def _link(engine: Engine, prefix: str) -> None:
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.facts AS
        SELECT e.rule, l.node AS a, r.node AS b, e.is_inferred, e.first_seq, e.first_seen_at, e.last_seen_at,
          e.occurrences, e.source, e.record_key
        FROM identity.evidence AS e
        INNER JOIN scratch.nodes AS l ON l.kind = e.left_kind AND l.value = e.left_value
        INNER JOIN scratch.nodes AS r ON r.kind = e.right_kind AND r.value = e.right_value
        WHERE l.node <> r.node""")
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.edges AS
        SELECT a, b, MIN(tier) AS tier, MIN(seq) AS seq, MIN(first_seen_at) AS first_seen_at,
          MAX(last_seen_at) AS last_seen_at
        FROM (
          SELECT LEAST(f.a, f.b) AS a, GREATEST(f.a, f.b) AS b,
            CASE
              WHEN l.role = '{Role.DEVICE}' OR r.role = '{Role.DEVICE}' THEN {DEVICE}
              WHEN l.role = '{Role.WEAK}' OR r.role = '{Role.WEAK}' THEN {WEAK}
              ELSE {STRONG}
            END AS tier,
            f.first_seq AS seq, f.first_seen_at, f.last_seen_at
          FROM scratch.facts AS f
          INNER JOIN scratch.nodes AS l ON l.node = f.a
          INNER JOIN scratch.nodes AS r ON r.node = f.b
          LEFT JOIN scratch.given AS gl ON gl.node = f.a
          LEFT JOIN scratch.given AS gr ON gr.node = f.b
          WHERE NOT f.is_inferred AND gl.node IS NULL AND gr.node IS NULL
          UNION ALL
          SELECT LEAST(a, b) AS a, GREATEST(a, b) AS b, IF(role = '{Role.WEAK}', {WEAK}, {HASH}) AS tier, 0 AS seq,
            CAST(NULL AS TIMESTAMP) AS first_seen_at, CAST(NULL AS TIMESTAMP) AS last_seen_at
          FROM scratch.hashes AS h
          UNION ALL
          SELECT LEAST(a, b) AS a, GREATEST(a, b) AS b, {MUST} AS tier, 0 AS seq,
            CAST(NULL AS TIMESTAMP) AS first_seen_at, CAST(NULL AS TIMESTAMP) AS last_seen_at
          FROM scratch.must AS m
        ) AS linked
        GROUP BY a, b""")
