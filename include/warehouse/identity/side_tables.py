"""The identity tables that a layer writes whole, because they are small and not about one person a row."""

from __future__ import annotations

from include.warehouse.identity.components import count
from include.warehouse.identity.hashed import meetings
from include.warehouse.layers import Layers, named, part_of

SIDE_TABLES = ("blocked_values", "review")
_SAME = "{a}.kind = {b}.kind AND {a}.value = {b}.value"


def write_side_tables(layers: Layers, space: str) -> None:
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
