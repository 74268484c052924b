"""What is particular to audiences of Meta and Google and to Airship's tags, and the most one call may hold anywhere."""

from __future__ import annotations

import json
import os
import urllib.error
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from destination_bench import Bench, make_bench
from seen import AIRSHIP, SALESFORCE, SALESFORCE_API, SEGMENT, SENDGRID, google_held, meta_rows, sha256

from include.activate.destination import Target
from include.connect.errors import FixCredentials, FixSettings, RetryLater
from include.destinations import get_destination
from include.destinations.google_audience import (
    identifiers,
    normalised_email,
    normalised_name,
    normalised_phone,
    request_of,
)
from include.destinations.meta_audience import hashed, normalised
from include.simulate.google import CUSTOMER_ID
from include.simulate.google import TOKEN as GOOGLE_TOKEN
from include.simulate.meta import AD_ACCOUNT, TOKEN

if TYPE_CHECKING:
    from vendors import Simulator

META = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def meta(simulator: Simulator, tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
    return make_bench("meta_audience", simulator, tmp_path, request.node.originalname)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("EMAIL", "  Anna.Müller@Example.COM ", "anna.müller@example.com"),
        ("PHONE", "+44 844 412-4653", "448444124653"),
        ("PHONE", "0049 170 1234567", "491701234567"),
        ("FN", " Zoë-Anne ", "zoëanne"),
        ("LN", "O'Neil 3rd", "oneilrd"),
        ("CT", "São Paulo", "sãopaulo"),
        ("ZIP", "94035-1234", "94035"),
        ("ZIP", "SW1A 1AA", "sw1a1aa"),
        ("COUNTRY", "US", "us"),
        ("COUNTRY", "Germany", ""),
    ],
)
def test_values_are_normalised_as_meta_does(key: str, value: str, expected: str) -> None:
    assert normalised(key, value) == expected
    assert hashed(key, value) == (sha256(expected) if expected else "")


def test_meta_is_sent_hashes_and_people_are_removed_by_their_address_alone(meta: Bench) -> None:
    people = [row | {"phone": "+1 415 555 0100", "first_name": "Zoë"} for row in meta.everybody[:3]]
    people[1] |= {"phone": None}
    mapped = {"fields": "{phone: phone, fn: first_name}"}
    meta.send(meta.publish(people, **mapped))
    rows = meta_rows(meta.simulator, meta.target)
    first, second = (rows[sha256(row["email"])] for row in people[:2])
    assert first == {"EMAIL": sha256(people[0]["email"]), "PHONE": sha256("14155550100"), "FN": sha256("zoë")}
    assert (second["PHONE"], second["FN"]) == ("", sha256("zoë"))
    assert meta.send(meta.publish(people[1:], **mapped)).counts.leave == 1
    assert meta.flagged() == meta.addresses(people[1:])


def test_what_meta_hides_behind_400_is_told_apart(meta: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = meta.publish(meta.everybody[:2])
    meta.simulator.faults("meta", throttle_every=1)
    with pytest.raises(RetryLater, match="too many calls"):
        meta.send(segment)
    meta.simulator.no_faults()
    connection = json.loads(meta.simulator.connections()["AIRFLOW_CONN_META"])
    monkeypatch.setenv("AIRFLOW_CONN_META", json.dumps({**connection, "password": "outdated-token"}))
    with pytest.raises(FixCredentials, match="access token"):
        meta.send(segment)
    monkeypatch.setenv("AIRFLOW_CONN_META", json.dumps(connection))
    assert meta.send(segment).accepted == 2


def test_a_key_that_meta_does_not_match_by_is_said(meta: Bench) -> None:
    with pytest.raises(FixSettings, match="matches nobody by shoe_size"):
        meta.send(meta.publish(meta.everybody[:2], fields="{shoe_size: order_count}"))
    assert meta.stats()["requests"] == 0


@pytest.fixture
def google(simulator: Simulator, tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
    return make_bench("google_audience", simulator, tmp_path, request.node.originalname)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (" Cloudy.San.Francisco@GMAIL.com ", "cloudysanfrancisco@gmail.com"),
        ("j.doe+news@googlemail.com", "jdoe+news@googlemail.com"),
        ("Anna. Müller@Example.com", "anna.müller@example.com"),
    ],
)
def test_addresses_are_normalised_as_google_does(value: str, expected: str) -> None:
    assert normalised_email(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("+1 (800) 555-0100", "+18005550100"),
        ("0049 170 1234567", "+491701234567"),
        ("+49 (0) 170 1234567", "+491701234567"),
        ("0170 1234567", ""),
        ("+0", ""),
    ],
)
def test_numbers_are_e164_or_nothing(value: str, expected: str) -> None:
    assert normalised_phone(value) == expected


def test_names_lose_what_is_no_letter() -> None:
    assert normalised_name("  O'Neil-Müller  3rd ") == "oneilmüller 3rd"


GOOGLE_FIELDS = (
    "{phone: phone, given_name: first_name, family_name: last_name, region_code: email, postal_code: user_id}"
)


def test_google_is_sent_hashes_and_forgets_what_is_not_theirs_any_more(google: Bench) -> None:
    at = {"first_name": "Zoë", "last_name": "Berg", "email": "de", "user_id": "10115"}
    people = [row | at | {"phone": f"+1 415 555 010{number}"} for number, row in enumerate(google.everybody[:3])]
    people[2] |= {"phone": None, "email": None}
    mapped = {"fields": GOOGLE_FIELDS}
    google.send(google.publish(people, **mapped))
    held = google_held(google.simulator, google.target)
    assert held["emailAddress"] == sorted(sha256(row["email_marketing_address"]) for row in people)
    assert held["phoneNumber"] == sorted(map(sha256, ("+14155550100", "+14155550101")))
    names = {"givenName": sha256("zoë"), "familyName": sha256("berg")}
    assert [json.loads(one) for one in held["address"]] == [{**names, "regionCode": "DE", "postalCode": "10115"}]
    people[0] |= {"phone": "+1 415 555 0199", "user_id": "10117"}
    people[1] |= {"user_id": "10117"}
    google.simulator.reset_stats()
    assert google.send(google.publish(people, **mapped)).counts.update == 2
    assert google.stats()["writes"] == 2  # one takes out, one puts in
    held = google_held(google.simulator, google.target)
    assert held["phoneNumber"] == sorted(map(sha256, ("+14155550199", "+14155550101")))
    assert [json.loads(one)["postalCode"] for one in held["address"]] == ["10117"]
    google.send(google.publish(people[2:], **mapped))
    held = google_held(google.simulator, google.target)
    assert held == {"emailAddress": [sha256(people[2]["email_marketing_address"])], "phoneNumber": [], "address": []}


def test_google_says_of_whom_a_request_failed(google: Bench) -> None:
    people = google.everybody[:5]
    google.simulator.faults("google", reject_emails=[row["email"] for row in people[:2]])
    segment = google.publish(people[:2], tolerance="1")
    assert google.send(segment).rejected == 2
    google.simulator.reset_stats()
    result = google.send(google.publish(people, tolerance="1"))
    assert (result.accepted, result.rejected, google.stats()["writes"]) == (3, 2, 1)
    codes = google.warehouse.rows("SELECT DISTINCT code FROM activation.receipts WHERE status = 'rejected'")
    assert codes == [{"code": "invalid_format"}]


def test_what_google_cannot_know_is_said(google: Bench) -> None:
    with pytest.raises(FixSettings, match="matches nobody by shoe_size"):
        google.send(google.publish(google.everybody[:2], fields="{shoe_size: order_count}"))
    google.target = "unknown"
    with pytest.raises(FixSettings, match="which audience 'unknown' is"):
        google.send(google.publish(google.everybody[:2]))
    assert google.stats()["requests"] == 0


def test_airship_without_the_tag_group_tags_nobody_and_says_so(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench("airship_tag", simulator, tmp_path, "no group")
    connection = json.loads(simulator.connections()["AIRFLOW_CONN_AIRSHIP"])
    connection["extra"]["tag_group"] = "elsewhere"
    monkeypatch.setenv("AIRFLOW_CONN_AIRSHIP", json.dumps(connection))
    with pytest.raises(FixSettings, match="no tag group 'elsewhere'"):
        bench.send(bench.publish(bench.everybody[:3]))
    assert (bench.held(), bench.flagged()) == (set(), set())


def calls(size: int) -> dict[str, tuple[str, str, dict[str, str], Any]]:
    """The call of each destination with so many people."""
    message = {"type": "identify", "userId": "nobody", "messageId": "m", "traits": {}}
    record = {"attributes": {"type": "Contact"}, "id": "003000000000000AAA"}
    return {
        "airship_tag": (
            "POST",
            "/airship/api/named_users/tags",
            AIRSHIP,
            {"audience": {"named_user_id": ["nobody"] * size}, "remove": {"stitchline": ["x"]}},
        ),
        "salesforce_contact": (
            "PATCH",
            f"/salesforce{SALESFORCE_API}/composite/sobjects",
            SALESFORCE,
            {"allOrNone": False, "records": [record] * size},
        ),
        "segment_identify": ("POST", "/segment_tracking/v1/batch", SEGMENT, {"batch": [message] * size}),
        "sendgrid_contact": (
            "PUT",
            "/sendgrid/v3/marketing/contacts",
            SENDGRID,
            {"contacts": [{"email": "nobody@example.com"}] * size},
        ),
    }


@pytest.mark.parametrize("name", sorted(calls(0)))
def test_a_batch_is_the_most_the_vendor_takes(simulator: Simulator, name: str) -> None:
    batch = get_destination(name).batch
    simulator.call(*calls(batch)[name])
    with pytest.raises(urllib.error.HTTPError, match="400"):
        simulator.call(*calls(batch + 1)[name])


def test_a_batch_is_the_most_that_google_takes(google: Bench) -> None:
    (audience,) = json.loads(os.environ["AIRFLOW_CONN_GOOGLE"])["extra"]["audiences"].values()
    account = {"accountType": "GOOGLE_ADS", "accountId": CUSTOMER_ID}
    member = {"userData": {"userIdentifiers": [{"emailAddress": sha256("nobody@example.com")}]}}
    batch = get_destination("google_audience").batch
    body = {
        "destinations": [{"operatingAccount": account, "productDestinationId": audience}],
        "audienceMembers": [member] * batch,
        "encoding": "HEX",
    }
    token = {"Authorization": f"Bearer {GOOGLE_TOKEN}"}
    assert google.simulator.call("POST", "/google/v1/audienceMembers:remove", token, body)["requestId"]
    body["audienceMembers"] = [member] * (batch + 1)
    with pytest.raises(urllib.error.HTTPError, match="400"):
        google.simulator.call("POST", "/google/v1/audienceMembers:remove", token, body)


def test_a_batch_is_the_most_that_meta_takes(simulator: Simulator) -> None:
    batch = get_destination("meta_audience").batch
    made = {"name": "the most", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    number = simulator.call("POST", f"/meta/v26.0/act_{AD_ACCOUNT}/customaudiences", META, made)["id"]
    body = {"payload": {"schema": ["EMAIL"], "data": [[sha256("nobody@example.com")]] * batch}}
    assert simulator.call("POST", f"/meta/v26.0/{number}/users", META, body)["num_received"] == batch
    body["payload"]["data"] *= 2
    with pytest.raises(urllib.error.HTTPError, match="400"):
        simulator.call("POST", f"/meta/v26.0/{number}/users", META, body)


@pytest.mark.parametrize(("said", "is_told"), [(None, False), ("yes", False), (True, True)])
def test_google_is_told_of_consent_to_ads_only_where_the_connection_says_so(said: Any, is_told: bool) -> None:
    target = Target("", "at-risk", extra={"customer_id": "123", "ad_consent": said}, handle="1")
    body = request_of(target, [identifiers("ann@example.com", {})], "ingest")
    assert ("consent" in body) is is_told
