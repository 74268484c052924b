"""How healthy the stitching is, in numbers: how large people are, who nears a limit, what is blocked, what changed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.connect.errors import FixSettings
from include.warehouse.engine import Engine
from include.warehouse.identity.kinds import Limits, kind_of
from include.warehouse.models import published

SIZES = (1, 2, 5, 10, 20, 50, 100)
"""Upper ends of the classes in which people are counted by their identifiers; one more holds the rest."""
NEAR = 0.8
"""Share of a limit from which somebody is near it."""
HUNDREDTH = 0.99


@dataclass(frozen=True, slots=True)
class SizeClass:
    """People who have from `least` to `most` identifiers; `most` None is any number."""

    least: int
    most: int | None
    people: int


@dataclass(frozen=True, slots=True)
class KindHealth:
    """One kind of identifier over everybody who has any of it.

    Attributes:
        kind: the kind.
        people: who have at least one.
        identifiers: how many there are.
        p99: at most this many have 99 of 100 people.
        most: the most one person has.
        limit: how many one person may have; None is any number.
        near: people from four fifths of the limit up to one below it; 0 where the limit is one.
        at_limit: people who have as many as they may; 0 where the limit is one.
    """

    kind: str
    people: int
    identifiers: int
    p99: int
    most: int
    limit: int | None
    near: int
    at_limit: int


@dataclass(frozen=True, slots=True)
class BlockedHealth:
    """Values of one kind that join nobody for one reason; `top` is the one at which most meet (`met`), unmasked."""

    kind: str
    reason: str
    values: int
    met: int
    top: str


@dataclass(frozen=True, slots=True)
class GenerationHealth:
    """What one published generation did to people's ids; `people` counts them after it."""

    generation: str
    as_of: datetime
    people: int
    created: int
    merged: int
    split: int
    retired: int


@dataclass(frozen=True, slots=True)
class Health:
    """The published identity in numbers."""

    generation: str
    people: int
    sizes: tuple[SizeClass, ...]
    kinds: tuple[KindHealth, ...]
    blocked: tuple[BlockedHealth, ...]
    generations: tuple[GenerationHealth, ...]


def measure(engine: Engine, limits: Limits, generations: int = 5) -> Health:
    """Ask the published generation; works on the published copy.

    Args:
        engine: the warehouse.
        limits: as unify has them.
        generations: how many of the last ones to tell of, at least 1.

    Raises:
        FixSettings: nothing is published yet.
    """
    state = published(engine)
    if state is None:
        raise FixSettings("nothing is published yet", where="ops.published", fix="Run the unify DAG once.")
    here = engine.at(state.generation)
    sizes = {int(row["identifiers"]): int(row["people"]) for row in here.query(_sizes())}
    return Health(
        state.generation,
        sum(sizes.values()),
        _size_classes(sizes),
        _kinds(here, limits),
        _blocked(here),
        tuple(history(here, generations)),
    )


def largest(here: Engine) -> int:
    """The most identifiers one person of a generation has."""
    rows = here.query(f"SELECT COALESCE(MAX(identifiers), 0) AS most FROM ({_sizes()}) AS s")
    return int(rows[0]["most"])


def history(here: Engine, generations: int) -> list[GenerationHealth]:
    """The last published generations, the latest first, by what `identity.changes` of the engine's one tells."""
    counted = ", ".join(
        f"COALESCE(COUNTIF(c.change = '{name}'), 0) AS {name}" for name in ("created", "merged", "split", "retired")
    )
    rows = here.query(
        f"""
        SELECT p.generation, p.as_of, p.people, {counted}
        FROM (
          SELECT generation, as_of, people FROM ops.published AS o ORDER BY as_of DESC, generation DESC LIMIT @most
        ) AS p
        LEFT JOIN identity.changes AS c ON c.generation = p.generation
        GROUP BY p.generation, p.as_of, p.people
        ORDER BY p.as_of DESC, p.generation DESC""",
        {"most": generations},
    )
    return [GenerationHealth(**row) for row in rows]


def _sizes() -> str:
    """SELECT of how many people have how many identifiers; an id that stands for a lone event has one."""
    return """
        SELECT GREATEST(COALESCE(i.identifiers, 1), 1) AS identifiers, COUNT(*) AS people
        FROM identity.customers AS c
        LEFT JOIN (
          SELECT customer_id, COUNT(*) AS identifiers FROM identity.identifiers AS i GROUP BY customer_id
        ) AS i ON i.customer_id = c.customer_id
        GROUP BY GREATEST(COALESCE(i.identifiers, 1), 1)"""


def _size_classes(sizes: Mapping[int, int]) -> tuple[SizeClass, ...]:
    found, least = [], 1
    for most in (*SIZES, None):
        people = sum(n for size, n in sizes.items() if size >= least and (most is None or size <= most))
        found.append(SizeClass(least, most, people))
        least = (most or 0) + 1
    return tuple(each for each in found if each.people)


def _kinds(here: Engine, limits: Limits) -> tuple[KindHealth, ...]:
    rows = here.query("""
        SELECT kind, identifiers, COUNT(*) AS people
        FROM (
          SELECT customer_id, kind, COUNT(*) AS identifiers
          FROM identity.identifiers AS i
          GROUP BY customer_id, kind
        ) AS had
        GROUP BY kind, identifiers
        ORDER BY kind, identifiers""")
    by_kind: dict[str, list[tuple[int, int]]] = {}
    for row in rows:
        by_kind.setdefault(row["kind"], []).append((int(row["identifiers"]), int(row["people"])))
    # A limit for a window says nothing about how many one has in all.
    most = {kind: None if kind_of(kind).window_days else limits.limit(kind_of(kind)) for kind in by_kind}
    return tuple(_kind(kind, counts, most[kind]) for kind, counts in by_kind.items())


def _kind(kind: str, counts: Sequence[tuple[int, int]], limit: int | None) -> KindHealth:
    people = sum(n for _, n in counts)
    passed, p99 = 0, 0
    for size, n in counts:
        passed, p99 = passed + n, size
        if passed >= HUNDREDTH * people:
            break
    near = at_limit = 0
    if limit is not None and limit > 1:
        at_limit = sum(n for size, n in counts if size >= limit)
        near = sum(n for size, n in counts if math.floor(NEAR * limit) <= size < limit)
    return KindHealth(kind, people, sum(size * n for size, n in counts), p99, counts[-1][0], limit, near, at_limit)


def _blocked(here: Engine) -> tuple[BlockedHealth, ...]:
    rows: list[dict[str, Any]] = here.query("""
        SELECT kind, reason, number AS `values`, COALESCE(met, 0) AS met, value AS top
        FROM (
          SELECT kind, reason, value, met,
            COUNT(*) OVER (PARTITION BY kind, reason) AS number,
            ROW_NUMBER() OVER (PARTITION BY kind, reason ORDER BY COALESCE(met, 0) DESC, value) AS place
          FROM identity.blocked_values AS b
        ) AS ranked
        WHERE place = 1
        ORDER BY number DESC, kind, reason""")
    return tuple(BlockedHealth(**row) for row in rows)
