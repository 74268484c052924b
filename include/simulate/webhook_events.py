"""One event of each vendor that sends webhooks, as it looks on the wire."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]


def sendgrid_event(chance: random.Random, email: str, now: datetime) -> Json:
    """SendGrid: what became of a message."""
    what = chance.choice(["processed", "delivered", "open", "click", "bounce", "unsubscribe"])
    return {
        "email": email,
        "timestamp": int(now.timestamp()),
        "event": what,
        "category": ["welcome"] if chance.random() < 0.5 else "welcome",
        "sg_event_id": _token(chance, 24),
        "sg_message_id": f"{_token(chance, 22)}.recvd-5f9-1",
        "smtp-id": f"<{_token(chance, 8)}@mail.example>",
        **({"url": "https://www.example.com/offer", "useragent": "Mozilla/5.0"} if what == "click" else {}),
    }


def mandrill_event(chance: random.Random, email: str, now: datetime) -> Json:
    """Mandrill: what became of a message."""
    at = int(now.timestamp())
    message = _token(chance, 32)
    about = {"_id": message, "ts": at - 60, "email": email, "tags": ["receipt"], "metadata": {"order": "7"}}
    return {"event": chance.choice(["send", "open", "click"]), "_id": message, "ts": at, "msg": about}


def mailchimp_event(chance: random.Random, email: str, now: datetime) -> Json:
    """Mailchimp: a form, field by field."""
    return {
        "type": chance.choice(["subscribe", "unsubscribe", "profile"]),
        "fired_at": f"{now:%Y-%m-%d %H:%M:%S}",
        "data[id]": _token(chance, 10),
        "data[email]": email,
        "data[list_id]": "aud0000001",
        "data[merges][FNAME]": "Zoë & Co",
    }


def ses_event(chance: random.Random, email: str, now: datetime) -> Json:
    """SES: the event that SNS carries as text."""
    about = {"messageId": _token(chance, 20), "destination": [email], "tags": {"campaign": ["welcome"]}}
    return {"eventType": "Open", "mail": {**about, "timestamp": _iso(now)}}


def airship_event(chance: random.Random, email: str, now: datetime) -> Json:
    """Airship: one event of its stream."""
    return {
        "id": str(uuid.UUID(int=chance.getrandbits(128))),
        "type": "OPEN",
        "offset": str(chance.randrange(10**9)),
        "occurred": _iso(now),
        "device": {"ios_channel": _token(chance, 12), "named_user_id": email},
        "body": {"session_id": _token(chance, 8)},
    }


def callrail_event(chance: random.Random, email: str, now: datetime) -> Json:
    """CallRail: a call that ended."""
    return {
        "id": chance.randrange(10**8),
        "customer_phone_number": f"+1555{chance.randrange(10**7):07}",
        "answered": True,
        "duration": "42",
        "timestamp": _iso(now),
    }


def calendly_event(chance: random.Random, email: str, now: datetime) -> Json:
    """Calendly: somebody booked or canceled."""
    event = f"https://api.calendly.com/scheduled_events/{_token(chance, 16)}"
    who = {"uri": f"{event}/invitees/{_token(chance, 16)}", "email": email, "status": "active"}
    return {
        "event": chance.choice(["invitee.created", "invitee.canceled"]),
        "created_at": _iso(now),
        "payload": {**who, "event": event, "tracking": {"utm_term": _token(chance, 32), "utm_source": None}},
    }


def shopify_event(chance: random.Random, email: str, now: datetime) -> Json:
    """Shopify: a customer as it is now."""
    return {"id": chance.randrange(10**12), "email": email, "updated_at": _iso(now), "tags": ""}


def stripe_event(chance: random.Random, email: str, now: datetime) -> Json:
    """Stripe: an event with its object."""
    customer = {"id": f"cus_{_token(chance, 14)}", "object": "customer", "email": email}
    return {
        "id": f"evt_{_token(chance, 24)}",
        "object": "event",
        "created": int(now.timestamp()),
        "type": "customer.updated",
        "data": {"object": customer},
    }


def hubspot_event(chance: random.Random, email: str, now: datetime) -> Json:
    """HubSpot: a property changed."""
    return {
        "eventId": chance.randrange(10**9),
        "subscriptionId": 11,
        "occurredAt": int(now.timestamp() * 1000),
        "subscriptionType": "contact.propertyChange",
        "objectId": chance.randrange(10**6),
        "propertyName": "email",
        "propertyValue": email,
        "attemptNumber": 0,
    }


def zapier_event(chance: random.Random, email: str, now: datetime) -> Json:
    """Zapier: whatever a step was told to send."""
    return {"lead": {"email": email, "form": "webinar"}, "at": _iso(now), "n": chance.randrange(10**9)}


def _token(chance: random.Random, size: int) -> str:
    return f"{chance.getrandbits(size * 4):0{size}x}"


def _iso(now: datetime) -> str:
    return now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
