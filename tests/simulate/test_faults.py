"""Faults break answers the way networks and vendors break them, and the numbers say how often."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

CONTACTS = "/hubspot/crm/v3/objects/contacts"
MEMBERS = "/mailchimp/3.0/lists/aud0000001/members"


@pytest.fixture
def sim(simulator) -> Iterator:
    simulator.call("POST", "/_control/reset_stats")
    yield simulator
    simulator.call("DELETE", "/_control/faults")


def set_faults(sim, **faults) -> None:
    response = sim.call("POST", "/_control/faults", json=faults)
    assert response.status_code == 200, response.text


def test_every_nth_request_is_throttled(sim) -> None:
    set_faults(sim, hubspot={"throttle_every": 3})
    answers = [sim.call("GET", CONTACTS) for _ in range(7)]
    assert [one.status_code for one in answers] == [200, 200, 429, 200, 200, 429, 200]
    assert "retry-after" not in answers[2].headers
    assert answers[2].json()["category"] == "RATE_LIMITS"
    stats = sim.call("GET", "/_control/stats").json()["hubspot"]
    assert stats == {"requests": 7, "writes": 0, "throttled": 2, "errors": 0}


@pytest.mark.parametrize(
    ("vendor", "path"),
    [
        ("hubspot", CONTACTS),
        ("mailchimp", MEMBERS),
        ("calendly", "/calendly/users/me"),
        ("zendesk", "/zendesk/api/v2/users"),
        ("salesforce", "/salesforce/services/data/v62.0/limits"),
        ("stripe", "/stripe/v1/customers"),
        ("xero", "/xero/Connections"),
        ("callrail", "/callrail/v3/a.json"),
        ("sendgrid", "/sendgrid/v3/suppression/bounces"),
        ("intercom", "/intercom/me"),
        ("airship", "/airship/api/channels"),
        ("shopify", "/shopify/admin/api/2026-10/graphql.json"),
        ("jira", "/jira/rest/api/3/myself"),
        ("discourse", "/discourse/latest.json"),
        ("mandrill", "/mandrill/api/1.0/users/ping.json"),
        ("slack", "/slack/services/T/B/x"),
    ],
)
def test_each_vendor_breaks_in_its_own_way(sim, vendor: str, path: str) -> None:
    method = "POST" if vendor == "slack" else "GET"
    set_faults(sim, **{vendor: {"throttle_every": 1, "retry_after": 4}})
    throttled = sim.call(method, path)
    assert (throttled.status_code, throttled.headers["retry-after"]) == (429, "4")
    set_faults(sim, **{vendor: {"error_every": 1}})
    broken = sim.call(method, path)
    assert broken.status_code == 500
    set_faults(sim, **{vendor: {"reset_every": 1}})
    with pytest.raises(httpx.NetworkError, match="reset"):
        sim.call(method, path)
    assert sim.call("GET", "/_control/stats").json()[vendor] == {
        "requests": 3,
        "writes": 0,
        "throttled": 1,
        "errors": 2,
    }


def test_a_body_is_cut_in_three_ways(sim) -> None:
    whole = sim.call("GET", MEMBERS).content
    set_faults(sim, mailchimp={"truncate_every": 1})
    for _ in range(2):
        # First against its Content-Length, then without the last chunk.
        with pytest.raises(httpx.RemoteProtocolError):
            sim.call("GET", MEMBERS)
    cut = sim.call("GET", MEMBERS)
    assert cut.status_code == 200
    assert cut.content == whole[: len(whole) // 2]
    with pytest.raises(json.JSONDecodeError):
        cut.json()


def test_a_page_comes_twice(sim) -> None:
    set_faults(sim, hubspot={"repeat_page_every": 2})
    pages, after = [], None
    for _ in range(4):
        answer = sim.call("GET", CONTACTS, params={"limit": 5, **({"after": after} if after else {})}).json()
        pages.append([one["id"] for one in answer["results"]])
        after = answer["paging"]["next"]["after"]
    # The second request for a later page is answered with the page before, and with that page's own next token.
    assert pages[2] == pages[1]
    assert pages[3] not in pages[:3]


def test_a_first_page_is_never_a_repeated_one(sim) -> None:
    set_faults(sim, mailchimp={"repeat_page_every": 1})
    first = sim.call("GET", MEMBERS, params={"count": 5}).json()
    assert sim.call("GET", MEMBERS, params={"count": 5, "offset": 5}).json()["members"] == first["members"]
    assert sim.call("GET", MEMBERS, params={"count": 5}).json()["members"] == first["members"]


@pytest.mark.parametrize(("given", "refused"), [(True, 1), (3, 3)])
def test_a_token_expires_for_so_many_calls(sim, given: bool | int, refused: int) -> None:
    set_faults(sim, calendly={"expire_token": given})
    codes = [sim.call("GET", "/calendly/users/me").status_code for _ in range(refused + 1)]
    assert codes == [401] * refused + [200]


@pytest.mark.parametrize(
    ("vendor", "path", "records", "field"),
    [
        ("hubspot", CONTACTS, "results", "createdAt"),
        ("hubspot", "/hubspot/crm/v3/objects/deals", "results", "createdAt"),
        ("mailchimp", MEMBERS, "members", "timestamp_opt"),
        (
            "calendly",
            "/calendly/scheduled_events?organization=x/0a1b2c3d-0000-4000-8000-00000000c0de",
            "collection",
            None,
        ),
        ("zendesk", "/zendesk/api/v2/incremental/tickets/cursor?start_time=0", "tickets", "subject"),
        ("zendesk", "/zendesk/api/v2/incremental/users/cursor?start_time=0", "users", "name"),
        ("stripe", "/stripe/v1/charges", "data", "amount"),
        ("stripe", "/stripe/v1/customers", "data", "created"),
    ],
)
def test_the_schema_drifts(sim, vendor: str, path: str, records: str, field: str | None) -> None:
    field = field or "created_at"
    before = sim.call("GET", path).json()[records][0]
    set_faults(sim, **{vendor: {"drift": True}})
    after = sim.call("GET", path).json()[records][0]
    assert set(after) - set(before) == {"engagement_tier"}
    assert type(after[field]) is not type(before[field])
    assert {key for key in before if before[key] != after[key]} == {field}


def test_a_slow_vendor_answers_late_but_whole(sim) -> None:
    set_faults(sim, stripe={"slow_seconds": 0.3})
    answer = sim.call("GET", "/stripe/v1/customers")
    assert answer.status_code == 200
    assert answer.elapsed.total_seconds() >= 0.3


def test_faults_end(sim) -> None:
    set_faults(sim, hubspot={"error_every": 1}, stripe={"throttle_every": 1})
    assert sim.call("DELETE", "/_control/faults").status_code == 200
    assert sim.call("GET", CONTACTS).status_code == 200
    assert sim.call("GET", "/stripe/v1/customers").status_code == 200


@pytest.mark.parametrize(
    ("faults", "named"),
    [({"hubspott": {}}, "hubspott"), ({"hubspot": {"trottle_every": 2}}, "trottle_every"), ({"hubspot": 3}, "object")],
)
def test_a_misspelt_fault_is_refused(sim, faults: dict, named: str) -> None:
    response = sim.call("POST", "/_control/faults", json=faults)
    assert response.status_code == 400
    assert named in response.json()["error"]


def test_rejected_rows_fail_alone_at_mailchimp(vendors) -> None:
    emails = [one.email for one in vendors.population.mailchimp_members[:4]]
    vendors.post("/_control/faults", {"mailchimp": {"reject_emails": [emails[1].upper()]}})
    tag = vendors.post("/mailchimp/3.0/lists/aud0000001/segments", {"name": "t", "static_segment": []})["id"]
    answer = vendors.post(f"/mailchimp/3.0/lists/aud0000001/segments/{tag}", {"members_to_add": emails})
    assert (answer["total_added"], answer["error_count"]) == (3, 1)
    assert answer["errors"][0]["email_addresses"] == [emails[1]]
    rows = [{"email_address": email, "merge_fields": {"FNAME": "X"}} for email in emails]
    answer = vendors.post("/mailchimp/3.0/lists/aud0000001", {"members": rows, "update_existing": True})
    assert [one["email_address"] for one in answer["errors"]] == [emails[1]]
    assert answer["total_updated"] == 3


def test_rejected_rows_fail_alone_at_hubspot(vendors) -> None:
    contacts = [one for one in vendors.population.hubspot_contacts if one.email][:3]
    vendors.post("/_control/faults", {"hubspot": {"reject_emails": [contacts[0].email]}})
    inputs = [{"id": str(one.id), "properties": {"company": "Acme"}} for one in contacts]
    answer = vendors.post(f"{CONTACTS}/batch/update", {"inputs": inputs}, 207)
    assert {one["id"] for one in answer["results"]} == {str(one.id) for one in contacts[1:]}
    assert answer["numErrors"] == 1
    assert answer["errors"][0]["context"]["ids"] == [str(contacts[0].id)]


def test_rejected_rows_fail_alone_in_a_completed_zendesk_job(vendors) -> None:
    users = [one for one in vendors.population.zendesk_users if one.email][:3]
    vendors.post("/_control/faults", {"zendesk": {"reject_emails": [users[2].email]}})
    rows = [{"id": one.id, "notes": "hello"} for one in users]
    job = vendors.post("/zendesk/api/v2/users/update_many.json", {"users": rows}, method="PUT")["job_status"]
    seen = [job["status"]]
    while seen[-1] != "completed":
        job = vendors.get(f"/zendesk/api/v2/job_statuses/{job['id']}.json")["job_status"]
        seen.append(job["status"])
    assert seen == ["queued", "working", "completed"]
    assert [one.get("success") for one in job["results"]] == [True, True, None]
    assert (job["results"][2]["index"], job["results"][2]["id"]) == (2, users[2].id)
    assert job["results"][2]["error"] == "UserUpdateFailed"


def test_a_rejected_row_fails_at_stripe(vendors) -> None:
    customer = vendors.population.stripe_customers[0]
    vendors.post("/_control/faults", {"stripe": {"reject_emails": [customer.email]}})
    answer = vendors.call("POST", f"/stripe/v1/customers/{customer.id}", data={"metadata[a]": "b"})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert vendors.get(f"/stripe/v1/customers/{customer.id}")["metadata"] == customer.metadata
