"""Why an identifier belongs to a person: the shortest chain of evidence, and the reason where there is none."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.connect.errors import FixSettings
from include.warehouse.engine import Engine
from include.warehouse.identity.hashed import HASHES
from include.warehouse.identity.kinds import KINDS, kind_of
from include.warehouse.identity.normalize import normalized

SPELLED = ("email", "phone", *(name for name, _ in HASHES), "linkedin_url", "twitter_handle")
"""Kinds whose values have a spelling of their own; all others are only trimmed."""
CUSTOMER = "customer_id"
"""What stands for a kind where a person is named by their id."""
MOST_LINKS = 50_000
UNKNOWN = "identity.identifiers"
"""Where an identifier is missing that nobody has."""


@dataclass(frozen=True, slots=True)
class Step:
    """One piece of evidence on the way, or (with `note`) why there is none.

    Attributes:
        rule: file in identity/rules, or email_hash, phone_hash, must_link, blocked, shared, apart.
        left_kind, left_value: where the step comes from.
        right_kind, right_value: where it leads; None for a note.
        source: table of the record that says so.
        record_key: the record.
        first_seen_at: when it was first seen.
        occurrences: how often it was seen.
        is_inferred: whether it is a guess.
        customer_id: the person it speaks of, if any.
        note: in words, for what is no link.
    """

    rule: str
    left_kind: str
    left_value: str
    right_kind: str | None = None
    right_value: str | None = None
    source: str | None = None
    record_key: str | None = None
    first_seen_at: datetime | None = None
    occurrences: int = 0
    is_inferred: bool = False
    customer_id: str | None = None
    note: str = ""


def explain(
    engine: Engine, kind: str | None, value: str, other: tuple[str | None, str] | None = None, space: str = ""
) -> list[Step]:
    """The shortest chain from an identifier to its person's anchor, or to `other`.

    From the anchor itself: every link it has. A blocked or shared identifier answers with one step saying why.

    Args:
        engine: reads the published identity, or a generation's with `.at()`.
        kind: the identifier's kind; None looks in every kind.
        value: the identifier, spelled in any way.
        other: (kind or None, value) of a second identifier.
        space: what every value begins with (`@space`).

    Raises:
        FixSettings: nobody has such an identifier, or several kinds do and none was named.
    """
    start = find(engine, kind, value, space)
    if isinstance(start, Step):
        return [start]
    goal = find(engine, *other, space) if other else _anchor(engine, start["customer_id"])
    if isinstance(goal, Step):
        return [goal]
    customer_id = start["customer_id"]
    if goal["customer_id"] != customer_id:
        return [
            Step(
                "apart", start["kind"], start["value"], goal["kind"], goal["value"], customer_id=customer_id,
                note="They belong to two people; no trusted evidence that a guard let pass connects them.",
            )
        ]  # fmt: skip
    links = engine.query(
        f"SELECT * FROM identity.links AS l WHERE customer_id = @customer_id LIMIT {MOST_LINKS}",
        {"customer_id": customer_id},
    )
    return _shortest(links, (start["kind"], start["value"]), (goal["kind"], goal["value"]))


def spelled_out(text: str) -> tuple[str | None, str]:
    """What people write for an identifier: `kind:value`, or a value of any kind (None)."""
    kind, mark, value = text.partition(":")
    is_kind = any(known.name == kind for known in KINDS)
    return (kind, value) if mark and is_kind else (None, text)


def owner(engine: Engine, kind: str | None, value: str, space: str = "") -> str:
    """The id of whoever has an identifier; an id that was merged into another leads on.

    Args:
        engine: reads the published identity, or a generation's with `.at()`.
        kind: the identifier's kind, or customer_id; None looks in every kind.
        value: the identifier, spelled in any way.
        space: what every identifier begins with (`@space`).

    Raises:
        FixSettings: nobody has it, several people do, or it is blocked or shared.
    """
    if kind == CUSTOMER:
        rows = engine.query(
            "SELECT customer_id FROM identity.customers AS c WHERE customer_id = @id UNION ALL "
            "SELECT customer_id FROM identity.redirects AS r WHERE old_customer_id = @id",
            {"id": value},
        )
        if rows:
            return str(rows[0]["customer_id"])
        raise FixSettings("nobody has this id", where="identity.customers", fix="Name another identifier of theirs.")
    found = find(engine, kind, value, space)
    if isinstance(found, Step):
        raise FixSettings(
            f"this {found.left_kind} is nobody's alone ({found.note})",
            where="identity.blocked_values",
            fix="Name an identifier that is the person's own, or their customer_id.",
        )
    return str(found["customer_id"])


def find(engine: Engine, kind: str | None, value: str, space: str) -> dict[str, Any] | Step:
    """The identifier's row (kind, value, customer_id), or a step that says why it has no person.

    Raises:
        FixSettings: nobody has such an identifier, or several kinds do and none was named.
    """
    spelled = [f"""{normalized(f"'{name}'", "@value")} AS {name}""" for name in SPELLED]
    spelled.append(f"""{normalized("'other'", "@value")} AS plain""")
    forms = engine.query(f"SELECT {', '.join(spelled)}", {"value": value})[0]
    params = {name: f"{space}{form}" for name, form in forms.items() if form is not None}
    matches = [f"(t.kind = '{name}' AND t.value = @{name})" for name in SPELLED if name in params]
    if "plain" in params:
        listed = ", ".join(f"'{name}'" for name in SPELLED)
        matches.append(f"(t.kind NOT IN ({listed}) AND t.value = @plain)")
    named = " AND t.kind = @kind" if kind else ""
    where = f"({' OR '.join(matches) or 'FALSE'}){named}"
    if kind:
        params["kind"] = kind
    rows = engine.query(f"SELECT t.kind, t.value, t.customer_id FROM identity.identifiers AS t WHERE {where}", params)
    rows.sort(key=lambda row: (kind_of(row["kind"]).rank, row["kind"]))
    if len({row["customer_id"] for row in rows}) > 1:
        kinds = ", ".join(row["kind"] for row in rows)
        raise FixSettings(f"the value is known as {kinds}, of different people", where="identity", fix="Name the kind.")
    if rows:
        return rows[0]
    blocked = engine.query(
        f"SELECT t.kind, t.value, t.reason, t.detail, t.met FROM identity.blocked_values AS t WHERE {where}", params
    )
    if not blocked:
        raise FixSettings(
            "nobody has this identifier",
            where=UNKNOWN,
            fix="Check its spelling and kind, and when unify last ran.",
        )
    row = blocked[0]
    rule = "shared" if row["reason"].startswith("shared") else "blocked"
    detail = f": {row['detail']}" if row["detail"] else ""
    return Step(rule, row["kind"], row["value"], occurrences=int(row["met"] or 0), note=f"{row['reason']}{detail}")


def _anchor(engine: Engine, customer_id: str) -> dict[str, Any]:
    rows = engine.query(
        "SELECT anchor_kind AS kind, anchor_value AS value, customer_id FROM identity.customers AS c "
        "WHERE customer_id = @customer_id",
        {"customer_id": customer_id},
    )
    return rows[0]


def _shortest(links: list[dict[str, Any]], start: tuple[str, str], goal: tuple[str, str]) -> list[Step]:
    """Breadth-first, trusted links before inferred ones, older before younger: the answer is always the same."""
    links.sort(
        key=lambda link: (
            link["is_inferred"],
            str(link["first_seen_at"] or ""),
            link["rule"],
            link["left_value"],
            link["right_value"],
        )
    )
    around: dict[tuple[str, str], list[tuple[tuple[str, str], Step]]] = {}
    for link in links:
        left, right = (link["left_kind"], link["left_value"]), (link["right_kind"], link["right_value"])
        for one, two in ((left, right), (right, left)):
            around.setdefault(one, []).append((two, _step(link, one, two)))
    if start == goal:
        return [step for _, step in around.get(start, [])]
    came: dict[tuple[str, str], Step] = {}
    queue = deque([start])
    while queue and goal not in came:
        here = queue.popleft()
        for there, step in around.get(here, []):
            if there != start and there not in came:
                came[there] = step
                queue.append(there)
    chain: list[Step] = []
    here = goal
    while here != start and here in came:
        chain.append(came[here])
        here = (came[here].left_kind, came[here].left_value)
    return chain[::-1]


def _step(link: dict[str, Any], one: tuple[str, str], two: tuple[str, str]) -> Step:
    return Step(
        link["rule"],
        *one,
        *two,
        link["source"],
        link["record_key"],
        link["first_seen_at"],
        int(link["occurrences"] or 0),
        bool(link["is_inferred"]),
        link["customer_id"],
    )
