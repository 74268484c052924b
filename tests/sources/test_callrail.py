"""What is odd about CallRail: what staff do to a call later shows in no date, and a list that grows at its head."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from include.connect.cursor import instant
from include.simulate.callrail import make_calls
from include.simulate.people import Population
from tests.sources.simulator import Puller, Simulator


def test_what_staff_change_later_is_found_by_reading_a_month_again(changing_world: Simulator, tmp_path: Path) -> None:
    pulling = Puller(changing_world, tmp_path)
    (first,) = pulling("callrail")
    before = {line["_key"]: line["_payload"] for line in pulling.lines(first)}
    changing_world.advance(0.1)
    (second,) = pulling("callrail", "2")
    after = {line["_key"]: line["_payload"] for line in pulling.lines(second)}
    edited = [key for key in after if after[key] != before[key]]
    assert edited
    assert all(after[key]["lead_status"] == "good_lead" for key in edited)
    assert 0 < second.records < first.records
    # Days begin in the account's zone: the window is a day wider than a month, and no more.
    month = datetime.fromtimestamp(pulling.clock.now(), UTC) - timedelta(days=30)
    starts = {key: instant(payload["start_time"]) for key, payload in before.items()}
    assert {key for key, at in starts.items() if at is not None and at >= month} <= set(after)
    assert all(at is not None and at >= month - timedelta(days=3) for at in (starts[key] for key in after))


def test_a_backfill_asks_for_its_days(pulling: Puller, truth: dict[str, dict[str, list[str]]]) -> None:
    now = datetime.fromtimestamp(pulling.clock.now(), UTC)
    (found,) = pulling("callrail", kind="backfill", start=now - timedelta(days=60), end=now - timedelta(days=30))
    assert 0 < found.records < len(truth["callrail"]["calls"])


def test_calls_have_true_owners_and_the_pages_tell_who_they_are() -> None:
    population = Population.generate(300, 3, datetime(2026, 11, 20, tzinfo=UTC))
    calls = make_calls(population, population.now)
    people = {person.person_id: person for person in population.people}
    assert calls == make_calls(population, population.now)
    assert any(call.person_id is None and call.phone is None for call in calls)
    owned = [call for call in calls if call.person_id is not None]
    assert all(call.phone == people[call.person_id or 0].phone for call in owned)
    for call in owned:
        named = (call.last_requested_url or "").partition("ajs_aid=")[2]
        assert not named or named in people[call.person_id or 0].devices
    assert any("ajs_aid=" in (call.last_requested_url or "") for call in owned)
