"""What a segment would hold now, and what an edited file would make of its list; nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from include.activate.freshness import missing_facts
from include.activate.membership import Change, changed, computed, latest_runs, yesterday
from include.activate.segment import Segment, mask, put_list
from include.run import Run
from include.settings import Settings
from include.warehouse.engine import Engine
from include.warehouse.models import at_published

Row = dict[str, str]
"""A masked row of a list."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a segment would hold now; values are masked.

    Attributes:
        members: people on it.
        columns: of the list.
        sample: some of its rows.
        held: why a run would not compute it; None when it would.
        generation: the published one it was computed from.
        since: 24 hours before the run's clock.
        change: against the list as it was then; None where there was none yet.
    """

    members: int
    columns: tuple[str, ...]
    sample: tuple[Row, ...]
    held: str | None
    generation: str
    since: datetime
    change: Change | None


@dataclass(frozen=True, slots=True)
class Edit:
    """What an edited file would make of the list there is; values are masked.

    Attributes:
        change: the list against the file's.
        entering: some of the rows of who would enter.
        held: why a run would not compute it; None when it would.
        as_of: clock of the list, and so of the comparison.
        newer: the generation published since the list was computed, whose news is in the numbers too; None for none.
    """

    change: Change
    entering: tuple[Row, ...]
    held: str | None
    as_of: datetime
    newer: str | None


def preview(engine: Engine, segment: Segment, settings: Settings, run: Run, sample: int = 10) -> Preview:
    """What the segment would hold now, without writing a list; works on the published copy too.

    Raises:
        FixSettings: nothing is published yet, or the query does not run.
    """
    reader, state = at_published(engine)
    held = missing_facts(reader, segment.sql, segment.header.max_age, state, run, settings)
    columns = put_list(reader, segment, run.as_of, settings)
    members = int(reader.query("SELECT COUNT(*) AS n FROM scratch.segment_list")[0]["n"])
    rows = reader.query("SELECT * FROM scratch.segment_list ORDER BY customer_id LIMIT @n", {"n": sample})
    since = yesterday(run.as_of)
    first = latest_runs(reader, segment.name).get("computed")
    change = changed(reader, segment.name, since, None) if first and first["first_at"] <= since else None
    return Preview(members, tuple(columns), tuple(map(_masked, rows)), held, state.generation, since, change)


def edit(engine: Engine, name: str, edited: Segment, settings: Settings, run: Run, sample: int = 5) -> Edit:
    """What would change if a list were computed by another file: both at the clock of the list there is.

    Args:
        engine: the warehouse, or the published copy.
        name: the list.
        edited: the file.
        settings: the settings.
        run: the run, for the age of facts.
        sample: how many of those who would enter and leave to show.

    Raises:
        FixSettings: nothing is published, the list was never computed, or the file's query does not run.
    """
    reader, state = at_published(engine)
    known = computed(reader, name)
    held = missing_facts(reader, edited.sql, edited.header.max_age, state, run, settings)
    put_list(reader, edited, known.last_at, settings)
    change = changed(reader, name, known.last_at, None, sample)
    rows = reader.query(
        "SELECT l.* FROM scratch.segment_list AS l "
        "INNER JOIN scratch.segment_change AS c ON c.customer_id = l.customer_id "
        "WHERE NOT c.was_on ORDER BY l.customer_id LIMIT @n",
        {"n": sample},
    )
    newer = state.generation if state.generation != known.generation else None
    return Edit(change, tuple(map(_masked, rows)), held, known.last_at, newer)


def _masked(row: dict[str, object]) -> Row:
    return {name: mask(name, value) for name, value in row.items()}
