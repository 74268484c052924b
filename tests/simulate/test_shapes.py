"""Answers have the keys, types, status and headers that recorded answers of the real vendors have."""

from __future__ import annotations

from typing import Any

import pytest

LIST = "/mailchimp/3.0/lists/aud0000001"
TEXT, NUMBER, FLAG, ANY = str, int, bool, object
MAYBE = (str, type(None))

PROBLEM = {"type": TEXT, "title": TEXT, "status": NUMBER, "detail": TEXT, "instance": TEXT}
HUBSPOT_ERROR = {"status": TEXT, "message": TEXT, "correlationId": TEXT, "category": TEXT}
CRM_OBJECT = {"id": TEXT, "properties": dict, "createdAt": TEXT, "updatedAt": TEXT, "archived": FLAG}
CRM_BATCH = {"status": TEXT, "results": list, "startedAt": TEXT, "completedAt": TEXT}
MEMBER: dict[str, Any] = {
    **dict.fromkeys(("id", "email_address", "unique_email_id", "contact_id", "full_name", "email_type"), TEXT),
    **dict.fromkeys(("status", "ip_signup", "timestamp_signup", "ip_opt", "timestamp_opt", "last_changed"), TEXT),
    **dict.fromkeys(("language", "email_client", "source", "list_id"), TEXT),
    **dict.fromkeys(("web_id", "member_rating", "tags_count"), NUMBER),
    **dict.fromkeys(("consents_to_one_to_one_messaging", "vip"), FLAG),
    **dict.fromkeys(("merge_fields", "stats", "location"), dict),
    **dict.fromkeys(("tags", "_links"), list),
}
AUDIENCE = {
    **dict.fromkeys(("id", "name", "permission_reminder", "notify_on_subscribe", "notify_on_unsubscribe"), TEXT),
    **dict.fromkeys(("date_created", "subscribe_url_short", "subscribe_url_long", "beamer_address"), TEXT),
    **dict.fromkeys(("use_archive_bar", "email_type_option", "double_optin", "has_welcome"), FLAG),
    **dict.fromkeys(("web_id", "list_rating"), NUMBER),
    **dict.fromkeys(("campaign_defaults", "stats"), dict),
    **dict.fromkeys(("modules", "_links"), list),
    "visibility": TEXT,
    "marketing_permissions": FLAG,
}
USER: dict[str, Any] = {
    **dict.fromkeys(("url", "name", "created_at", "updated_at", "time_zone", "iana_time_zone", "locale", "role"), TEXT),
    **dict.fromkeys(("email", "phone", "external_id", "alias", "ticket_restriction"), MAYBE),
    **dict.fromkeys(("verified", "active", "shared", "shared_agent", "two_factor_auth_enabled", "moderator"), FLAG),
    **dict.fromkeys(("only_private_comments", "restricted_agent", "suspended", "report_csv"), FLAG),
    **dict.fromkeys(("shared_phone_number", "photo", "organization_id", "last_login_at", "signature"), type(None)),
    **dict.fromkeys(("details", "notes", "role_type", "custom_role_id", "default_group_id"), type(None)),
    **dict.fromkeys(("id", "locale_id"), NUMBER),
    "tags": list,
    "user_fields": dict,
}
USER_FIELD = {
    **dict.fromkeys(("url", "type", "key", "title", "description", "raw_title", "raw_description"), TEXT),
    **dict.fromkeys(("created_at", "updated_at"), TEXT),
    **dict.fromkeys(("id", "position"), NUMBER),
    **dict.fromkeys(("active", "system"), FLAG),
    "regexp_for_validation": type(None),
}
STRIPE_LIST = {"object": TEXT, "data": list, "has_more": FLAG, "url": TEXT}

HUBSPOT_DAILY = ("x-hubspot-correlation-id", "x-hubspot-ratelimit-daily", "x-hubspot-ratelimit-daily-remaining")
HUBSPOT_BURST = (
    "x-hubspot-ratelimit-interval-milliseconds",
    "x-hubspot-ratelimit-max",
    "x-hubspot-ratelimit-remaining",
    "x-hubspot-ratelimit-secondly",
    "x-hubspot-ratelimit-secondly-remaining",
)
ZENDESK_HEAD = ("x-zendesk-api-version", "x-rate-limit", "x-rate-limit-remaining", "x-request-id")


def assert_shape(value: Any, shape: dict[str, Any]) -> None:
    """The same keys, and each value of its type; a flag is no number."""
    assert set(value) == set(shape)
    for key, expected in shape.items():
        assert isinstance(value[key], expected), f"{key} is {value[key]!r}"
        assert expected is not int or not isinstance(value[key], bool), key


def ids(vendors) -> list[str]:
    return [str(one.id) for one in vendors.population.hubspot_contacts]


def test_hubspot_batch_create(limited) -> None:
    body = {"inputs": [{"properties": {"email": f"new{n}@acme.example", "firstname": "N"}} for n in (1, 2)]}
    answer = limited.call("POST", "/hubspot/crm/v3/objects/CONTACT/batch/create", json=body)
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json;charset=utf-8"
    assert {*HUBSPOT_DAILY, *HUBSPOT_BURST} <= set(answer.headers)
    assert_shape(answer.json(), CRM_BATCH)
    for one in answer.json()["results"]:
        assert_shape(one, CRM_OBJECT)
        shown = {"createdate", "email", "firstname", "hs_email_domain", "hs_object_id", "lastmodifieddate"}
        assert set(one["properties"]) == shown
    # Real results do not come in the order of the inputs.
    assert [one["properties"]["email"] for one in answer.json()["results"]] == [
        "new2@acme.example",
        "new1@acme.example",
    ]


def test_hubspot_batch_update_and_archive(limited) -> None:
    body = {"inputs": [{"id": ids(limited)[0], "properties": {"company": "Acme"}}]}
    answer = limited.call("POST", "/hubspot/crm/v3/objects/contacts/batch/update", json=body)
    assert answer.status_code == 200
    assert_shape(answer.json(), CRM_BATCH)
    assert_shape(answer.json()["results"][0], CRM_OBJECT)
    assert set(answer.json()["results"][0]["properties"]) == {"company", "lastmodifieddate"}
    gone = limited.call("POST", "/hubspot/crm/v3/objects/0-1/batch/archive", json={"inputs": [{"id": ids(limited)[0]}]})
    assert (gone.status_code, gone.content) == (204, b"")


def test_hubspot_search_has_no_burst_headers_and_null_for_unset_values(limited) -> None:
    body = {"filterGroups": [], "properties": ["company", "firstname"], "limit": 5}
    answer = limited.call("POST", "/hubspot/crm/v3/objects/CONTACT/search", json=body)
    assert answer.status_code == 200
    assert set(HUBSPOT_DAILY) <= set(answer.headers)
    assert not set(HUBSPOT_BURST) & set(answer.headers)
    assert_shape(answer.json(), {"total": NUMBER, "results": list, "paging": dict})
    found = answer.json()["results"][0]["properties"]
    assert set(found) == {"company", "createdate", "firstname", "hs_object_id", "lastmodifieddate"}
    assert found["company"] is None
    assert all(isinstance(value, str) for key, value in found.items() if key != "company")


def test_hubspot_search_429(limited) -> None:
    calls = [("POST", "/hubspot/crm/v3/objects/deals/search", {"json": {}}) for _ in range(6)]
    answers = [limited.call(*call[:2], **call[2]) for call in calls]
    assert [one.status_code for one in answers] == [200] * 5 + [429]
    assert_shape(answers[-1].json(), HUBSPOT_ERROR)
    assert answers[-1].json()["category"] == "RATE_LIMITS"
    assert answers[-1].json()["message"] == "You have reached your secondly limit."
    assert not {*HUBSPOT_BURST, "retry-after"} & set(answers[-1].headers)
    assert "content-length" in answers[-1].headers


def test_mailchimp_lists(limited) -> None:
    answer = limited.call("GET", "/mailchimp/3.0/lists", params={"count": 1000})
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert {"x-request-id", "link"} <= set(answer.headers)
    assert not [name for name in answer.headers if "limit" in name or name == "retry-after"]
    shape = {"lists": list, "total_items": NUMBER, "constraints": dict, "_links": list}
    assert_shape(answer.json(), shape)
    assert_shape(answer.json()["lists"][0], AUDIENCE)


def test_mailchimp_members(limited) -> None:
    body = limited.get(f"{LIST}/members", count=1000)
    assert_shape(body, {"members": list, "list_id": TEXT, "total_items": NUMBER, "_links": list})
    for one in body["members"]:
        assert_shape(one, MEMBER)
    tagged = next(one for one in body["members"] if one["tags"])
    assert_shape(tagged["tags"][0], {"id": NUMBER, "name": TEXT})
    assert_shape(limited.get(f"{LIST}/members/{tagged['id']}"), MEMBER)
    assert set(tagged["_links"][0]) == {"rel", "href", "method"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "title"),
    [
        ("GET", f"{LIST}/members/5eb0d793a5aa4f1b9fd29305d6afbf7c", None, 404, "Resource Not Found"),
        ("POST", f"{LIST}/members/5eb0d793a5aa4f1b9fd29305d6afbf7c/tags", {"tags": []}, 404, "Resource Not Found"),
        ("POST", f"{LIST}/members", {"email_address": "AAAAA", "status": "subscribed"}, 400, "Invalid Resource"),
        ("GET", f"{LIST}/members?count=1001", None, 400, "Invalid Resource"),
    ],
)
def test_mailchimp_problems(limited, method: str, path: str, body: Any, status: int, title: str) -> None:
    answer = limited.call(method, path, json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json; charset=utf-8"
    assert_shape(answer.json(), PROBLEM)
    assert (answer.json()["title"], answer.json()["status"]) == (title, status)


def test_mailchimp_member_exists_has_no_type(limited) -> None:
    email = limited.population.mailchimp_members[0].email
    answer = limited.call("POST", f"{LIST}/members", json={"email_address": email, "status": "subscribed"})
    assert answer.status_code == 400
    assert set(answer.json()) == set(PROBLEM) - {"type"}
    assert answer.json()["title"] == "Member Exists"


def test_mailchimp_bad_merge_value(limited) -> None:
    limited.post(f"{LIST}/merge-fields", {"name": "LTV", "tag": "LTV", "type": "number"})
    body = {"email_address": "a@acme.example", "status_if_new": "subscribed", "merge_fields": {"LTV": "many"}}
    answer = limited.call("PUT", f"{LIST}/members/0", json=body)
    assert answer.status_code == 400
    assert_shape(answer.json(), {**PROBLEM, "errors": list})
    assert_shape(answer.json()["errors"][0], {"field": TEXT, "message": TEXT})


def test_mailchimp_put_then_archive_twice(limited) -> None:
    member = limited.post(
        f"{LIST}/members/0", {"email_address": "a@acme.example", "status_if_new": "subscribed"}, 200, "PUT"
    )
    assert_shape(member, MEMBER)
    gone = limited.call("DELETE", f"{LIST}/members/{member['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert gone.headers["content-type"] == "application/json; charset=utf-8"
    again = limited.call("DELETE", f"{LIST}/members/{member['id']}")
    assert (again.status_code, again.headers["allow"]) == (405, "GET, PUT")
    assert_shape(again.json(), PROBLEM)


def test_zendesk_user(limited) -> None:
    answer = limited.call("GET", f"/zendesk/api/v2/users/{limited.population.zendesk_users[0].id}.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    assert set(ZENDESK_HEAD) <= set(answer.headers)
    assert answer.headers["x-rate-limit"] == "700"
    assert_shape(answer.json()["user"], USER)


def test_zendesk_create_update_delete_user(limited) -> None:
    body = {"user": {"name": "Jo Roe", "email": "jo@acme.example", "external_id": "u1", "tags": ["a"]}}
    made = limited.call("POST", "/zendesk/api/v2/users/create_or_update.json", json=body)
    assert made.status_code == 201
    assert made.headers["location"] == made.json()["user"]["url"]
    assert_shape(made.json()["user"], USER)
    number = made.json()["user"]["id"]
    again = limited.post("/zendesk/api/v2/users/create_or_update", {"user": {**body["user"], "alias": "JR"}})
    assert (again["user"]["id"], again["user"]["alias"]) == (number, "JR")
    gone = limited.call("DELETE", f"/zendesk/api/v2/users/{number}.json").json()["user"]
    assert_shape(gone, USER)
    assert (gone["active"], gone["email"]) == (False, None)


def test_zendesk_invalid_user(limited) -> None:
    body = {"user": {"name": "William Bad", "email": "badmail"}}
    answer = limited.call("POST", "/zendesk/api/v2/users/create_or_update.json", json=body)
    assert answer.status_code == 422
    assert_shape(answer.json(), {"error": TEXT, "description": TEXT, "details": dict})
    assert answer.json()["error"] == "RecordInvalid"
    assert_shape(answer.json()["details"]["email"][0], {"description": TEXT})


def test_zendesk_user_fields_and_search(limited) -> None:
    field = {"key": "is_at_risk", "type": "checkbox", "title": "Is at risk"}
    made = limited.post("/zendesk/api/v2/user_fields.json", {"user_field": field}, 201)
    assert_shape(made["user_field"], USER_FIELD)
    listed = limited.get("/zendesk/api/v2/user_fields.json")
    assert_shape(listed, {"user_fields": list, "next_page": MAYBE, "previous_page": MAYBE, "count": NUMBER})
    nobody = limited.get("/zendesk/api/v2/users/search.json", query="nobody@acme.example")
    assert nobody == {"users": [], "next_page": None, "previous_page": None, "count": 0}
    user = limited.population.zendesk_users[0]
    found = limited.get("/zendesk/api/v2/users/search", query=user.email)["users"][0]
    assert found["user_fields"] == {"is_at_risk": False}
    identities = limited.get(f"/zendesk/api/v2/users/{user.id}/identities.json")["identities"][0]
    assert (identities["type"], identities["value"], identities["primary"]) == ("email", user.email, True)


def test_zendesk_one_user_takes_five_updates_a_minute(limited) -> None:
    path = f"/zendesk/api/v2/users/{limited.population.zendesk_users[0].id}.json"
    answers = [limited.call("PUT", path, json={"user": {"notes": str(n)}}) for n in range(6)]
    assert [one.status_code for one in answers] == [200] * 5 + [429]
    assert answers[-1].headers["content-type"].lower() == "text/plain; charset=utf-8"
    assert answers[-1].headers["retry-after"] == "60"


def test_stripe_lists_and_objects(limited) -> None:
    for path, kind in (("customers", "customer"), ("charges", "charge"), ("events", "event")):
        answer = limited.call("GET", f"/stripe/v1/{path}")
        assert answer.headers["request-id"].startswith("req_")
        assert_shape(answer.json(), STRIPE_LIST)
        assert answer.json()["url"] == f"/v1/{path}"
        assert {one["object"] for one in answer.json()["data"]} == {kind}
        assert all(isinstance(one["created"], int) and one["livemode"] is False for one in answer.json()["data"])


def test_stripe_errors(limited) -> None:
    missing = limited.call("GET", "/stripe/v1/customers/cus_none")
    assert (missing.status_code, missing.headers["stripe-should-retry"]) == (404, "false")
    error = missing.json()["error"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "resource_missing", "id")
    refused = limited.call("GET", "/stripe/v1/customers", headers={"Authorization": "Bearer sk_test_other"})
    assert refused.status_code == 401
    assert "sk_test_other" not in refused.text


def test_calendly_shapes(limited) -> None:
    me = limited.get("/calendly/users/me")["resource"]
    answer = limited.call("GET", "/calendly/scheduled_events", params={"organization": me["current_organization"]})
    assert {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"} <= set(answer.headers)
    pagination = {"count": NUMBER, **dict.fromkeys(("next_page", "previous_page"), MAYBE)}
    pagination |= dict.fromkeys(("next_page_token", "previous_page_token"), MAYBE)
    assert_shape(answer.json(), {"collection": list, "pagination": dict})
    assert_shape(answer.json()["pagination"], pagination)
    uuid = answer.json()["collection"][0]["uri"].rsplit("/", 1)[1]
    invitee = limited.get(f"/calendly/scheduled_events/{uuid}/invitees")["collection"][0]
    names = {"utm_campaign", "utm_source", "utm_medium", "utm_content", "utm_term", "salesforce_uuid"}
    assert set(invitee["tracking"]) == names
    assert_shape(invitee["questions_and_answers"][0], {"question": TEXT, "answer": TEXT, "position": NUMBER})
    bad = limited.call("GET", "/calendly/scheduled_events")
    assert bad.status_code == 400
    assert_shape(bad.json(), {"title": TEXT, "message": TEXT, "details": list})


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/hubspot/crm/v3/objects/contacts", set(HUBSPOT_ERROR)),
        (f"{LIST}/members", set(PROBLEM)),
        ("/calendly/users/me", {"title", "message"}),
        ("/zendesk/api/v2/users", {"error"}),
        ("/stripe/v1/customers", {"error"}),
    ],
)
def test_a_wrong_key_gets_the_vendors_own_401(limited, path: str, keys: set[str]) -> None:
    for headers in ({"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp3cm9uZw=="}, {"Authorization": ""}):
        answer = limited.call("GET", path, headers=headers)
        assert answer.status_code == 401
        assert set(answer.json()) == keys


def test_no_vendor_ever_tells_whose_record_it_is(limited) -> None:
    paths = [
        *(f"/hubspot/crm/v3/objects/{kind}?limit=100" for kind in ("contacts", "companies", "deals")),
        f"{LIST}/members?count=1000",
        *(f"/zendesk/api/v2/{kind}" for kind in ("users", "tickets", "organizations")),
        *(f"/stripe/v1/{kind}?limit=100" for kind in ("customers", "charges", "events")),
        "/calendly/scheduled_events?count=100&organization=x/0a1b2c3d-0000-4000-8000-00000000c0de",
    ]
    for path in paths:
        answer = limited.call("GET", path)
        assert answer.status_code == 200
        assert "person" not in answer.text
