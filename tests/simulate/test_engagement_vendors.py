"""The rules of CallRail, SendGrid, Intercom and Airship: paging, fields, limits, refusals."""

from __future__ import annotations

from typing import Any

import pytest

CALLS = "/callrail/v3/a/ACC0190bc81/calls.json"
CHANGED = {"field": "updated_at", "operator": ">", "value": 0}


def test_callrail_shows_more_only_when_asked_and_pages_by_number_or_by_place(vendors) -> None:
    first = vendors.get(CALLS, per_page=2)
    assert (first["page"], first["per_page"], first["total_pages"]) == (1, 2, -(-first["total_records"] // 2))
    assert "lead_status" not in first["calls"][0]
    assert vendors.get(CALLS, fields="lead_status,gclid")["calls"][0].keys() >= {"lead_status", "gclid"}
    refused = vendors.call("GET", CALLS, params={"fields": "shoe_size"})
    assert (refused.status_code, refused.json()["error"]) == (400, "Invalid fields requested: shoe_size")
    by_number = [call["id"] for page in (1, 2, 3) for call in vendors.get(CALLS, per_page=2, page=page)["calls"]]
    placed = vendors.get(CALLS, per_page=2, relative_pagination="true")
    by_place: list[str] = []
    while True:
        by_place += [call["id"] for call in placed["calls"]]
        if not placed["has_next_page"]:
            break
        placed = vendors.call("GET", placed["next_page"].removeprefix("http://sim.example")).json()
    assert by_place[: len(by_number)] == by_number
    assert len(by_place) == first["total_records"]


def test_a_call_marked_as_spam_is_listed_no_more(vendors) -> None:
    gone = vendors.get(CALLS)["calls"][0]["id"]
    path = CALLS.replace("calls.json", f"calls/{gone}.json")
    assert vendors.post(path, {"note": "Sold a boat", "spam": True}, method="PUT")["id"] == gone
    assert gone not in [call["id"] for call in vendors.get(CALLS)["calls"]]
    assert vendors.call("GET", path).status_code == 404


def test_sendgrid_counts_by_the_minute_and_says_when_it_ends(limited) -> None:
    limited.tick.seconds += 45
    answers = [limited.call("GET", "/sendgrid/v3/suppression/blocks") for _ in range(201)]
    assert [one.status_code for one in answers] == [200] * 200 + [429]
    assert answers[-1].headers["x-ratelimit-reset"] == "15"
    assert "retry-after" not in answers[-1].headers


def test_sendgrid_exports_are_not_ready_at_once_and_need_their_signature(vendors) -> None:
    export = vendors.post("/sendgrid/v3/marketing/contacts/exports", {"file_type": "csv"}, 202)["id"]
    path = f"/sendgrid/v3/marketing/contacts/exports/{export}"
    assert [vendors.get(path)["status"] for _ in range(2)] == ["pending", "ready"]
    (url,) = vendors.get(path)["urls"]
    signed = url.removeprefix("http://sim.example")
    # With the key in the header, as a careless client would send it.
    assert vendors.call("GET", signed).status_code == 401
    assert vendors.call("GET", signed, headers={"Authorization": ""}).status_code == 401


def test_intercom_searches_contacts_by_day_and_conversations_by_second(vendors) -> None:
    def search(kind: str, value: int, **paging: Any) -> dict[str, Any]:
        query = {"operator": "AND", "value": [{**CHANGED, "value": value}]}
        body = {"query": query, "sort": {"field": "updated_at", "order": "ascending"}, "pagination": paging}
        found: dict[str, Any] = vendors.post(f"/intercom/{kind}/search", body)
        return found

    contacts = search("contacts", 0, per_page=150)["data"]
    middle = contacts[len(contacts) // 2]["updated_at"]
    later = {one["id"] for one in contacts if one["updated_at"] // 86_400 > middle // 86_400}
    assert {one["id"] for one in search("contacts", middle, per_page=150)["data"]} == later
    conversations = search("conversations", 0, per_page=150)["conversations"]
    middle = conversations[len(conversations) // 2]["updated_at"]
    later = {one["id"] for one in conversations if one["updated_at"] > middle}
    assert {one["id"] for one in search("conversations", middle, per_page=150)["conversations"]} == later
    first = search("contacts", 0, per_page=5)
    second = search("contacts", 0, per_page=5, starting_after=first["pages"]["next"]["starting_after"])
    assert [*first["data"], *second["data"]] == contacts[:10]


@pytest.mark.parametrize("body", [{"query": CHANGED, "pagination": {"per_page": 151}}, {"query": {"field": "name"}}])
def test_intercom_says_what_is_wrong_with_a_search(vendors, body: dict[str, Any]) -> None:
    answer = vendors.post("/intercom/contacts/search", body, 400)
    assert (answer["type"], answer["errors"][0]["code"]) == ("error.list", "parameter_invalid")
    assert answer["request_id"]


def test_airship_moves_a_channel_to_another_named_user(vendors) -> None:
    (channel,) = vendors.get("/airship/api/channels", limit=1)["channels"]
    moved = {"channel_id": channel["channel_id"], "named_user_id": "somebody", "device_type": channel["device_type"]}
    assert vendors.post("/airship/api/named_users/associate", moved) == {"ok": True}
    found = vendors.get("/airship/api/named_users", id="somebody")["named_user"]
    assert [one["channel_id"] for one in found["channels"]] == [channel["channel_id"]]
    vendors.post("/airship/api/named_users/disassociate", moved)
    assert vendors.call("GET", "/airship/api/named_users", params={"id": "somebody"}).json()["error_code"] == 40401
