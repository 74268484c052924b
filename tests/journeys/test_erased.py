"""Somebody on the lists is erased: every tool lets them go, and the next pulls of everything do not bring them back."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from road import DESTINATIONS, SEGMENT, SOURCES, Road

from include import steps
from include.privacy.request import request
from include.run import Run
from include.warehouse.engine import connect

MAILCHIMP = "Basic " + base64.b64encode(b"airflow:demo-us1").decode()


def tagged(road: Road) -> set[str]:
    """Who carries the tag at Mailchimp."""
    audience = "/mailchimp/3.0/lists/aud0000001/segments"
    found = road.company.read(f"{audience}?count=1000&type=static", MAILCHIMP)["segments"]
    tag = next(each["id"] for each in found if each["name"] == "at-risk")
    members = road.company.read(f"{audience}/{tag}/members?count=1000", MAILCHIMP)["members"]
    return {member["email_address"].lower() for member in members}


def files_with(home: Path, word: str) -> list[str]:
    """Files that hold a word as plain bytes."""
    held = [path for path in home.rglob("*") if path.is_file() and word.encode() in path.read_bytes().lower()]
    return [path.name for path in held]


def everybody(road: Road, without: str) -> dict[str, list[dict[str, Any]]]:
    """Ids and orders of everybody else."""
    queries = {
        "ids": "SELECT customer_id, kind, value FROM identity.identifiers AS i",
        "orders": "SELECT order_id, customer_id FROM marts.orders AS o",
    }
    found = {name: road.query(f"{sql} WHERE customer_id != '{without}'") for name, sql in queries.items()}
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


@pytest.mark.long
def test_an_erased_person_leaves_every_tool_and_stays_away(company: Any, tmp_path: Path) -> None:
    road = Road(tmp_path / "home", company, overrides={"STITCHLINE_ERASURE_SALT": "a salt that only tests have"})
    road.walk()
    held = road.query(f"SELECT customer_id, address FROM activation.state WHERE sync = '{SEGMENT}__mailchimp_tag'")
    who = min(held, key=lambda row: row["address"])
    others, at_mailchimp = everybody(road, who["customer_id"]), tagged(road)
    assert who["address"] in at_mailchimp
    road.turn()
    with road.here() as settings, connect(settings) as engine:
        request(engine, settings, road.run("erase_person"), "email", who["address"])
    road.unify(checked=True)
    assert everybody(road, who["customer_id"]) == others
    assert road.query("SELECT status FROM ops.erasures AS e") == [{"status": "leaving"}]
    assert road.segment() is None
    for destination in DESTINATIONS:
        road.sync(destination)
    assert tagged(road) == at_mailchimp - {who["address"]}
    for source in SOURCES:
        with road.here():
            run = Run.of(f"full_{source}", "test", datetime.now(UTC))
            steps.ingest_pull(source, "main", run, kind="full", start=None, end=None)
            steps.ingest_load(source, "main", run)
    road.turn()
    road.unify(checked=True)
    road.segment()
    for destination in DESTINATIONS:
        road.sync(destination)
    assert everybody(road, who["customer_id"]) == others
    assert tagged(road) == at_mailchimp - {who["address"]}
    assert files_with(road.home, who["address"]) == []
    proof = road.query("SELECT status, returned > 0 AS has_returned FROM ops.erasures AS e")
    assert proof == [{"status": "done", "has_returned": True}]
