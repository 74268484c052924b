"""The main job end to end, scored against the invented people's true identities. The tests of this file go in order."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from fingerprint import TOUCHED, differences, duplicate_raw_rows, fingerprint
from road import DESTINATIONS, Road

from include.journey.person import read_activities, read_person
from include.journey.search import find_customer
from include.simulate import truth
from include.warehouse.engine import connect

ZENDESK = "Basic " + base64.b64encode(b"agent@acme.example/token:zd-demo").decode()
MAILCHIMP = "Basic " + base64.b64encode(b"airflow:demo-us1").decode()
HUBSPOT = "Bearer pat-demo"


def listed_people(road: Road) -> set[int]:
    """Whose the list's members truly are, through the events they own."""
    rows = road.query("SELECT event_id, customer_id FROM identity.events")
    assignment = {row["event_id"]: row["customer_id"] for row in rows}
    people = truth.people_of_customers(road.company.population, assignment)
    members = road.query("SELECT customer_id FROM segments.at_risk_customers")
    return set().union(*(people.get(row["customer_id"], set()) for row in members))


def tagged_addresses(road: Road) -> set[str]:
    """Who carries the tag at Mailchimp."""
    segments = road.company.read("/mailchimp/3.0/lists/aud0000001/segments?count=1000&type=static", MAILCHIMP)
    tag = next((each["id"] for each in segments["segments"] if each["name"] == "at-risk"), None)
    if tag is None:
        return set()
    path = f"/mailchimp/3.0/lists/aud0000001/segments/{tag}/members?count=1000"
    return {member["email_address"].lower() for member in road.company.read(path, MAILCHIMP)["members"]}


def test_identity_is_right(walked: Road) -> None:
    rows = walked.query("SELECT event_id, customer_id FROM identity.events")
    score = truth.score(walked.company.population, {row["event_id"]: row["customer_id"] for row in rows})
    assert score.precision >= 0.99
    assert score.recall_of_oracle >= 0.95
    assert score.most_people_per_person <= 2


def test_the_list_is_the_truth(walked: Road) -> None:
    expected = truth.at_risk(walked.company.population, walked.state().as_of)
    assert len(expected) >= 10
    assert listed_people(walked) == expected


def test_a_page_shows_the_lists_somebody_is_on(walked: Road) -> None:
    with walked.here() as settings, connect(settings, read_only=True) as engine:
        reader = engine.at(walked.state().generation)
        member = walked.query("SELECT customer_id FROM segments.at_risk_customers LIMIT 1")[0]["customer_id"]
        seen = read_person(reader, member)
        assert seen is not None
        assert [row["segment"] for row in seen.lists] == ["at_risk_customers"]
        done = read_activities(reader, member)
        assert "opened_ticket" in {one.activity for one in done}
        assert read_activities(reader, member, done[0].place, 1) == done[1:2]
        assert find_customer(reader, settings, str(seen.golden["email"]).upper()) == member


def test_each_tool_holds_exactly_who_it_may(walked: Road) -> None:
    population = walked.company.population
    at_risk = truth.at_risk(population, walked.state().as_of)
    addresses = {
        email.lower() for person in population.people if person.person_id in at_risk for email in person.emails
    }
    tagged = tagged_addresses(walked)
    assert tagged <= addresses
    assert len(tagged) == len(at_risk & truth.reachable_by_mailchimp(population, walked.state().as_of))
    sent = walked.query("SELECT sync, COUNT(*) AS n FROM activation.state GROUP BY sync ORDER BY sync")
    assert {row["sync"].rpartition("__")[2] for row in sent} == set(DESTINATIONS)
    for row in walked.query(
        "SELECT address FROM activation.state WHERE sync = 'at_risk_customers__zendesk_user' LIMIT 3"
    ):
        user = walked.company.read(f"/zendesk/api/v2/users/{row['address']}.json", ZENDESK)["user"]
        assert user["user_fields"]["is_at_risk"] is True
    for row in walked.query(
        "SELECT address FROM activation.state WHERE sync = 'at_risk_customers__hubspot_contact' LIMIT 3"
    ):
        path = f"/hubspot/crm/v3/objects/contacts/{row['address']}?properties=is_at_risk"
        assert walked.company.read(path, HUBSPOT)["properties"]["is_at_risk"] == "true"


def test_every_planned_row_has_a_receipt(walked: Road) -> None:
    planned = walked.query(
        "SELECT sync, SUM(enter + `update` + leave + suppressed + invalid) AS n FROM activation.plans GROUP BY sync"
    )
    receipts = walked.query("SELECT sync, COUNT(*) AS n FROM activation.receipts GROUP BY sync")
    assert {row["sync"]: row["n"] for row in planned} == {row["sync"]: row["n"] for row in receipts}


def test_checks_ran_on_every_loaded_table(walked: Road) -> None:
    rows = walked.query("SELECT COUNT(DISTINCT table_name) AS n, COUNTIF(NOT is_success) AS bad FROM ops.check_results")
    assert rows[0]["n"] >= 12


@pytest.mark.long
def test_walking_again_changes_nothing(walked: Road) -> None:
    with walked.here() as settings:
        before = fingerprint(settings, TOUCHED)
    ids = walked.query("SELECT customer_id FROM identity.customers ORDER BY customer_id")
    walked.company.control("POST", "reset_stats", {})
    walked.walk()
    with walked.here() as settings:
        after = fingerprint(settings, TOUCHED)
        assert duplicate_raw_rows(settings) == 0
    assert differences(before, after) == {}
    assert walked.query("SELECT customer_id FROM identity.customers ORDER BY customer_id") == ids
    assert walked.company.writes() == 0


@pytest.mark.long
def test_who_recovers_leaves_the_list(walked: Road) -> None:
    tagged = tagged_addresses(walked)
    moved = walked.company.control("POST", "advance", {"recover": 2})
    recovered = set(_ids(moved))
    assert len(recovered) == 2
    walked.walk()
    population = walked.company.population
    addresses = {e.lower() for person in population.people if person.person_id in recovered for e in person.emails}
    gone = tagged - tagged_addresses(walked)
    assert gone
    assert gone <= addresses
    assert not listed_people(walked) & recovered


def _ids(answer: Any) -> list[int]:
    found = answer.get("recovered") if isinstance(answer, dict) else answer
    assert isinstance(found, list), answer
    return found


@pytest.mark.long
def test_a_late_stream_holds_the_list_and_nothing_is_sent(walked: Road) -> None:
    members = walked.query("SELECT customer_id FROM segments.at_risk_customers ORDER BY customer_id")
    walked.ahead = _days(3)
    walked.turn()
    walked.company.control("POST", "advance", {"days": 3})
    walked.company.control("POST", "reset_stats", {})
    walked.ingest(*(source for source in walked.sources if source != "stripe"))
    walked.unify()
    held = walked.segment()
    assert held is not None
    assert "stripe" in held
    for destination in DESTINATIONS:
        walked.sync(destination)
    assert walked.company.writes() == 0
    assert walked.query("SELECT customer_id FROM segments.at_risk_customers ORDER BY customer_id") == members


def _days(number: int) -> Any:
    from datetime import timedelta

    return timedelta(days=number)


@pytest.mark.long
@pytest.mark.parametrize("case", ["absent", "never loaded"])
def test_without_orders_there_is_no_list(company: Any, tmp_path: Any, case: str) -> None:
    others = ("hubspot", "mailchimp", "zendesk")
    road = Road(tmp_path, company, sources=others if case == "absent" else (*others, "stripe"))
    road.turn()
    company.control("POST", "reset_stats", {})
    road.ingest(*others)
    road.unify()
    held = road.segment()
    assert held is not None
    assert "orders" in held or "stripe" in held
    for destination in DESTINATIONS:
        assert road.sync(destination) is None
    assert company.writes() == 0
