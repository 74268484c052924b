"""Who was on which list and when: between two moments, day by day, of one person, and in several lists at once.

Everything is answered from `segments.memberships` and `segments.runs`; ids that are gone count as who they are now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import combinations
from typing import Any

from include.connect.errors import FixSettings
from include.warehouse.engine import Engine

WHO = "COALESCE(r.customer_id, m.customer_id)"
HISTORY = "segments.memberships AS m LEFT JOIN identity.redirects AS r ON r.old_customer_id = m.customer_id"
"""Every stay on a list; `WHO` is its person as they are known now."""


@dataclass(frozen=True, slots=True)
class Computed:
    """When a list was computed.

    Attributes:
        first_at, last_at: clocks of the first run and the last that computed it.
        generation: what the last was computed from.
        held: why the latest run left the list as it was; None when it computed it.
    """

    first_at: datetime
    last_at: datetime
    generation: str
    held: str | None


@dataclass(frozen=True, slots=True)
class Moved:
    """One person who entered or left: since when they are or were on the list, and when they last left it."""

    customer_id: str
    entered_at: datetime | None
    left_at: datetime | None


@dataclass(frozen=True, slots=True)
class Change:
    """How a list differs between two moments.

    Attributes:
        before, after: people on it.
        entered, left: people on it only then, only before.
        entered_sample, left_sample: some of them, the same ones each time.
    """

    before: int
    after: int
    entered: int
    left: int
    entered_sample: tuple[Moved, ...]
    left_sample: tuple[Moved, ...]


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a list; `members` and `held` are of the day's last run that computed it and that held it.

    A merge of two members makes `members` one less, and nobody left.
    """

    day: date
    entered: int
    left: int
    members: int | None
    held: str | None


@dataclass(frozen=True, slots=True)
class Stay:
    """One person's time on one list; `left_at` None while it lasts."""

    segment: str
    entered_at: datetime
    left_at: datetime | None


@dataclass(frozen=True, slots=True)
class Overlap:
    """How many people several lists share, and how much that is of the smallest of them, 0 to 1 (None: it is empty)."""

    segments: tuple[str, ...]
    people: int
    share: float | None


def computed(reader: Engine, segment: str) -> Computed:
    """When a list was computed.

    Raises:
        FixSettings: it never was; says why where its runs were held.
    """
    rows = latest_runs(reader, segment)
    if "computed" not in rows:
        why = f"; it is held: {rows['held']['reason']}" if "held" in rows else ""
        raise FixSettings(
            f"{segment} was never computed{why}", where="segments.runs", fix=f"Run the DAG segment_{segment} once."
        )
    last, held = rows["computed"], rows.get("held")
    is_held = held is not None and held["as_of"] > last["as_of"]
    return Computed(last["first_at"], last["as_of"], last["generation"], held["reason"] if held and is_held else None)


def latest_runs(reader: Engine, segment: str) -> dict[str, dict[str, Any]]:
    """The last run of a list by status (computed, held), each with `first_at` of its status; empty for none."""
    if not reader.columns("segments.runs"):
        return {}
    rows = reader.query(
        "SELECT status, as_of, generation, reason, MIN(as_of) OVER (PARTITION BY status) AS first_at "
        "FROM segments.runs AS s WHERE segment = @segment "
        "QUALIFY ROW_NUMBER() OVER (PARTITION BY status ORDER BY as_of DESC, run_id DESC) = 1",
        {"segment": segment},
    )
    return {row["status"]: row for row in rows}


def changed(reader: Engine, segment: str, since: datetime, until: datetime | None, sample: int = 5) -> Change:
    """Who entered and who left a list between two moments.

    Args:
        reader: the published generation.
        segment: the list.
        since: the first moment.
        until: the second; None compares with `scratch.segment_list`, which was put there before.
        sample: how many of those who entered and who left to name.
    """
    then = "COALESCE(h.is_on, FALSE)" if until else "l.customer_id IS NOT NULL"
    listed = "" if until else "FULL JOIN scratch.segment_list AS l ON l.customer_id = h.customer_id"
    who = "h.customer_id" if until else "COALESCE(h.customer_id, l.customer_id)"
    reader.execute(
        "CREATE OR REPLACE TABLE scratch.segment_change AS WITH history AS ("
        f"SELECT {WHO} AS customer_id, "
        "LOGICAL_OR(m.entered_at <= @since AND COALESCE(m.left_at > @since, TRUE)) AS was_on, "
        "LOGICAL_OR(m.entered_at <= @until AND COALESCE(m.left_at > @until, TRUE)) AS is_on, "
        "MAX(IF(m.entered_at <= @until, m.entered_at, NULL)) AS entered_at, "
        "MAX(IF(m.left_at <= @until, m.left_at, NULL)) AS left_at "
        f"FROM {HISTORY} WHERE m.segment = @segment GROUP BY {WHO}) "
        f"SELECT {who} AS customer_id, COALESCE(h.was_on, FALSE) AS was_on, {then} AS is_on, h.entered_at, h.left_at "
        f"FROM history AS h {listed}",
        {"segment": segment, "since": since, "until": until or since},
    )
    row = reader.query(
        "SELECT COUNTIF(was_on) AS before, COUNTIF(is_on) AS after, COUNTIF(is_on AND NOT was_on) AS entered, "
        "COUNTIF(was_on AND NOT is_on) AS gone FROM scratch.segment_change AS c"
    )[0]
    samples = [
        tuple(Moved(**one) for one in reader.query(sql, {"n": sample}))
        for sql in (
            "SELECT customer_id, entered_at, left_at FROM scratch.segment_change AS c "
            "WHERE is_on AND NOT was_on ORDER BY customer_id LIMIT @n",
            "SELECT customer_id, entered_at, left_at FROM scratch.segment_change AS c "
            "WHERE was_on AND NOT is_on ORDER BY customer_id LIMIT @n",
        )
    ]
    return Change(int(row["before"]), int(row["after"]), int(row["entered"]), int(row["gone"]), *samples)


def days(reader: Engine, segment: str, since: datetime, timezone: str) -> list[Day]:
    """The days since a moment on which the list was computed or held, in order.

    Args:
        reader: the published generation.
        segment: the list.
        since: the first moment; the beginning of a day, or that day is told in part.
        timezone: whose days, an IANA name.
    """
    params = {"segment": segment, "since": since, "timezone": timezone}
    moves = reader.query(
        "SELECT day, SUM(entered) AS entered, SUM(gone) AS gone FROM ("
        "SELECT DATE(m.entered_at, @timezone) AS day, 1 AS entered, 0 AS gone FROM segments.memberships AS m "
        "WHERE m.segment = @segment AND m.entered_at >= @since UNION ALL "
        "SELECT DATE(m.left_at, @timezone) AS day, 0 AS entered, 1 AS gone FROM segments.memberships AS m "
        "WHERE m.segment = @segment AND m.left_at >= @since) AS moves GROUP BY day",
        params,
    )
    runs = reader.query(
        "SELECT DATE(s.as_of, @timezone) AS day, status, members, reason FROM segments.runs AS s "
        "WHERE segment = @segment AND as_of >= @since QUALIFY ROW_NUMBER() OVER ("
        "PARTITION BY DATE(s.as_of, @timezone), status ORDER BY as_of DESC, run_id DESC) = 1",
        params,
    )
    moved = {row["day"]: row for row in moves}
    members = {row["day"]: int(row["members"]) for row in runs if row["status"] == "computed"}
    held = {row["day"]: row["reason"] for row in runs if row["status"] == "held"}
    found = []
    for day in sorted(moved.keys() | members.keys() | held.keys()):
        moves_of_day = moved.get(day, {"entered": 0, "gone": 0})
        entered, left = int(moves_of_day["entered"]), int(moves_of_day["gone"])
        found.append(Day(day, entered, left, members.get(day), held.get(day)))
    return found


def stays(reader: Engine, customer_id: str, segment: str | None = None) -> list[Stay]:
    """When a person was on which lists, or on one of them; earlier ids of theirs count too."""
    only = " AND m.segment = @segment" if segment else ""
    rows = reader.query(
        f"SELECT m.segment, m.entered_at, m.left_at FROM {HISTORY} WHERE {WHO} = @customer_id{only} "
        "ORDER BY m.entered_at, m.segment, m.left_at IS NULL, m.left_at",
        {"customer_id": customer_id, "segment": segment or ""},
    )
    return [Stay(**row) for row in rows]


def overlaps(reader: Engine, segments: Sequence[str]) -> list[Overlap]:
    """The sizes of lists, then what each two of them share, then what all do (where they are more than two)."""
    rows = reader.query(
        "SELECT lists, COUNT(*) AS people FROM ("
        "SELECT customer_id, STRING_AGG(segment, ',' ORDER BY segment) AS lists FROM ("
        f"SELECT DISTINCT m.segment AS segment, {WHO} AS customer_id FROM {HISTORY} "
        "WHERE m.left_at IS NULL AND m.segment IN UNNEST(@segments)) AS one GROUP BY customer_id) AS whose "
        "GROUP BY lists",
        {"segments": list(segments)},
    )
    together = [(frozenset(row["lists"].split(",")), int(row["people"])) for row in rows]

    def people(names: Sequence[str]) -> int:
        return sum(number for lists, number in together if lists.issuperset(names))

    whole = [] if len(segments) < 3 else [tuple(segments)]
    wanted = [*((name,) for name in segments), *combinations(segments, 2), *whole]
    sizes = {name: people([name]) for name in segments}
    return [
        Overlap(names, people(names), people(names) / smallest if smallest else None)
        for names in wanted
        for smallest in (min(sizes[name] for name in names),)
    ]


def yesterday(moment: datetime) -> datetime:
    """24 hours before a moment."""
    return moment - timedelta(hours=24)
