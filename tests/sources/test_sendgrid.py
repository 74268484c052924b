"""What is odd about SendGrid: contacts come as files of an export, on a host that must not see the key."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.connect.download import download
from include.connect.errors import StopSync
from include.connect.http import CallRefused, Session
from include.connect.source import Page, Window
from include.sources import get_source
from include.sources.sendgrid import read_contacts
from include.state.store import Store
from tests.sources.simulator import PatientClock, Puller, Simulator, simulating


@pytest.fixture(scope="module")
def many() -> Iterator[Simulator]:
    """Enough contacts for two files."""
    with simulating("--people", "2000") as running:
        yield running


def pages(simulator: Simulator, home: Path, resume: str | None = None, base: str = "") -> list[Page]:
    connection = simulator.connection("sendgrid")
    connection = replace(connection, base_url=base or connection.base_url)

    async def read(store: Store) -> list[Page]:
        async with Session(get_source("sendgrid"), connection, store, clock=PatientClock()) as session:
            return [
                page async for page in read_contacts(session, Window("full", None, datetime.now(UTC), resume=resume))
            ]

    with Store.open(Puller(simulator, home).settings) as store:
        return asyncio.run(read(store))


def test_an_export_of_several_files_goes_on_after_the_last_one_read(many: Simulator, tmp_path: Path) -> None:
    # The storage refuses whoever sends the key along.
    first, between, second = pages(many, tmp_path)
    assert len(first.records) == 1000
    assert (first.resume, between.records) == (None, [])
    assert between.resume is not None
    (again,) = pages(many, tmp_path, between.resume)
    assert (list(again.records), again.resume) == (list(second.records), None)
    many.faults("sendgrid", truncate_every=2, error_every=3)
    (again,) = pages(many, tmp_path, between.resume)
    many.control("DELETE", "faults")
    assert list(again.records) == list(second.records)
    with pytest.raises(CallRefused, match="404"):
        pages(many, tmp_path, "0123/1")


def test_an_address_of_a_file_must_be_as_safe_as_the_vendors(many: Simulator, tmp_path: Path) -> None:
    async def fetch(store: Store) -> bytes:
        connection = replace(many.connection("sendgrid"), base_url=None)
        async with Session(get_source("sendgrid"), connection, store, clock=PatientClock()) as session:
            return await download(session, "http://files.example/1.csv.gz?signature=secret", "contacts")

    with Store.open(Puller(many, tmp_path).settings) as store, pytest.raises(StopSync) as refused:
        asyncio.run(fetch(store))
    assert "secret" not in str(refused.value)


def test_only_what_changed_of_an_export_lands_and_a_new_no_is_seen(changing_world: Simulator, tmp_path: Path) -> None:
    pulling = Puller(changing_world, tmp_path)
    first = {manifest.stream: manifest for manifest in pulling("sendgrid")}
    changing_world.advance(0.1)
    pulling.follow()
    second = {manifest.stream: manifest for manifest in pulling("sendgrid", "2")}
    assert 0 < second["contacts"].records < first["contacts"].records / 3
    before = set(pulling.keys([first["unsubscribes"]])["unsubscribes"])
    assert len(set(pulling.keys([second["unsubscribes"]])["unsubscribes"]) - before) == 1
