"""Mandrill (Mailchimp Transactional): what became of each message."""

from urllib.parse import parse_qs

from include.connect.signatures import Delivery, HmacSignature
from include.connect.webhook import Webhook, objects_in_form

FIELD = "mandrill_events"


def is_probe(delivery: Delivery) -> bool:
    """The trial when a webhook is made: no events, signed with a key that is not ours yet."""
    return not delivery.body or parse_qs(delivery.body.decode("utf-8", "replace")).get(FIELD) == ["[]"]


WEBHOOK = Webhook(
    "mandrill_events",
    HmacSignature("x-mandrill-signature", signs="{url}{form}", digest="sha1", encoding="base64"),
    split=objects_in_form(FIELD),
    # `_id` names the message, not the event: two opens of one message have the same.
    timestamp="ts",
    answers_get=True,
    is_probe=is_probe,
    description="Deliveries, opens, clicks, bounces and unsubscribes, one per event",
)
