"""What is odd about the other vendors, each in one test."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.connect.connection import Connection
from include.connect.cursor import instant
from include.connect.http import Session
from include.connect.landing import latest_manifest
from include.connect.pull import pull
from include.run import Run
from include.sources import get_source
from include.state.store import Store
from tests.sources.simulator import Puller, Simulator


def asked(simulator: Simulator, name: str, pulling: Puller, *calls: tuple[str, str, dict[str, Any]]) -> list[Any]:
    """Make calls of a test's own at a vendor."""

    async def run(store: Store) -> list[Any]:
        connection = simulator.connection(name)
        async with Session(get_source(name), connection, store, writable=True) as session:
            return [(await session.send(method, path, **options)).json() for method, path, options in calls]

    with Store.open(pulling.settings) as store:
        return asyncio.run(run(store))


# -- Mailchimp ------------------------------------------------------------------------------------------------


def test_archived_members_are_pulled_and_their_change_is_seen(changing_world: Simulator, tmp_path: Path) -> None:
    pulling = Puller(changing_world, tmp_path)
    _, members, _ = pulling("mailchimp")
    member = next(line["_payload"] for line in pulling.lines(members) if line["_payload"]["status"] == "subscribed")
    path = f"/lists/{member['list_id']}/members/{member['id']}"
    asked(changing_world, "mailchimp", pulling, ("DELETE", path, {}))
    _, changed, _ = pulling("mailchimp", "2")
    found = {line["_payload"]["id"]: line["_payload"]["status"] for line in pulling.lines(changed)}
    assert found[member["id"]] == "archived"
    assert changed.records < members.records / 4


@pytest.mark.parametrize(("password", "extra"), [("key-us7", {}), ("key", {"data_center": "us7"})])
def test_the_data_center_is_part_of_the_key(password: str, extra: dict[str, str]) -> None:
    connection = Connection("mailchimp", password=password, extra=extra)
    assert get_source("mailchimp").base_url_of(connection) == "https://us7.api.mailchimp.com/3.0"


# -- Stripe ---------------------------------------------------------------------------------------------------


def test_changed_and_deleted_customers_come_by_their_events(changing_world: Simulator, tmp_path: Path) -> None:
    pulling = Puller(changing_world, tmp_path)
    customers = pulling.keys(pulling("stripe", stream="customers"))["customers"]
    changed, gone = customers[0], customers[1]
    asked(
        changing_world,
        "stripe",
        pulling,
        ("POST", f"/customers/{changed}", {"form": {"metadata[stage]": "one"}}),
        ("POST", f"/customers/{changed}", {"form": {"metadata[stage]": "two"}}),
        ("POST", f"/customers/{gone}", {"form": {"metadata[stage]": "one"}}),
        ("DELETE", f"/customers/{gone}", {}),
    )
    before = changing_world.requests("stripe")
    (manifest,) = pulling("stripe", "2", stream="customers")
    found = {line["_key"]: line["_payload"] for line in pulling.lines(manifest)}
    # Of several events the latest state of an object lands, or lands last where they share a second.
    assert found[changed]["metadata"]["stage"] == "two"
    assert found[gone] == {"id": gone, "object": "customer", "deleted": True}
    assert manifest.records <= len(found) + 2
    assert changing_world.requests("stripe") - before <= 4


def test_after_a_long_pause_stripe_is_listed_again(pulling: Puller, truth: dict[str, dict[str, list[str]]]) -> None:
    """Events are kept for 30 days; a cursor older than that would silently miss changes."""
    pulling("stripe", stream="customers")
    later = datetime.fromtimestamp(pulling.clock.now(), UTC) + timedelta(days=40)
    (again,) = pulling("stripe", "2", stream="customers", as_of=later)
    assert sorted(pulling.keys([again])["customers"]) == sorted(truth["stripe"]["customers"])


# -- Zendesk --------------------------------------------------------------------------------------------------


def test_the_exports_own_cursor_is_the_next_start(changing_world: Simulator, tmp_path: Path) -> None:
    pulling = Puller(changing_world, tmp_path)
    (first,) = pulling("zendesk", stream="tickets")
    assert first.cursor_to is not None
    assert instant(first.cursor_to) is None
    (second,) = pulling("zendesk", "2", stream="tickets")
    assert (second.window.from_, second.records, second.requests) == (first.cursor_to, 0, 1)
    assert second.cursor_to == first.cursor_to
    assert "deleted" in {line["_payload"]["status"] for line in pulling.lines(first)}


# -- Calendly -------------------------------------------------------------------------------------------------


def test_recent_and_coming_meetings_are_read_again_each_time(pulling: Puller) -> None:
    events, invitees = pulling("calendly")
    again, invitees_again = pulling("calendly", "2")
    recent = datetime.fromtimestamp(pulling.clock.now(), UTC) - timedelta(days=30)
    expected = {
        line["_key"]
        for line in pulling.lines(events)
        if (at := instant(line["_payload"]["start_time"])) is not None and at >= recent
    }
    assert set(pulling.keys([again])["scheduled_events"]) == expected
    assert {line["_payload"]["event"] for line in pulling.lines(invitees_again)} <= expected
    assert (again.kind, invitees_again.kind) == ("incremental", "incremental")
    assert 0 < again.records < events.records
    assert any(line["_payload"]["tracking"]["utm_term"] for line in pulling.lines(invitees))


# -- accounts -------------------------------------------------------------------------------------------------


def test_two_accounts_of_a_source_share_nothing(pulling: Puller) -> None:
    pulling("stripe", stream="customers")
    eu = replace(pulling.simulator.connection("stripe"), account="eu")
    run = Run.of("ingest_stripe__eu", "1", datetime.now(UTC))
    (manifest,) = pull(
        get_source("stripe"), "eu", pulling.settings, run, stream="customers", connection=eu, clock=pulling.clock
    )
    assert (manifest.account, manifest.kind) == ("eu", "full")
    assert all(part.path.startswith("stripe/eu/customers/") for part in manifest.parts)
    root = pulling.settings.landing_root
    assert latest_manifest(root, "stripe", "main", "customers") != latest_manifest(root, "stripe", "eu", "customers")
