"""Inferred evidence: attaches what belongs to nobody yet to exactly one person, flagged, scored; never joins two."""

from __future__ import annotations

from include.warehouse.engine import Engine
from include.warehouse.identity.components import count
from include.warehouse.identity.evidence import scores
from include.warehouse.identity.kinds import Role

UNSAID = 0.5
"""Score of what no rule file found."""


def attach_inferred(engine: Engine) -> None:
    """Write `scratch.whose` (node, label, score) and `identity.review`; trusted evidence scores 1.

    What may be attached is a profile, a device, or one vendor record without account or address; it
    goes to something that stands higher in that order, a person best of all, and only if all its
    inferred evidence points to one and the same. Its score is that of the best rule saying so, times that of each
    further step. Ids never depend on it: anchors come from trusted evidence.
    """
    if count(engine, "scratch.facts", "is_inferred") == 0:
        engine.execute(
            "CREATE OR REPLACE TABLE scratch.whose AS "
            "SELECT node, label, CAST(1 AS FLOAT64) AS score FROM scratch.person AS p"
        )
        engine.execute(
            "CREATE OR REPLACE TABLE identity.review AS "
            "SELECT kind, value, 0 AS candidates, '' AS reason FROM scratch.nodes AS n WHERE FALSE"
        )
        return
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.standing AS
        SELECT p.label,
          CASE
            WHEN COUNTIF(n.role IN ('{Role.ACCOUNT}', '{Role.CONTACT}')) > 0 THEN 3
            WHEN COUNTIF(n.role = '{Role.RECORD}') > 1 THEN 3
            WHEN COUNTIF(n.role = '{Role.RECORD}') = 1 THEN 2
            WHEN COUNTIF(n.role = '{Role.DEVICE}') > 0 THEN 1
            ELSE 0
          END AS standing
        FROM scratch.person AS p
        INNER JOIN scratch.nodes AS n ON n.node = p.node
        GROUP BY p.label""")
    listed = " ".join(f"WHEN '{rule}' THEN {score}" for rule, score in scores().items())
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.guesses AS
        SELECT
          IF(sx.standing <= sy.standing, f.a, f.b) AS node,
          IF(sx.standing <= sy.standing, x.label, y.label) AS low,
          IF(sx.standing <= sy.standing, y.label, x.label) AS high,
          LEAST(sx.standing, sy.standing) AS low_standing,
          GREATEST(sx.standing, sy.standing) AS high_standing,
          CAST(MAX(CASE f.rule {listed} ELSE {UNSAID} END) AS FLOAT64) AS score
        FROM scratch.facts AS f
        INNER JOIN scratch.person AS x ON x.node = f.a
        INNER JOIN scratch.person AS y ON y.node = f.b AND y.label <> x.label
        INNER JOIN scratch.standing AS sx ON sx.label = x.label
        INNER JOIN scratch.standing AS sy ON sy.label = y.label
        WHERE f.is_inferred
        GROUP BY 1, 2, 3, 4, 5""")
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.attached AS
        SELECT g.low, MIN(g.high) AS high, MAX(g.score) AS score
        FROM scratch.guesses AS g
        LEFT JOIN (
          SELECT x.label AS low, y.label AS high
          FROM (SELECT a, b FROM scratch.apart AS d UNION ALL SELECT b AS a, a AS b FROM scratch.apart AS d) AS d
          INNER JOIN scratch.person AS x ON x.node = d.a
          INNER JOIN scratch.person AS y ON y.node = d.b
        ) AS c ON c.low = g.low AND c.high = g.high
        GROUP BY g.low
        HAVING COUNT(DISTINCT g.high) = 1 AND MAX(g.low_standing) < MIN(g.high_standing) AND COUNT(c.low) = 0""")
    # What one thing is attached to may itself be attached; standing rises at each step, so three suffice.
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.whose AS
        SELECT p.node, COALESCE(z.high, y.high, x.high, p.label) AS label,
          COALESCE(x.score, 1) * COALESCE(y.score, 1) * COALESCE(z.score, 1) AS score
        FROM scratch.person AS p
        LEFT JOIN scratch.attached AS x ON x.low = p.label
        LEFT JOIN scratch.attached AS y ON y.low = x.high
        LEFT JOIN scratch.attached AS z ON z.low = y.high""")
    engine.execute("""
        CREATE OR REPLACE TABLE identity.review AS
        SELECT n.kind, n.value, g.candidates,
          CASE
            WHEN g.low_standing = 3 THEN 'two_people'
            WHEN g.high_standing = g.low_standing THEN 'nobody_known'
            ELSE 'ambiguous'
          END AS reason
        FROM (
          SELECT node, low, COUNT(DISTINCT high) AS candidates, MAX(low_standing) AS low_standing,
            MAX(high_standing) AS high_standing
          FROM scratch.guesses AS g
          GROUP BY node, low
        ) AS g
        INNER JOIN scratch.nodes AS n ON n.node = g.node
        LEFT JOIN scratch.attached AS a ON a.low = g.low
        WHERE a.low IS NULL""")
