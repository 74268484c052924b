"""The vendors' own clients work against the simulators: what they send is understood, what they get they accept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import hubspot
import mailchimp_marketing
import pytest
import requests
import stripe
import zenpy
from hubspot.crm.contacts import (
    BatchInputSimplePublicObjectBatchInput,
    BatchInputSimplePublicObjectBatchInputForCreate,
    BatchInputSimplePublicObjectBatchInputUpsert,
    BatchReadInputSimplePublicObjectId,
    PublicObjectSearchRequest,
    SimplePublicObjectInput,
)
from hubspot.crm.contacts.exceptions import ApiException
from hubspot.crm.properties import PropertyCreate
from mailchimp_marketing.api_client import ApiClientError
from zenpy.lib.api_objects import User, UserField
from zenpy.lib.exception import APIException, RecordNotFoundException

AUDIENCE = "aud0000001"


# -- HubSpot


@pytest.fixture(scope="module")
def crm(simulator) -> Any:
    return hubspot.HubSpot(access_token="pat-demo", host=f"{simulator.url}/hubspot").crm


def test_hubspot_lists_every_contact_page_by_page(crm, population) -> None:
    first = crm.contacts.basic_api.get_page(limit=10, properties=["email", "hs_merged_object_ids"])
    assert len(first.results) == 10
    assert first.paging.next.after == first.results[-1].id
    everybody = crm.contacts.get_all(properties=["email"])
    assert {int(one.id) for one in everybody} == {one.id for one in population.hubspot_contacts}


def test_hubspot_deals_name_their_contacts(crm, population) -> None:
    linked = {str(one.id): one.contact_ids for one in population.hubspot_deals}
    deals = crm.deals.get_all(associations=["contacts"])
    assert {one.id for one in deals} == set(linked)
    for one in deals:
        assert tuple(int(link.id) for link in one.associations["contacts"].results) == linked[one.id]


def test_hubspot_finds_a_contact_by_address_and_by_a_merged_id(crm, population) -> None:
    contact = next(one for one in population.hubspot_contacts if one.email)
    found = crm.contacts.basic_api.get_by_id(contact.email, id_property="email")
    assert found.id == str(contact.id)
    survivor = next((one for one in population.hubspot_contacts if one.merged_ids), None)
    assert survivor is not None
    assert crm.contacts.basic_api.get_by_id(str(survivor.merged_ids[0])).id == str(survivor.id)
    with pytest.raises(ApiException) as caught:
        crm.contacts.basic_api.get_by_id("1")
    assert caught.value.status == 404


def test_hubspot_search_pages_in_order_of_modification(crm, population) -> None:
    middle = sorted(one.updated_at for one in population.hubspot_contacts)[10]
    rule = {"propertyName": "lastmodifieddate", "operator": "GTE", "value": middle.isoformat()}
    sort = {"propertyName": "lastmodifieddate", "direction": "ASCENDING"}
    seen: list[Any] = []
    after = "0"
    while after is not None:
        request = PublicObjectSearchRequest(filter_groups=[{"filters": [rule]}], sorts=[sort], limit=7, after=after)
        answer = crm.contacts.search_api.do_search(request)
        seen += answer.results
        after = answer.paging.next.after if answer.paging else None
    expected = {one.id for one in population.hubspot_contacts if one.updated_at >= middle}
    # Contacts that other tests of this module changed are newer still, so they stay inside.
    assert {int(one.id) for one in seen} >= expected
    assert answer.total == len(seen)
    moments = [one.properties["lastmodifieddate"] for one in seen]
    assert moments == sorted(moments)


def test_hubspot_batches_create_update_upsert_read(crm) -> None:
    inputs = [{"properties": {"email": f"sdk{n}@acme.example", "firstname": "S"}} for n in range(3)]
    made = crm.contacts.batch_api.create(BatchInputSimplePublicObjectBatchInputForCreate(inputs=inputs))
    ids = {one.properties["email"]: one.id for one in made.results}
    assert len(ids) == 3
    rows = [{"id": ids["sdk0@acme.example"], "properties": {"lastname": "Roe"}, "objectWriteTraceId": "a"}]
    rows += [{"id": "1", "properties": {"lastname": "Roe"}, "objectWriteTraceId": "b"}]
    mixed = crm.contacts.batch_api.update(BatchInputSimplePublicObjectBatchInput(inputs=rows))
    assert [one.object_write_trace_id for one in mixed.results] == ["a"]
    assert (mixed.num_errors, mixed.errors[0].context["ids"]) == (1, ["1"])
    rows = [{"id": f"sdk{n}@acme.example", "idProperty": "email", "properties": {"company": "Acme"}} for n in (2, 3)]
    upserted = crm.contacts.batch_api.upsert(BatchInputSimplePublicObjectBatchInputUpsert(inputs=rows))
    assert {one.properties["email"]: one.new for one in upserted.results} == {
        "sdk2@acme.example": False,
        "sdk3@acme.example": True,
    }
    wanted = BatchReadInputSimplePublicObjectId(
        inputs=[{"id": email} for email in ids],
        id_property="email",
        properties=["lastname"],
        properties_with_history=[],
    )
    read = {one.id: one.properties["lastname"] for one in crm.contacts.batch_api.read(wanted).results}
    assert read == dict.fromkeys(ids.values()) | {ids["sdk0@acme.example"]: "Roe"}


def test_hubspot_refuses_an_unknown_property_until_it_is_made(crm, population) -> None:
    number = str(population.hubspot_contacts[0].id)
    change = SimplePublicObjectInput(properties={"sdk_score": "5"})
    with pytest.raises(ApiException) as caught:
        crm.contacts.basic_api.update(number, change)
    assert caught.value.status == 400
    assert "PROPERTY_DOESNT_EXIST" in caught.value.body
    made = PropertyCreate(
        name="sdk_score", label="Score", type="number", field_type="number", group_name="contactinformation"
    )
    crm.properties.core_api.create("contacts", made)
    assert crm.properties.core_api.get_by_name("contacts", "sdk_score").type == "number"
    changed = crm.contacts.basic_api.update(number, change)
    assert changed.properties["sdk_score"] == "5"
    assert "sdk_score" in {one.name for one in crm.properties.core_api.get_all("contacts").results}


def test_hubspot_refuses_a_wrong_token(simulator) -> None:
    crm = hubspot.HubSpot(access_token="pat-other", host=f"{simulator.url}/hubspot").crm
    with pytest.raises(ApiException) as caught:
        crm.contacts.basic_api.get_page()
    assert caught.value.status == 401


# -- Mailchimp


@pytest.fixture(scope="module")
def lists(simulator) -> Any:
    client = mailchimp_marketing.Client({"api_key": "demo-us1", "server": "us1"})
    client.api_client.host = f"{simulator.url}/mailchimp/3.0"
    assert client.ping.get() == {"health_status": "Everything's Chimpy!"}
    return client.lists


def test_mailchimp_lists_members_by_status_and_change(lists, population) -> None:
    assert [one["id"] for one in lists.get_all_lists()["lists"]] == [AUDIENCE]
    shown = [one for one in population.mailchimp_members if one.status != "archived"]
    pages = [lists.get_list_members_info(AUDIENCE, count=20, offset=offset)["members"] for offset in (0, 20, 40, 60)]
    assert {one["email_address"] for page in pages for one in page} >= {one.email for one in shown}
    for status in {one.status for one in population.mailchimp_members}:
        found = lists.get_list_members_info(AUDIENCE, count=1000, status=status)["members"]
        assert {one["status"] for one in found} == {status}
    middle = sorted(one.changed_at for one in shown)[len(shown) // 2].replace(microsecond=0)
    answer = lists.get_list_members_info(AUDIENCE, count=1000, since_last_changed=middle.isoformat())
    assert {one["email_address"] for one in answer["members"]} >= {m.email for m in shown if m.changed_at >= middle}
    assert min(one["last_changed"] for one in answer["members"]) == middle.isoformat()


def test_mailchimp_tags_are_static_segments(lists, population) -> None:
    emails = [one.email for one in population.mailchimp_members if one.status == "subscribed"][:3]
    segment = lists.create_segment(AUDIENCE, {"name": "sdk tag", "static_segment": []})
    body = {"members_to_add": [*emails, "stranger@acme.example"]}
    answer = lists.batch_segment_members(body, AUDIENCE, segment["id"])
    assert (answer["total_added"], answer["total_removed"], answer["error_count"]) == (3, 0, 1)
    assert answer["errors"][0]["email_addresses"] == ["stranger@acme.example"]
    again = lists.batch_segment_members({"members_to_remove": emails[:1]}, AUDIENCE, segment["id"])
    assert again["total_removed"] == 1
    found = lists.get_segment_members_list(AUDIENCE, segment["id"])
    assert {one["email_address"] for one in found["members"]} == set(emails[1:])
    member = lists.get_list_member(AUDIENCE, hashlib.md5(emails[1].lower().encode()).hexdigest())
    assert {"id": segment["id"], "name": "sdk tag"} in member["tags"]
    assert lists.tag_search(AUDIENCE, name="sdk")["tags"] == [{"id": segment["id"], "name": "sdk tag"}]
    listed = lists.list_segments(AUDIENCE, type="static", count=100)["segments"]
    assert {"sdk tag", "vip"} <= {one["name"] for one in listed}
    assert next(one["member_count"] for one in listed if one["name"] == "sdk tag") == 2


def test_mailchimp_members_come_and_go(lists) -> None:
    key = hashlib.md5(b"sdk@acme.example").hexdigest()
    body = {"email_address": "sdk@acme.example", "status_if_new": "subscribed", "merge_fields": {"FNAME": "S"}}
    assert lists.set_list_member(AUDIENCE, key, body)["status"] == "subscribed"
    lists.update_list_member_tags(AUDIENCE, key, {"tags": [{"name": "fresh", "status": "active"}]})
    assert [one["name"] for one in lists.get_list_member_tags(AUDIENCE, key)["tags"]] == ["fresh"]
    lists.update_list_member(AUDIENCE, key, {"status": "unsubscribed"})
    with pytest.raises(ApiClientError) as caught:
        lists.update_list_member(AUDIENCE, key, {"status": "subscribed"})
    assert caught.value.status_code == 400
    assert "Member In Compliance State" in str(caught.value.text)
    moved = lists.update_list_member(AUDIENCE, key, {"email_address": "sdk2@acme.example"})
    assert moved["id"] == hashlib.md5(b"sdk2@acme.example").hexdigest()
    lists.delete_list_member(AUDIENCE, moved["id"])
    assert lists.get_list_member(AUDIENCE, moved["id"])["status"] == "archived"
    listed = lists.get_list_members_info(AUDIENCE, count=1000)["members"]
    assert moved["id"] not in {one["id"] for one in listed}
    lists.delete_list_member_permanent(AUDIENCE, moved["id"])
    rows = [{"email_address": "sdk2@acme.example", "status": "subscribed"}]
    answer = lists.batch_list_members(AUDIENCE, {"members": rows, "update_existing": False})
    assert (answer["total_created"], answer["errors"][0]["error_code"]) == (0, "ERROR_GENERIC")


# -- Stripe


@pytest.fixture(scope="module")
def payments(simulator) -> Any:
    return stripe.StripeClient("sk_test_demo", base_addresses={"api": f"{simulator.url}/stripe"})


def test_stripe_pages_through_everything(payments, population) -> None:
    charges = list(payments.v1.charges.list({"limit": 30}).auto_paging_iter())
    assert {one.id for one in charges} == {one.id for one in population.stripe_charges}
    assert [one.created for one in charges] == sorted((one.created for one in charges), reverse=True)
    middle = charges[len(charges) // 2].created
    newer = list(payments.v1.charges.list({"created": {"gte": middle}}).auto_paging_iter())
    assert [one.id for one in newer] == [one.id for one in charges if one.created >= middle]
    older = list(payments.v1.charges.list({"created": {"lt": middle}, "limit": 100}).auto_paging_iter())
    assert len(newer) + len(older) == len(charges)
    back = payments.v1.charges.list({"ending_before": charges[10].id, "limit": 5}).data
    assert [one.id for one in back] == [one.id for one in charges[5:10]]


def test_stripe_metadata_is_merged_and_makes_an_event(payments, population) -> None:
    number = population.stripe_customers[0].id
    first = payments.v1.customers.update(number, {"metadata": {"segment": "at_risk", "score": "3"}})
    assert first.metadata["segment"] == "at_risk"
    second = payments.v1.customers.update(number, {"metadata": {"score": ""}})
    assert second.metadata["segment"] == "at_risk"
    assert "score" not in second.metadata
    events = payments.v1.events.list({"types": ["customer.updated"], "limit": 5}).data
    assert {one.data.object["id"] for one in events} == {number}
    assert len(events) == 2
    assert events[0].data.previous_attributes is not None
    customer = payments.v1.customers.retrieve(number)
    assert customer.metadata == second.metadata


def test_stripe_replays_an_idempotency_key(payments) -> None:
    first = payments.v1.customers.create({"email": "s@acme.example"}, {"idempotency_key": "k1"})
    again = payments.v1.customers.create({"email": "s@acme.example"}, {"idempotency_key": "k1"})
    assert again.id == first.id
    assert again.last_response.headers["idempotent-replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError):
        payments.v1.customers.create({"email": "t@acme.example"}, {"idempotency_key": "k1"})


def test_stripe_errors(payments, simulator, population) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
        payments.v1.customers.retrieve("cus_none")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        payments.v1.customers.update(population.stripe_customers[0].id, {"nickname": "x"})
    assert caught.value.code == "parameter_unknown"
    other = stripe.StripeClient("sk_test_other", base_addresses={"api": f"{simulator.url}/stripe"})
    with pytest.raises(stripe.AuthenticationError):
        other.v1.customers.list()


# -- Zendesk


@pytest.fixture(scope="module")
def desk(simulator) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch, requests.Session() as session:
        patch.setenv("ZENPY_FORCE_SCHEME", "http")
        patch.setenv("ZENPY_FORCE_NETLOC", f"127.0.0.1:{simulator.port}/zendesk")
        yield zenpy.Zenpy(
            subdomain="acme", email="agent@acme.example", token="zd-demo", session=session, disable_cache=True
        )


def test_zendesk_incremental_exports(desk, population) -> None:
    tickets = list(desk.tickets.incremental(start_time=0, per_page=4))
    assert sorted(one.id for one in tickets) == sorted(one.id for one in population.zendesk_tickets)
    assert [one.generated_timestamp for one in tickets] == sorted(one.generated_timestamp for one in tickets)
    users = list(desk.users.incremental(start_time=0, per_page=5))
    assert {one.id for one in users} >= {one.id for one in population.zendesk_users}
    assert {one.id for one in desk.organizations()} == {one.id for one in population.zendesk_organizations}
    found = desk.organizations.incremental(start_time=0)
    assert {one.id for one in found} == {one.id for one in population.zendesk_organizations}


def test_zendesk_bulk_update_reports_bad_rows_in_a_completed_job(desk, population) -> None:
    desk.user_fields.create(UserField(type="checkbox", key="sdk_flag", title="Flag"))
    users = [desk.users(id=one.id) for one in population.zendesk_users[:2]]
    for one in users:
        one.user_fields = {"sdk_flag": True, "no_such_field": "x"}
    users.append(User(id=1, name="Nobody"))
    job = desk.users.update(users)
    seen = [job.status]
    while job.status not in ("completed", "failed"):
        job = desk.job_status(id=job.id)
        seen.append(job.status)
    assert seen == ["queued", "working", "completed"]
    rows = [one if isinstance(one, dict) else one.to_dict() for one in job.results]
    assert [one.get("success") for one in rows] == [True, True, None]
    assert (rows[2]["index"], rows[2]["error"]) == (2, "NotFound")
    shown = desk.users(ids=[one.id for one in users[:2]])
    assert [one.user_fields for one in shown] == [{"sdk_flag": True}] * 2


def test_zendesk_search_create_and_errors(desk, population) -> None:
    someone = next(one for one in population.zendesk_users if one.email)
    assert [one.id for one in desk.users.search(query=someone.email)] == [someone.id]
    made = desk.users.create(User(name="Jo Roe", email="jo@acme.example"))
    assert desk.users(id=made.id).email == "jo@acme.example"
    desk.users.add_tags(made.id, ["vip", "new"])
    assert desk.users(id=made.id).tags == ["vip", "new"]
    with pytest.raises(RecordNotFoundException):
        desk.users(id=1)
    with pytest.raises(APIException, match="already being used"):
        desk.users.create(User(name="Jo Roe", email="jo@acme.example"))
