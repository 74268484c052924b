"""Connected components in SQL: exact, at any chain length, in a number of statements that grows with the logarithm."""

from __future__ import annotations

from include.warehouse.engine import Engine

MAX_ROUNDS = 200
"""Far above what any graph needs; only a broken engine comes near it."""


def count(engine: Engine, table: str, where: str = "TRUE") -> int:
    """How many rows of a table satisfy the condition."""
    return int(engine.query(f"SELECT COUNT(*) AS n FROM {table} AS t WHERE {where}")[0]["n"])


def components(engine: Engine, edges: str, result: str) -> int:
    """Label every node that is not the least of its component with the least number in it.

    A node without a row in `result` is its own label: it is the least of its component, or has no edge.

    Each round gives every node its least neighbour as parent, follows parents until all of them are
    roots (each statement squares the pointers twice; stopping early would never finish on a sorted
    chain), replaces both ends of every edge by their roots, and repeats until no edge is left.

    Args:
        engine: the warehouse.
        edges: table with INT64 columns `a` and `b`; loops, repeats and either direction are fine.
        result: table to write, `node` INT64 and `label` INT64.

    Returns:
        The number of rounds.
    """
    engine.execute(
        "CREATE OR REPLACE TABLE scratch.cc_edges_0 AS "
        f"SELECT DISTINCT LEAST(a, b) AS a, GREATEST(a, b) AS b FROM {edges} AS e WHERE a <> b"
    )
    labels = None
    for number in range(MAX_ROUNDS):
        here = f"scratch.cc_edges_{number % 2}"
        if count(engine, here) == 0:
            break
        roots = _roots(engine, here)
        engine.execute(f"""
            CREATE OR REPLACE TABLE scratch.cc_edges_{(number + 1) % 2} AS
            SELECT DISTINCT LEAST(a, b) AS a, GREATEST(a, b) AS b
            FROM (
              SELECT COALESCE(x.parent, e.a) AS a, COALESCE(y.parent, e.b) AS b
              FROM {here} AS e
              LEFT JOIN {roots} AS x ON x.node = e.a
              LEFT JOIN {roots} AS y ON y.node = e.b
            ) AS moved
            WHERE a <> b""")
        kept = f"scratch.cc_labels_{number % 2}"
        if labels is None:
            engine.execute(f"CREATE OR REPLACE TABLE {kept} AS SELECT node, parent AS label FROM {roots} AS p")
        else:
            engine.execute(f"""
                CREATE OR REPLACE TABLE {kept} AS
                SELECT l.node, COALESCE(p.parent, l.label) AS label
                FROM {labels} AS l LEFT JOIN {roots} AS p ON p.node = l.label
                UNION ALL
                SELECT node, parent AS label FROM {roots} AS p""")
        labels = kept
    else:
        raise RuntimeError(f"components of {edges} did not settle in {MAX_ROUNDS} rounds")
    if labels is None:
        engine.execute(
            f"CREATE OR REPLACE TABLE {result} AS SELECT a AS node, b AS label FROM scratch.cc_edges_0 AS e WHERE FALSE"
        )
    else:
        engine.execute(f"CREATE OR REPLACE TABLE {result} AS SELECT node, label FROM {labels} AS l")
    return number


def _roots(engine: Engine, edges: str) -> str:
    """The table (node, parent) in which every parent is a root."""
    step = 0
    engine.execute(
        "CREATE OR REPLACE TABLE scratch.cc_parent_0 AS "
        f"SELECT b AS node, MIN(a) AS parent FROM {edges} AS e GROUP BY b"
    )
    while True:
        here, there = f"scratch.cc_parent_{step % 2}", f"scratch.cc_parent_{(step + 1) % 2}"
        pending = engine.query(
            f"SELECT COUNT(*) AS n FROM {here} AS child INNER JOIN {here} AS above ON above.node = child.parent"
        )[0]["n"]
        if not pending:
            return here
        engine.execute(f"""
            CREATE OR REPLACE TABLE {there} AS
            WITH once AS (
              SELECT child.node, COALESCE(above.parent, child.parent) AS parent
              FROM {here} AS child LEFT JOIN {here} AS above ON above.node = child.parent
            )
            SELECT child.node, COALESCE(above.parent, child.parent) AS parent
            FROM once AS child LEFT JOIN once AS above ON above.node = child.parent""")
        step += 1
