"""The last look before marts: a generation that turned many people into others, or one into a crowd, is not published.

Nothing of the evidence tells a wrong merge from a right one when a source suddenly gives everybody the same phone
number. That many people change in one run does: it is compared with what earlier runs did.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from include.connect.errors import ReviewIdentity
from include.run import Run
from include.settings import Settings
from include.warehouse.engine import Engine
from include.warehouse.identity.components import count
from include.warehouse.identity.health import history, largest
from include.warehouse.layers import named
from include.warehouse.models import published
from include.warehouse.render import generated_name

log = logging.getLogger(__name__)
RUNBOOK = "docs/runbooks/identity-health.md"
ACCEPT = "accept_identity_changes"
"""Parameter of the DAG `unify` that lets one run pass."""
COMPARED = 20
"""Earlier generations whose median is the usual number of changes."""
YOUNG = 4
"""With fewer earlier generations than this there is nothing to compare with: sources are being added."""
USUAL_TIMES = 3
"""A run may do this many times what is usual, whatever the share of people."""
FEW_CHANGES = 100
"""So many merges, or splits, are never too many: in a small company everything is a large share."""
FEW_IDENTIFIERS = 200
"""So many identifiers are never too many for one person."""
RULES_NAMED = 3


@dataclass(frozen=True, slots=True)
class Look:
    """What was found: the most identifiers of one person, and what is too much, in words."""

    largest: int
    too_much: tuple[str, ...] = ()


def look_for_jumps(engine: Engine, run: Run, settings: Settings, *, is_accepted: bool = False) -> Look:
    """Compare the run's generation with those before it.

    Args:
        engine: the warehouse; the generation's identity is stitched.
        run: whose generation it is.
        settings: the shares and the growth that are allowed.
        is_accepted: a person looked and lets it pass; what is too much is logged.

    Raises:
        ReviewIdentity: more merges, splits or identifiers of one person than the settings and earlier runs allow.
    """
    here = engine.at(run.run_id)
    most = largest(here)
    before = published(engine, before=run.run_id)
    if before is None:
        return Look(most)
    old = engine.at(before.generation)
    compared = [each for each in history(old, COMPARED) if each.generation != run.run_id]
    if len(compared) < YOUNG:
        return Look(most)
    people = count(old, "identity.customers")
    done = here.query(
        """SELECT COUNTIF(change = 'merged') AS merged, COUNTIF(change = 'split') AS split
        FROM identity.changes AS c WHERE generation = @generation""",
        {"generation": run.run_id},
    )[0]
    found = [
        _too_many(
            int(done["merged"] or 0), "merged into others", settings.identity_max_merged_share, people,
            [each.merged for each in compared], lambda: merged_by_rule(here, run.run_id),
        ),
        _too_many(
            int(done["split"] or 0), "were split off others", settings.identity_max_split_share, people,
            [each.split for each in compared], lambda: split_by_rule(here, run.run_id, before.generation),
        ),
        _too_large(here, most, largest(old), settings.identity_max_growth),
    ]  # fmt: skip
    too_much = tuple(text for text in found if text)
    if too_much and not is_accepted:
        table = f"generations.{generated_name('identity', 'changes', run.run_id)}"
        raise ReviewIdentity(
            "; ".join(too_much),
            where="identity.changes",
            fix=f"Nothing is published, everybody reads generation {before.generation} on. Look at {table} where "
            f"generation = '{run.run_id}'. If it is wrong, mend the source, the rule or overrides.yaml "
            "(`stitchline identity preview` shows what that changes) and clear the task `identity`; if it is right, "
            f"trigger unify with {ACCEPT} = true. {RUNBOOK}",
        )
    for text in too_much:
        log.warning("let pass by the parameter %s: %s", ACCEPT, text)
    return Look(most, too_much)


def merged_by_rule(here: Engine, generation: str) -> dict[str, int]:
    """Rule -> people that a generation merged into others by it, most first; `new identifiers` where none is known."""
    rows = here.query(
        """SELECT IF(STRPOS(detail, ': ') > 0, SPLIT(detail, ': ')[SAFE_OFFSET(0)], 'new identifiers') AS rule,
          COUNT(*) AS n
        FROM identity.changes AS c WHERE generation = @generation AND change = 'merged'
        GROUP BY rule ORDER BY n DESC, rule""",
        {"generation": generation},
    )
    return {row["rule"]: int(row["n"]) for row in rows}


def split_by_rule(here: Engine, generation: str, previous: str) -> dict[str, int]:
    """Rule -> links by it that held split people together in the previous generation and hold no more, most first."""
    rows = here.query(
        f"""SELECT l.rule, COUNT(*) AS n
        FROM {named("identity.links", previous)} AS l
        INNER JOIN (
          SELECT DISTINCT other_customer_id FROM identity.changes AS c
          WHERE generation = @generation AND change = 'split'
        ) AS s ON s.other_customer_id = l.customer_id
        LEFT JOIN identity.identifiers AS x ON x.kind = l.left_kind AND x.value = l.left_value
        LEFT JOIN identity.identifiers AS y ON y.kind = l.right_kind AND y.value = l.right_value
        WHERE NOT l.is_inferred
          AND (x.customer_id IS NULL OR y.customer_id IS NULL OR x.customer_id <> y.customer_id)
        GROUP BY l.rule ORDER BY n DESC, l.rule""",
        {"generation": generation},
    )
    return {row["rule"]: int(row["n"]) for row in rows}


def crowded_by_rule(here: Engine, allowed: int) -> dict[str, int]:
    """Rule -> links by it that hold people together who have more identifiers than are allowed, most first."""
    rows = here.query(
        """SELECT rule, COUNT(*) AS n
        FROM identity.links AS l
        WHERE customer_id IN (
          SELECT customer_id FROM identity.identifiers AS i GROUP BY customer_id HAVING COUNT(*) > @allowed
        )
        GROUP BY rule ORDER BY n DESC, rule""",
        {"allowed": allowed},
    )
    return {row["rule"]: int(row["n"]) for row in rows}


def in_words(by_rule: dict[str, int], most: int = RULES_NAMED) -> str:
    """`rule 900, other_rule 30 and 2 more rules`."""
    named_ones = ", ".join(f"{rule} {n:,}" for rule, n in list(by_rule.items())[:most])
    rest = len(by_rule) - most
    return f"{named_ones} and {rest} more rules" if rest > 0 else named_ones


def _too_many(
    number: int, did: str, share: float, people: int, before: Sequence[int], by_rule: Callable[[], dict[str, int]]
) -> str:
    usual = median(before)
    allowed = max(FEW_CHANGES, share * people, USUAL_TIMES * usual)
    if number <= allowed:
        return ""
    return (
        f"{number:,} people {did}, of {people:,}; allowed are {allowed:,.0f} and usual {usual:,.0f} "
        f"(most by {in_words(by_rule())})"
    )


def _too_large(here: Engine, most: int, most_before: int, growth: float) -> str:
    allowed = max(FEW_IDENTIFIERS, growth * most_before)
    if most <= allowed:
        return ""
    return (
        f"a person has {most:,} identifiers; before, nobody had more than {most_before:,}; allowed are {allowed:,.0f} "
        f"(most by {in_words(crowded_by_rule(here, int(allowed)))})"
    )
