"""Slack incoming webhooks: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import Any

from include.connect.errors import FixCredentials, RetryLater
from include.notify.message import Message

TIMEOUT_SECONDS = 5.0
HEADER_LIMIT = 150
SECTION_LIMIT = 3000
"""Slack's own limits; a longer text is refused as a whole, so it is cut."""


def send(message: Message, webhook_url: str) -> None:
    """Post a message. The URL is a secret: it appears in no log and no error.

    Raises:
        FixCredentials: Slack does not know this webhook, or the URL is none.
        RetryLater: Slack did not take it now.
    """
    if not webhook_url.startswith(("https://", "http://")):
        raise _refused("is not an http(s) URL")
    # urllib, because HTTP libraries log the URL they call, and this one lets anybody post.
    request = urllib.request.Request(
        webhook_url, json.dumps(payload(message)).encode(), {"Content-Type": "application/json; charset=utf-8"}
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        with error:
            if error.code == HTTPStatus.TOO_MANY_REQUESTS or error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise RetryLater(f"Slack answered {error.code}", where="Slack webhook") from None
            raise _refused(f"was refused with {error.code}") from None
    except (OSError, ValueError) as error:
        raise RetryLater(f"Slack was not reached ({type(error).__name__})", where="Slack webhook") from None


def _refused(what: str) -> FixCredentials:
    return FixCredentials(
        f"the Slack webhook {what}",
        where="Slack webhook",
        fix="Make a new incoming webhook in Slack and put its URL in the host of the alert connection.",
    )


def payload(message: Message) -> dict[str, Any]:
    """The message as Slack's JSON: one line for notifications, blocks for the channel."""
    icon = ":white_check_mark:" if message.is_recovery else ":rotating_light:"
    headline = f"{icon} {message.title}"
    lines = [f"*What happened:* {escape(message.what)}"]
    if message.fix:
        lines.append(f"*What to do:* {escape(message.fix)}")
    if message.affected:
        lines.append(f"*{'Was stale' if message.is_recovery else 'Stale'}:* {escape(message.affected)}")
    links = [f"*Owner:* {escape(message.owner)}", f"*Runbook:* {_link(message.runbook, message.runbook)}"]
    if message.log_url:
        links.append(_link(message.log_url, "Task log"))
    return {
        "text": escape(f"{headline}: {message.what}")[:SECTION_LIMIT],
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": _cut(headline, HEADER_LIMIT), "emoji": True}},
            {"type": "section", "text": {"type": "mrkdwn", "text": _cut("\n".join(lines), SECTION_LIMIT)}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": _cut(" · ".join(links), SECTION_LIMIT)}]},
        ],
    }


def escape(text: str) -> str:
    """The three characters Slack reads as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _link(target: str, label: str) -> str:
    return f"<{escape(target).replace('|', '%7C')}|{escape(label)}>" if "://" in target else f"`{escape(target)}`"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
