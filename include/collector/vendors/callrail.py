"""CallRail: calls as they end and as they are changed afterwards."""

from include.connect.signatures import HmacSignature
from include.connect.webhook import Webhook

WEBHOOK = Webhook(
    "callrail_events",
    # `timestamp` in the body is the start of the call, which a later change repeats: it cannot bound the age.
    HmacSignature("signature", digest="sha1", encoding="base64"),
    # `id` names the call, not the event: every later change of a call has the same.
    timestamp="timestamp",
    description="Calls when they end, and again whenever they change",
)
