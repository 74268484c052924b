"""What vendors send by themselves: each with its payloads, its signature and its way of trying again.

`python -m include.simulate.webhooks --url http://127.0.0.1:8090 --vendor sendgrid --events 1000` sends to a
collector whose connections have the secrets of `connections()`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hmac
import json
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from urllib.parse import parse_qsl, urlencode

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from include.simulate import webhook_events as of
from include.simulate.webhook_events import Json

SECRET = "simulated-webhook-secret"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:mail-events"
CERTIFICATE = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
SNS = "https://sns.eu-west-1.amazonaws.com"

Headers = dict[str, str]
Event = Callable[[random.Random, str, datetime], Json]
Pack = Callable[[Sequence[Json]], bytes]
Sign = Callable[[str, bytes, float], Headers]


@dataclass(frozen=True, slots=True)
class Sender:
    """One vendor.

    Args:
        name: as in the collector's address.
        make: one event of somebody with that address.
        pack: events as the body of one request.
        sign: headers for address, body and time of sending.
        batch: events that go in one request.
        retries: seconds between attempts after a failure.
        content_type: of the body.
        timed: whether its signature covers a time, so that an old one must be refused.
    """

    name: str
    make: Event
    pack: Pack
    sign: Sign
    batch: int = 1
    retries: tuple[float, ...] = ()
    content_type: str = "application/json"
    timed: bool = False


def one(packed: Sequence[Json]) -> bytes:
    """Vendors that send one event a request; some of them pretty-print it."""
    return json.dumps(packed[0], indent=2, ensure_ascii=False).encode()


def many(packed: Sequence[Json]) -> bytes:
    """Vendors that send a list; SendGrid ends it with CRLF."""
    return json.dumps(packed, separators=(",", ":")).encode() + b"\r\n"


def form(packed: Sequence[Json]) -> bytes:
    """Mailchimp's form."""
    return urlencode(packed[0]).encode()


def mandrill_form(packed: Sequence[Json]) -> bytes:
    """Mandrill's form: one field that holds a list."""
    return urlencode({"mandrill_events": json.dumps(packed)}).encode()


def _mac(data: bytes, digest: str = "sha256") -> bytes:
    return hmac.digest(SECRET.encode(), data, digest)


def _timed(header: str) -> Sign:
    def sign(url: str, body: bytes, now: float) -> Headers:
        return {header: f"t={int(now)},v1={_mac(f'{int(now)}.'.encode() + body).hex()}"}

    return sign


def _plain(header: str, digest: str = "sha256") -> Sign:
    return lambda url, body, now: {header: base64.b64encode(_mac(body, digest)).decode()}


def _hubspot(url: str, body: bytes, now: float) -> Headers:
    at = str(int(now * 1000))
    signed = f"POST{url}".encode() + body + at.encode()
    return {
        "X-HubSpot-Signature-v3": base64.b64encode(_mac(signed)).decode(),
        "X-HubSpot-Request-Timestamp": at,
    }


def _mandrill(url: str, body: bytes, now: float) -> Headers:
    fields = sorted(parse_qsl(body.decode(), keep_blank_values=True))
    signed = url + "".join(name + value for name, value in fields)
    return {"X-Mandrill-Signature": base64.b64encode(_mac(signed.encode(), "sha1")).decode()}


def _shopify(url: str, body: bytes, now: float) -> Headers:
    event = json.loads(body)
    return {
        "X-Shopify-Hmac-Sha256": base64.b64encode(_mac(body)).decode(),
        "X-Shopify-Topic": "customers/update",
        "X-Shopify-Shop-Domain": "acme.myshopify.com",
        "X-Shopify-Webhook-Id": f"wh-{event['id']}",
        "X-Shopify-Triggered-At": event["updated_at"],
    }


def _bearer(url: str, body: bytes, now: float) -> Headers:
    return {"Authorization": f"Bearer {SECRET}"}


EC_KEY = ec.derive_private_key(20260101, ec.SECP256R1())
"""The same in every process, so that a collector in another one can be given the public half."""


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    """Of SNS; whoever signs with it also serves its certificate."""
    return rsa.generate_private_key(65537, 2048)


def sns(packed: Sequence[Json]) -> bytes:
    """SNS: one event as text in a signed envelope."""
    at = datetime.fromisoformat(packed[0]["mail"]["timestamp"])
    return one([sns_envelope("Notification", json.dumps(packed[0]), at)])


def _unsigned(url: str, body: bytes, now: float) -> Headers:
    return {}


def _sendgrid(url: str, body: bytes, now: float) -> Headers:
    at = str(int(now))
    return {
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(
            EC_KEY.sign(at.encode() + body, ec.ECDSA(SHA256()))
        ).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": at,
    }


def sendgrid_public_key() -> str:
    """The verification key that SendGrid's page would show."""
    return base64.b64encode(EC_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def sns_certificate() -> bytes:
    """The certificate that SNS would serve."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(rsa_key().public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2050, 1, 1, tzinfo=UTC))
    )
    return made.sign(rsa_key(), SHA256()).public_bytes(Encoding.PEM)


def sns_envelope(kind: str, message: str, now: datetime) -> Json:
    """A signed SNS message; confirmations carry the address to call."""
    fields: Json = {
        "Message": message,
        "MessageId": str(uuid.uuid4()),
        **({"Subject": "Amazon SES Email Event Notification"} if kind == "Notification" else {}),
        **({"SubscribeURL": f"{SNS}/?Action=ConfirmSubscription&Token=t0"} if kind != "Notification" else {}),
        "Timestamp": now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        **({"Token": "t0"} if kind != "Notification" else {}),
        "TopicArn": TOPIC,
        "Type": kind,
    }
    signed = "".join(f"{name}\n{value}\n" for name, value in fields.items()).encode()
    signature = base64.b64encode(rsa_key().sign(signed, padding.PKCS1v15(), SHA256())).decode()
    return {**fields, "SignatureVersion": "2", "Signature": signature, "SigningCertURL": SNS + CERTIFICATE}


DAY = 24 * 3600.0
FORM = "application/x-www-form-urlencoded"
SENDERS: dict[str, Sender] = {
    sender.name: sender
    for sender in (
        Sender("sendgrid", of.sendgrid_event, many, _sendgrid, 100, (60, 300, 900, 3600, DAY / 2), timed=True),
        Sender("mandrill", of.mandrill_event, mandrill_form, _mandrill, 20, (60, 120, 240), content_type=FORM),
        Sender(
            "mailchimp",
            of.mailchimp_event,
            form,
            _timed("X-Mailchimp-Signature"),
            retries=(300, 600, 1200, 2400),
            content_type=FORM,
            timed=True,
        ),
        Sender("ses", of.ses_event, sns, _unsigned, 1, (20, 20, 60, 600), content_type="text/plain; charset=UTF-8"),
        Sender("airship", of.airship_event, many, _bearer, 10, (1, 2, 4, 8, 16)),
        Sender("callrail", of.callrail_event, one, _plain("Signature", "sha1")),  # never tries again
        Sender(
            "calendly", of.calendly_event, one, _timed("Calendly-Webhook-Signature"), 1, (60, 300, 3600), timed=True
        ),
        Sender("shopify", of.shopify_event, one, _shopify, 1, (10, 60, 300, 900, 1800, 3600, 7200)),
        Sender("stripe", of.stripe_event, one, _timed("Stripe-Signature"), 1, (300, 1800, 7200, DAY), timed=True),
        Sender("hubspot", of.hubspot_event, many, _hubspot, 10, (60, 300, 1800, 7200, DAY / 2), timed=True),
    )
}
HOOK = Sender("hook", of.zapier_event, one, _bearer)


def connections() -> dict[str, str]:
    """`AIRFLOW_CONN_*` variables with the secrets of every sender, and the collector's own keys."""
    extras: dict[str, Json] = {name: {"webhook_secret": SECRET} for name in SENDERS}
    extras["sendgrid"] = {"webhook_secret": sendgrid_public_key()}
    extras["ses"] = {"webhook_secret": [TOPIC]}
    extras["collector"] = {"write_keys": {"website": "wk-website", "server": "wk-server"}, "hooks": {"leads": SECRET}}
    return {
        f"AIRFLOW_CONN_{name.upper()}": json.dumps({"conn_type": "http", "extra": extra})
        for name, extra in extras.items()
    }


def events_of(
    sender: Sender, count: int, emails: Sequence[str], now: datetime, chance: random.Random
) -> list[list[Json]]:
    """So many events of these people, in the batches in which the vendor sends them."""
    made = [sender.make(chance, chance.choice(emails), now) for _ in range(count)]
    return [made[at : at + sender.batch] for at in range(0, count, sender.batch)]


@dataclass(slots=True)
class Outcome:
    """What became of one request: how often it was tried, and the last status (0: no answer)."""

    attempts: int
    status: int

    @property
    def is_accepted(self) -> bool:
        """Whether the receiver said that it has it."""
        return 200 <= self.status < 300


async def deliver(
    session: aiohttp.ClientSession,
    base: str,
    sender: Sender,
    batch: Sequence[Json],
    *,
    path: str | None = None,
    public: str | None = None,
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.time,
) -> Outcome:
    """Send one request, and again as the vendor does when the answer is no 2xx; each attempt is signed anew.

    Args:
        session: the client.
        base: where the receiver is.
        sender: who sends.
        batch: what goes in the request.
        path: where it goes; by default the sender's address.
        public: the receiver's address as the vendor knows it; by default `base`.
        wait: waits between attempts.
        clock: epoch seconds, for the signature.
    """
    path = path or f"/webhooks/{sender.name}"
    body = sender.pack(batch)
    status = attempts = 0
    for pause in (*sender.retries, None):
        attempts += 1
        headers = {**sender.sign((public or base) + path, body, clock()), "Content-Type": sender.content_type}
        try:
            async with session.post(base + path, data=body, headers=headers) as answer:
                await answer.read()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            status = 0
        if 200 <= status < 300 or pause is None:
            break
        await wait(pause)
    return Outcome(attempts, status)


async def _send_all(url: str, names: Sequence[str], count: int, emails: Sequence[str], seed: int) -> Mapping[str, int]:
    chance, accepted = random.Random(seed), dict.fromkeys(names, 0)
    async with aiohttp.ClientSession() as session:
        for name in names:
            sender = SENDERS[name]
            for batch in events_of(sender, count, emails, datetime.now(UTC), chance):
                outcome = await deliver(session, url, sender, batch)
                accepted[name] += len(batch) * outcome.is_accepted
    return accepted


def main() -> None:
    """Send events of an invented population to a collector."""
    from include.simulate.people import Population

    parser = argparse.ArgumentParser(prog="python -m include.simulate.webhooks", description=__doc__)
    parser.add_argument("--url", required=True, help="the collector")
    parser.add_argument("--vendor", action="append", choices=sorted(SENDERS), help="one of them; default: all")
    parser.add_argument("--events", type=int, default=100, help="how many of each vendor")
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    people = Population.generate(given.people, given.seed, datetime.now(UTC)).people
    emails = [person.emails[0] for person in people if person.emails]
    names = given.vendor or sorted(SENDERS)
    accepted = asyncio.run(_send_all(given.url.rstrip("/"), names, given.events, emails, given.seed))
    for name, number in accepted.items():
        print(f"{name}: {number} of {given.events} accepted")


if __name__ == "__main__":
    main()
