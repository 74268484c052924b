"""What only one of the destinations has to cope with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from destination_bench import Bench, make_bench
from small_warehouse import person
from vendors import HUBSPOT, MAILCHIMP, ZENDESK, mailchimp_members, mailchimp_tag

from include.connect.http import CallRefused

if TYPE_CHECKING:
    from vendors import Simulator


@pytest.fixture
def mailchimp(simulator: Simulator, tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
    return make_bench("mailchimp_tag", simulator, tmp_path, request.node.originalname)


@pytest.fixture
def zendesk(simulator: Simulator, tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
    return make_bench("zendesk_user", simulator, tmp_path, request.node.originalname)


@pytest.fixture
def hubspot(simulator: Simulator, tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
    return make_bench("hubspot_contact", simulator, tmp_path, request.node.originalname)


def rejected(bench: Bench) -> dict[str, str]:
    rows = bench.warehouse.rows("SELECT address, code FROM activation.receipts WHERE status = 'rejected'")
    return {row["address"]: row["code"] for row in rows}


def test_mailchimp_nobody_is_subscribed_again(mailchimp: Bench) -> None:
    """Not even people of whom the warehouse believes that they consent."""
    before = {member["id"]: member["status"] for member in mailchimp_members(mailchimp.simulator)}
    gone = [member for member in mailchimp_members(mailchimp.simulator) if member["status"] != "subscribed"][:40]
    stale: list[dict[str, Any]] = [
        person(
            5000 + number,
            email_marketing_address=member["email_address"].lower(),
            mailchimp_member_id=member["id"],
            mailchimp_list_id=member["list_id"],
        )
        for number, member in enumerate(gone)
    ]
    assert {before[member["id"]] for member in gone} >= {"unsubscribed", "cleaned"}
    people = mailchimp.everybody[:20] + stale
    mailchimp.send(mailchimp.publish(people, tolerance="1"))
    mailchimp.send(mailchimp.publish(people[:50], tolerance="1"))
    after = {member["id"]: member["status"] for member in mailchimp_members(mailchimp.simulator)}
    assert after == before


def test_mailchimp_people_who_are_no_contacts_are_not_sent(mailchimp: Bench) -> None:
    stranger = person(9000, mailchimp_member_id=None, mailchimp_list_id=None)
    doubting = person(9001, has_email_marketing_consent=False)
    result = mailchimp.send(mailchimp.publish([*mailchimp.everybody[:3], stranger, doubting]))
    assert (result.accepted, result.suppressed) == (3, 2)
    codes = mailchimp.warehouse.rows("SELECT customer_id, code FROM activation.receipts WHERE status = 'suppressed'")
    assert {row["customer_id"]: row["code"] for row in codes} == {
        "c09000": "not_at_destination",
        "c09001": "no_consent",
    }


def test_mailchimp_the_only_audience_is_found(mailchimp: Bench) -> None:
    people = [row | {"mailchimp_list_id": None} for row in mailchimp.everybody[:3]]
    assert mailchimp.send(mailchimp.publish(people)).accepted == 3
    assert mailchimp.flagged() == mailchimp.addresses(people)
    assert mailchimp.send(mailchimp.publish(people[1:])).counts.leave == 1
    assert mailchimp.flagged() == mailchimp.addresses(people[1:])


def test_mailchimp_an_audience_that_does_not_exist_is_said(mailchimp: Bench) -> None:
    people = [row | {"mailchimp_list_id": "nowhere"} for row in mailchimp.everybody[:3]]
    with pytest.raises(CallRefused, match=r"404"):
        mailchimp.send(mailchimp.publish(people))
    deferred = mailchimp.warehouse.rows("SELECT status, code FROM activation.receipts")
    assert deferred == [{"status": "deferred", "code": "CallRefused"}] * 3


def test_mailchimp_who_is_no_contact_any_more_has_left(mailchimp: Bench) -> None:
    people = mailchimp.everybody[-3:]
    mailchimp.send(mailchimp.publish(people))
    tag = mailchimp_tag(mailchimp.simulator, mailchimp.target)
    assert tag is not None
    audience = tag.partition("/segments/")[0]
    path = f"{audience}/members/{people[0]['mailchimp_member_id']}/actions/delete-permanent"
    mailchimp.simulator.call("POST", path, MAILCHIMP)
    result = mailchimp.send(mailchimp.publish(people[1:]))
    assert (result.counts.leave, result.accepted, result.rejected) == (1, 1, 0)
    assert mailchimp.held() == mailchimp.addresses(people[1:])


def test_mailchimp_another_tag_is_left_before_the_new_one_is_entered(mailchimp: Bench) -> None:
    people = mailchimp.everybody[:5]
    mailchimp.send(mailchimp.publish(people))
    old = mailchimp.target
    mailchimp.target += "_renamed"
    result = mailchimp.send(mailchimp.publish(people))
    assert (result.counts.enter, result.counts.leave) == (5, 5)
    assert mailchimp.flagged() == mailchimp.addresses(people)
    assert mailchimp.seen.flagged(mailchimp.simulator, old) == set()


def test_zendesk_rows_of_a_completed_job_are_read_one_by_one(zendesk: Bench) -> None:
    unknown, nonsense = person(9000, zendesk_user_id="1"), person(9001, zendesk_user_id="agent-x")
    people = zendesk.everybody[:8]
    result = zendesk.send(zendesk.publish([*people, unknown, nonsense], tolerance="1"))
    assert (result.accepted, result.rejected) == (8, 2)
    assert zendesk.flagged() == zendesk.addresses(people)
    assert rejected(zendesk) == {"1": "NotFound", "agent-x": "InvalidId"}


def test_zendesk_fields_are_made_once_and_of_their_kind(zendesk: Bench) -> None:
    people = [row | {"order_count": 4, "journey_stage": "loyalty"} for row in zendesk.everybody[:2]]
    options = {"fields": "{made_orders: order_count, made_stage: journey_stage}"}
    zendesk.send(zendesk.publish(people, **options))
    people[0]["order_count"] = 5
    zendesk.send(zendesk.publish(people, **options))
    fields = zendesk.simulator.call("GET", "/zendesk/api/v2/user_fields", ZENDESK)["user_fields"]
    made = [(field["key"], field["type"]) for field in fields if field["key"].startswith(("made_", zendesk.target))]
    assert sorted(made) == [("made_orders", "decimal"), ("made_stage", "text"), (zendesk.target, "checkbox")]
    path = f"/zendesk/api/v2/users/{people[0]['zendesk_user_id']}"
    user = zendesk.simulator.call("GET", path, ZENDESK)["user"]
    assert (float(user["user_fields"]["made_orders"]), user["user_fields"]["made_stage"]) == (5.0, "loyalty")


def test_hubspot_an_unknown_contact_is_told_from_its_neighbours(hubspot: Bench) -> None:
    people = hubspot.everybody[:8]
    result = hubspot.send(hubspot.publish([*people, person(9000, hubspot_contact_id="1")], tolerance="1"))
    assert (result.accepted, result.rejected) == (8, 1)
    assert hubspot.flagged() == hubspot.addresses(people)
    assert rejected(hubspot) == {"1": "OBJECT_NOT_FOUND"}


def test_hubspot_values_are_texts_and_nothing_clears(hubspot: Bench) -> None:
    people = [row | {"order_count": 4, "journey_stage": "loyalty"} for row in hubspot.everybody[:2]]
    options = {"fields": "{made_orders: order_count, made_stage: journey_stage}"}
    hubspot.send(hubspot.publish(people, **options))
    people[0]["journey_stage"] = None
    hubspot.send(hubspot.publish(people, **options))
    path = f"/hubspot/crm/v3/objects/contacts/{people[0]['hubspot_contact_id']}"
    assert values(hubspot, path) == {"made_orders": "4", "made_stage": "", hubspot.target: "true"}
    hubspot.send(hubspot.publish(people[1:], **options))
    assert values(hubspot, path) == {"made_orders": "", "made_stage": "", hubspot.target: "false"}


def values(hubspot: Bench, path: str) -> dict[str, str]:
    """What the test's properties of a contact hold; HubSpot shows an empty one as null or as an empty text."""
    names = ("made_orders", "made_stage", hubspot.target)
    found = hubspot.simulator.call("GET", f"{path}?properties={','.join(names)}", HUBSPOT)["properties"]
    return {name: found[name] or "" for name in names}


def test_hubspot_a_contact_merged_there_stays_on_the_list(hubspot: Bench) -> None:
    """The old id answers for the survivor: lowering the one must not lower the other."""
    path = "/hubspot/crm/v3/objects/contacts?limit=100&properties=hs_merged_object_ids,email"
    merged: dict[str, Any] | None = None
    after = ""
    while merged is None:
        page = hubspot.simulator.call("GET", path + after, HUBSPOT)
        found = [one for one in page["results"] if one["properties"].get("hs_merged_object_ids")]
        merged = found[0] if found else None
        after = f"&after={page['paging']['next']['after']}" if merged is None else ""
    old = merged["properties"]["hs_merged_object_ids"].split(";")[0]
    others = [row for row in hubspot.everybody[:5] if row["hubspot_contact_id"] != merged["id"]]
    result = hubspot.send(hubspot.publish([*others, person(9000, hubspot_contact_id=old)], tolerance="1"))
    assert result.rejected == 0
    result = hubspot.send(hubspot.publish([*others, person(9000, hubspot_contact_id=merged["id"])], tolerance="1"))
    assert (result.counts.enter, result.counts.leave) == (1, 1)
    assert merged["id"] in hubspot.flagged()
