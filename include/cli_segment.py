"""`stitchline segment`: who would be on a list, what changed on it, who was on it when, and what lists share."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console

from include.cli_identity import IDENTIFIER
from include.connect.errors import FixSettings

if TYPE_CHECKING:
    from include.activate.membership import Change, Moved
    from include.activate.segment import Segment
    from include.settings import Settings
    from include.warehouse.engine import Engine

segment_app = typer.Typer(no_args_is_help=True, help="Segments: who is on a list, and why.")
out = Console(highlight=False, width=None if sys.stdout.isatty() else 160)

MOMENT = "a day (its beginning) or a moment, such as 2026-11-20 or 2026-11-20T09:30; in the time zone of the settings"


@segment_app.command("preview")
def segment_preview(
    name: str, sql: Annotated[bool, typer.Option("--sql", help="print the query for the BigQuery console")] = False
) -> None:
    """Who would be on the list now, and what changed since yesterday; values are masked and nothing is written."""
    from include.activate.preview import preview
    from include.activate.segment import console_sql, get_segment
    from include.cli import _now, _settings
    from include.warehouse.engine import connect

    settings = _settings(None)
    segment = get_segment(name)
    run = _now(f"preview_{name}")
    if sql:
        sys.stdout.write(console_sql(segment, run.as_of, settings))
        return
    with connect(settings, read_only=True) as engine:
        found = preview(engine, segment, settings, run)
    out.print(f"{segment.header.title}: {found.members:,} people in generation {found.generation}")
    if found.held:
        out.print(f"held: {found.held}", soft_wrap=True)
    if found.change is None:
        out.print(f"since yesterday: no list yet at {_time(found.since, settings)}")
    else:
        change = found.change
        out.print(
            f"since yesterday: {change.entered:,} entered, {change.left:,} left, "
            f"{change.before:,} were on it at {_time(found.since, settings)}"
        )
    _print_rows(found.sample)


@segment_app.command("diff")
def segment_diff(
    name: str,
    since: Annotated[str | None, typer.Option(help=f"{MOMENT}; 24 hours ago if not said")] = None,
    until: Annotated[str | None, typer.Option(help="the later moment; now if not said")] = None,
    against: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="an edited file, instead of another moment")
    ] = None,
) -> None:
    """Who entered and left a list between two moments, or would by an edited file; nothing is written."""
    from include.activate.membership import changed, computed, yesterday
    from include.activate.segment import get_segment
    from include.cli import _now, _settings

    if against is not None and (since or until):
        raise typer.BadParameter("--against compares with the list as it is: leave --since and --until out")
    settings = _settings(None)
    segment = get_segment(name)
    run = _now(f"diff_{name}")
    if against is not None:
        _diff_edit(segment, against, settings)
        return
    first = _moment(since, "--since", settings) if since else yesterday(run.as_of)
    last = _moment(until, "--until", settings) if until else run.as_of
    if not first < last <= run.as_of:
        raise typer.BadParameter("--since must be before --until, and neither in the future")
    with _reading(settings) as reader:
        known = computed(reader, name)
        if known.first_at > first:
            raise FixSettings(
                f"{name} had no list yet at {_time(first, settings)}",
                where="segments.runs",
                fix=f"It was first computed at {_time(known.first_at, settings)}: say a later --since.",
            )
        change = changed(reader, name, first, last)
    out.print(f"{segment.header.title}, from {_time(first, settings)} to {_time(last, settings)}")
    _print_change(change, "entered", "left")
    _print_moved("entered", change.entered_sample, settings)
    _print_moved("left", change.left_sample, settings)
    _print_held(known.held)


def _diff_edit(segment: Segment, path: Path, settings: Settings) -> None:
    from include.activate.preview import edit
    from include.activate.segment import read_segment
    from include.cli import _now
    from include.warehouse.engine import connect

    edited = read_segment(path.resolve())
    with connect(settings, read_only=True) as engine:
        found = edit(engine, segment.name, edited, settings, _now(f"diff_{segment.name}"))
    out.print(f"{segment.header.title}, by {path} instead, at the list's own clock, {_time(found.as_of, settings)}")
    if found.newer:
        out.print(f"in these numbers too: what generation {found.newer} brought, published since", soft_wrap=True)
    _print_held(found.held)
    _print_change(found.change, "would enter", "would leave")
    if found.entering:
        out.print("would enter")
        _print_rows(found.entering)
    _print_moved("would leave", found.change.left_sample, settings)


@segment_app.command("history")
def segment_history(
    name: Annotated[str | None, typer.Argument(help="segment; may be left out with --person")] = None,
    person: Annotated[str | None, typer.Option(help=f"{IDENTIFIER}: the lists one person was on")] = None,
    last: Annotated[int, typer.Option("--days", min=1, help="of how many of the last days to tell")] = 30,
) -> None:
    """Day by day who entered and left a list, or when one person was on which lists."""
    from include.activate.membership import computed, days
    from include.activate.segment import get_segment
    from include.cli import _settings

    if name is None and person is None:
        raise typer.BadParameter("name a segment, or a person with --person")
    settings = _settings(None)
    segment = get_segment(name) if name else None
    if person is not None:
        _print_stays(segment, person, settings)
        return
    assert segment is not None
    zone = ZoneInfo(settings.timezone)
    today = datetime.now(zone).date()
    since = datetime.combine(today - timedelta(days=last - 1), time(), zone).astimezone(UTC)
    with _reading(settings) as reader:
        known = computed(reader, segment.name)
        found = days(reader, segment.name, since, settings.timezone)
    out.print(f"{segment.header.title}, days of {settings.timezone}; first computed {_time(known.first_at, settings)}")
    _print_cells(("day", "entered", "left", "size"))
    for day in found:
        size = "" if day.members is None else day.members
        held = f"   held: {day.held}" if day.held else ""
        _print_cells((day.day, day.entered, day.left, size), held)
    if not found:
        out.print(f"  not computed in the last {last} days; last at {_time(known.last_at, settings)}")


def _print_stays(segment: Segment | None, identifier: str, settings: Settings) -> None:
    from include.activate.membership import computed, stays
    from include.cli_identity import _space
    from include.warehouse.identity.explain import CUSTOMER, owner, spelled_out

    by_id = identifier.partition(":")
    kind, value = (CUSTOMER, by_id[2]) if by_id[0] == CUSTOMER else spelled_out(identifier)
    with _reading(settings) as reader:
        who = owner(reader, kind, value, _space(settings))
        if segment is not None:
            computed(reader, segment.name)
        found = stays(reader, who, segment.name if segment else None)
    out.print(f"customer {who}")
    for stay in found:
        left = f"left {_time(stay.left_at, settings)}" if stay.left_at else "is on it"
        out.print(f"  {stay.segment:30} entered {_time(stay.entered_at, settings)}   {left}", soft_wrap=True)
    if not found:
        out.print(f"  was never on {segment.name if segment else 'any list'}")


@segment_app.command("overlap")
def segment_overlap(names: Annotated[list[str], typer.Argument(help="two segments or more")]) -> None:
    """How many people the computed lists share: each two of them, and all together."""
    from include.activate.membership import computed, overlaps
    from include.activate.segment import get_segment
    from include.cli import _settings

    if len(names) < 2 or len(set(names)) < len(names):
        raise typer.BadParameter("name two different segments or more")
    settings = _settings(None)
    for name in names:
        get_segment(name)
    with _reading(settings) as reader:
        known = {name: computed(reader, name) for name in names}
        found = overlaps(reader, names)
    width = max(len(" + ".join(each.segments)) for each in found)
    for each in found:
        what = " + ".join(each.segments)
        if len(each.segments) == 1:
            said = f"computed {_time(known[what].last_at, settings)}"
        else:
            said = "" if each.share is None else f"{each.share:.1%} of the smallest"
        out.print(f"  {what:{width}} {each.people:>12,}   {said}".rstrip(), soft_wrap=True)


@contextmanager
def _reading(settings: Settings) -> Iterator[Engine]:
    """The published generation, with the lists as they were computed last."""
    from include.warehouse.engine import connect
    from include.warehouse.models import at_published

    with connect(settings, read_only=True) as engine:
        yield at_published(engine)[0]


def _moment(text: str, option: str, settings: Settings) -> datetime:
    """A day or a moment as somebody typed it, in UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{option} {text!r} is neither a day nor a moment: write 2026-11-20") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(settings.timezone))).astimezone(UTC)


def _time(moment: datetime, settings: Settings) -> str:
    return f"{moment.astimezone(ZoneInfo(settings.timezone)):%Y-%m-%d %H:%M %Z}"


def _print_change(change: Change, entered: str, left: str) -> None:
    out.print(
        f"{change.before:,} people before, {change.after:,} after: {change.entered:,} {entered}, {change.left:,} {left}"
    )


def _print_moved(word: str, people: Iterable[Moved], settings: Settings) -> None:
    from include.activate.segment import mask

    for one in people:
        entered = f"on it from {_time(one.entered_at, settings)}" if one.entered_at else ""
        is_gone = one.left_at is not None and (one.entered_at is None or one.left_at > one.entered_at)
        left = f" to {_time(one.left_at, settings)}" if one.left_at and is_gone else ""
        out.print(f"  {word:12} {mask('customer_id', one.customer_id)}  {entered}{left}".rstrip(), soft_wrap=True)


def _print_held(reason: str | None) -> None:
    if reason:
        out.print(f"held: {reason}", soft_wrap=True)


def _print_rows(rows: Iterable[dict[str, str]]) -> None:
    for row in rows:
        out.print("  " + "  ".join(f"{column}={value}" for column, value in row.items()), soft_wrap=True)


def _print_cells(cells: Iterable[object], note: str = "") -> None:
    first, *rest = cells
    shown = (f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in rest)
    out.print(f"  {first!s:12}" + "".join(f"{cell:>12}" for cell in shown) + note, soft_wrap=True)
