"""Every vendor's webhook: what it signed is kept once, everything else is refused."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hubspot.utils.signature import Signature as HubSpotSdk
from stripe import WebhookSignature

from include.collector.keys import Keys, read_keys
from include.collector.streams import vendor_names, webhooks
from include.connect.connection import Connection
from include.connect.errors import FixCredentials, FixSettings
from include.connect.signatures import Delivery, Refused, check_time, is_sns_url
from include.simulate.webhooks import (
    HOOK,
    SECRET,
    SENDERS,
    SNS,
    TOPIC,
    Sender,
    events_of,
    one,
    sns_envelope,
)
from tests.collector.receiving import NOW, PUBLIC, Receiver, connections, reader, receiving, settings

AT = datetime.fromtimestamp(NOW, UTC)


def body_of(sender: Sender, seed: int = 1) -> bytes:
    return sender.pack(events_of(sender, min(sender.batch, 3), ["ann@example.com"], AT, random.Random(seed))[0])


def test_every_webhook_has_a_sender_with_an_example() -> None:
    assert sorted(SENDERS) == vendor_names()


@pytest.mark.parametrize("name", sorted(SENDERS))
def test_what_the_vendor_signed_is_kept_and_nothing_else(name: str, tmp_path: Path) -> None:
    sender = SENDERS[name]
    body = body_of(sender)
    other = json.dumps({"TopicArn": TOPIC}).encode() if name == "ses" else b"x" + body

    async def test(receiver: Receiver) -> None:
        signed = receiver.sign(sender, body)
        forged = {key: value[:-4] + ("AAA=" if value.endswith("=") else "AAAA") for key, value in signed.items()}
        for headers in ({}, forged):
            if headers or signed:
                refused = await receiver.send(sender, body, headers)
                assert refused.status == 401, refused.body
                assert refused.body
        if "Authorization" not in signed:  # a token does not cover the body
            assert (await receiver.send(sender, other, signed)).status in (400, 401)
        assert receiver.kept() == []

        assert (await receiver.send(sender, body, signed, chunks=3)).status == 200
        assert [(entry.webhook, entry.body) for entry in receiver.kept()] == [(name, body)]

    receiving(tmp_path, test)


@pytest.mark.parametrize("name", sorted(SENDERS))
def test_a_delivery_that_comes_twice_is_kept_once(name: str, tmp_path: Path) -> None:
    sender = SENDERS[name]
    hook = webhooks()[name]
    assert hook.signature is not None
    resigned = hook.signature.is_resigned

    async def test(receiver: Receiver) -> None:
        body = body_of(sender)
        signed = receiver.sign(sender, body)
        await receiver.send(sender, body, signed)
        again = await receiver.send(sender, body, signed)
        noisy = {key: f"{value},v1=00,v0=1" if "v1=" in value else value for key, value in signed.items()}
        third = await receiver.send(sender, body, noisy)

        assert {again.status, third.status} == ({409} if resigned else {200})
        assert len(receiver.kept()) == (3 if name == "airship" else 1)  # a token says nothing about the delivery

    receiving(tmp_path, test)


@pytest.mark.parametrize("name", sorted(name for name, sender in SENDERS.items() if sender.timed))
def test_an_old_signature_is_refused(name: str, tmp_path: Path) -> None:
    sender = SENDERS[name]
    signature = webhooks()[name].signature
    assert signature is not None
    assert signature.tolerance is not None
    far = signature.tolerance.total_seconds() + 2

    async def test(receiver: Receiver) -> None:
        body = body_of(sender)
        for at in (NOW - far, NOW + far):
            assert (await receiver.send(sender, body, receiver.sign(sender, body, at))).status == 401
        assert receiver.kept() == []
        assert (await receiver.send(sender, body, receiver.sign(sender, body, NOW - far + 4))).status == 200

    receiving(tmp_path, test)


def test_the_vendors_own_libraries_agree() -> None:
    body, secret, at = b'[{"eventId":1}]', "s3cret", int(NOW)
    url = f"{PUBLIC}/webhooks/hubspot"
    for name, headers in (
        (
            "stripe",
            {"stripe-signature": f"t={at},v1={WebhookSignature._compute_signature(f'{at}.{body.decode()}', secret)}"},
        ),
        (
            "hubspot",
            {
                "x-hubspot-request-timestamp": f"{at}000",
                "x-hubspot-signature-v3": HubSpotSdk.get_signature(
                    secret, body.decode(), "v3", http_uri=url, http_method="POST", timestamp=f"{at}000"
                ),
            },
        ),
    ):
        signature = webhooks()[name].signature
        assert signature is not None
        delivery = Delivery("POST", url, headers, body)
        assert signature.verify(delivery, ["another", secret], NOW)
        with pytest.raises(Refused, match="does not match"):
            signature.verify(delivery, ["another"], NOW)


@pytest.mark.parametrize("text", ["", "x", "-1", "1e9", "1780000000.5", "9" * 17, "\uff11"])
def test_a_signed_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        check_time(text, NOW, None)


def test_topics_with_equal_bodies_are_two_deliveries(tmp_path: Path) -> None:
    sender = SENDERS["shopify"]

    async def test(receiver: Receiver) -> list[str]:
        body = body_of(sender)
        signed = receiver.sign(sender, body)
        for topic, hook in (("customers/create", "a"), ("customers/update", "b")):
            headers = {**signed, "X-Shopify-Topic": topic, "X-Shopify-Webhook-Id": hook}
            assert (await receiver.send(sender, body, headers)).status == 200
        return [entry.outside["x-shopify-topic"] for entry in receiver.kept()]

    assert receiving(tmp_path, test) == ["customers/create", "customers/update"]


def test_a_subscription_is_confirmed_once_it_is_known_to_be_ours(tmp_path: Path) -> None:
    sender = SENDERS["ses"]

    async def test(receiver: Receiver) -> None:
        good = sns_envelope("SubscriptionConfirmation", "You have chosen to subscribe", AT)
        bad: list[tuple[str, Any]] = [
            ("TopicArn", "arn:aws:sns:eu-west-1:999999999999:mail-events"),
            ("SubscribeURL", "https://evil.example/confirm"),
            ("SigningCertURL", f"{SNS}.evil.example/x.pem"),
            ("SigningCertURL", f"{SNS}:8443/x.pem"),
            ("SigningCertURL", "http://sns.eu-west-1.amazonaws.com/x.pem"),
            ("SignatureVersion", "3"),
            ("Signature", "AAAA"),
        ]
        for field, value in bad:
            refused = await receiver.send(sender, one([{**good, field: value}]), {})
            assert refused.status == 401, (field, refused.body)
        assert receiver.fetch.asked == []

        assert (await receiver.send(sender, one([good]), {})).status == 200
        assert receiver.fetch.asked == [good["SubscribeURL"]]
        receiver.time[0] += 30 * 365 * 86400
        assert b"certificate" in (await receiver.send(sender, one([good]), {})).body
        assert receiver.kept() == []

    receiving(tmp_path, test)


def test_an_event_of_ses_is_taken_out_of_its_envelope_and_a_note_about_the_topic_is_none() -> None:
    split = webhooks()["ses"].split
    event = {"eventType": "Open", "mail": {"destination": ["a@oak.example"]}}
    envelope = sns_envelope("Notification", json.dumps(event, indent=1) + "\n", AT)

    [record] = split(one([envelope])).records
    told = {name: envelope[name] for name in ("MessageId", "Timestamp", "TopicArn")}
    assert json.loads(bytes(record)) == {**told, "event": event}
    assert b"\n" not in bytes(record)
    for note in ("Successfully validated SNS topic for Amazon SES event publishing.", "5", "{}, {}", ""):
        assert split(one([sns_envelope("Notification", note, AT)])).records == []


@pytest.mark.parametrize(
    "url", ["https://sns.eu-west-1.amazonaws.com/a.pem", "https://sns.cn-north-1.amazonaws.com.cn/a"]
)
def test_sns_has_one_host_a_region(url: str) -> None:
    assert is_sns_url(url)
    assert not is_sns_url(url.replace("https://", "https://user@"))
    assert not is_sns_url(url.replace("sns.", "sns.x."))


def test_trials_are_answered_and_not_kept(tmp_path: Path) -> None:
    async def test(receiver: Receiver) -> None:
        form = {"content-type": "application/x-www-form-urlencoded", "x-mandrill-signature": "c2lnbmVkIGJ5IHRlc3Q="}
        assert (await receiver("POST", "/webhooks/mandrill", b"mandrill_events=%5B%5D", form)).status == 200
        assert (await receiver("HEAD", "/webhooks/mandrill")).body == b""
        assert (await receiver("GET", "/webhooks/mailchimp")).status == 200
        assert (await receiver("GET", "/webhooks/stripe")).status == 405
        assert receiver.kept() == []

    receiving(tmp_path, test)


def test_a_hook_has_a_token_of_its_own(tmp_path: Path) -> None:
    async def test(receiver: Receiver) -> None:
        body = one([{"any": "thing"}])
        assert (await receiver("POST", "/hooks/leads", body)).status == 401
        assert (await receiver("POST", "/hooks/other", body, HOOK.sign("", body, NOW))).status == 404
        for path, headers in (
            ("/hooks/leads", HOOK.sign("", body, NOW)),
            (f"/hooks/leads?token={SECRET}", {}),
            ("/hooks/leads/", {"authorization": "Basic eDpzaW11bGF0ZWQtd2ViaG9vay1zZWNyZXQ="}),
        ):
            assert (await receiver("POST", path, body, headers)).status == 200
        assert [entry.outside for entry in receiver.kept()] == [{"hook": "leads"}] * 3

    receiving(tmp_path, test)


def keys_of(folder: Path, extra: dict[str, Any], takes: str = "stripe:eu") -> Keys:
    given = {**connections(), "stripe__eu": Connection("stripe", "eu", extra=extra)}
    return read_keys(settings(folder, collector=(takes,)), reader(given))


def test_a_secret_is_replaced_without_a_gap_and_an_account_has_its_own(tmp_path: Path) -> None:
    keys = keys_of(tmp_path, {"webhook_secret": ["new", SECRET], "webhook_tolerance_seconds": 30})
    sender = SENDERS["stripe"]

    async def test(receiver: Receiver) -> None:
        body = body_of(sender)
        assert (await receiver.send(sender, body, receiver.sign(sender, body))).status == 404
        for age, status in ((31, 401), (29, 200)):
            signed = receiver.sign(sender, body, NOW - age)
            assert (await receiver("POST", "/webhooks/stripe/eu", body, signed)).status == status
        assert [entry.account for entry in receiver.kept()] == ["eu"]

    receiving(tmp_path, test, keys=keys)
    assert SECRET not in repr(keys)


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(FixSettings, match="sendgird"):
        keys_of(tmp_path, {}, "sendgird")
    with pytest.raises(FixCredentials, match=r"stripe__eu.*webhook_secret"):
        keys_of(tmp_path, {})
    with pytest.raises(FixCredentials, match="public key"):
        read_keys(
            settings(tmp_path, collector=("sendgrid",)),
            lambda name, account: Connection(name, account, extra={"webhook_secret": "no key"}),
        )
    with pytest.raises(FixCredentials, match="write_keys"):
        read_keys(settings(tmp_path, collector=("segment",)), lambda name, account: Connection(name, account))
