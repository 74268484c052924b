"""Components against a plain union-find: shapes that break approximate methods, and random graphs."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.warehouse.duckdb import DuckDBEngine
from include.warehouse.identity.components import components
from include.warehouse.identity.nodes import fill

LONG = 100_000
Edges = list[tuple[int, int]]


def by_union_find(edges: Iterable[tuple[int, int]]) -> dict[int, int]:
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for a, b in edges:
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    return {node: root(node) for node in list(parent)}


def by_sql(engine: DuckDBEngine, edges: Edges) -> tuple[dict[int, int], int]:
    fill(engine, "scratch.given_edges", {"a": "INT64", "b": "INT64"}, [{"a": a, "b": b} for a, b in edges])
    rounds = components(engine, "scratch.given_edges", "scratch.given_labels")
    labels = {node: node for edge in edges for node in edge}
    labels |= {row["node"]: row["label"] for row in engine.query("SELECT node, label FROM scratch.given_labels AS l")}
    return labels, rounds


def path(order: list[int]) -> Edges:
    return list(pairwise(order))


def shuffled(seed: int) -> list[int]:
    order = list(range(LONG))
    random.Random(seed).shuffle(order)
    return order


SHAPES: dict[str, Edges] = {
    "sorted path": path(list(range(LONG))),
    "reversed path": path(list(range(LONG))[::-1]),
    "bit-reversed path": path(sorted(range(LONG), key=lambda number: f"{number:017b}"[::-1])),
    "random path": path(shuffled(1)),
    "zigzag path": path(
        [half for pair in zip(range(LONG // 2), range(LONG, LONG // 2, -1), strict=True) for half in pair]
    ),
    "star around the least": [(0, leaf) for leaf in range(1, LONG)],
    "star around the greatest": [(LONG, leaf) for leaf in range(LONG)],
    "binary tree": [(node, (node - 1) // 2) for node in range(1, LONG)],
    "grid": [(y * 200 + x, y * 200 + x + step) for y in range(199) for x in range(199) for step in (1, 200)],
    "two paths that share no node": path(list(range(0, LONG, 2))) + path(list(range(1, LONG, 2))),
    "loops and repeats": [(1, 1), (2, 3), (3, 2), (2, 3), (9, 9)],
    "nothing": [],
}


@pytest.fixture(scope="module")
def engine() -> DuckDBEngine:
    return DuckDBEngine.in_memory()


@pytest.mark.parametrize("shape", SHAPES)
def test_shape_is_labelled_exactly_in_few_rounds(engine: DuckDBEngine, shape: str) -> None:
    labels, rounds = by_sql(engine, SHAPES[shape])
    assert labels == by_union_find(SHAPES[shape])
    assert rounds <= 20


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=80))
def test_any_graph_is_labelled_as_union_find_labels_it(edges: Edges) -> None:
    engine = DuckDBEngine.in_memory()
    try:
        assert by_sql(engine, edges)[0] == by_union_find(edges)
    finally:
        engine.connection.close()
