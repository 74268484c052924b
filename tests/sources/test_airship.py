"""What is odd about Airship: lists say nothing of changes, and a channel moves from one user to the next."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from include.simulate.airship import make_channels
from include.simulate.people import Population
from tests.sources.simulator import Puller, Simulator


def test_a_channel_that_moves_is_seen_although_none_of_its_dates_changes(
    changing_world: Simulator, tmp_path: Path
) -> None:
    pulling = Puller(changing_world, tmp_path)
    channels, users = pulling("airship")
    before = {line["_key"]: line["_payload"] for line in pulling.lines(channels)}
    named = set(pulling.keys([users])["named_users"])
    assert {payload["named_user_id"] for payload in before.values()} - {None} == named
    changing_world.advance(0.1)
    again, _ = pulling("airship", "2")
    after = {line["_key"]: line["_payload"] for line in pulling.lines(again)}
    assert after.keys() == before.keys()
    moved = {key for key in after if after[key]["named_user_id"] != before[key]["named_user_id"]}
    assert moved
    for key in moved:
        assert {**after[key], "named_user_id": ""} == {**before[key], "named_user_id": ""}


def test_channels_have_true_owners_but_for_a_familys_tablet() -> None:
    population = Population.generate(300, 3, datetime(2026, 11, 20, tzinfo=UTC))
    people = {person.person_id: person for person in population.people}
    channels = make_channels(population, population.now).values()
    assert {channel.device_type for channel in channels} == {"ios", "android", "web", "email"}
    owned = [channel for channel in channels if channel.person_id is not None and channel.named_user_id is not None]
    assert owned
    assert all(channel.named_user_id == people[channel.person_id or 0].user_id for channel in owned)
    shared = {channel.named_user_id for channel in channels if channel.person_id is None}
    assert shared
    assert shared <= {person.user_id for person in population.people if person.household is not None}
