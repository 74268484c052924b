"""One way of finding connected components, on one file of edges, in a process of its own.

Runs in the environment of the peers too, so it imports nothing of ours unless it is asked for ours.
Every way gets a table of distinct nodes and one of edges, and must give every node a label; reading the file
and writing the answer are not counted.
"""

from __future__ import annotations

import importlib
import json
import logging
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import duckdb

Answer = dict[str, Any]
"""What a way says of itself: rounds, statements, is_finished."""


def ours(connection: duckdb.DuckDBPyConnection, seconds: float) -> Answer:
    """Min neighbour, pointer jumping to the roots, contraction: `identity/components.py`."""
    from include.warehouse.duckdb import DuckDBEngine
    from include.warehouse.identity.components import components

    class Counting(DuckDBEngine):
        statements = 0

        def execute(self, sql: str, params: Any = None) -> int:
            self.statements += 1
            return super().execute(sql, params)

    engine = Counting(connection, None)
    connection.execute("CREATE TEMP VIEW scratch__edges AS SELECT a, b FROM memory.edges")
    connection.execute("CREATE TEMP VIEW scratch__vertices AS SELECT node FROM memory.nodes")
    rounds = components(engine, "scratch.edges", "scratch.found")
    engine.execute("""
        CREATE OR REPLACE TABLE scratch.labels AS
        SELECT n.node, COALESCE(f.label, n.node) AS label
        FROM scratch.vertices AS n
        LEFT JOIN scratch.found AS f ON f.node = n.node""")
    connection.execute("CREATE VIEW labels AS SELECT node, label FROM temp.main.scratch__labels")
    return {"rounds": rounds, "statements": engine.statements}


def splink(connection: duckdb.DuckDBPyConnection, seconds: float) -> Answer:
    """Splink's own clustering of pairs that all match."""
    from splink import DuckDBAPI
    from splink.clustering import cluster_pairwise_predictions_at_threshold

    rounds: list[str] = []

    class Rounds(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("Completed iteration"):
                rounds.append(record.getMessage())

    logger = logging.getLogger("splink")
    logger.setLevel(logging.INFO)
    logger.addHandler(Rounds())
    found = cluster_pairwise_predictions_at_threshold(
        nodes=connection.table("nodes"),
        edges=connection.table("edges"),
        db_api=DuckDBAPI(connection=connection),
        node_id_column_name="node",
        edge_id_column_name_left="a",
        edge_id_column_name_right="b",
    )
    connection.execute(f"CREATE VIEW labels AS SELECT node, cluster_id AS label FROM {found.physical_name}")
    return {"rounds": len(rounds)}


def scipy(connection: duckdb.DuckDBPyConnection, seconds: float) -> Answer:
    """Breadth-first search in C over a matrix in memory."""
    import numpy as np
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    nodes = np.sort(connection.execute("SELECT node FROM nodes").fetchnumpy()["node"])
    edges = connection.execute("SELECT a, b FROM edges").fetchnumpy()
    a, b = np.searchsorted(nodes, edges["a"]), np.searchsorted(nodes, edges["b"])
    matrix = coo_matrix((np.ones(len(a), dtype=np.int8), (a, b)), shape=(len(nodes), len(nodes)))
    count, part = connected_components(matrix, directed=False)
    least = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(least, part, nodes)
    answer = {"node": nodes, "label": least[part]}
    connection.register("answer", answer)
    connection.execute("CREATE TABLE labels AS SELECT node, label FROM answer")
    return {}


def least_label(connection: duckdb.DuckDBPyConnection, seconds: float) -> Answer:
    """Every node takes the least label among its neighbours, until nothing changes: one hop a round."""
    connection.execute("CREATE TABLE neighbours AS SELECT a, b FROM edges UNION ALL SELECT b, a FROM edges")
    connection.execute("CREATE TABLE labels AS SELECT node, node AS label FROM nodes")
    return _until_still(
        connection,
        seconds,
        """CREATE OR REPLACE TABLE moved AS
        SELECT l.node, LEAST(l.label, COALESCE(MIN(o.label), l.label)) AS label, l.label AS was
        FROM labels AS l
        LEFT JOIN neighbours AS e ON e.a = l.node
        LEFT JOIN labels AS o ON o.node = e.b
        GROUP BY l.node, l.label""",
    )


def relabelled_edges(connection: duckdb.DuckDBPyConnection, seconds: float) -> Answer:
    """RudderStack's dbt models: an edge takes the least id of the edges at its two ends and their other ends."""
    connection.execute("CREATE TABLE ids AS SELECT ROW_NUMBER() OVER (ORDER BY a, b) AS id, a, b FROM edges")
    answer = _until_still(
        connection,
        seconds,
        """CREATE OR REPLACE TABLE moved AS
        WITH once AS (
          SELECT node, MIN(id) AS id
          FROM (SELECT a AS node, id FROM ids UNION ALL SELECT b AS node, id FROM ids)
          GROUP BY node
        ),
        twice AS (
          SELECT node, MIN(id) AS id
          FROM (
            SELECT e.a, e.b, LEAST(x.id, y.id) AS id
            FROM ids AS e JOIN once AS x ON x.node = e.a JOIN once AS y ON y.node = e.b
          ) AS met, LATERAL (SELECT UNNEST([met.a, met.b]) AS node)
          GROUP BY node
        )
        SELECT LEAST(x.id, y.id) AS id, e.a, e.b, e.id AS was
        FROM ids AS e JOIN twice AS x ON x.node = e.a JOIN twice AS y ON y.node = e.b""",
        keep="CREATE OR REPLACE TABLE ids AS SELECT id, a, b FROM moved",
        changed="SELECT COUNT(*) FROM moved WHERE id <> was",
    )
    # Its ids are numbers of edges: the least node with an id stands for it.
    connection.execute("""
        CREATE TABLE labels AS
        SELECT node, MIN(node) OVER (PARTITION BY id) AS label
        FROM (
          SELECT node, MIN(id) AS id
          FROM (SELECT a AS node, id FROM ids UNION ALL SELECT b AS node, id FROM ids)
          GROUP BY node
        )""")
    return answer


def _until_still(
    connection: duckdb.DuckDBPyConnection,
    seconds: float,
    step: str,
    keep: str = "CREATE OR REPLACE TABLE labels AS SELECT node, label FROM moved",
    changed: str = "SELECT COUNT(*) FROM moved WHERE label <> was",
) -> Answer:
    """Repeat a step until nothing changes, or time is up."""
    until = time.perf_counter() + seconds
    rounds = 0
    while True:
        rounds += 1
        connection.execute(step)
        row = connection.execute(changed).fetchone()
        if not row or not row[0]:
            return {"rounds": rounds}
        connection.execute(keep)
        if time.perf_counter() > until:
            return {"rounds": rounds, "is_finished": False}


WAYS: dict[str, Callable[[duckdb.DuckDBPyConnection, float], Answer]] = {
    "ours": ours,
    "splink": splink,
    "scipy": scipy,
    "least label": least_label,
    "relabelled edges": relabelled_edges,
}
MODULES = {"ours": "include.warehouse.identity.components", "splink": "splink", "scipy": "scipy.sparse.csgraph"}
"""What a way imports; that is not counted either."""


def run(way: str, edges: str, answer: str, memory: str, seconds: float) -> None:
    """Find the components of the edges in a Parquet file, write (node, label), print what it took as JSON."""
    config: dict[str, Any] = {"autoinstall_known_extensions": False, "preserve_insertion_order": False}
    connection = duckdb.connect(":memory:", config=config | ({"memory_limit": memory} if memory else {}))
    connection.execute(f"SET temp_directory = '{answer}.spill'")
    connection.execute(f"CREATE TABLE edges AS SELECT a, b FROM '{edges}'")
    connection.execute("CREATE TABLE nodes AS SELECT a AS node FROM edges UNION SELECT b FROM edges")
    if way in MODULES:
        importlib.import_module(MODULES[way])
    began, busy = time.perf_counter(), time.process_time()
    said = WAYS[way](connection, seconds)
    took = {"seconds": time.perf_counter() - began, "processor": time.process_time() - busy}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    connection.execute(f"COPY (SELECT node, label FROM labels) TO '{answer}' (FORMAT parquet)")
    print(json.dumps({"is_finished": True} | said | took | {"gigabytes": peak}))


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], float(sys.argv[5]))
