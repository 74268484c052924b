"""The vendors' rules: paging, filters, limits, partial failures; and the control plane that moves the world."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from include.simulate.limits import Clock, FixedWindow, SlidingWindow, Verdict
from include.simulate.server import connections
from include.simulate.truth import at_risk

CONTACTS = "/hubspot/crm/v3/objects/contacts"
LIST = "/mailchimp/3.0/lists/aud0000001"
ZENDESK = "/zendesk/api/v2"
ORGANIZATION = "x/0a1b2c3d-0000-4000-8000-00000000c0de"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


# -- the process


def test_the_process_announces_itself_and_leaves_when_told(start) -> None:
    one = start()
    assert one.ready == {"ready": True, "port": one.port, "pid": one.process.pid}
    with duckdb.connect(str(one.folder / "segment.duckdb"), read_only=True) as warehouse:
        tables = {name for (name,) in warehouse.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    assert {"tracks", "identifies", "pages", "users"} <= tables
    given = {name: json.loads(value) for name, value in connections(one.port, one.folder).items()}
    assert Path(given["AIRFLOW_CONN_SEGMENT"]["host"]).is_file()
    assert one.client.post(given["AIRFLOW_CONN_SLACK_ALERTS"]["host"], json={"text": "hello"}).text == "ok"
    assert [alert["message"] for alert in one.call("GET", "/_control/alerts").json()] == [{"text": "hello"}]
    for name, path in {
        "HUBSPOT": "/crm/v3/objects/deals",
        "ZENDESK": "/api/v2/tickets",
        "STRIPE": "/v1/events",
    }.items():
        conn = given[f"AIRFLOW_CONN_{name}"]
        assert conn["extra"]["allow_writes_in"] == ["dev"]
        user = f"{conn['login']}/token" if name == "ZENDESK" else conn["password"]
        password = conn["password"] if name == "ZENDESK" else ""
        bearer = {"Authorization": f"Bearer {conn['password']}"} if name == "HUBSPOT" else {}
        auth = None if bearer else (user, password)
        assert one.client.get(conn["host"] + path, headers=bearer, auth=auth).status_code == 200
    assert one.stop() == 0


def test_a_million_contacts_are_made_up_page_by_page(start) -> None:
    one = start("--unlimited", "--hubspot-contacts", "1000000")
    page = one.call("GET", CONTACTS, params={"limit": 100, "after": "1999900"}).json()
    assert [row["id"] for row in page["results"]][-1] == "2000000"
    last = one.call("GET", CONTACTS, params={"limit": 100, "after": "2000000"}).json()
    assert (len(last["results"]), "paging" in last) == (0, False)
    again = one.call("GET", CONTACTS, params={"limit": 100, "after": "1999900"}).json()
    assert again["results"] == page["results"]
    rule = {"propertyName": "lastmodifieddate", "operator": "GTE", "value": page["results"][0]["updatedAt"]}
    body = {"filterGroups": [{"filters": [rule]}], "sorts": ["lastmodifieddate"], "limit": 200}
    found = one.call("POST", f"{CONTACTS}/search", json=body).json()
    assert found["total"] == 100
    assert [row["id"] for row in found["results"]] == [row["id"] for row in page["results"]]
    rows = [{"id": "1999999", "properties": {"company": "Acme"}}]
    assert one.call("POST", f"{CONTACTS}/batch/update", json={"inputs": rows}).status_code == 200
    assert one.call("GET", f"{CONTACTS}/1999999?properties=company").json()["properties"]["company"] == "Acme"


# -- the control plane


def test_stats_count_writes_but_no_searches(vendors) -> None:
    number = str(vendors.population.hubspot_contacts[0].id)
    vendors.get(CONTACTS)
    vendors.post(f"{CONTACTS}/search", {})
    vendors.post(f"{CONTACTS}/batch/read", {"inputs": [{"id": number}]})
    vendors.post(f"{CONTACTS}/batch/update", {"inputs": [{"id": number, "properties": {"company": "A"}}]})
    vendors.call("GET", f"{CONTACTS}/1")
    assert vendors.stats("hubspot") == {"requests": 5, "writes": 1, "throttled": 0, "errors": 1}
    assert vendors.stats("stripe")["requests"] == 0
    vendors.post("/_control/reset_stats", {})
    assert vendors.stats("hubspot")["requests"] == 0


def test_a_person_at_risk_recovers(vendors) -> None:
    who = min(at_risk(vendors.population, NOW))
    tickets = [one.id for one in vendors.population.zendesk_tickets if one.person_id == who]
    before = {one["id"] for one in vendors.get("/stripe/v1/charges", limit=100)["data"]}
    moved = vendors.post("/_control/advance", {"recover": [who], "days": 1})
    assert moved == {"now": (NOW + timedelta(days=1)).isoformat(), "recovered": [who], "unsubscribed": 0}
    charge = vendors.get("/stripe/v1/charges", limit=1)["data"][0]
    assert charge["id"] not in before
    assert (charge["status"], charge["created"] > NOW.timestamp()) == ("succeeded", True)
    event = vendors.get("/stripe/v1/events", **{"types[]": "charge.succeeded", "limit": 1})["data"][0]
    assert event["data"]["object"]["id"] == charge["id"]
    # The system noted it on the tickets: the export brings them again although updated_at stands still.
    vendors.tick.seconds += 61
    start = int((NOW + timedelta(days=1)).timestamp())
    found = vendors.get(f"{ZENDESK}/incremental/tickets/cursor", start_time=start)["tickets"]
    assert {one["id"] for one in found} == set(tickets)
    assert all(one["updated_at"] < NOW.isoformat() for one in found)


def test_people_unsubscribe_and_time_never_runs_backwards(vendors) -> None:
    member = next(one for one in vendors.population.mailchimp_members if one.status == "subscribed")
    assert vendors.post("/_control/advance", {"unsubscribe": [member.email.upper()]})["unsubscribed"] == 1
    found = vendors.get(f"{LIST}/members", since_last_changed=NOW.isoformat())["members"]
    assert [(one["email_address"], one["status"]) for one in found] == [(member.email, "unsubscribed")]
    assert "days must not be negative" in vendors.post("/_control/advance", {"days": -1}, 400)["error"]
    assert "recovr" in vendors.post("/_control/advance", {"recovr": 1}, 400)["error"]


# -- HubSpot


def test_hubspot_190_requests_in_any_ten_seconds_searches_apart(limited) -> None:
    codes = [limited.call("GET", f"{CONTACTS}?limit=1").status_code for _ in range(191)]
    assert codes == [200] * 190 + [429]
    assert limited.call("POST", f"{CONTACTS}/search", json={}).status_code == 200
    limited.tick.seconds += 9.9
    assert limited.call("GET", CONTACTS).status_code == 429
    limited.tick.seconds += 0.2
    answer = limited.call("GET", CONTACTS)
    assert (answer.status_code, answer.headers["x-hubspot-ratelimit-remaining"]) == (200, "189")
    assert limited.stats("hubspot")["throttled"] == 2


def test_hubspot_search_filters_and_ends_at_ten_thousand(vendors) -> None:
    people = [one for one in vendors.population.hubspot_contacts if one.email]
    emails = [one.email for one in people[:3]]

    def found(*rules: dict, **more) -> set[int]:
        answer = vendors.post(f"{CONTACTS}/search", {"filterGroups": [{"filters": list(rules)}], "limit": 200, **more})
        assert answer["total"] == len(answer["results"])
        return {int(one["id"]) for one in answer["results"]}

    one_of = {"propertyName": "email", "operator": "IN", "values": emails}
    assert found(one_of) == {one.id for one in people[:3]}
    assert found({"propertyName": "email", "operator": "EQ", "value": emails[0].upper()}) == {people[0].id}
    has = {"propertyName": "email", "operator": "HAS_PROPERTY"}
    assert found(has) == {one.id for one in people}
    above = {"propertyName": "hs_object_id", "operator": "GT", "value": str(people[0].id)}
    everybody = {one.id for one in vendors.population.hubspot_contacts}
    assert found(above) == {number for number in everybody if number > people[0].id}
    late = {"propertyName": "lastmodifieddate", "operator": "LT", "value": int(people[0].updated_at.timestamp() * 1000)}
    older = {one.id for one in vendors.population.hubspot_contacts if one.updated_at < people[0].updated_at}
    assert found(late, sorts=["lastmodifieddate"]) == found(late, has) | (older - found(has)) == older
    assert "10000" in vendors.post(f"{CONTACTS}/search", {"after": "9900", "limit": 200}, 400)["message"]
    vendors.post(f"{CONTACTS}/search", {"limit": 201}, 400)
    vendors.post(f"{CONTACTS}/search", {"filterGroups": [{"filters": [has] * 7}]}, 400)
    vendors.post(f"{CONTACTS}/search", {"filterGroups": [{"filters": [{**has, "propertyName": "nope"}]}]}, 400)


def test_hubspot_modified_moves_only_when_something_changed(vendors) -> None:
    number = str(vendors.population.hubspot_contacts[0].id)
    before = vendors.get(f"{CONTACTS}/{number}")
    same = {"inputs": [{"id": number, "properties": {"firstname": before["properties"]["firstname"]}}]}
    vendors.post(f"{CONTACTS}/batch/update", same)
    assert vendors.get(f"{CONTACTS}/{number}") == before
    vendors.post(f"{CONTACTS}/{number}", {"properties": {"firstname": "Zed"}}, 200, "PATCH")
    assert vendors.get(f"{CONTACTS}/{number}")["updatedAt"] == "2026-11-20T12:00:00.000Z"


def test_hubspot_a_bad_row_fails_the_batch_unless_rows_are_traced(vendors) -> None:
    first, second = (str(one.id) for one in vendors.population.hubspot_contacts[:2])
    rows = [{"id": first, "properties": {"firstname": "Zed"}}, {"id": second, "properties": {"email": "no address"}}]
    refused = vendors.post(f"{CONTACTS}/batch/update", {"inputs": rows}, 400)
    assert refused["errors"][0]["code"] == "INVALID_EMAIL"
    assert vendors.get(f"{CONTACTS}/{first}")["properties"]["firstname"] != "Zed"
    traced = [{**row, "objectWriteTraceId": f"t{n}"} for n, row in enumerate(rows)]
    mixed = vendors.post(f"{CONTACTS}/batch/update", {"inputs": traced}, 207)
    assert [one["objectWriteTraceId"] for one in mixed["results"]] == ["t0"]
    assert mixed["errors"][0]["context"]["objectWriteTraceId"] == ["t1"]
    unknown = [{**traced[0], "properties": {"nope": "1"}}]
    assert (
        vendors.post(f"{CONTACTS}/batch/update", {"inputs": unknown}, 400)["errors"][0]["code"]
        == "PROPERTY_DOESNT_EXIST"
    )
    too_many = [{"id": str(n), "properties": {}} for n in range(101)]
    vendors.post(f"{CONTACTS}/batch/update", {"inputs": too_many}, 400)
    assert "uplicate" in vendors.post(f"{CONTACTS}/batch/update", {"inputs": rows[:1] * 2}, 400)["message"]
    email = next(one.email for one in vendors.population.hubspot_contacts if one.email)
    vendors.post(f"{CONTACTS}/batch/create", {"inputs": [{"properties": {"email": email}}]}, 409)
    vendors.post("/hubspot/crm/v3/objects/tickets/search", {}, 400)


def test_hubspot_archived_records_show_only_when_asked_for(vendors) -> None:
    number = str(vendors.population.hubspot_contacts[0].id)
    assert vendors.call("DELETE", f"{CONTACTS}/{number}").status_code == 204
    assert vendors.call("GET", f"{CONTACTS}/{number}").status_code == 404
    assert number not in {one["id"] for one in vendors.get(CONTACTS, limit=100)["results"]}
    gone = vendors.get(CONTACTS, archived="true")["results"]
    assert [(one["id"], one["archived"]) for one in gone] == [(number, True)]
    assert gone[0]["archivedAt"] == "2026-11-20T12:00:00.000Z"


# -- Mailchimp


def test_mailchimp_serves_ten_connections_at_a_time(limited) -> None:
    limited.post("/_control/faults", {"mailchimp": {"slow_seconds": 0.05}})
    answers = limited.together([("GET", "/mailchimp/3.0/ping", {}) for _ in range(13)])
    refused = [one for one in answers if one.status_code == 429]
    assert len(refused) == 3
    assert refused[0].json()["title"] == "Too Many Requests"
    assert "retry-after" not in refused[0].headers


def test_mailchimp_batches_and_filters(vendors) -> None:
    tag = vendors.post(f"{LIST}/segments", {"name": "t", "static_segment": ["nobody@acme.example"]})
    assert (tag["member_count"], tag["type"]) == (0, "static")
    vendors.post(f"{LIST}/segments", {"name": "T", "static_segment": []}, 400)
    many = [f"{n}@acme.example" for n in range(501)]
    assert "at most 500" in vendors.post(f"{LIST}/segments/{tag['id']}", {"members_to_add": many}, 400)["detail"]
    rows = [{"email_address": email, "status": "subscribed", "tags": ["a", "b"]} for email in many]
    vendors.post(LIST, {"members": rows}, 400)
    made = vendors.post(LIST, {"members": [*rows[:2], {"email_address": "bad", "status": "subscribed"}]})
    assert (made["total_created"], made["error_count"]) == (2, 1)
    assert set(made["errors"][0]) == {"email_address", "error", "error_code", "field", "field_message"}
    exists = vendors.post(LIST, {"members": rows[:1]})
    assert exists["errors"][0]["error_code"] == "ERROR_CONTACT_EXISTS"
    synced = vendors.post(LIST, {"members": [{**rows[0], "tags": ["b"]}], "update_existing": True, "sync_tags": True})
    key = synced["updated_members"][0]["id"]
    assert [one["name"] for one in vendors.get(f"{LIST}/members/{key}")["tags"]] == ["b"]
    cut = vendors.get(f"{LIST}/members", fields="members.id,members.tags.name,total_items", count=1)
    assert (set(cut), set(cut["members"][0])) == ({"members", "total_items"}, {"id", "tags"})
    cut = vendors.get(f"{LIST}/members", exclude_fields="members._links,_links", count=1)
    assert "_links" not in cut
    assert "_links" not in cut["members"][0]
    vendors.tick.seconds += 5
    vendors.call("POST", f"{LIST}/members/{key}/tags", json={"tags": [{"name": "b", "status": "inactive"}]})
    later = vendors.get(f"{LIST}/members", since_last_changed=(NOW + timedelta(seconds=3)).isoformat())
    assert [one["id"] for one in later["members"]] == [key]


# -- Calendly


def test_calendly_pages_by_token_and_filters_by_start(vendors) -> None:
    bookings = sorted(vendors.population.calendly_bookings, key=lambda one: one.starts_at)
    seen, token = [], None
    while True:
        more = {"page_token": token} if token else {}
        page = vendors.get("/calendly/scheduled_events", organization=ORGANIZATION, count=2, **more)
        seen += [one["uri"].rsplit("/", 1)[1] for one in page["collection"]]
        token = page["pagination"]["next_page_token"]
        if token is None:
            break
        assert page["pagination"]["next_page"].startswith("http://sim.example/calendly/scheduled_events?")
    assert seen == [one.event_uuid for one in bookings]
    middle = bookings[len(bookings) // 2].starts_at.isoformat()
    late = vendors.get("/calendly/scheduled_events", organization=ORGANIZATION, min_start_time=middle, count=100)
    early = vendors.get("/calendly/scheduled_events", organization=ORGANIZATION, max_start_time=middle, count=100)
    assert len(late["collection"]) + len(early["collection"]) == len(bookings) + 1
    for one in bookings:
        invitee = vendors.get(f"/calendly/scheduled_events/{one.event_uuid}/invitees")["collection"][0]
        assert (invitee["email"], invitee["tracking"]["utm_term"]) == (one.email, one.utm_term)
        assert (invitee["no_show"] is not None, invitee["status"]) == (one.is_no_show, one.status)
    assert vendors.call("GET", "/calendly/scheduled_events?organization=other").status_code == 403


def test_calendly_500_requests_a_minute(limited) -> None:
    answers = [limited.call("GET", "/calendly/users/me") for _ in range(501)]
    assert [one.status_code for one in answers] == [200] * 500 + [429]
    assert answers[0].headers["x-ratelimit-remaining"] == "499"
    assert answers[-1].headers["x-ratelimit-reset"] == "60"


# -- Zendesk


def test_zendesk_export_leaves_the_last_minute_out_and_goes_on_from_its_cursor(vendors) -> None:
    export = f"{ZENDESK}/incremental/users/cursor.json"
    first = vendors.get(export, start_time=0)
    assert first["end_of_stream"] is True
    assert base64.b64decode(first["after_cursor"]).decode().endswith(f".0||{first['users'][-1]['id']}")
    number = vendors.population.zendesk_users[0].id
    vendors.post(f"{ZENDESK}/users/{number}", {"user": {"notes": "changed"}}, 200, "PUT")
    vendors.tick.seconds += 59
    early = vendors.get(export, cursor=first["after_cursor"])
    assert (early["users"], early["after_cursor"], early["end_of_stream"]) == ([], first["after_cursor"], True)
    vendors.tick.seconds += 2
    late = vendors.get(export, cursor=early["after_cursor"])
    assert [one["id"] for one in late["users"]] == [number]
    recent = vendors.call("GET", export, params={"start_time": int(NOW.timestamp()) + 30})
    assert (recent.status_code, recent.json()["error"]) == (422, "InvalidValue")
    assert vendors.call("GET", export, params={"cursor": "bm9uZQ=="}).status_code == 400


def test_zendesk_ten_exports_a_minute_of_700_requests(limited) -> None:
    export = f"{ZENDESK}/incremental/tickets/cursor"
    answers = [limited.call("GET", export, params={"start_time": 0}) for _ in range(11)]
    assert [one.status_code for one in answers] == [200] * 10 + [429]
    assert answers[-1].headers["retry-after"] == "60"
    assert limited.call("GET", f"{ZENDESK}/tickets").status_code == 200
    limited.tick.seconds += 61
    assert limited.call("GET", export, params={"start_time": 0}).status_code == 200
    codes = [limited.call("GET", f"{ZENDESK}/users?per_page=1").status_code for _ in range(700)]
    assert codes == [200] * 699 + [429]


def test_zendesk_lists_page_by_cursor_or_offset(vendors) -> None:
    expected = sorted(one.id for one in vendors.population.zendesk_organizations)
    seen, params = [], {"page[size]": 2}
    while params:
        page = vendors.get(f"{ZENDESK}/organizations", **params)
        seen += [one["id"] for one in page["organizations"]]
        more = page["meta"]["has_more"]
        assert (page["links"]["next"] is not None) == more
        params = {"page[size]": 2, "page[after]": page["meta"]["after_cursor"]} if more else {}
    assert seen == expected
    second = vendors.get(f"{ZENDESK}/organizations.json", per_page=2, page=2)
    assert [one["id"] for one in second["organizations"]] == expected[2:4]
    assert vendors.call("GET", f"{ZENDESK}/users?page=101").status_code == 400


def test_zendesk_bulk_limits(vendors) -> None:
    rows = [{"id": n} for n in range(101)]
    many = vendors.post(f"{ZENDESK}/users/update_many", {"users": rows}, 400, "PUT")
    assert many["error"] == "TooManyValues"
    users = [
        {"email": "n@acme.example", "name": "N"},
        {"external_id": "u-9", "name": "M"},
        {"email": "bad", "name": "B"},
    ]
    job = vendors.post(f"{ZENDESK}/users/create_or_update_many.json", {"users": users})["job_status"]
    vendors.tick.seconds += 10
    done = vendors.get(f"{ZENDESK}/job_statuses/{job['id']}")["job_status"]
    assert (done["status"], done["total"], done["progress"]) == ("completed", 3, 3)
    assert [one.get("status") for one in done["results"]] == ["Created", "Created", None]
    for _ in range(30):
        vendors.post(f"{ZENDESK}/users/update_many", {"users": []}, method="PUT")
    refused = vendors.call("PUT", f"{ZENDESK}/users/update_many", json={"users": []})
    assert (refused.status_code, refused.json()["error"]) == (429, "TooManyJobs")


# -- Stripe, Slack and everybody


def test_stripe_forgets_events_after_thirty_days_and_takes_100_requests_a_second(limited) -> None:
    oldest = NOW.timestamp() - 30 * 86400
    page = limited.get("/stripe/v1/events", limit=100)
    assert min(one["created"] for one in page["data"]) >= oldest
    assert oldest > min(one.created_at.timestamp() for one in limited.population.stripe_charges)
    codes = [limited.call("GET", "/stripe/v1/events?limit=1").status_code for _ in range(100)]
    assert codes == [200] * 99 + [429]
    limited.tick.seconds += 1
    assert limited.call("GET", "/stripe/v1/events").status_code == 200
    limited.post("/_control/advance", {"days": 31})
    assert limited.get("/stripe/v1/events")["data"] == []


def test_slack_refuses_what_is_no_message(vendors) -> None:
    hook = "/slack/services/T1/B1/secret"
    answers = [vendors.call("POST", hook, content=body) for body in (b"{", b"[]", b'{"text": ""}')]
    assert [(one.status_code, one.text) for one in answers] == [
        (400, "invalid_payload"),
        (400, "invalid_payload"),
        (400, "no_text"),
    ]
    assert vendors.call("POST", hook, data={"payload": '{"text": "form"}'}).text == "ok"
    assert vendors.get("/_control/alerts")[0]["message"] == {"text": "form"}


@pytest.mark.parametrize("vendor", ["hubspot", "mailchimp", "calendly", "zendesk", "stripe"])
def test_an_unknown_path_gets_the_vendors_own_404(vendors, vendor: str) -> None:
    answer = vendors.call("GET", f"/{vendor}/no/such/path")
    assert answer.status_code == 404
    assert isinstance(answer.json(), dict)


def test_windows_and_clock_follow_the_tick() -> None:
    ticks = [0.0]
    clock = Clock(NOW, lambda: ticks[0])
    sliding, fixed = SlidingWindow(2, 10, clock), FixedWindow(2, 60, clock)
    assert [sliding.take().allowed for _ in range(3)] == [True, True, False]
    assert [fixed.take().remaining for _ in range(3)] == [1, 0, 0]
    ticks[0] = 10.0
    assert sliding.take() == Verdict(True, 2, 1, 10.0)
    assert fixed.take().resets_in == 50.0
    clock.forward(timedelta(days=40))
    assert clock.now() == NOW + timedelta(days=40, seconds=10)
    assert fixed.take().allowed is False
    with pytest.raises(ValueError, match="cannot go back"):
        clock.forward(timedelta(days=-1))
