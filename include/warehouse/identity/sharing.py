"""Whose each event is, and whose a shared device was when: the person signed in at that time."""

from __future__ import annotations

from include.warehouse.engine import Engine
from include.warehouse.identity.kinds import Limits, Role
from include.warehouse.identity.nodes import DEVICE

PLACES = 10**15
"""Above any node number, so that `deciding * PLACES + node` orders identifiers by strength, then age."""


def own_events(engine: Engine, limits: Limits) -> None:
    """Write `scratch.owned`, whose each event is, and `scratch.extras`: the lone events and sessions.

    An event belongs to the person of its strongest identifier. One that carries a shared device only
    belongs to whoever signed in there last; before the first sign-in it is the device's own anonymous
    person's. On a kiosk (more owners than `kiosk_people`, or more than `people_per_device` of whom most came
    once) a sign-in holds for its session only, and
    what is outside of one is a person of its own per session, because pooling strangers would be a merge.
    An event without any usable identifier (a placeholder, a shared inbox) is a person of its own too.
    """
    engine.execute(
        f"""
        CREATE OR REPLACE TABLE scratch.carried AS
        SELECT o.event_id, MIN(o.ts) AS ts,
          MIN(IF(p.node IS NULL OR s.node IS NOT NULL, NULL, n.deciding * {PLACES} + n.node)) AS best,
          MIN(s.node) AS device
        FROM identity.occurrences AS o
        LEFT JOIN scratch.nodes AS n ON n.kind = o.kind AND n.value = o.value
        LEFT JOIN scratch.whose AS p ON p.node = n.node
        LEFT JOIN scratch.shared_devices AS s ON s.node = n.node
        GROUP BY o.event_id"""
    )
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.signins AS
        SELECT c.device, c.ts, p.label
        FROM scratch.carried AS c
        INNER JOIN scratch.whose AS p ON p.node = MOD(c.best, {PLACES})
        WHERE c.device IS NOT NULL AND c.ts IS NOT NULL
        UNION DISTINCT
        SELECT s.node AS device, t.ts, p.label
        FROM (
          SELECT a AS node, b AS other, first_seen_at AS ts FROM scratch.edges AS e WHERE tier = {DEVICE}
          UNION ALL
          SELECT b AS node, a AS other, first_seen_at AS ts FROM scratch.edges AS e WHERE tier = {DEVICE}
          UNION ALL
          SELECT a AS node, b AS other, last_seen_at AS ts FROM scratch.edges AS e WHERE tier = {DEVICE}
          UNION ALL
          SELECT b AS node, a AS other, last_seen_at AS ts FROM scratch.edges AS e WHERE tier = {DEVICE}
        ) AS t
        INNER JOIN scratch.shared_devices AS s ON s.node = t.node
        INNER JOIN scratch.nodes AS n ON n.node = t.other
        INNER JOIN scratch.whose AS p ON p.node = t.other
        WHERE t.ts IS NOT NULL AND n.role <> '{Role.DEVICE}'""")
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.timeline AS
        SELECT device, ts, label, event_id, is_kiosk,
          SUM(IF(is_kiosk AND silence > {limits.session_seconds}, 1, 0))
            OVER (
              PARTITION BY device ORDER BY ts, turn, label, event_id
              ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS session,
          turn
        FROM (
          SELECT m.device, m.ts, m.label, m.event_id, m.turn, COALESCE(o.is_kiosk, FALSE) AS is_kiosk,
            TIMESTAMP_DIFF(
              m.ts, LAG(m.ts) OVER (PARTITION BY m.device ORDER BY m.ts, m.turn, m.label, m.event_id), SECOND
            ) AS silence
          FROM (
            SELECT device, ts, label, CAST(NULL AS STRING) AS event_id, 0 AS turn FROM scratch.signins AS s
            UNION ALL
            SELECT device, ts, CAST(NULL AS INT64) AS label, event_id, 1 AS turn
            FROM scratch.carried AS c
            WHERE device IS NOT NULL AND ts IS NOT NULL
          ) AS m
          LEFT JOIN (
            SELECT device,
              COUNT(*) > {limits.kiosk_people}
              OR (COUNT(*) > {limits.people_per_device} AND 2 * COUNTIF(stayed > {limits.session_seconds}) < COUNT(*))
                AS is_kiosk
            FROM (
              SELECT device, label, TIMESTAMP_DIFF(MAX(ts), MIN(ts), SECOND) AS stayed
              FROM scratch.signins AS s
              GROUP BY device, label
            ) AS owners
            GROUP BY device
          ) AS o ON o.device = m.device
        ) AS moments""")
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.sat AS
        SELECT device, ts, event_id, turn, is_kiosk, session, label,
          LAST_VALUE(label IGNORE NULLS) OVER (
            PARTITION BY device, session ORDER BY ts, turn, label, event_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
          ) AS owner,
          MIN(ts) OVER (PARTITION BY device, session) AS started_at,
          MAX(ts) OVER (PARTITION BY device, session) AS ended_at
        FROM scratch.timeline AS t""")
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.owned AS
        SELECT c.event_id, p.node, COALESCE(p.label, s.owner, IF(s.is_kiosk, NULL, s.device)) AS label,
          CASE WHEN p.node IS NOT NULL OR s.owner IS NOT NULL THEN NULL WHEN s.device IS NULL THEN 'event'
            WHEN s.is_kiosk THEN 'session' END AS extra_kind,
          CASE WHEN p.node IS NOT NULL OR s.owner IS NOT NULL THEN NULL WHEN s.device IS NULL THEN c.event_id
            WHEN s.is_kiosk THEN CONCAT(n.kind, ':', n.value, '@', CAST(UNIX_SECONDS(s.started_at) AS STRING)) END
            AS extra_value,
          c.ts
        FROM scratch.carried AS c
        LEFT JOIN scratch.whose AS p ON p.node = MOD(c.best, {PLACES})
        LEFT JOIN (
          SELECT x.event_id, x.owner, x.is_kiosk, x.device, x.started_at
          FROM scratch.sat AS x
          INNER JOIN scratch.carried AS y ON y.event_id = x.event_id AND y.best IS NULL
          WHERE x.turn = 1
        ) AS s ON s.event_id = c.event_id
        LEFT JOIN scratch.nodes AS n ON n.node = s.device""")
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.extras AS
        SELECT extra_kind AS kind, extra_value AS value, MIN(ts) AS first_seen_at, MAX(ts) AS last_seen_at
        FROM scratch.owned AS o
        WHERE extra_kind IS NOT NULL
        GROUP BY extra_kind, extra_value""")


def write_ownership(engine: Engine, limits: Limits) -> None:
    """Write `identity.ownership`: one open interval per identifier of one person, one per turn at a shared device."""
    engine.execute(
        f"""
        CREATE OR REPLACE TABLE identity.ownership AS
        SELECT kind, value, customer_id, TIMESTAMP '1970-01-01 00:00:00+00' AS valid_from,
          CAST(NULL AS TIMESTAMP) AS valid_to
        FROM identity.identifiers AS i
        WHERE NOT EXISTS (
          SELECT 1 FROM scratch.shared_devices AS s INNER JOIN scratch.nodes AS n ON n.node = s.node
          WHERE n.kind = i.kind AND n.value = i.value
        )
        UNION ALL
        -- The device's own anonymous person, until somebody signs in.
        SELECT n.kind, n.value, c.customer_id, TIMESTAMP '1970-01-01 00:00:00+00' AS valid_from, f.ts AS valid_to
        FROM scratch.shared_devices AS s
        INNER JOIN scratch.nodes AS n ON n.node = s.node
        INNER JOIN scratch.ids AS c ON c.label = s.node
        LEFT JOIN (SELECT device, MIN(ts) AS ts FROM scratch.signins AS g GROUP BY device) AS f ON f.device = s.node
        UNION ALL
        SELECT n.kind, n.value, c.customer_id, t.valid_from,
          IF(t.is_kiosk,
            LEAST(COALESCE(t.next_at, t.idle_at), t.idle_at),
            t.next_at) AS valid_to
        FROM (
          SELECT device, owner, is_kiosk, ts AS valid_from,
            LEAD(ts) OVER (PARTITION BY device ORDER BY ts, owner) AS next_at,
            TIMESTAMP_ADD(ended_at, INTERVAL {limits.session_seconds} SECOND) AS idle_at
          FROM (
            SELECT device, owner, is_kiosk, ts, ended_at, session,
              LAG(owner) OVER (PARTITION BY device, session ORDER BY ts, owner) AS before
            FROM scratch.sat AS s
            WHERE turn = 0
          ) AS signed
          WHERE before IS NULL OR before <> owner
        ) AS t
        INNER JOIN scratch.nodes AS n ON n.node = t.device
        INNER JOIN scratch.ids AS c ON c.label = t.owner"""
    )
