"""Cursors: how far a stream has been read, and how that moves."""

from __future__ import annotations

import re
from datetime import UTC, datetime

MILLISECONDS_FROM = 10**11
"""Epoch numbers from here on are milliseconds; as seconds they would lie past the year 5000."""

DOT_NET = re.compile(r"/Date\((-?\d+)(?:[+-]\d{4})?\)/")
"""Milliseconds as .NET writes them; the zone behind them says only where they were written."""


def instant(value: object) -> datetime | None:
    """A vendor's time (ISO text, epoch seconds or milliseconds, `/Date(ms)/`) in UTC; None where it is none."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        if isinstance(value, str) and not value.isdecimal():
            if value[:1] == "/" and (milliseconds := DOT_NET.fullmatch(value)):
                return datetime.fromtimestamp(int(milliseconds[1]) / 1000, UTC)
            at = datetime.fromisoformat(value)
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        if not isinstance(value, str | int | float):
            return None
        number = int(value) if isinstance(value, str) else value
        return datetime.fromtimestamp(number / 1000 if abs(number) >= MILLISECONDS_FROM else number, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def written(at: datetime) -> str:
    """A time as cursors hold it: ISO, UTC, microseconds, so that text order is time order."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def advanced(cursor: str | None, seen: str | None, until: datetime) -> str | None:
    """The cursor after a pull that saw `seen`: never backwards, and never past the run's clock.

    A record dated in the future would otherwise hide every later change. Cursors that are not times
    (a vendor's own token) have no order: the newer one replaces the older.
    """
    if seen is None:
        return cursor
    at = instant(seen)
    if at is None:
        return seen
    capped = min(at, until.astimezone(UTC))
    before = instant(cursor)
    return written(capped if before is None else max(before, capped))


class Highest:
    """The greatest cursor value of many records, in whatever form the vendor writes times."""

    __slots__ = ("_at", "_last")

    def __init__(self, value: str | None = None) -> None:
        self._at = instant(value)
        self._last: object = None

    @property
    def value(self) -> str | None:
        """The greatest so far, as cursors are written."""
        return None if self._at is None else written(self._at)

    def see(self, value: object) -> None:
        """Take one record's cursor into account; anything that is not a time is ignored."""
        if value is None or value == self._last:
            return
        self._last = value
        at = instant(value)
        if at is not None and (self._at is None or at > self._at):
            self._at = at
