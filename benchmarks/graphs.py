"""Graphs to find the components of: a company's mix of people, and the shapes that break approximate methods."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

Nodes = NDArray[np.int64]
Edges = tuple[Nodes, Nodes]
CHAIN = 1_000
"""Edges of each chain in the mix: one person's devices and addresses, each linked to the next only."""
SEED = 20_260_601


def company(edges: int) -> Edges:
    """What a company's evidence looks like, numbers in no order.

    60% of the edges are of small people, 15% of one giant shared component, 10% of chains of 1,000; 15% were seen
    before, half of those the other way round.
    """
    rng = np.random.default_rng(SEED)
    repeats, giant, chained = edges * 15 // 100, edges * 15 // 100, edges // 10 // CHAIN * CHAIN
    small = edges - repeats - giant - chained
    parts: list[Edges] = []
    nodes = 0
    sizes = np.minimum(rng.geometric(0.25, small), 40)
    sizes = sizes[: int(np.searchsorted(np.cumsum(sizes), small)) + 1]
    parts.append(_trees(rng, sizes + 1, nodes))
    nodes += int(sizes.sum()) + len(sizes)
    # A tree of two thirds of the edges; the others run between any two of its nodes.
    members = giant * 2 // 3
    parts.append(_trees(rng, np.array([members]), nodes))
    parts.append((rng.integers(nodes, nodes + members, giant // 3), rng.integers(nodes, nodes + members, giant // 3)))
    nodes += members
    chains = chained // CHAIN
    first = (np.arange(chains)[:, None] * (CHAIN + 1) + np.arange(CHAIN)[None, :]).ravel() + nodes
    parts.append((first, first + 1))
    nodes += chains * (CHAIN + 1)
    a, b = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    again = rng.integers(0, len(a), repeats)
    half = repeats // 2
    a, b = (
        np.concatenate([a, a[again[:half]], b[again[half:]]]),
        np.concatenate([b, b[again[:half]], a[again[half:]]]),
    )
    order = rng.permutation(len(a))
    number = rng.permutation(nodes)
    return number[a[order]], number[b[order]]


def _trees(rng: np.random.Generator, sizes: Nodes, start: int) -> Edges:
    """One random tree for each number of nodes: every node but the first hangs on an earlier one."""
    begins = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    base = np.repeat(begins, sizes)
    place = np.arange(int(sizes.sum())) - base
    later = place > 0
    hangs_on = base[later] + (rng.random(int(later.sum())) * place[later]).astype(np.int64)
    return np.arange(len(place))[later] + start, hangs_on + start


def _path(order: Nodes) -> Edges:
    return order[:-1], order[1:]


def _bit_reversed(count: int) -> Nodes:
    bits = max(1, (count - 1).bit_length())
    number = np.arange(count)
    mirrored = np.zeros(count, dtype=np.int64)
    for bit in range(bits):
        mirrored |= ((number >> bit) & 1) << (bits - 1 - bit)
    return np.argsort(mirrored, kind="stable")


def _zigzag(count: int) -> Nodes:
    order = np.empty(count, dtype=np.int64)
    order[0::2] = np.arange((count + 1) // 2)
    order[1::2] = np.arange(count - 1, (count + 1) // 2 - 1, -1)
    return order


def _grid(count: int) -> Edges:
    side = int(count**0.5)
    number = np.arange(side * side).reshape(side, side)
    return (
        np.concatenate([number[:, :-1].ravel(), number[:-1].ravel()]),
        np.concatenate([number[:, 1:].ravel(), number[1:].ravel()]),
    )


SHAPES: dict[str, Callable[[int], Edges]] = {
    "sorted chain": lambda count: _path(np.arange(count)),
    "reversed chain": lambda count: _path(np.arange(count)[::-1]),
    "zigzag chain": lambda count: _path(_zigzag(count)),
    "bit-reversed chain": lambda count: _path(_bit_reversed(count)),
    "random chain": lambda count: _path(np.random.default_rng(SEED).permutation(count)),
    "star around the least": lambda count: (np.zeros(count - 1, dtype=np.int64), np.arange(1, count)),
    "star around the greatest": lambda count: (np.full(count - 1, count - 1), np.arange(count - 1)),
    "binary tree": lambda count: (np.arange(1, count), (np.arange(1, count) - 1) // 2),
    "grid": _grid,
}
"""Each makes one component of about so many nodes, the least of which is 0."""


def write(edges: Edges, file: Path) -> int:
    """Write the edges as Parquet, columns `a` and `b`; returns how many nodes they touch."""
    pq.write_table(pa.table({"a": edges[0].astype(np.int64), "b": edges[1].astype(np.int64)}), file)
    return len(np.unique(np.concatenate(edges)))
