"""What became of every id: created, merged, split, retired, and where each old id leads now."""

from __future__ import annotations

from include.run import Run
from include.warehouse.engine import Engine


def write_history(engine: Engine, run: Run, previous: str | None, within: str | None = None) -> None:
    """Write `identity.changes` (the previous generation's history and this run's rows) and `identity.redirects`.

    An old id follows its identifiers: who of today holds most of them is its successor.

    Args:
        engine: the generation.
        run: gives `changed_at` and the generation's name.
        previous: the generation before; None starts the history.
        within: table of the `customer_id`s that this is about; only what becomes of them is written, and what they had
            before stands in `scratch.old_identifiers` (kind, value, customer_id).
    """
    if previous is None:
        nothing = "SELECT '' AS kind, '' AS value, '' AS customer_id FROM (SELECT 1 AS one) AS n WHERE FALSE"
        engine.execute(f"CREATE OR REPLACE TABLE scratch.old_identifiers AS {nothing}")
        engine.execute(
            "CREATE OR REPLACE TABLE scratch.old_customers AS SELECT customer_id FROM scratch.old_identifiers AS o"
        )
        engine.execute(
            "CREATE OR REPLACE TABLE scratch.old_redirects AS "
            "SELECT customer_id AS old_customer_id, customer_id FROM scratch.old_identifiers AS o"
        )
    else:
        old = engine.at(previous)
        people = within or "identity.customers"
        old.execute(f"CREATE OR REPLACE TABLE scratch.old_customers AS SELECT customer_id FROM {people} AS c")
        old.execute(
            "CREATE OR REPLACE TABLE scratch.old_redirects AS "
            "SELECT r.old_customer_id, r.customer_id FROM identity.redirects AS r "
            "INNER JOIN scratch.old_customers AS c ON c.customer_id = r.customer_id"
        )
        if within is None:
            old.execute(
                "CREATE OR REPLACE TABLE scratch.old_identifiers AS "
                "SELECT kind, value, customer_id FROM identity.identifiers AS i"
            )
            old.execute("CREATE OR REPLACE TABLE scratch.old_changes AS SELECT * FROM identity.changes AS c")
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.moves AS
        SELECT o.customer_id AS was, i.customer_id AS is_now, COUNT(*) AS identifiers
        FROM scratch.old_identifiers AS o
        INNER JOIN identity.identifiers AS i ON i.kind = o.kind AND i.value = o.value
        GROUP BY o.customer_id, i.customer_id""")
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.fates AS
        SELECT o.customer_id AS was, IF(c.customer_id IS NULL, s.is_now, o.customer_id) AS is_now,
          c.customer_id IS NULL AS is_gone
        FROM scratch.old_customers AS o
        LEFT JOIN identity.customers AS c ON c.customer_id = o.customer_id
        LEFT JOIN (
          SELECT was, is_now
          FROM scratch.moves AS m
          WHERE TRUE
          QUALIFY ROW_NUMBER() OVER (PARTITION BY was ORDER BY identifiers DESC, is_now) = 1
        ) AS s ON s.was = o.customer_id""")
    engine.execute("""
        CREATE OR REPLACE TABLE identity.redirects AS
        SELECT old_customer_id, customer_id
        FROM (
          SELECT r.old_customer_id, f.is_now AS customer_id
          FROM scratch.old_redirects AS r
          INNER JOIN scratch.fates AS f ON f.was = r.customer_id
          UNION DISTINCT
          SELECT was AS old_customer_id, is_now AS customer_id FROM scratch.fates AS f WHERE is_gone
        ) AS led
        WHERE customer_id IS NOT NULL
          -- An id that exists again leads nowhere else.
          AND NOT EXISTS (SELECT 1 FROM identity.customers AS c WHERE c.customer_id = led.old_customer_id)""")
    _write_changes(engine, run, continued=previous is not None and within is None)


def _write_changes(engine: Engine, run: Run, *, continued: bool) -> None:
    # What joined a person to others: a link to an identifier of another of them, or to a new one that others link to.
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.sides AS
        SELECT l.customer_id AS is_now, x.customer_id AS was, y.customer_id AS other, l.far_kind, l.far_value, l.rule
        FROM (
          SELECT customer_id, left_kind AS kind, left_value AS value, right_kind AS far_kind, right_value AS far_value,
            CONCAT(rule, ': ', left_kind, ' - ', right_kind) AS rule
          FROM identity.links AS one
          UNION ALL
          SELECT customer_id, right_kind AS kind, right_value AS value, left_kind AS far_kind, left_value AS far_value,
            CONCAT(rule, ': ', left_kind, ' - ', right_kind) AS rule
          FROM identity.links AS two
        ) AS l
        INNER JOIN (
          SELECT m.is_now FROM scratch.moves AS m GROUP BY m.is_now HAVING COUNT(DISTINCT m.was) > 1
        ) AS p ON p.is_now = l.customer_id
        INNER JOIN scratch.old_identifiers AS x ON x.kind = l.kind AND x.value = l.value
        LEFT JOIN scratch.old_identifiers AS y ON y.kind = l.far_kind AND y.value = l.far_value""")
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.causes AS
        SELECT was, is_now, rule
        FROM (
          SELECT was, is_now, rule, IF(other = is_now, 1, 2) AS place FROM scratch.sides AS s WHERE other <> was
          UNION ALL
          SELECT s.was, s.is_now, s.rule, 3 AS place
          FROM scratch.sides AS s
          INNER JOIN (
            SELECT far_kind, far_value FROM scratch.sides AS t
            WHERE other IS NULL
            GROUP BY far_kind, far_value
            HAVING COUNT(DISTINCT was) > 1
          ) AS b ON b.far_kind = s.far_kind AND b.far_value = s.far_value
        ) AS c
        WHERE TRUE
        QUALIFY ROW_NUMBER() OVER (PARTITION BY was, is_now ORDER BY place, rule) = 1""")
    columns = "changed_at, generation, change, customer_id, other_customer_id, detail"
    history = f"SELECT {columns} FROM scratch.old_changes AS o UNION ALL"
    engine.execute(
        f"""
        CREATE OR REPLACE TABLE identity.changes AS
        {history if continued else ""}
        SELECT @as_of AS changed_at, @generation AS generation, change, customer_id, other_customer_id, detail
        FROM (
          SELECT 'created' AS change, c.customer_id, CAST(NULL AS STRING) AS other_customer_id,
            CONCAT('first seen: ', c.anchor_kind) AS detail
          FROM identity.customers AS c
          LEFT JOIN scratch.old_customers AS o ON o.customer_id = c.customer_id
          LEFT JOIN (SELECT DISTINCT is_now FROM scratch.moves AS m) AS m ON m.is_now = c.customer_id
          WHERE o.customer_id IS NULL AND m.is_now IS NULL
          UNION ALL
          SELECT 'merged' AS change, f.is_now AS customer_id, f.was AS other_customer_id,
            COALESCE(k.rule, 'through identifiers that were new') AS detail
          FROM scratch.fates AS f
          INNER JOIN (
            SELECT m.is_now, COUNT(DISTINCT m.was) AS parts FROM scratch.moves AS m GROUP BY m.is_now
          ) AS p ON p.is_now = f.is_now AND p.parts > 1
          LEFT JOIN scratch.causes AS k ON k.was = f.was AND k.is_now = f.is_now
          WHERE f.is_gone
          UNION ALL
          SELECT 'retired' AS change, f.was AS customer_id, f.is_now AS other_customer_id,
            IF(f.is_now IS NULL, 'no identifier is left', 'the anchor is gone; the same person under a new id')
              AS detail
          FROM scratch.fates AS f
          LEFT JOIN (
            SELECT m.is_now, COUNT(DISTINCT m.was) AS parts FROM scratch.moves AS m GROUP BY m.is_now
          ) AS p ON p.is_now = f.is_now AND p.parts > 1
          WHERE f.is_gone AND p.is_now IS NULL
          UNION ALL
          SELECT 'split' AS change, m.is_now AS customer_id, m.was AS other_customer_id,
            CONCAT(
              CAST(m.identifiers AS STRING), ' identifiers',
              IF(o.customer_id IS NULL, '', ' went to a person known before')
            ) AS detail
          FROM scratch.moves AS m
          INNER JOIN scratch.fates AS f ON f.was = m.was AND f.is_now <> m.is_now
          LEFT JOIN scratch.old_customers AS o ON o.customer_id = m.is_now
        ) AS happened""",
        {"as_of": run.as_of, "generation": run.run_id},
    )
