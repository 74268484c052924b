"""Phones and devices: they belong to one person, join two records of one, or are shared and join nobody."""

from __future__ import annotations

from include.warehouse.engine import Engine
from include.warehouse.identity.components import components, count
from include.warehouse.identity.guards import find_overfull
from include.warehouse.identity.kinds import Role

MOST_COMPARED = 12
"""Records that phones or devices would make one person of; more are not compared pair by pair but kept apart."""


def join_through(engine: Engine, role: Role, tier: int, most_people: int, joins_records: bool) -> None:
    """Add the identifiers of one role to `scratch.person`; those that several people use go to `scratch.shared`.

    A bridge (a device, or devices seen under each other's id) that touches one person belongs to that
    person. One that touches two or three joins them only if they can be one person: limits hold, names do
    not conflict, and two of a kind of which a person has one (account, address, CRM contact) need names
    that agree. Without `joins_records` names do not help where both also have a vendor's record: father and
    son may share a tablet and a name. Everything else is in doubt, and what is in doubt joins nobody.
    """
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.spans AS
        SELECT n.node, n.node AS bridge
        FROM scratch.nodes AS n
        LEFT JOIN scratch.blocked AS x ON x.node = n.node
        LEFT JOIN scratch.given AS g ON g.node = n.node
        WHERE n.role = '{role}' AND x.node IS NULL AND g.node IS NULL""")
    if count(engine, "scratch.spans") == 0:
        return
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.twins AS
        SELECT e.a, e.b
        FROM scratch.edges AS e
        INNER JOIN scratch.spans AS x ON x.node = e.a
        INNER JOIN scratch.spans AS y ON y.node = e.b
        WHERE e.tier = {tier}""")
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.contacts AS
        SELECT s.node, e.other
        FROM (
          SELECT a AS node, b AS other FROM scratch.edges AS x WHERE tier = {tier}
          UNION ALL
          SELECT b AS node, a AS other FROM scratch.edges AS x WHERE tier = {tier}
        ) AS e
        INNER JOIN scratch.spans AS s ON s.node = e.node""")
    if count(engine, "scratch.twins"):
        components(engine, "scratch.twins", "scratch.twin_labels")
        engine.execute("""
            CREATE OR REPLACE TABLE scratch.spans_joined AS
            SELECT s.node, COALESCE(t.label, s.node) AS bridge
            FROM scratch.spans AS s
            LEFT JOIN scratch.twin_labels AS t ON t.node = s.node""")
        _judge(engine, "scratch.spans_joined", most_people, joins_records)
        # A shared group falls apart into its devices: each is judged alone, and those that nobody ever
        # signed in on stay together only with each other.
        engine.execute("""
            CREATE OR REPLACE TABLE scratch.loose AS
            SELECT s.node
            FROM scratch.spans_joined AS s
            INNER JOIN scratch.verdict AS v ON v.bridge = s.bridge
            WHERE v.is_shared""")
        engine.execute("""
            CREATE OR REPLACE TABLE scratch.loose_twins AS
            SELECT t.a, t.b
            FROM scratch.twins AS t
            INNER JOIN scratch.loose AS x ON x.node = t.a
            INNER JOIN scratch.loose AS y ON y.node = t.b
            LEFT JOIN scratch.contacts AS c ON c.node = t.a
            LEFT JOIN scratch.contacts AS d ON d.node = t.b
            WHERE c.node IS NULL AND d.node IS NULL""")
        components(engine, "scratch.loose_twins", "scratch.twin_labels")
        engine.execute("""
            CREATE OR REPLACE TABLE scratch.spans AS
            SELECT s.node, IF(l.node IS NULL, s.bridge, COALESCE(t.label, s.node)) AS bridge
            FROM scratch.spans_joined AS s
            LEFT JOIN scratch.loose AS l ON l.node = s.node
            LEFT JOIN scratch.twin_labels AS t ON t.node = s.node""")
    _judge(engine, "scratch.spans", most_people, joins_records)
    engine.execute("""
        INSERT INTO scratch.shared (node, people)
        SELECT s.node, v.people
        FROM scratch.spans AS s
        INNER JOIN scratch.verdict AS v ON v.bridge = s.bridge
        WHERE v.is_shared""")
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.person_joined AS
        SELECT p.node, COALESCE(u.label, p.label) AS label
        FROM scratch.person AS p
        LEFT JOIN scratch.unions AS u ON u.node = p.label
        UNION ALL
        SELECT s.node, COALESCE(u.label, v.person, s.bridge) AS label
        FROM scratch.spans AS s
        LEFT JOIN scratch.verdict AS v ON v.bridge = s.bridge
        LEFT JOIN scratch.unions AS u ON u.node = v.person
        WHERE v.bridge IS NULL OR NOT v.is_shared""")
    # A device that people cut from somebody may still reach them through others: then it is nobody's.
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.person AS
        SELECT p.node, IF(c.node IS NULL, p.label, p.node) AS label
        FROM scratch.person_joined AS p
        LEFT JOIN (
          SELECT DISTINCT n.node
          FROM (SELECT a, b FROM scratch.apart AS x UNION ALL SELECT b AS a, a AS b FROM scratch.apart AS x) AS d
          INNER JOIN scratch.nodes AS n ON n.node = d.a AND n.role = '{role}'
          INNER JOIN scratch.person_joined AS x ON x.node = d.a
          INNER JOIN scratch.person_joined AS y ON y.node = d.b AND y.label = x.label
        ) AS c ON c.node = p.node""")


def _judge(engine: Engine, spans: str, most_people: int, joins_records: bool) -> None:
    """Write `scratch.verdict` (bridge, people, person, is_shared) and `scratch.unions` (node, label): people joined."""
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.banned AS
        SELECT DISTINCT s.bridge, p.label
        FROM (SELECT a, b FROM scratch.apart AS x UNION ALL SELECT b AS a, a AS b FROM scratch.apart AS x) AS d
        INNER JOIN {spans} AS s ON s.node = d.a
        INNER JOIN scratch.person AS p ON p.node = d.b""")
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.touches AS
        SELECT DISTINCT s.bridge, p.label
        FROM {spans} AS s
        INNER JOIN scratch.contacts AS c ON c.node = s.node
        INNER JOIN scratch.person AS p ON p.node = c.other
        LEFT JOIN scratch.banned AS b ON b.bridge = s.bridge AND b.label = p.label
        WHERE b.bridge IS NULL""")
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.met AS
        SELECT bridge, COUNT(*) AS people, MIN(label) AS person FROM scratch.touches AS t GROUP BY bridge""")
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.pairs AS
        SELECT m.bridge, x.label AS a, y.label AS b
        FROM scratch.met AS m
        INNER JOIN scratch.touches AS x ON x.bridge = m.bridge
        INNER JOIN scratch.touches AS y ON y.bridge = m.bridge AND x.label < y.label
        WHERE m.people BETWEEN 2 AND {most_people}""")
    if count(engine, "scratch.pairs") == 0:
        engine.execute(f"""
            CREATE OR REPLACE TABLE scratch.verdict AS
            SELECT bridge, people, person, people > {most_people} AS is_shared FROM scratch.met AS m""")
        engine.execute(
            "CREATE OR REPLACE TABLE scratch.unions AS "
            "SELECT bridge AS node, person AS label FROM scratch.met AS m WHERE FALSE"
        )
        return
    _compare(engine, "scratch.pairs", joins_records)
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.doubtful AS
        SELECT DISTINCT p.bridge
        FROM scratch.pairs AS p
        INNER JOIN scratch.clashes AS c ON c.a = p.a AND c.b = p.b""")
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.bonds AS
        SELECT DISTINCT p.a, p.b
        FROM scratch.pairs AS p
        LEFT JOIN scratch.doubtful AS d ON d.bridge = p.bridge
        WHERE d.bridge IS NULL""")
    components(engine, "scratch.bonds", "scratch.trial")
    _refuse(engine, joins_records)
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.verdict AS
        SELECT m.bridge, m.people, m.person,
          m.people > {most_people} OR d.bridge IS NOT NULL OR (m.people > 1 AND r.label IS NOT NULL) AS is_shared
        FROM scratch.met AS m
        LEFT JOIN scratch.doubtful AS d ON d.bridge = m.bridge
        LEFT JOIN scratch.trial AS t ON t.node = m.person
        LEFT JOIN scratch.refused AS r ON r.label = COALESCE(t.label, m.person)""")
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.unions AS
        SELECT t.node, t.label
        FROM scratch.trial AS t
        LEFT JOIN scratch.refused AS r ON r.label = t.label
        WHERE r.label IS NULL""")


def _refuse(engine: Engine, joins_records: bool) -> None:
    """Write `scratch.refused`: trial people whose parts cannot all be one person, found through chains of bridges."""
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.parts AS
        SELECT label, node AS part FROM scratch.trial AS t
        UNION ALL
        SELECT DISTINCT label, label AS part FROM scratch.trial AS t""")
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.trial_nodes AS
        SELECT p.node, x.label
        FROM scratch.parts AS x
        INNER JOIN scratch.person AS p ON p.label = x.part""")
    find_overfull(engine, "scratch.trial_nodes", "scratch.trial_overfull")
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.crowds AS
        SELECT label, COUNT(*) AS parts FROM scratch.parts AS p GROUP BY label HAVING COUNT(*) > 2""")
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.chained AS
        SELECT c.label, x.part AS a, y.part AS b
        FROM scratch.crowds AS c
        INNER JOIN scratch.parts AS x ON x.label = c.label
        INNER JOIN scratch.parts AS y ON y.label = c.label AND x.part < y.part
        WHERE c.parts <= {MOST_COMPARED}""")
    _compare(engine, "scratch.chained", joins_records)
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.refused AS
        SELECT label FROM scratch.trial_overfull AS o
        UNION DISTINCT
        SELECT label FROM scratch.crowds AS c WHERE parts > {MOST_COMPARED}
        UNION DISTINCT
        SELECT h.label
        FROM scratch.chained AS h
        INNER JOIN scratch.clashes AS c ON c.a = h.a AND c.b = h.b""")


def _compare(engine: Engine, pairs: str, joins_records: bool) -> None:
    """Write `scratch.clashes` (a, b): the pairs of people, out of `pairs`, that must not become one."""
    engine.execute(f"CREATE OR REPLACE TABLE scratch.compared AS SELECT DISTINCT a, b FROM {pairs} AS p")
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.compared_people AS
        SELECT a AS label FROM scratch.compared AS c UNION DISTINCT SELECT b AS label FROM scratch.compared AS c""")
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.called AS
        SELECT DISTINCT p.label, x.first_name, x.last_name
        FROM scratch.compared_people AS c
        INNER JOIN scratch.person AS p ON p.label = c.label
        INNER JOIN scratch.names AS x ON x.node = p.node""")
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.single AS
        SELECT DISTINCT p.label, n.kind, COALESCE(n.person_limit = 1, FALSE) AS is_only
        FROM scratch.compared_people AS c
        INNER JOIN scratch.person AS p ON p.label = c.label
        INNER JOIN scratch.nodes AS n ON n.node = p.node
        WHERE n.is_single""")
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.recorded AS
        SELECT DISTINCT p.label
        FROM scratch.compared_people AS c
        INNER JOIN scratch.person AS p ON p.label = c.label
        INNER JOIN scratch.nodes AS n ON n.node = p.node
        WHERE n.role = '{Role.RECORD}' AND NOT {str(joins_records).upper()}""")
    # An initial agrees with the name it stands for; a missing last name agrees with any.
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.clashes AS
        SELECT c.a, c.b
        FROM scratch.compared AS c
        LEFT JOIN (
          SELECT DISTINCT c.a, c.b
          FROM scratch.compared AS c
          INNER JOIN scratch.called AS x ON x.label = c.a
          INNER JOIN scratch.called AS y ON y.label = c.b
          WHERE (x.last_name = y.last_name OR x.last_name IS NULL OR y.last_name IS NULL)
            AND (
              x.first_name = y.first_name
              OR (LENGTH(x.first_name) = 1 AND STARTS_WITH(y.first_name, x.first_name))
              OR (LENGTH(y.first_name) = 1 AND STARTS_WITH(x.first_name, y.first_name))
            )
        ) AS agree ON agree.a = c.a AND agree.b = c.b
        LEFT JOIN (SELECT DISTINCT label FROM scratch.called AS n) AS na ON na.label = c.a
        LEFT JOIN (SELECT DISTINCT label FROM scratch.called AS n) AS nb ON nb.label = c.b
        LEFT JOIN (
          SELECT c.a, c.b, LOGICAL_OR(x.is_only) AS is_only
          FROM scratch.compared AS c
          INNER JOIN scratch.single AS x ON x.label = c.a
          INNER JOIN scratch.single AS y ON y.label = c.b AND y.kind = x.kind
          GROUP BY c.a, c.b
        ) AS same ON same.a = c.a AND same.b = c.b
        LEFT JOIN scratch.recorded AS ra ON ra.label = c.a
        LEFT JOIN scratch.recorded AS rb ON rb.label = c.b
        WHERE COALESCE(same.is_only, FALSE)
          OR (agree.a IS NULL AND (same.a IS NOT NULL OR (na.label IS NOT NULL AND nb.label IS NOT NULL)))
          OR (same.a IS NOT NULL AND ra.label IS NOT NULL AND rb.label IS NOT NULL)
        UNION DISTINCT
        SELECT LEAST(x.label, y.label) AS a, GREATEST(x.label, y.label) AS b
        FROM scratch.apart AS d
        INNER JOIN scratch.person AS x ON x.node = d.a
        INNER JOIN scratch.person AS y ON y.node = d.b
        WHERE x.label <> y.label""")
