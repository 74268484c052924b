"""What is odd about Shopify: queries have a cost, errors come with status 200, large loads are files."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include.connect.errors import FixCredentials
from include.connect.http import CallRefused, Session
from include.connect.source import Page, Window
from include.simulate.shopify import NARROW
from include.sources import get_source
from include.sources.shopify import CUSTOMER, lists
from include.state.store import Store
from tests.sources.simulator import PAGE, PatientClock, Puller, Simulator
from tests.sources.test_oddities import asked

MERGE = "mutation ($one: ID!, $two: ID!) { customerMerge(customerOneId: $one, customerTwoId: $two) { userErrors } }"


def payloads(pulling: Puller, manifest: Any) -> dict[str, Any]:
    return {line["_key"]: line["_payload"] for line in pulling.lines(manifest)}


def read(simulator: Simulator, home: Path, read_pages: Any, resume: str | None = None) -> list[Page]:
    connection = simulator.connection("shopify")
    connection = replace(connection, extra={**connection.extra, "bulk_from": 1, "page_size": 250})

    async def run(store: Store) -> list[Page]:
        async with Session(get_source("shopify"), connection, store, clock=PatientClock()) as session:
            window = Window("full", None, datetime.now(UTC), resume=resume)
            return [page async for page in read_pages(session, window)]

    with Store.open(Puller(simulator, home).settings) as store:
        return asyncio.run(run(store))


def test_a_bulk_operation_brings_what_pages_bring(pulling: Puller, tmp_path: Path) -> None:
    by_pages = {manifest.stream: payloads(pulling, manifest) for manifest in pulling("shopify")}
    connection = pulling.simulator.connection("shopify")
    many = replace(connection, extra={**connection.extra, "bulk_from": 5})
    in_bulk = Puller(pulling.simulator, tmp_path / "bulk")
    pulling.simulator.faults("shopify", truncate_every=3, throttle_every=4)
    manifests = in_bulk("shopify", connection=many)
    assert {manifest.stream: payloads(in_bulk, manifest) for manifest in manifests} == by_pages
    carts = by_pages["abandoned_checkouts"].values()
    assert max(len(cart["lineItems"]["nodes"]) for cart in carts) > 1
    # Page, start, states and file of three lists, and what the faults cost.
    assert sum(manifest.requests - manifest.retries for manifest in manifests) < 20


def test_a_bulk_operation_goes_on_after_the_last_page_that_was_stored(
    changing_world: Simulator, tmp_path: Path
) -> None:
    carts = get_source("shopify").stream("abandoned_checkouts").read
    (whole,) = read(changing_world, tmp_path, carts)
    pulling = Puller(changing_world, tmp_path)
    connection = changing_world.connection("shopify")
    many = replace(connection, extra={**connection.extra, "bulk_from": 1})

    async def first(store: Store) -> Page:
        async with Session(get_source("shopify"), many, store, clock=PatientClock()) as session:
            assert carts is not None
            return await anext(aiter(carts(session, Window("full", None, datetime.now(UTC)))))

    with Store.open(pulling.settings) as store:
        begun = asyncio.run(first(store))
    (rest,) = read(changing_world, tmp_path, carts, begun.resume)
    assert len(begun.records) == PAGE
    assert [*begun.records, *rest.records] == list(whole.records)
    with pytest.raises(CallRefused, match="forgotten"):
        read(changing_world, tmp_path, carts, "bulk|gid://shopify/BulkOperation/99999|12")


def test_used_up_points_are_waited_for(pulling: Puller) -> None:
    pulling.simulator.faults("shopify", throttle_every=4)
    manifests = pulling("shopify", stream="orders")
    # 500 points asked for, 100 there, 100 more each second.
    assert manifests[0].throttled > 0
    assert manifests[0].throttled_seconds == pytest.approx(2 * manifests[0].throttled)


def test_errors_with_status_200_say_what_to_do(pulling: Puller, tmp_path: Path) -> None:
    good = pulling.simulator.connection("shopify")
    with pytest.raises(FixCredentials, match="read_customers"):
        pulling("shopify", connection=replace(good, password=NARROW))
    with pytest.raises(CallRefused, match="page_size"):
        read(pulling.simulator, tmp_path, lists("customers", CUSTOMER, 250, "UPDATED_AT"))
    with pytest.raises(CallRefused, match="undefinedField"):
        read(pulling.simulator, tmp_path, lists("customers", "id shoeSize", 250, "UPDATED_AT"))


def test_a_merged_customer_is_found_no_more_and_its_orders_come_again(
    changing_world: Simulator, tmp_path: Path
) -> None:
    pulling = Puller(changing_world, tmp_path)
    _, orders, _ = pulling("shopify")
    buyers = [one["customer"]["id"] for one in payloads(pulling, orders).values() if one["customer"]]
    gone, kept = sorted(set(buyers))[:2]
    variables = {"one": gone, "two": kept}
    asked(
        changing_world,
        "shopify",
        pulling,
        ("POST", "/graphql.json", {"json": {"query": MERGE, "variables": variables}}),
    )
    customers, orders, _ = pulling("shopify", "2")
    found = payloads(pulling, customers)
    assert kept in found
    assert gone not in found
    moved = [one for one in payloads(pulling, orders).values() if one["customer"] == {"id": kept}]
    assert len(moved) >= buyers.count(gone) > 0
