"""Airship: real-time data streaming events, forwarded to us; Airship signs nothing, so a token says who sends."""

from include.connect.signatures import SharedToken
from include.connect.webhook import Webhook, one_or_many

WEBHOOK = Webhook(
    "airship_events",
    SharedToken(),
    split=one_or_many,
    event_id=("id",),
    timestamp="occurred",
    description="Pushes sent, opened and resolved, tags changed, one per event",
)
