"""SendGrid's event webhook: what became of each message."""

from datetime import timedelta

from include.connect.signatures import EcdsaSignature
from include.connect.webhook import Webhook, objects

WEBHOOK = Webhook(
    "sendgrid_events",
    EcdsaSignature(
        "x-twilio-email-event-webhook-signature",
        "x-twilio-email-event-webhook-timestamp",
        # It retries for 24 hours and does not say whether with a new signature; an event sent twice has the same id.
        tolerance=timedelta(hours=25),
    ),
    split=objects,
    event_id=("sg_event_id",),
    timestamp="timestamp",
    description="Deliveries, opens, clicks, bounces and unsubscribes, one per event",
)
