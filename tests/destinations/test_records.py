"""What vendors with one record a person have to cope with: Stripe, Salesforce and Mailchimp's merge fields."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from destination_bench import Bench, make_bench
from seen import SALESFORCE, SALESFORCE_API, STRIPE
from small_warehouse import person
from vendors import MAILCHIMP, audience, mailchimp_members

from include.connect.errors import FixSettings

if TYPE_CHECKING:
    from vendors import Simulator


@pytest.fixture
def bench(simulator: Simulator, tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
    """A bench for the destination that the test's name begins with."""
    words = request.node.originalname.removeprefix("test_").split("_")
    return make_bench("_".join(words[:2]), simulator, tmp_path, request.node.originalname)


def rejected(bench: Bench) -> dict[str, str]:
    rows = bench.warehouse.rows("SELECT address, code FROM activation.receipts WHERE status = 'rejected'")
    return {row["address"]: row["code"] for row in rows}


def test_stripe_customer_metadata_is_merged_and_who_was_deleted_there_has_left(bench: Bench) -> None:
    people = [row | {"order_count": 4, "journey_stage": "loyalty"} for row in bench.everybody[:3]]
    numbers = [row["stripe_customer_id"] for row in people]
    path = "/stripe/v1/customers/{}"
    form = {"Content-Type": "application/x-www-form-urlencoded", **STRIPE}
    bench.simulator.call("POST", path.format(numbers[0]), form, b"metadata[colour]=red")
    mapped = {"fields": "{made_orders: order_count, made_stage: journey_stage}"}
    bench.send(bench.publish(people, **mapped))
    people[0]["journey_stage"] = None
    bench.send(bench.publish(people, **mapped))

    def metadata() -> dict[str, str]:
        held: dict[str, str] = bench.simulator.call("GET", path.format(numbers[0]), STRIPE)["metadata"]
        return {
            name: value for name, value in held.items() if name in ("colour", "made_orders", "made_stage", bench.target)
        }

    assert metadata() == {"colour": "red", "made_orders": "4", bench.target: "true"}
    bench.simulator.call("DELETE", path.format(numbers[1]), STRIPE)
    result = bench.send(bench.publish(people[2:], **mapped))
    assert (result.counts.leave, result.accepted, result.rejected) == (2, 2, 0)
    assert metadata() == {"colour": "red", bench.target: "false"}
    stranger = person(9000, stripe_customer_id="cus_nobody")
    assert bench.send(bench.publish([*people[2:], stranger], tolerance="1", **mapped)).rejected == 1
    assert rejected(bench) == {"cus_nobody": "resource_missing"}


def test_stripe_customer_keys_that_are_too_long_are_said(bench: Bench) -> None:
    bench.target = "t" * 41
    with pytest.raises(FixSettings, match="too long"):
        bench.send(bench.publish(bench.everybody[:2]))
    assert bench.stats()["requests"] == 0


def test_salesforce_contact_rows_that_are_locked_are_tried_again_and_deleted_ones_have_left(bench: Bench) -> None:
    people = bench.everybody[:8]
    path = f"/salesforce{SALESFORCE_API}/sobjects/Contact/{{}}"
    numbers = [row["salesforce_contact_id"] for row in people]
    bench.simulator.call("PATCH", path.format(numbers[3]), SALESFORCE, {"Title": "Locked once"})
    stranger = person(9000, salesforce_contact_id="003000000000000AAA")
    bench.simulator.reset_stats()
    result = bench.send(bench.publish([*people, stranger], tolerance="1"))
    assert (result.accepted, result.rejected, bench.stats()["writes"]) == (8, 1, 2)
    assert bench.flagged() == bench.addresses(people)
    assert rejected(bench) == {"003000000000000AAA": "INVALID_CROSS_REFERENCE_KEY"}
    bench.simulator.call("DELETE", path.format(numbers[0]), SALESFORCE)
    result = bench.send(bench.publish(people[2:]))
    assert (result.counts.leave, result.accepted, result.rejected) == (2, 2, 0)
    assert bench.flagged() == bench.addresses(people[2:])


def test_salesforce_contact_fields_are_made_by_hand(bench: Bench) -> None:
    bench.target = "is_nowhere"
    with pytest.raises(FixSettings, match="no field is_nowhere"):
        bench.send(bench.publish(bench.everybody[:2]))
    assert bench.stats()["writes"] == 0


def test_mailchimp_member_status_is_never_changed_and_strangers_are_refused(bench: Bench) -> None:
    before = {one["id"]: one["status"] for one in mailchimp_members(bench.simulator)}
    gone = [one for one in mailchimp_members(bench.simulator) if one["status"] in ("unsubscribed", "cleaned")][:10]
    stale = [
        person(
            5000 + number,
            email_marketing_address=one["email_address"].lower(),
            mailchimp_member_id=one["id"],
            mailchimp_list_id=one["list_id"],
        )
        for number, one in enumerate(gone)
    ]
    stranger = person(9000, mailchimp_list_id=audience(bench.simulator))
    people = [*bench.everybody[:10], *stale]
    result = bench.send(bench.publish([*people, stranger], tolerance="1"))
    assert (result.accepted, result.rejected) == (len(people), 1)
    assert bench.flagged() == bench.addresses(people)
    assert bench.send(bench.publish(people[5:], tolerance="1")).counts.leave == 5
    assert {one["id"]: one["status"] for one in mailchimp_members(bench.simulator)} == before


def test_mailchimp_member_fields_are_made_of_their_kind_and_found_by_their_names(bench: Bench) -> None:
    people = [row | {"order_count": 4, "journey_stage": "loyalty"} for row in bench.everybody[:2]]
    mapped = {"fields": "{made_order_count: order_count, made_order_stage: journey_stage, fname: first_name}"}
    bench.send(bench.publish(people, **mapped))
    people[0]["order_count"] = None
    bench.send(bench.publish(people, **mapped))
    one = f"/mailchimp/3.0/lists/{audience(bench.simulator)}"
    fields = bench.simulator.call("GET", f"{one}/merge-fields?count=1000", MAILCHIMP)["merge_fields"]
    made = {field["name"]: field for field in fields if field["name"].startswith("made_order_")}
    assert {name: field["type"] for name, field in made.items()} == {
        "made_order_count": "number",
        "made_order_stage": "text",
    }
    member = bench.simulator.call("GET", f"{one}/members/{people[0]['mailchimp_member_id']}", MAILCHIMP)
    held = {name: member["merge_fields"][field["tag"]] for name, field in made.items()}
    assert held == {"made_order_count": "", "made_order_stage": "loyalty"}
    assert member["merge_fields"]["FNAME"] == people[0]["first_name"]
