"""What is odd about HubSpot: a search that ends at 10,000 matches, and what it leaves out."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.connect.http import Session
from include.connect.source import Page, Window
from include.sources import get_source
from include.sources.hubspot import LISTED_FROM, is_daily_quota
from include.state.store import Store
from tests.sources.simulator import FAST, PatientClock, Puller, Simulator, simulating

HUBSPOT = get_source("hubspot")


@pytest.fixture(scope="module")
def crowd() -> Iterator[Simulator]:
    with simulating("--people", "20", "--hubspot-contacts", "1000") as running:
        yield running


def full_pages(simulator: Simulator) -> Any:
    connection = simulator.connection("hubspot")
    extra = {name: value for name, value in FAST.items() if name != "page_size"}
    return type(connection)("hubspot", "main", connection.base_url, "", connection.password, extra)


def search_all(simulator: Simulator, home: Path, count: int) -> None:
    pulling = Puller(simulator, home)
    start = datetime.now(UTC) - timedelta(days=30)
    end = datetime.now(UTC) + timedelta(days=1)
    (manifest,) = pulling(
        "hubspot", kind="backfill", start=start, end=end, stream="contacts", connection=full_pages(simulator)
    )
    keys = pulling.keys([manifest])["contacts"]
    assert len(keys) == len(set(keys)) == count
    # Pages of 200, and one of archived contacts.
    assert manifest.requests == count / 200 + 1


def test_a_search_carries_on_after_the_last_id(crowd: Simulator, tmp_path: Path) -> None:
    search_all(crowd, tmp_path, 1_000)


@pytest.mark.long
def test_a_search_goes_past_ten_thousand_matches(tmp_path: Path) -> None:
    """More records changed since the last run than one search shows."""
    with simulating("--people", "20", "--hubspot-contacts", "10400") as simulator:
        search_all(simulator, tmp_path, 10_400)


def test_an_archived_contact_is_seen_to_be_gone(changing_world: Simulator, tmp_path: Path) -> None:
    pulling = Puller(changing_world, tmp_path)
    first = pulling.keys(pulling("hubspot", stream="contacts"))["contacts"]
    with Store.open(pulling.settings) as store:

        async def archive() -> None:
            connection = changing_world.connection("hubspot")
            async with Session(HUBSPOT, connection, store, writable=True) as session:
                await session.send("DELETE", f"/crm/v3/objects/contacts/{first[3]}")

        asyncio.run(archive())
    second = {line["_key"]: line["_payload"] for line in pulling.lines(pulling("hubspot", "2", stream="contacts")[0])}
    assert second[first[3]]["archived"] is True
    assert all(not payload["archived"] for key, payload in second.items() if key != first[3])
    third = pulling.keys(pulling("hubspot", "3", stream="contacts"))["contacts"]
    assert len(third) <= len(second)


def test_contacts_carry_what_identity_needs_and_deals_their_contacts(pulling: Puller) -> None:
    contacts, _, deals = pulling("hubspot")
    wanted = {"email", "hs_additional_emails", "hs_merged_object_ids", "hs_calculated_merged_vids", "lastmodifieddate"}
    assert wanted <= pulling.lines(contacts)[0]["_payload"]["properties"].keys()
    assert all(line["_payload"]["associations"]["contacts"]["results"] for line in pulling.lines(deals))


def test_changed_deals_keep_their_contacts(pulling: Puller) -> None:
    """A search does not bring associations: the deals it finds are read one by one, or all through the list."""
    deals = {line["_key"]: line["_payload"] for line in pulling.lines(pulling("hubspot", stream="deals")[0])}
    since = min(deals.values(), key=lambda deal: deal["updatedAt"])["updatedAt"]
    assert len(deals) < LISTED_FROM
    before = pulling.simulator.requests("hubspot")
    (manifest,) = pulling("hubspot", "2", kind="full", start=datetime.fromisoformat(since), stream="deals")
    found = {line["_key"]: line["_payload"] for line in pulling.lines(manifest)}
    assert found == deals
    assert pulling.simulator.requests("hubspot") - before > len(deals)


def test_a_used_up_day_is_told_apart_from_a_busy_second() -> None:
    busy = b'{"status":"error","message":"You have reached your secondly limit.","category":"RATE_LIMITS"}'
    assert not is_daily_quota({"x-hubspot-ratelimit-daily-remaining": "1200"}, busy)
    assert is_daily_quota({"x-hubspot-ratelimit-daily-remaining": "0"}, busy)
    assert is_daily_quota({}, b'{"category":"RATE_LIMITS","policyName":"DAILY"}')


_MEASURED = """
import json, re, sys
from pathlib import Path
from tests.sources.simulator import Puller, Simulator
from tests.sources.test_hubspot import full_pages
simulator = Simulator(int(sys.argv[1]))
(manifest,) = Puller(simulator, Path(sys.argv[2]))("hubspot", stream="contacts", connection=full_pages(simulator))
# Not getrusage: its peak includes the process that started this one, as it was before the new program began.
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024
print(json.dumps([manifest.records, len(manifest.parts), peak]))
"""


def megabytes_for(count: int, home: Path) -> float:
    with simulating("--people", "20", "--hubspot-contacts", str(count)) as simulator:
        command = [sys.executable, "-c", _MEASURED, str(simulator.port), str(home)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=3600)
    records, parts, megabytes = json.loads(done.stdout)
    assert records == count
    assert parts == -(-count // 50_000)
    return float(megabytes)


@pytest.mark.long
def test_a_hundred_thousand_contacts_take_no_more_memory_than_a_page(tmp_path: Path) -> None:
    assert megabytes_for(100_000, tmp_path) < 200


@pytest.mark.long
def test_a_million_contacts_take_no_more_memory_than_a_page(tmp_path: Path) -> None:
    assert megabytes_for(1_000_000, tmp_path) < 300


def test_the_search_resumes_after_the_last_id(crowd: Simulator, tmp_path: Path) -> None:
    """The token of a page is the place in the phase it was read in."""
    clock = PatientClock()
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()

    async def first_pages(store: Store, resume: str | None, count: int) -> list[Page]:
        window = Window("incremental", since, datetime.now(UTC), resume=resume)
        pages = []
        read = HUBSPOT.stream("contacts").read
        assert read is not None
        async with Session(HUBSPOT, full_pages(crowd), store, clock=clock) as session:
            async for page in read(session, window):
                pages.append(page)
                if len(pages) == count:
                    break
        return pages

    with Store.open(Puller(crowd, tmp_path).settings) as store:
        one, two, three = asyncio.run(first_pages(store, None, 3))
        assert one.resume is not None
        assert one.resume.startswith("search:")
        again = asyncio.run(first_pages(store, one.resume, 2))
    assert [bytes(record) for record in again[0].records] == [bytes(record) for record in two.records]
    assert [bytes(record) for record in again[1].records] == [bytes(record) for record in three.records]
