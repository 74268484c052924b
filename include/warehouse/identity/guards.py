"""What keeps two people apart: shared values that the data shows, limits per person, cutting an over-full one."""

from __future__ import annotations

from include.connect.errors import CheckFailed
from include.warehouse.engine import Engine
from include.warehouse.identity.components import components, count
from include.warehouse.identity.kinds import KINDS, Limits, Role, kind_of
from include.warehouse.identity.nodes import STRONG

DAY = 86_400


def block_by_data(engine: Engine, limits: Limits) -> None:
    """Block addresses and records at which several people meet: accounts, or people's names that do not agree."""
    accounts = limits.limit(kind_of("user_id")) or 1
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.meets AS
        SELECT e.node, e.other
        FROM (
          SELECT a AS node, b AS other FROM scratch.edges AS x WHERE tier = {STRONG}
          UNION ALL
          SELECT b AS node, a AS other FROM scratch.edges AS x WHERE tier = {STRONG}
        ) AS e
        LEFT JOIN scratch.blocked AS x ON x.node = e.node
        LEFT JOIN scratch.blocked AS y ON y.node = e.other
        LEFT JOIN (SELECT DISTINCT node FROM scratch.decided AS d WHERE section IN ('allow', 'must_link')) AS k
          ON k.node = e.node
        WHERE x.node IS NULL AND y.node IS NULL AND k.node IS NULL""")
    engine.execute(f"""
        INSERT INTO scratch.blocked (node, reason, detail, met)
        SELECT node, IF(role = '{Role.CONTACT}', 'shared_inbox', 'shared_record') AS reason,
          CASE
            WHEN accounts > most_accounts THEN CONCAT(CAST(accounts AS STRING), ' accounts')
            WHEN emails > {limits.emails_per_record} THEN CONCAT(CAST(emails AS STRING), ' addresses')
            ELSE CONCAT(CAST(names AS STRING), ' names')
          END AS detail,
          GREATEST(accounts, IF(role = '{Role.CONTACT}', names, emails)) AS met
        FROM (
          SELECT m.node, n.role,
            IF(n.role = '{Role.CONTACT}', {accounts}, {limits.accounts_per_record}) AS most_accounts,
            COUNT(DISTINCT IF(o.role = '{Role.ACCOUNT}', COALESCE(u.label, m.other), NULL)) AS accounts,
            COUNT(DISTINCT IF(o.kind = 'email', COALESCE(u.label, m.other), NULL)) AS emails,
            LEAST(COUNT(DISTINCT x.first_name), COUNT(DISTINCT x.last_name) + 1) AS names
          FROM scratch.meets AS m
          INNER JOIN scratch.nodes AS n ON n.node = m.node
          INNER JOIN scratch.nodes AS o ON o.node = m.other
          LEFT JOIN scratch.units AS u ON u.node = m.other
          LEFT JOIN scratch.names AS x ON x.node = m.other
          WHERE n.role IN ('{Role.CONTACT}', '{Role.RECORD}')
          GROUP BY m.node, n.role
        ) AS met
        WHERE accounts > most_accounts
          OR (role = '{Role.RECORD}' AND emails > {limits.emails_per_record})
          OR (role = '{Role.CONTACT}' AND names >= {limits.names_per_inbox})""")
    engine.execute("""
        INSERT INTO scratch.blocked (node, reason, detail, met)
        SELECT h.b, x.reason, 'hash of a blocked value', x.met
        FROM scratch.hashes AS h
        INNER JOIN scratch.blocked AS x ON x.node = h.a
        LEFT JOIN scratch.blocked AS y ON y.node = h.b
        WHERE y.node IS NULL""")


def find_overfull(engine: Engine, labels: str, result: str) -> int:
    """Write to `result` the labels of `labels` (node, label) that no single person can have; returns how many."""
    engine.execute(f"""
        CREATE OR REPLACE TABLE {result} AS
        SELECT label
        FROM (
          SELECT l.label, n.kind
          FROM {labels} AS l
          INNER JOIN scratch.nodes AS n ON n.node = l.node
          LEFT JOIN scratch.units AS u ON u.node = n.node
          WHERE n.person_limit IS NOT NULL
          GROUP BY l.label, n.kind, n.person_limit
          HAVING COUNT(DISTINCT COALESCE(u.label, n.node)) > n.person_limit
        ) AS many
        UNION DISTINCT
        SELECT x.label
        FROM scratch.apart AS a
        INNER JOIN {labels} AS x ON x.node = a.a
        INNER JOIN {labels} AS y ON y.node = a.b AND y.label = x.label""")
    return count(engine, result)


def join_strong(engine: Engine, limits: Limits) -> None:
    """Write `scratch.person` (node, label): exact components of the strong edges, over-full ones cut apart."""
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.strong AS
        SELECT e.a, e.b, e.tier, e.seq, e.first_seen_at
        FROM scratch.edges AS e
        LEFT JOIN scratch.blocked AS x ON x.node = e.a
        LEFT JOIN scratch.blocked AS y ON y.node = e.b
        WHERE e.tier <= {STRONG} AND x.node IS NULL AND y.node IS NULL""")
    components(engine, "scratch.strong", "scratch.joined")
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.person AS
        SELECT n.node, COALESCE(j.label, n.node) AS label
        FROM scratch.nodes AS n
        LEFT JOIN scratch.joined AS j ON j.node = n.node
        LEFT JOIN scratch.given AS g ON g.node = n.node
        LEFT JOIN scratch.blocked AS x ON x.node = n.node
        WHERE x.node IS NULL
          AND (n.role IN ('{Role.ACCOUNT}', '{Role.RECORD}', '{Role.CONTACT}') OR g.node IS NOT NULL)""")
    if find_overfull(engine, "scratch.person", "scratch.overfull"):
        _cut(engine, limits)


def _cut(engine: Engine, limits: Limits) -> None:
    """Build each over-full component again, edge by edge, most trusted and oldest first, refusing what breaks a limit.

    Done for all of them at once: an edge that is the first choice of both its ends is decided now, which gives
    what deciding one after the other would. What the bounded rounds leave undecided stays apart.
    """
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.cut_node AS
        SELECT p.node, p.node AS cluster
        FROM scratch.person AS p
        INNER JOIN scratch.overfull AS o ON o.label = p.label""")
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.cut_edge_0 AS
        SELECT s.a, s.b, ROW_NUMBER() OVER (ORDER BY s.tier, s.seq, s.first_seen_at, s.a, s.b) AS place
        FROM scratch.strong AS s
        INNER JOIN scratch.cut_node AS c ON c.node = s.a""")
    for turn in range(limits.greedy_rounds):
        edges = f"scratch.cut_edge_{turn % 2}"
        if count(engine, edges) == 0:
            break
        _cut_round(engine, edges, f"scratch.cut_edge_{(turn + 1) % 2}")
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.person_cut AS
        SELECT p.node, COALESCE(c.cluster, p.label) AS label
        FROM scratch.person AS p
        LEFT JOIN scratch.cut_node AS c ON c.node = p.node""")
    engine.execute("CREATE OR REPLACE TABLE scratch.person AS SELECT node, label FROM scratch.person_cut AS p")


def _cut_round(engine: Engine, edges: str, left: str) -> None:
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.cut_best AS
        SELECT e.a, e.b, e.place
        FROM {edges} AS e
        INNER JOIN (
          SELECT node, MIN(place) AS place
          FROM (SELECT a AS node, place FROM {edges} AS x UNION ALL SELECT b AS node, place FROM {edges} AS x) AS ends
          GROUP BY node
        ) AS i ON i.node = e.a AND i.place = e.place
        INNER JOIN (
          SELECT node, MIN(place) AS place
          FROM (SELECT a AS node, place FROM {edges} AS x UNION ALL SELECT b AS node, place FROM {edges} AS x) AS ends
          GROUP BY node
        ) AS j ON j.node = e.b AND j.place = e.place""")
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.cut_trial AS
        SELECT c.node, b.place AS label
        FROM scratch.cut_node AS c
        INNER JOIN (
          SELECT a AS cluster, place FROM scratch.cut_best AS x
          UNION ALL
          SELECT b AS cluster, place FROM scratch.cut_best AS x
        ) AS b ON b.cluster = c.cluster""")
    find_overfull(engine, "scratch.cut_trial", "scratch.cut_refused")
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.cut_step AS
        SELECT b.a, b.b, r.label IS NOT NULL AS is_refused
        FROM scratch.cut_best AS b
        LEFT JOIN scratch.cut_refused AS r ON r.label = b.place""")
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.cut_node_next AS
        SELECT c.node, COALESCE(s.a, c.cluster) AS cluster
        FROM scratch.cut_node AS c
        LEFT JOIN scratch.cut_step AS s ON s.b = c.cluster AND NOT s.is_refused""")
    engine.execute("CREATE OR REPLACE TABLE scratch.cut_node AS SELECT node, cluster FROM scratch.cut_node_next AS c")
    engine.execute(f"""
        CREATE OR REPLACE TABLE {left} AS
        SELECT LEAST(a, b) AS a, GREATEST(a, b) AS b, MIN(place) AS place
        FROM (
          SELECT COALESCE(x.a, e.a) AS a, COALESCE(y.a, e.b) AS b, e.place
          FROM {edges} AS e
          LEFT JOIN scratch.cut_step AS refused ON refused.a = e.a AND refused.b = e.b AND refused.is_refused
          LEFT JOIN scratch.cut_step AS x ON x.b = e.a AND NOT x.is_refused
          LEFT JOIN scratch.cut_step AS y ON y.b = e.b AND NOT y.is_refused
          WHERE refused.a IS NULL
        ) AS moved
        WHERE a <> b
        GROUP BY LEAST(a, b), GREATEST(a, b)""")


def limit_devices(engine: Engine, limits: Limits) -> None:
    """Leave each person as many devices first seen in one window as its kind allows, those known longest.

    A window counts from the epoch (weeks begin on Thursdays), so that whose a device is hangs on no other window. The
    rest stand alone and go to `scratch.blocked`: somebody who is a new visitor each hour is a machine, and what
    others do on these devices is not theirs. Devices that people gave to somebody stay, and so do those without a time.
    """
    windows = [(kind, limits.limit(kind), kind.window_days) for kind in KINDS if kind.window_days]
    judged = " UNION ALL ".join(
        f"""
        SELECT node, held, window_start, {most} AS most, {days} AS days
        FROM (
          SELECT d.node, d.window_start,
            ROW_NUMBER() OVER (PARTITION BY d.label, d.window_start ORDER BY d.node) AS place,
            COUNT(*) OVER (PARTITION BY d.label, d.window_start) AS held
          FROM (
            SELECT p.node, p.label, DIV(UNIX_SECONDS(n.first_seen_at), {days * DAY}) AS window_start
            FROM scratch.person AS p
            INNER JOIN scratch.nodes AS n ON n.node = p.node
            LEFT JOIN scratch.given AS g ON g.node = p.node
            WHERE n.kind = '{kind.name}' AND n.first_seen_at IS NOT NULL AND g.node IS NULL
          ) AS d
        ) AS ranked
        WHERE place > {most}"""
        for kind, most, days in windows
        if most is not None and days is not None
    )
    engine.execute(f"CREATE OR REPLACE TABLE scratch.over_limit AS {judged}")
    if count(engine, "scratch.over_limit") == 0:
        return
    engine.execute(f"""
        INSERT INTO scratch.blocked (node, reason, detail, met)
        SELECT node, 'too_many_devices' AS reason,
          CONCAT(
            CAST(held AS STRING), ' new ones of one person in the ', CAST(days AS STRING), ' days from ',
            CAST(DATE(TIMESTAMP_SECONDS(window_start * days * {DAY})) AS STRING), ', ', CAST(most AS STRING),
            ' are the most'
          ) AS detail,
          held AS met
        FROM scratch.over_limit AS o""")
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.person_limited AS
        SELECT p.node, IF(o.node IS NULL, p.label, p.node) AS label
        FROM scratch.person AS p
        LEFT JOIN scratch.over_limit AS o ON o.node = p.node""")
    engine.execute("CREATE OR REPLACE TABLE scratch.person AS SELECT node, label FROM scratch.person_limited AS p")


def check_invariant(engine: Engine) -> None:
    """The promise, asked of the result itself.

    Raises:
        CheckFailed: a person has two accounts that nobody linked by hand, or two identifiers that must stay apart.
    """
    broken = engine.query(f"""
        SELECT COUNT(*) AS people
        FROM (
          SELECT p.label
          FROM scratch.person AS p
          INNER JOIN scratch.nodes AS n ON n.node = p.node
          LEFT JOIN scratch.units AS u ON u.node = n.node
          WHERE n.role = '{Role.ACCOUNT}'
          GROUP BY p.label, n.kind, n.person_limit
          HAVING COUNT(DISTINCT COALESCE(u.label, n.node)) > n.person_limit
          UNION ALL
          SELECT x.label
          FROM scratch.apart AS a
          INNER JOIN scratch.person AS x ON x.node = a.a
          INNER JOIN scratch.person AS y ON y.node = a.b AND y.label = x.label
        ) AS wrong""")[0]["people"]
    if broken:
        raise CheckFailed(
            f"{broken} people would hold two accounts, or identifiers that must stay apart",
            where="identity.identifiers",
            fix="Nothing is published. Keep the warehouse file and report it: the guards have a defect.",
        )
