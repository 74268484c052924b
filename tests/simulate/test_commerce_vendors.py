"""The rules of Shopify: what queries cost, and what they say when they go wrong."""

from __future__ import annotations

from typing import Any

GRAPHQL = "/shopify/admin/api/2026-10/graphql.json"
NAMES = "query ($first: Int!) { customers(first: $first, sortKey: UPDATED_AT) { nodes { id firstName } pageInfo { endCursor } } }"


def ask(vendors: Any, query: str, **variables: Any) -> dict[str, Any]:
    found: dict[str, Any] = vendors.post(GRAPHQL, {"query": query, "variables": variables})
    return found


def test_shopify_counts_points_and_gives_them_back(limited) -> None:
    answers = [ask(limited, NAMES, first=250) for _ in range(9)]
    costs = [one["extensions"]["cost"] for one in answers]
    assert {cost["requestedQueryCost"] for cost in costs} == {253}
    assert [cost["throttleStatus"]["currentlyAvailable"] for cost in costs[:2]] == [1747, 1494]
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
        ("{ customers(first: 250) { nodes { id amountSpent { amount } a: defaultAddress { a } } } }", "undefinedField"),
        ("{ customers(first: 250) { nodes { amountSpent { a } b { a } c { a } d { a } } } }", "MAX_COST_EXCEEDED"),
    ):
        assert ask(vendors, query)["errors"][0]["extensions"]["code"] == code


def test_shopify_runs_one_bulk_operation_at_a_time(vendors) -> None:
    start = 'mutation { bulkOperationRunQuery(query: "{ customers { edges { node { id } } } }") { bulkOperation { id } userErrors { code } } }'
    first, second = (ask(vendors, start)["data"]["bulkOperationRunQuery"] for _ in range(2))
    assert second == {"bulkOperation": None, "userErrors": [{"code": "OPERATION_IN_PROGRESS"}]}
    state = "query ($id: ID!) { bulkOperation(id: $id) { status url } }"
    states = [ask(vendors, state, id=first["bulkOperation"]["id"])["data"]["bulkOperation"] for _ in range(2)]
    assert [one["status"] for one in states] == ["RUNNING", "COMPLETED"]
    signed = states[1]["url"].removeprefix("http://sim.example")
    # With the token in the header, as a careless client would send it.
    assert vendors.call("GET", signed).status_code == 401
