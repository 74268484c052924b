"""Amazon SES through SNS: what became of each message; SNS's envelope carries the event as text."""

import msgspec

from include.connect.records import Body, BrokenAnswer
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
    """The event that the envelope carries as text, and what of the envelope says which it is.

    What SNS and SES say of the topic itself is no event: plain text, which is about nobody.
    """
    message = sns_message(body)
    told = b",".join(
        b"%b:%b" % (msgspec.json.encode(name), msgspec.json.encode(message.get(name)))
        for name in ("MessageId", "Timestamp", "TopicArn")
    )
    try:
        event = one_object(str(message.get("Message")).encode())
    except BrokenAnswer:
        return Body([], [], {}, b"")
    found = [b'{%b,"event":%b}' % (told, bytes(record)) for record in event.records if bytes(record)[:1] == b"{"]
    return Body(list(found), event.rejected, {}, b"")


WEBHOOK = Webhook(
    "ses_events",
    SnsSignature(),
    split=events,
    event_id=("MessageId",),
    timestamp="Timestamp",
    certificate_url=sns_certificate_url,
    confirm_url=confirm_url,
    description="SES events, taken out of their SNS envelopes; one event may name several recipients",
)
