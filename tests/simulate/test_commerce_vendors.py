"""The rules of Shopify, Jira, Mandrill and Discourse: what queries cost, what is refused, limits."""

from __future__ import annotations

from typing import Any

from include.simulate.people import Population
from include.simulate.shopify_records import make_shop
from tests.simulate.conftest import NOW

GRAPHQL = "/shopify/admin/api/2026-10/graphql.json"
NAMES = """query ($first: Int!) {
  customers(first: $first, sortKey: UPDATED_AT) { nodes { id firstName } pageInfo { endCursor } }
}"""
START = """mutation ($query: String!) {
  bulkOperationRunQuery(query: $query) { bulkOperation { id } userErrors { code } }
}"""


def ask(vendors: Any, document: str, **variables: Any) -> dict[str, Any]:
    found: dict[str, Any] = vendors.post(GRAPHQL, {"query": document, "variables": variables})
    return found


def test_shopify_counts_points_and_gives_them_back(limited) -> None:
    answers = [ask(limited, NAMES, first=250) for _ in range(9)]
    costs = [one["extensions"]["cost"] for one in answers]
    assert {cost["requestedQueryCost"] for cost in costs} == {252}
    assert [cost["throttleStatus"]["currentlyAvailable"] for cost in costs[:2]] == [1748, 1496]
    assert [one.get("errors", [{}])[0].get("extensions") for one in answers] == [None] * 7 + [{"code": "THROTTLED"}] * 2
    limited.tick.seconds += 1
    assert "data" in ask(limited, NAMES, first=250)


def test_shopify_shows_what_is_selected_and_refuses_the_rest(vendors) -> None:
    (one,) = ask(vendors, NAMES, first=1)["data"]["customers"]["nodes"]
    assert one.keys() == {"id", "firstName"}
    for query, code in (
        ("{ customers(first: 1) { nodes { shoeSize } } }", "undefinedField"),
        ("{ customers(first: 251) { nodes { id } } }", "undefinedField"),
        ("{ customers(first: 1) { nodes { id }", "undefinedField"),
        ("{ customers(first: 250) { nodes { amountSpent { a } b { a } c { a } d { a } } } }", "MAX_COST_EXCEEDED"),
    ):
        assert ask(vendors, query)["errors"][0]["extensions"]["code"] == code


def test_shopify_runs_one_bulk_operation_at_a_time(vendors) -> None:
    query = "{ customers { edges { node { id } } } }"
    first, second = (ask(vendors, START, query=query)["data"]["bulkOperationRunQuery"] for _ in range(2))
    assert second == {"bulkOperation": None, "userErrors": [{"code": "OPERATION_IN_PROGRESS"}]}
    state = "query ($id: ID!) { bulkOperation(id: $id) { status url } }"
    states = [ask(vendors, state, id=first["bulkOperation"]["id"])["data"]["bulkOperation"] for _ in range(2)]
    assert [one["status"] for one in states] == ["RUNNING", "COMPLETED"]
    signed = states[1]["url"].removeprefix("http://sim.example")
    # With the token in the header, as a careless client would send it.
    assert vendors.call("GET", signed).status_code == 401


def test_shopify_records_name_their_owner_only(population: Population) -> None:
    shop, people = make_shop(population, NOW), {person.person_id: person for person in population.people}
    for name, email_of in (("customers", "defaultEmailAddress"), ("orders", "email")):
        seen = 0
        for key, record in shop.records[name].items():
            owner, email = people[shop.owners[key] or 0], record[email_of]
            email = email["emailAddress"] if isinstance(email, dict) else email
            assert email is None or email.strip().lower() in owner.emails
            assert record.get("multipassIdentifier") in (None, owner.user_id)
            assert {one["value"] for one in record.get("customAttributes", ())} <= set(owner.devices)
            if record.get("customer"):
                assert shop.owners[record["customer"]["id"]] == shop.owners[key]
            seen += 1
        assert seen > 10
    assert make_shop(population, NOW).records == shop.records


SEARCH = "/jira/rest/api/3/search/jql"


def test_jira_wants_a_bound_and_says_no_total(vendors) -> None:
    refused = vendors.post(SEARCH, {"jql": "ORDER BY updated ASC"}, 400)
    assert "Unbounded" in refused["errorMessages"][0]
    query = {"jql": 'updated >= "1990-01-01" ORDER BY updated ASC', "maxResults": 3}
    first = vendors.post(SEARCH, query)
    assert first.keys() == {"issues", "isLast", "nextPageToken"}
    assert [one.keys() for one in first["issues"]] == [{"id"}] * 3
    whole = vendors.post(SEARCH, {**query, "maxResults": 5000, "fields": ["updated"]})
    assert (whole["isLast"], "nextPageToken" in whole) == (True, False)
    second = vendors.post(SEARCH, {**query, "nextPageToken": first["nextPageToken"]})
    assert [one["id"] for one in (*first["issues"], *second["issues"])] == [one["id"] for one in whole["issues"][:6]]
    moments = [one["fields"]["updated"] for one in whole["issues"]]
    assert moments == sorted(moments)
    vendors.post(SEARCH, {**query, "nextPageToken": "soon"}, 400)
    users = vendors.get("/jira/rest/api/3/users/search", maxResults=1000)
    assert {"emailAddress" in user for user in users} == {True, False}


def test_jira_says_when_a_burst_may_go_on(limited) -> None:
    answers = [limited.call("GET", "/jira/rest/api/3/myself") for _ in range(101)]
    assert [one.status_code for one in answers] == [200] * 100 + [429]
    assert answers[-1].headers["retry-after"] == "10"
    assert answers[-1].headers["ratelimit-reason"] == "jira-burst-based"


MANDRILL = "/mandrill/api/1.0"


def test_mandrill_says_everything_with_a_500_and_counts_searches(limited) -> None:
    refused = limited.post(f"{MANDRILL}/messages/search.json", {"key": "wrong"}, 500)
    assert (refused["status"], refused["code"], refused["name"]) == ("error", -1, "Invalid_Key")
    asked = {"key": "md-demo", "query": "*", "limit": 5}
    answers = [limited.call("POST", f"{MANDRILL}/messages/search.json", json=asked) for _ in range(20)]
    assert [one.status_code for one in answers] == [200] * 19 + [429]
    week = limited.population.now.timestamp() - 7 * 86_400
    assert 0 < len(answers[0].json()) <= 5
    assert all(one["ts"] >= week for one in answers[0].json())
    limited.post(f"{MANDRILL}/exports/info.json", {"key": "md-demo", "id": "none"}, 500)


def test_mandrill_exports_are_not_ready_at_once_and_need_their_signature(vendors) -> None:
    export = vendors.post(f"{MANDRILL}/exports/rejects.json", {"key": "md-demo"})["id"]
    states = [vendors.post(f"{MANDRILL}/exports/info.json", {"key": "md-demo", "id": export}) for _ in range(2)]
    assert [one["state"] for one in states] == ["working", "complete"]
    signed = states[1]["result_url"].removeprefix("http://sim.example")
    assert vendors.call("GET", signed).content.startswith(b"PK")
    assert vendors.call("GET", signed.partition("?")[0]).status_code == 500


def test_discourse_pages_posts_by_number_and_shows_addresses_when_asked(vendors) -> None:
    latest = vendors.get("/discourse/posts.json")["latest_posts"]
    numbers = [post["id"] for post in latest]
    assert numbers == sorted(numbers, reverse=True)
    below = vendors.get("/discourse/posts.json", before=numbers[1])["latest_posts"]
    assert below[0]["id"] == numbers[1]
    assert below[-1]["id"] > numbers[1] - 50
    path = "/discourse/admin/users/list/active.json"
    assert {user["email"] for user in vendors.get(path)} == {None}
    assert all(user["email"] for user in vendors.get(path, show_emails="true"))


def test_discourse_says_when_the_minute_ends(limited) -> None:
    limited.tick.seconds += 48
    answers = [limited.call("GET", "/discourse/latest.json") for _ in range(61)]
    assert [one.status_code for one in answers] == [200] * 60 + [429]
    assert answers[-1].headers["retry-after"] == "12"
    assert answers[-1].json()["extras"] == {"wait_seconds": 12}
