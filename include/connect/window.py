"""Which part of a stream a run asks for, and where its cursor stands afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from include.connect.cursor import advanced, instant, written
from include.connect.errors import FixSettings
from include.connect.landing import Manifest, Span
from include.connect.source import Kind, Scalar, Stream, Window


def window_of(
    stream: Stream,
    latest: Manifest | None,
    until: datetime,
    account: str,
    *,
    kind: Kind = "incremental",
    start: datetime | None = None,
    end: datetime | None = None,
) -> Window:
    """The window of a run: what changed since the last committed one, everything, a range of dates, or all keys.

    An incremental run of a stream that was never completely read, or that has no change cursor, is a full one.

    Raises:
        FixSettings: the dates make no range.
    """
    if start is not None and end is not None and start >= end:
        raise FixSettings("start is not before end", where=f"stream {stream.name}", fix="Swap the two dates.")
    if kind == "backfill":
        if start is None:
            raise FixSettings("a backfill has no start", where=f"stream {stream.name}", fix="Give it a start date.")
        return Window("backfill", written(start), until, account, end=end)
    if kind == "sweep":
        return Window("sweep", None, until, account)
    if kind == "incremental" and latest is not None:
        if stream.rescan is not None:
            return Window("incremental", written(until - stream.rescan), until, account)
        if latest.cursor_to is not None:
            at = instant(latest.cursor_to)
            since = latest.cursor_to if at is None else written(at - stream.lookback)
            return Window("incremental", since, until, account)
    return Window("full", written(start) if start else None, until, account)


def bounds(stream: Stream, window: Window) -> dict[str, Scalar]:
    """The window as query parameters."""
    params: dict[str, Scalar] = {}
    slack = timedelta(days=1) if stream.times_as == "date" else timedelta(0)
    if stream.since and window.since is not None and (at := instant(window.since)) is not None:
        params[stream.since] = vendor_time(at - slack, stream.times_as)
    if stream.until and window.end is not None:
        params[stream.until] = vendor_time(window.end + slack, stream.times_as)
    return params


def vendor_time(at: datetime, times_as: str) -> Scalar:
    """A time as a vendor's parameter wants it."""
    if times_as == "seconds":
        return int(at.timestamp())
    if times_as == "milliseconds":
        return int(at.timestamp() * 1000)
    if times_as == "date":
        return at.astimezone(UTC).date().isoformat()
    return written(at)


def cursor_after(
    window: Window, before: Manifest | None, now: Manifest | None, seen: str | None
) -> tuple[str | None, str | None]:
    """Cursor before and after a run that saw `seen`.

    Args:
        window: what the run asked for.
        before: the latest manifest when the run planned its window.
        now: the latest manifest when it commits; a run that was committed meanwhile keeps what it reached.
        seen: greatest cursor of the records, or the vendor's own cursor.
    """
    if window.kind not in ("incremental", "full"):
        return None, None
    cursor_from = before.cursor_to if before is not None else None
    reached = now.cursor_to if now is not None else None
    overtaken = (now.seq if now is not None else 0) != (before.seq if before is not None else 0)
    if overtaken and reached is not None and (seen is None or instant(seen) is None):
        return cursor_from, reached
    return cursor_from, advanced(reached, seen, window.until)


def span_of(window: Window) -> Span:
    """The window as manifests keep it."""
    return Span(window.since, written(window.end or window.until))


def as_text(parameters: Mapping[str, object]) -> str:
    """Parameters in a fixed order, to compare two questions."""
    return ",".join(f"{name}={parameters[name]}" for name in sorted(parameters))
