"""Whom new evidence may change: the people it is about, and everybody whom evidence connects to them."""

from __future__ import annotations

from include.warehouse.identity.components import count
from include.warehouse.identity.evidence import EVIDENCE
from include.warehouse.identity.hashed import HASH_KINDS, meetings
from include.warehouse.identity.normalize import normalized
from include.warehouse.layers import Layers

CUTTING = "'override', 'placeholder', 'role_inbox', 'shared_inbox', 'shared_record'"
"""Reasons for which a value joins nobody, whoever meets there: what is behind it is somebody else's affair.

Shared devices and phones are not among them: whether one is shared, and whose its events are, hangs on everybody
who uses it.
"""
JUDGED = "'shared_inbox', 'shared_record'"
"""Reasons that the data gave: to be judged again, such a value needs all its neighbours."""
MOST_ROUNDS = 10_000
COLUMNS = ", ".join(column.name for column in EVIDENCE.columns)
_SAME = "{a}.kind = {b}.kind AND {a}.value = {b}.value"


def find_affected(layers: Layers, space: str) -> None:
    """Write who has to be worked out again, given what is new.

    Reads `scratch.new_evidence`, `scratch.changed_events`, `scratch.new_occurrences`, `scratch.unsettled`
    (kind, value: identifiers of rows that a check held) and `scratch.decisions`.

    Writes `scratch.affected` (kind, value), `scratch.touched` (customer_id), `scratch.old_identifiers` (kind, value,
    customer_id): what the touched had before, `scratch.touching`: all evidence of the affected, `scratch.border` (kind,
    value, reason): the blocked values next to them, `scratch.ghosts` (kind, value): what is behind those that must be
    judged, and `scratch.carrying`, the occurrences of the affected identifiers.
    """
    engine, old, here = layers.engine, layers.old, layers.here
    old.execute(
        "CREATE OR REPLACE TABLE scratch.cut AS "
        f"SELECT kind, value, reason FROM identity.blocked_values AS b WHERE reason IN ({CUTTING})"
    )
    _begin(layers)
    value = f"CONCAT(@space, {normalized('d.kind', 'd.value')})"
    engine.execute(
        f"""CREATE OR REPLACE TABLE scratch.decided_pairs AS
        SELECT l.kind AS left_kind, l.value AS left_value, r.kind AS right_kind, r.value AS right_value
        FROM (SELECT number, kind, {value} AS value FROM scratch.decisions AS d
          WHERE section = 'must_link' AND side = 0) AS l
        INNER JOIN (SELECT number, kind, {value} AS value FROM scratch.decisions AS d
          WHERE section = 'must_link' AND side = 1) AS r ON r.number = l.number""",
        {"space": space},
    )
    old.execute(f"""
        CREATE OR REPLACE TABLE scratch.hashed AS
        SELECT kind, value FROM identity.identifiers AS i WHERE kind IN ({HASH_KINDS})
        UNION DISTINCT
        SELECT kind, value FROM scratch.begun AS n WHERE kind IN ({HASH_KINDS})
        UNION DISTINCT
        SELECT kind, value FROM scratch.cut AS c WHERE kind IN ({HASH_KINDS})""")
    engine.execute("CREATE OR REPLACE TABLE scratch.affected AS SELECT kind, value FROM scratch.frontier WHERE FALSE")
    for _ in range(MOST_ROUNDS):
        if not count(engine, "scratch.frontier") and not _owners_of_events(layers):
            break
        _spread(layers, space)
    else:
        raise RuntimeError("the people around new evidence did not settle")
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.border_met AS
        SELECT DISTINCT c.kind, c.value, c.reason
        FROM scratch.cut AS c
        INNER JOIN (
          SELECT kind, value FROM scratch.met_cut AS m UNION ALL SELECT kind, value FROM scratch.begun AS n
        ) AS m ON {_SAME.format(a="m", b="c")}""")
    # The hash of a blocked value is blocked because the value is: the two are judged together.
    cut = meetings("c.kind, c.value, c.reason, TRUE AS is_judged", "scratch.cut", "scratch.border_met", space)
    engine.execute(
        f"""CREATE OR REPLACE TABLE scratch.border AS
        SELECT kind, value, reason, reason IN ({JUDGED}) AS is_judged FROM scratch.border_met AS b
        UNION DISTINCT
        {cut}""",
        {"space": space},
    )
    here.execute(f"""
        CREATE OR REPLACE TABLE scratch.ghosts AS
        SELECT DISTINCT e.kind, e.value
        FROM (
          SELECT l.right_kind AS kind, l.right_value AS value
          FROM identity.evidence AS l
          INNER JOIN scratch.border AS b ON b.kind = l.left_kind AND b.value = l.left_value AND b.is_judged
          WHERE l.right_kind IS NOT NULL
          UNION ALL
          SELECT l.left_kind AS kind, l.left_value AS value
          FROM identity.evidence AS l
          INNER JOIN scratch.border AS b ON b.kind = l.right_kind AND b.value = l.right_value AND b.is_judged
        ) AS e
        LEFT JOIN scratch.affected AS a ON {_SAME.format(a="a", b="e")}
        LEFT JOIN scratch.border AS b ON {_SAME.format(a="b", b="e")}
        WHERE a.kind IS NULL AND b.kind IS NULL""")


def _begin(layers: Layers) -> None:
    """Write `scratch.begun`, every identifier that something new is about, and `scratch.frontier`, those that join."""
    old = layers.old
    pair = "rule, left_kind, left_value, right_kind, right_value"
    guess = "SELECT {} FROM {} AS g WHERE is_inferred"
    now, before = guess.format(pair, "scratch.new_evidence"), guess.format(pair, "identity.evidence")
    old.execute(f"""
        CREATE OR REPLACE TABLE scratch.new_pairs AS
        SELECT left_kind, left_value, right_kind, right_value FROM scratch.new_evidence AS e WHERE NOT is_inferred
        UNION DISTINCT
        SELECT left_kind, left_value, right_kind, right_value
        FROM (({now} EXCEPT DISTINCT {before}) UNION ALL ({before} EXCEPT DISTINCT {now})) AS turned""")
    old.execute("""
        CREATE OR REPLACE TABLE scratch.begun AS
        SELECT left_kind AS kind, left_value AS value FROM scratch.new_pairs AS l
        UNION DISTINCT
        SELECT right_kind AS kind, right_value AS value FROM scratch.new_pairs AS r WHERE right_kind IS NOT NULL
        UNION DISTINCT
        SELECT kind, value FROM scratch.new_occurrences AS o
        UNION DISTINCT
        SELECT o.kind, o.value
        FROM identity.occurrences AS o
        INNER JOIN scratch.changed_events AS c ON c.event_id = o.event_id
        UNION DISTINCT
        SELECT kind, value FROM scratch.unsettled AS u""")
    old.execute(f"""
        CREATE OR REPLACE TABLE scratch.frontier AS
        SELECT n.kind, n.value
        FROM scratch.begun AS n
        LEFT JOIN scratch.cut AS c ON {_SAME.format(a="c", b="n")}
        WHERE c.kind IS NULL""")
    old.execute("""
        CREATE OR REPLACE TABLE scratch.touched AS
        SELECT DISTINCT e.customer_id
        FROM identity.events AS e
        INNER JOIN scratch.changed_events AS c ON c.event_id = e.event_id""")
    old.execute("CREATE OR REPLACE TABLE scratch.met_cut AS SELECT kind, value FROM scratch.frontier AS f WHERE FALSE")
    old.execute("""
        CREATE OR REPLACE TABLE scratch.old_identifiers AS
        SELECT i.kind, i.value, i.customer_id
        FROM identity.identifiers AS i
        INNER JOIN scratch.touched AS t ON t.customer_id = i.customer_id""")
    layers.engine.execute(f"""
        INSERT INTO scratch.frontier (kind, value)
        SELECT i.kind, i.value
        FROM scratch.old_identifiers AS i
        LEFT JOIN scratch.frontier AS f ON {_SAME.format(a="f", b="i")}
        WHERE f.kind IS NULL""")
    layers.engine.execute(
        f"CREATE OR REPLACE TABLE scratch.touching AS SELECT {COLUMNS} FROM scratch.new_evidence AS e WHERE FALSE"
    )


def _spread(layers: Layers, space: str) -> None:
    """Take in the people of the frontier, whole; what evidence connects to them is the next frontier."""
    engine, old, here = layers.engine, layers.old, layers.here
    old.execute(f"""
        CREATE OR REPLACE TABLE scratch.entering AS
        SELECT DISTINCT i.customer_id
        FROM identity.identifiers AS i
        INNER JOIN scratch.frontier AS f ON {_SAME.format(a="f", b="i")}
        LEFT JOIN scratch.touched AS t ON t.customer_id = i.customer_id
        WHERE t.customer_id IS NULL""")
    engine.execute("INSERT INTO scratch.touched (customer_id) SELECT customer_id FROM scratch.entering AS e")
    old.execute("""
        CREATE OR REPLACE TABLE scratch.had AS
        SELECT i.kind, i.value, i.customer_id
        FROM identity.identifiers AS i
        INNER JOIN scratch.entering AS e ON e.customer_id = i.customer_id""")
    engine.execute(
        "INSERT INTO scratch.old_identifiers (kind, value, customer_id) "
        "SELECT kind, value, customer_id FROM scratch.had AS h"
    )
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.added AS
        SELECT x.kind, x.value
        FROM (
          SELECT kind, value FROM scratch.frontier AS f UNION DISTINCT SELECT kind, value FROM scratch.had AS h
        ) AS x
        LEFT JOIN scratch.affected AS a ON {_SAME.format(a="a", b="x")}
        WHERE a.kind IS NULL""")
    here.execute(f"CREATE OR REPLACE TABLE scratch.met_evidence AS {touching('scratch.added', 'scratch.affected')}")
    engine.execute(f"INSERT INTO scratch.touching ({COLUMNS}) SELECT {COLUMNS} FROM scratch.met_evidence AS e")
    engine.execute("INSERT INTO scratch.affected (kind, value) SELECT kind, value FROM scratch.added AS a")
    engine.execute(
        f"""CREATE OR REPLACE TABLE scratch.neighbours AS
        SELECT DISTINCT n.kind, n.value
        FROM (
          SELECT right_kind AS kind, right_value AS value FROM scratch.met_evidence AS e
          UNION ALL
          SELECT left_kind AS kind, left_value AS value FROM scratch.met_evidence AS e
          UNION ALL
          SELECT d.right_kind AS kind, d.right_value AS value
          FROM scratch.decided_pairs AS d
          INNER JOIN scratch.added AS a ON a.kind = d.left_kind AND a.value = d.left_value
          UNION ALL
          SELECT d.left_kind AS kind, d.left_value AS value
          FROM scratch.decided_pairs AS d
          INNER JOIN scratch.added AS a ON a.kind = d.right_kind AND a.value = d.right_value
          UNION ALL
          SELECT kind, value FROM ({meetings("h.kind, h.value", "scratch.added", "scratch.hashed", space)}) AS m
        ) AS n
        LEFT JOIN scratch.affected AS a ON {_SAME.format(a="a", b="n")}
        WHERE n.kind IS NOT NULL AND a.kind IS NULL""",
        {"space": space},
    )
    if count(engine, "scratch.added", f"kind IN ({HASH_KINDS})"):
        old.execute(
            f"""INSERT INTO scratch.neighbours (kind, value)
            SELECT DISTINCT m.kind, m.value
            FROM ({meetings("c.kind, c.value", "identity.identifiers", "scratch.added", space)}) AS m
            LEFT JOIN scratch.affected AS a ON {_SAME.format(a="a", b="m")}
            WHERE a.kind IS NULL""",
            {"space": space},
        )
    engine.execute(f"""
        INSERT INTO scratch.met_cut (kind, value)
        SELECT n.kind, n.value
        FROM scratch.neighbours AS n
        INNER JOIN scratch.cut AS c ON {_SAME.format(a="c", b="n")}""")
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.frontier AS
        SELECT DISTINCT n.kind, n.value
        FROM scratch.neighbours AS n
        LEFT JOIN scratch.cut AS c ON {_SAME.format(a="c", b="n")}
        WHERE c.kind IS NULL""")


def touching(values: str, without: str) -> str:
    """SELECT of the evidence, each row once, that carries a value of one table (kind, value) and none of the other."""
    left, right = (f"{{0}}.kind = e.{side}_kind AND {{0}}.value = e.{side}_value" for side in ("left", "right"))
    return f"""
        SELECT {", ".join(f"e.{column.name}" for column in EVIDENCE.columns)}
        FROM identity.evidence AS e
        INNER JOIN {values} AS l ON {left.format("l")}
        LEFT JOIN {without} AS x ON {right.format("x")}
        WHERE x.kind IS NULL
        UNION ALL
        SELECT {", ".join(f"e.{column.name}" for column in EVIDENCE.columns)}
        FROM identity.evidence AS e
        INNER JOIN {values} AS r ON {right.format("r")}
        LEFT JOIN {values} AS l ON {left.format("l")}
        LEFT JOIN {without} AS x ON {left.format("x")}
        WHERE l.kind IS NULL AND x.kind IS NULL"""


def _owners_of_events(layers: Layers) -> bool:
    """Whether somebody not yet met owns an event of an affected identifier; they are the next frontier."""
    layers.here.execute(f"""
        CREATE OR REPLACE TABLE scratch.carrying AS
        SELECT o.event_id, o.ts, o.kind, o.value
        FROM identity.occurrences AS o
        INNER JOIN scratch.affected AS a ON {_SAME.format(a="a", b="o")}""")
    layers.old.execute("""
        CREATE OR REPLACE TABLE scratch.owners AS
        SELECT DISTINCT e.customer_id
        FROM identity.events AS e
        INNER JOIN (SELECT DISTINCT event_id FROM scratch.carrying AS c) AS o ON o.event_id = e.event_id
        LEFT JOIN scratch.touched AS t ON t.customer_id = e.customer_id
        WHERE t.customer_id IS NULL""")
    if not count(layers.engine, "scratch.owners"):
        return False
    layers.old.execute(f"""
        CREATE OR REPLACE TABLE scratch.frontier AS
        SELECT i.kind, i.value
        FROM identity.identifiers AS i
        INNER JOIN scratch.owners AS o ON o.customer_id = i.customer_id
        LEFT JOIN scratch.affected AS a ON {_SAME.format(a="a", b="i")}
        WHERE a.kind IS NULL""")
    return True
