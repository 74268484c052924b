"""Trouble on the road: faulty vendors, wrong credentials, places where nothing may be written, kills."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fingerprint import differences, duplicate_raw_rows, fingerprint
from road import DESTINATIONS, SEGMENT, Road
from road import company as start_company

from include.connect.errors import FixCredentials, FixSettings

PEOPLE = 120
VENDORS = ("hubspot", "mailchimp", "calendly", "zendesk", "stripe")


@pytest.fixture(scope="module")
def now() -> datetime:
    """The moment both companies of a comparison were invented at."""
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def calm(now: datetime, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What an undisturbed walk ends in."""
    with start_company(tmp_path_factory.mktemp("calm"), PEOPLE, now=now) as started:
        road = Road(tmp_path_factory.mktemp("calm-home"), started)
        road.walk()
        with road.here() as settings:
            return fingerprint(settings)


@pytest.fixture
def company(now: datetime, tmp_path: Path) -> Iterator[Any]:
    """The same company once more."""
    with start_company(tmp_path / "company", PEOPLE, now=now) as started:
        yield started


@pytest.mark.long
def test_faulty_vendors_change_nothing(company: Any, tmp_path: Path, calm: dict[str, Any]) -> None:
    faults = {"throttle_every": 7, "retry_after": None, "error_every": 11, "reset_every": 13, "truncate_every": 9}
    company.control("POST", "faults", dict.fromkeys(VENDORS, faults))
    road = Road(tmp_path / "home", company)
    road.walk()
    stats = company.control("GET", "stats")
    assert sum(counted["throttled"] for counted in stats.values()) > 0
    with road.here() as settings:
        assert differences(calm, fingerprint(settings)) == {}
        assert duplicate_raw_rows(settings) == 0


@pytest.mark.long
def test_new_and_changed_fields_at_the_vendor_stop_nothing(company: Any, tmp_path: Path) -> None:
    company.control("POST", "faults", {vendor: {"drift": True} for vendor in VENDORS})
    road = Road(tmp_path / "home", company)
    road.walk()
    assert road.state().people > PEOPLE / 2


def test_wrong_credentials_fail_at_once_and_name_the_connection(company: Any, tmp_path: Path) -> None:
    road = Road(tmp_path / "home", company)
    broken = road.environment()["AIRFLOW_CONN_STRIPE"].replace("sk_test_demo", "sk_test_wrong")
    road.overrides["AIRFLOW_CONN_STRIPE"] = broken
    began = time.monotonic()
    with pytest.raises(FixCredentials, match="stripe") as failure:
        road.ingest("stripe")
    assert time.monotonic() - began < 30  # no retry can help, so none is made
    assert "sk_test_wrong" not in str(failure.value)


def test_a_missing_connection_is_named(company: Any, tmp_path: Path) -> None:
    road = Road(tmp_path / "home", company)
    road.overrides["STITCHLINE_SOURCES"] = "mailchimp"
    with road.here():
        del os.environ["AIRFLOW_CONN_MAILCHIMP"]
        with pytest.raises((FixCredentials, FixSettings), match="mailchimp"):
            road_pull("mailchimp", road)


def road_pull(source: str, road: Road) -> None:
    """Pull in the environment as it is now."""
    from include import steps

    steps.ingest_pull(source, "main", road.run(f"ingest_{source}"), kind="incremental", start=None, end=None)


@pytest.mark.long
def test_a_host_that_does_not_allow_writes_gets_none(company: Any, tmp_path: Path) -> None:
    road = Road(tmp_path / "home", company)
    for vendor in ("hubspot", "mailchimp", "zendesk"):
        name = f"AIRFLOW_CONN_{vendor.upper()}"
        road.overrides[name] = road.environment()[name].replace("allow_writes_in", "no_such_permission")
    road.walk()
    assert company.writes() == 0
    planned = road.query("SELECT SUM(enter) AS n FROM activation.plans")[0]["n"]
    assert planned > 0


@pytest.mark.long
@pytest.mark.parametrize(
    ("step", "fault"),
    [
        ("pull hubspot", {"hubspot": {"slow_seconds": 0.4}}),
        ("load segment", None),
        ("identity", None),
        (f"deliver {DESTINATIONS[0]}", {"hubspot": {"slow_seconds": 0.4}}),
    ],
)
def test_killed_and_run_again_ends_the_same(
    company: Any, tmp_path: Path, calm: dict[str, Any], step: str, fault: dict[str, Any] | None
) -> None:
    road = Road(tmp_path / "home", company)
    road.turn()
    name, _, subject = step.partition(" ")
    if name != "pull":
        road.ingest(*(source for source in road.sources if source != subject))
    if name == "load":
        with road.here():
            road_pull(subject, road)
    if name == "deliver":
        road.unify()
        assert road.segment() is None
    if fault:
        company.control("POST", "faults", fault)
    for patience in (0.2, 0.6, 1.2):
        road.kill_in_the_middle(step, patience)
    company.control("DELETE", "faults")
    _finish(road, name)
    with road.here() as settings:
        assert differences(calm, fingerprint(settings)) == {}
        assert duplicate_raw_rows(settings) == 0


def _finish(road: Road, killed: str) -> None:
    if killed in ("pull", "load"):
        road.ingest()
    if killed != "deliver":
        road.unify()
        assert road.segment() is None, SEGMENT
    for destination in DESTINATIONS:
        road.sync(destination)
