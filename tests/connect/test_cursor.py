from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.connect.cursor import Highest, advanced, instant, written
from include.connect.errors import FixSettings
from include.connect.landing import Manifest
from include.connect.source import Stream, Window
from include.connect.window import bounds, cursor_after, window_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))


def manifest(seq: int, cursor_to: str | None, kind: str = "incremental") -> Manifest:
    return Manifest(
        "acme",
        "main",
        "things",
        f"run-{seq}",
        1,
        kind,
        seq,
        NOW,
        NOW,
        NOW,
        cursor_from=None,
        cursor_to=cursor_to,  # type: ignore[arg-type]
    )


def spelled(at: datetime, how: int) -> object:
    forms = (
        at.isoformat(),
        at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        at.astimezone(UTC).replace(tzinfo=None).isoformat(" "),
        int(at.timestamp()),
        int(at.timestamp() * 1000),
        str(int(at.timestamp() * 1000)),
        f"/Date({int(at.timestamp() * 1000)})/",
        f"/Date({int(at.timestamp() * 1000)}+1300)/",
    )
    return forms[how]


@pytest.mark.parametrize("how", range(8))
def test_every_spelling_of_a_time_is_the_same_time(how: int) -> None:
    assert instant(spelled(NOW, how)) == NOW


@pytest.mark.parametrize(
    "value", [None, True, "", "MTcwNzI3MTc0MS4wfHw0MDQ1fA==", "tomorrow", [], "9" * 40, f"/Date({'9' * 40})/"]
)
def test_what_is_no_time_is_none(value: object) -> None:
    assert instant(value) is None


@given(st.lists(st.tuples(TIMES, st.integers(0, 7))))
def test_the_highest_of_mixed_spellings_is_the_latest_time(values: list[tuple[datetime, int]]) -> None:
    highest = Highest()
    for at, how in values:
        highest.see(spelled(at, how))
    expected = max((instant(spelled(at, how)) for at, how in values), default=None)  # type: ignore[type-var]
    assert instant(highest.value) == expected


@given(st.lists(st.tuples(st.none() | TIMES, TIMES), max_size=12))
def test_a_cursor_never_moves_backwards_nor_past_the_runs_clock(runs: list[tuple[datetime | None, datetime]]) -> None:
    """Any sequence of runs, whatever records they saw and in whatever order they committed."""
    committed: Manifest | None = None
    for seq, (seen, as_of) in enumerate(runs, 1):
        window = Window("incremental", None, as_of)
        _, cursor = cursor_after(window, None, committed, written(seen) if seen else None)
        before = instant(committed.cursor_to) if committed is not None else None
        after = instant(cursor)
        if before is not None:
            assert after is not None
            assert after >= before
        if after is not None and after != before:
            assert after <= as_of
        committed = manifest(seq, cursor)


def test_a_vendors_own_cursor_replaces_the_last_unless_another_run_committed_meanwhile() -> None:
    window = Window("incremental", "abc", NOW)
    first = manifest(1, "abc")
    assert cursor_after(window, first, first, "def") == ("abc", "def")
    assert cursor_after(window, first, manifest(2, "xyz"), "def") == ("abc", "xyz")
    assert advanced("abc", None, NOW) == "abc"


def test_a_backfill_leaves_the_cursor_alone() -> None:
    latest = manifest(4, written(NOW))
    start = NOW - timedelta(days=30)
    window = window_of(Stream("things"), latest, NOW, "main", kind="backfill", start=start, end=NOW)
    assert (window.kind, window.since, window.end) == ("backfill", written(start), NOW)
    assert cursor_after(window, latest, latest, written(NOW)) == (None, None)


@pytest.mark.parametrize(("start", "end"), [(None, NOW), (NOW, NOW - timedelta(days=1)), (NOW, NOW)])
def test_a_backfill_needs_a_range(start: datetime | None, end: datetime) -> None:
    with pytest.raises(FixSettings, match="stream things"):
        window_of(Stream("things"), None, NOW, "main", kind="backfill", start=start, end=end)


def test_windows_begin_a_lookback_before_the_last_cursor() -> None:
    stream = Stream("things", cursor="at", since="updated_since", times_as="seconds", lookback=timedelta(minutes=5))
    assert window_of(stream, None, NOW, "main").kind == "full"
    assert window_of(stream, manifest(1, None), NOW, "main").kind == "full"
    window = window_of(stream, manifest(1, written(NOW)), NOW, "main")
    assert (window.kind, window.since_at) == ("incremental", NOW - timedelta(minutes=5))
    assert bounds(stream, window) == {"updated_since": int(NOW.timestamp()) - 300}
    assert window_of(stream, manifest(1, "opaque"), NOW, "main").since == "opaque"
    assert window_of(stream, manifest(1, written(NOW)), NOW, "main", kind="full").since is None


def test_a_range_in_dates_holds_every_moment_whatever_the_vendors_zone() -> None:
    stream = Stream("things", since="start_date", until="end_date", times_as="date")
    window = window_of(stream, None, NOW, "main", kind="backfill", start=NOW - timedelta(days=2), end=NOW)
    day = NOW.date()
    assert bounds(stream, window) == {
        "start_date": (day - timedelta(days=3)).isoformat(),
        "end_date": (day + timedelta(days=1)).isoformat(),
    }


def test_a_stream_without_change_cursor_reads_a_span_again() -> None:
    stream = Stream("things", rescan=timedelta(days=30))
    assert window_of(stream, None, NOW, "main").since is None
    assert window_of(stream, manifest(1, None), NOW, "main").since_at == NOW - timedelta(days=30)
