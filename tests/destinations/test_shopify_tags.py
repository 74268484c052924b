"""What Shopify's tags have to cope with: costly documents, errors inside answers, customers that are gone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from destination_bench import Bench, make_bench
from seen import shopify_ask, shopify_customers
from small_warehouse import person

from include.connect.errors import FixCredentials, FixSettings
from include.destinations import get_destination
from include.simulate.shopify import NARROW

if TYPE_CHECKING:
    from vendors import Simulator


@pytest.fixture
def shopify(simulator: Simulator, tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
    return make_bench("shopify_tag", simulator, tmp_path, request.node.originalname)


def test_errors_are_read_row_by_row_and_who_is_gone_has_left(shopify: Bench) -> None:
    people = shopify.everybody[:8]
    strangers = [person(9000, shopify_customer_id="1"), person(9001, shopify_customer_id="x1")]
    result = shopify.send(shopify.publish([*people, *strangers], tolerance="1"))
    assert (result.accepted, result.rejected, shopify.stats()["writes"]) == (8, 2, 1)
    rejected = shopify.warehouse.rows("SELECT address, code FROM activation.receipts WHERE status = 'rejected'")
    assert {row["address"]: row["code"] for row in rejected} == {"1": "id", "x1": "invalid_id"}
    merge = (
        "mutation ($a: ID!, $b: ID!) { customerMerge(customerOneId: $a, customerTwoId: $b) { userErrors { code } } }"
    )
    gone, kept = (f"gid://shopify/Customer/{shopify.everybody[at]['shopify_customer_id']}" for at in (0, -1))
    shopify_ask(shopify.simulator, merge, a=gone, b=kept)
    result = shopify.send(shopify.publish(people[2:], tolerance="1"))
    assert (result.counts.leave, result.accepted) == (2, 2)
    assert shopify.held() == shopify.flagged() == shopify.addresses(people[2:])


def test_other_tags_stay(shopify: Bench) -> None:
    vip = {one["legacyResourceId"] for one in shopify_customers(shopify.simulator) if "vip" in one["tags"]}
    people = [row for row in shopify.everybody if row["shopify_customer_id"] in vip][:3]
    assert people
    shopify.send(shopify.publish(people))
    shopify.send(shopify.publish([*people[1:], shopify.everybody[0]]))
    after = {one["legacyResourceId"] for one in shopify_customers(shopify.simulator) if "vip" in one["tags"]}
    assert after == vip


def test_a_document_that_costs_too_much_is_halved(shopify: Bench) -> None:
    most = get_destination("shopify_tag").batch
    shopify.seen = replace(shopify.seen, batch=most + 1)
    people = shopify.everybody[: most + 1]
    assert shopify.send(shopify.publish(people)).accepted == most + 1
    assert shopify.stats()["writes"] == 3
    assert shopify.flagged() == shopify.addresses(people)


def test_used_up_points_are_waited_for(shopify: Bench) -> None:
    shopify.simulator.faults("shopify", throttle_every=2)
    people = shopify.everybody[:130]
    result = shopify.send(shopify.publish(people))
    assert (result.accepted, result.calls) == (130, 3)
    shopify.simulator.no_faults()
    assert shopify.flagged() == shopify.addresses(people)


def test_an_app_that_may_not_write_is_said(shopify: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = json.loads(shopify.simulator.connections()["AIRFLOW_CONN_SHOPIFY"])
    monkeypatch.setenv("AIRFLOW_CONN_SHOPIFY", json.dumps({**connection, "password": NARROW}))
    with pytest.raises(FixCredentials, match="write_customers"):
        shopify.send(shopify.publish(shopify.everybody[:2]))


def test_a_tag_that_would_be_two_is_said(shopify: Bench) -> None:
    segment = shopify.publish(shopify.everybody[:2])
    spec = replace(segment.header.syncs[0], target="at risk, very")
    listed = replace(segment, header=replace(segment.header, syncs=(spec,)))
    with pytest.raises(FixSettings, match="cannot be one of Shopify's"):
        shopify.send(listed)
    assert shopify.stats()["requests"] == 0
