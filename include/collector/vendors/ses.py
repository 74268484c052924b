"""Amazon SES through SNS: what became of each message; `Message` is the event as text."""

from include.connect.signatures import (
    Refused,
    SnsSignature,
    is_sns_url,
    sns_certificate_url,
    sns_message,
)
from include.connect.webhook import Webhook


def confirm_url(body: bytes) -> str | None:
    """What to call so that a subscription begins; None for everything else."""
    message = sns_message(body)
    if message["Type"] != "SubscriptionConfirmation":
        return None
    url = str(message.get("SubscribeURL", ""))
    if not is_sns_url(url):
        raise Refused(401, "SubscribeURL is not Amazon's")
    return url


WEBHOOK = Webhook(
    "ses_events",
    SnsSignature(),
    event_id=("MessageId",),
    timestamp="Timestamp",
    certificate_url=sns_certificate_url,
    confirm_url=confirm_url,
    description="SNS envelopes with one SES event each; one event may name several recipients",
)
