"""Amazon SES through SNS: what became of each message; `Message` is the event as text."""

import json

from include.connect.records import Body
from include.connect.signatures import (
    Refused,
    SnsSignature,
    is_sns_url,
    sns_certificate_url,
    sns_message,
)
from include.connect.webhook import Webhook, one_object


def confirm_url(body: bytes) -> str | None:
    """What to call so that a subscription begins; None for everything else."""
    message = sns_message(body)
    if message["Type"] != "SubscriptionConfirmation":
        return None
    url = str(message.get("SubscribeURL", ""))
    if not is_sns_url(url):
        raise Refused(401, "SubscribeURL is not Amazon's")
    return url


def events(body: bytes) -> Body:
    """The envelope, if it holds an event; what SNS and SES say of the topic itself is plain text, and nobody's."""
    envelope = one_object(body)
    try:
        event = json.loads(json.loads(body)["Message"])
    except (ValueError, KeyError, TypeError):
        event = None
    return envelope if isinstance(event, dict) else Body([], [], {}, b"")


WEBHOOK = Webhook(
    "ses_events",
    SnsSignature(),
    split=events,
    event_id=("MessageId",),
    timestamp="Timestamp",
    certificate_url=sns_certificate_url,
    confirm_url=confirm_url,
    description="SNS envelopes with one SES event each; one event may name several recipients",
)
