"""Who is who: evidence in, one id per person out, the same for any order of rows and for any way of getting there."""

from __future__ import annotations

from dataclasses import dataclass

from include.run import Run
from include.warehouse.engine import Engine
from include.warehouse.identity.bridges import join_through
from include.warehouse.identity.components import count
from include.warehouse.identity.guards import block_by_data, check_invariant, join_strong, limit_devices
from include.warehouse.identity.history import write_history
from include.warehouse.identity.inferred import attach_inferred
from include.warehouse.identity.kinds import DEFAULT, Limits, Role
from include.warehouse.identity.nodes import DEVICE, ERASED, LATE, WEAK, number
from include.warehouse.identity.overrides import Overrides, read_block_lists, read_overrides
from include.warehouse.identity.sharing import own_events, write_ownership


@dataclass(frozen=True, slots=True)
class StitchSummary:
    """What stitching found, in numbers."""

    people: int
    identifiers: int
    events: int
    merges: int
    splits: int
    blocked: int
    shared_devices: int
    inferred: int
    review: int


def stitch(
    engine: Engine,
    run: Run,
    previous: str | None = None,
    overrides: Overrides | None = None,
    limits: Limits = DEFAULT,
    space: str = "",
    within: str | None = None,
) -> StitchSummary:
    """Stitch `identity.evidence`, `identity.occurrences` and `identity.names` into people.

    Ids come from the evidence alone, so a rebuild gives the ids that runs one after the other gave, and people can
    be stitched without those whom no evidence connects to them. Running it again writes the same tables again.

    Args:
        engine: an engine `.at(generation)`; reads and writes that generation's `identity.*`.
        run: gives `changed_at` and the generation's name in the history.
        previous: the generation whose ids this one continues; None starts the history.
        overrides: what people decided; read from overrides.yaml by default.
        limits: how much may meet in one place.
        space: what every value begins with (`@space`).
        within: table of the previous generation's people that the evidence is all about; None means everybody.

    Raises:
        FixSettings: overrides.yaml or blocked.yaml is wrong.
        CheckFailed: the result would break a promise; nothing should be published.
    """
    decided = read_overrides() if overrides is None else overrides
    number(engine, decided, read_block_lists(), limits, space)
    block_by_data(engine, limits)
    join_strong(engine, limits)
    engine.execute(
        "CREATE OR REPLACE TABLE scratch.shared AS SELECT node, node AS people FROM scratch.nodes AS n WHERE FALSE"
    )
    join_through(engine, Role.WEAK, WEAK, limits.people_per_phone, joins_records=True)
    join_through(engine, Role.DEVICE, DEVICE, limits.people_per_device, joins_records=limits.devices_join_records)
    limit_devices(engine, limits)
    check_invariant(engine)
    attach_inferred(engine)
    _share(engine)
    own_events(engine, limits)
    _write_people(engine)
    _write_links(engine)
    write_ownership(engine, limits)
    _drop_erased(engine, space)
    write_history(engine, run, previous, within)
    return summary(engine, run)


def _share(engine: Engine) -> None:
    """Record what is shared; `scratch.shared_devices` are the devices among it."""
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.shared_devices AS
        SELECT s.node, s.people
        FROM scratch.shared AS s
        INNER JOIN scratch.nodes AS n ON n.node = s.node
        WHERE n.role = '{Role.DEVICE}'""")
    engine.execute(f"""
        CREATE OR REPLACE TABLE identity.blocked_values AS
        SELECT n.kind, n.value, b.reason, b.detail, COALESCE(b.met, e.links, 0) AS met
        FROM scratch.blocked AS b
        INNER JOIN scratch.nodes AS n ON n.node = b.node
        LEFT JOIN (
          SELECT node, COUNT(*) AS links
          FROM (SELECT a AS node FROM scratch.edges AS x UNION ALL SELECT b AS node FROM scratch.edges AS x) AS ends
          GROUP BY node
        ) AS e ON e.node = b.node
        UNION ALL
        SELECT n.kind, n.value,
          CASE
            WHEN n.role = '{Role.DEVICE}' THEN 'shared_device'
            WHEN n.kind IN ('phone', 'phone_sha256') THEN 'shared_phone'
            ELSE 'shared_profile'
          END AS reason,
          CONCAT(
            CAST(s.people AS STRING), ' people',
            COALESCE(
              CONCAT(', ', CAST(DATE(n.first_seen_at) AS STRING), ' to ', CAST(DATE(n.last_seen_at) AS STRING)), ''
            )
          ) AS detail,
          s.people AS met
        FROM scratch.shared AS s
        INNER JOIN scratch.nodes AS n ON n.node = s.node""")


def _write_people(engine: Engine) -> None:
    """Write `scratch.ids`, `identity.customers`, `identity.identifiers` and `identity.events`."""
    digest = "SUBSTR(TO_HEX(SHA256(CONCAT({0}.kind, ':', {0}.value))), 1, 32)"
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.ids AS
        SELECT a.label, a.anchor, {digest.format("n")} AS customer_id
        FROM (
          SELECT label, MIN(node) AS anchor FROM scratch.whose AS w WHERE score = 1 GROUP BY label
          UNION ALL
          -- A shared device is somebody, unknown, only as far as events are left to it.
          SELECT s.node AS label, s.node AS anchor
          FROM scratch.shared_devices AS s
          WHERE EXISTS (SELECT 1 FROM scratch.owned AS o WHERE o.label = s.node)
        ) AS a
        INNER JOIN scratch.nodes AS n ON n.node = a.anchor""")
    engine.execute(f"""
        CREATE OR REPLACE TABLE identity.customers AS
        SELECT i.customer_id, n.kind AS anchor_kind, n.value AS anchor_value,
          IF(n.seq = {LATE}, NULL, n.seq) AS anchor_seq, n.first_seen_at AS created_at
        FROM scratch.ids AS i
        INNER JOIN scratch.nodes AS n ON n.node = i.anchor
        UNION ALL
        SELECT {digest.format("x")} AS customer_id, x.kind AS anchor_kind, x.value AS anchor_value,
          CAST(NULL AS INT64) AS anchor_seq, x.first_seen_at AS created_at
        FROM scratch.extras AS x""")
    engine.execute(f"""
        CREATE OR REPLACE TABLE identity.identifiers AS
        SELECT n.kind, n.value, i.customer_id, w.score < 1 AS is_inferred, w.score, COALESCE(e.links, 0) AS evidence,
          n.first_seen_at, n.last_seen_at
        FROM (
          SELECT node, label, score FROM scratch.whose AS p
          UNION ALL
          SELECT node, node AS label, CAST(1 AS FLOAT64) AS score FROM scratch.shared_devices AS s
        ) AS w
        INNER JOIN scratch.ids AS i ON i.label = w.label
        INNER JOIN scratch.nodes AS n ON n.node = w.node
        LEFT JOIN (
          SELECT t.node, COUNT(*) AS links
          FROM (
            SELECT a AS node, b AS other FROM scratch.edges AS x
            UNION ALL
            SELECT b AS node, a AS other FROM scratch.edges AS x
          ) AS t
          INNER JOIN scratch.whose AS p ON p.node = t.node
          INNER JOIN scratch.whose AS q ON q.node = t.other AND q.label = p.label
          GROUP BY t.node
        ) AS e ON e.node = w.node
        UNION ALL
        SELECT x.kind, x.value, {digest.format("x")} AS customer_id, FALSE AS is_inferred, CAST(1 AS FLOAT64) AS score,
          0 AS evidence, x.first_seen_at, x.last_seen_at
        FROM scratch.extras AS x""")
    engine.execute("""
        CREATE OR REPLACE TABLE identity.events AS
        SELECT o.event_id, COALESCE(i.customer_id, x.customer_id) AS customer_id,
          COALESCE(w.score < 1, FALSE) AS is_inferred
        FROM scratch.owned AS o
        LEFT JOIN scratch.whose AS w ON w.node = o.node
        LEFT JOIN scratch.ids AS i ON i.label = COALESCE(w.label, o.label)
        LEFT JOIN identity.identifiers AS x ON x.kind = o.extra_kind AND x.value = o.extra_value""")


def _write_links(engine: Engine) -> None:
    """Write `identity.links`: the evidence between identifiers of one person, for explaining and for the history."""
    engine.execute("""
        CREATE OR REPLACE TABLE identity.links AS
        SELECT i.customer_id, f.rule, l.kind AS left_kind, l.value AS left_value,
          r.kind AS right_kind, r.value AS right_value,
          f.is_inferred, f.source, f.record_key, f.first_seen_at, f.occurrences
        FROM (
          SELECT rule, a, b, is_inferred, source, record_key, first_seen_at, occurrences FROM scratch.facts AS f
          UNION ALL
          SELECT REPLACE(h.kind, '_sha256', '_hash') AS rule, a, b, FALSE AS is_inferred,
            CAST(NULL AS STRING) AS source, CAST(NULL AS STRING) AS record_key,
            CAST(NULL AS TIMESTAMP) AS first_seen_at, 1 AS occurrences
          FROM scratch.hashes AS h
          UNION ALL
          SELECT 'must_link' AS rule, a, b, FALSE AS is_inferred, 'overrides.yaml' AS source,
            CAST(NULL AS STRING) AS record_key, CAST(NULL AS TIMESTAMP) AS first_seen_at, 1 AS occurrences
          FROM scratch.must AS m
        ) AS f
        INNER JOIN scratch.whose AS x ON x.node = f.a
        INNER JOIN scratch.whose AS y ON y.node = f.b AND y.label = x.label
        INNER JOIN scratch.ids AS i ON i.label = x.label
        INNER JOIN scratch.nodes AS l ON l.node = f.a
        INNER JOIN scratch.nodes AS r ON r.node = f.b
        -- Inferred evidence inside one person proves nothing about it; it is shown only where it attached something.
        WHERE NOT f.is_inferred OR x.score < 1 OR y.score < 1""")


def _drop_erased(engine: Engine, space: str) -> None:
    """Take out who is known by salted hashes only: erased people are there to show what is shared, and are nobody."""
    erased = {"erased": f"{space}{ERASED}"}
    is_erased = "STARTS_WITH(value, @erased)"
    if not engine.query(f"SELECT COUNT(*) AS n FROM scratch.nodes AS n WHERE {is_erased}", erased)[0]["n"]:
        return
    engine.execute(
        f"""CREATE OR REPLACE TABLE scratch.erased_people AS
        SELECT customer_id FROM identity.identifiers AS i GROUP BY customer_id HAVING LOGICAL_AND({is_erased})""",
        erased,
    )
    for table in ("customers", "identifiers", "events", "ownership", "links"):
        engine.execute(
            f"DELETE FROM identity.{table} AS t "
            "WHERE EXISTS (SELECT 1 FROM scratch.erased_people AS e WHERE e.customer_id = t.customer_id)"
        )
    for table in ("identifiers", "blocked_values"):
        engine.execute(f"DELETE FROM identity.{table} AS t WHERE {is_erased}", erased)


def summary(engine: Engine, run: Run) -> StitchSummary:
    """A stitched generation in numbers."""
    changes = engine.query(
        """SELECT COALESCE(COUNTIF(change = 'merged'), 0) AS merges, COALESCE(COUNTIF(change = 'split'), 0) AS splits
        FROM identity.changes AS c WHERE generation = @generation""",
        {"generation": run.run_id},
    )[0]
    return StitchSummary(
        people=count(engine, "identity.customers"),
        identifiers=count(engine, "identity.identifiers"),
        events=count(engine, "identity.events"),
        merges=int(changes["merges"]),
        splits=int(changes["splits"]),
        blocked=count(engine, "identity.blocked_values", "reason <> 'shared_device'"),
        shared_devices=count(engine, "identity.blocked_values", "reason = 'shared_device'"),
        inferred=count(engine, "identity.identifiers", "is_inferred"),
        review=count(engine, "identity.review"),
    )
