"""Segment traits: one identify call per person through Segment's HTTP API; who leaves has the trait set to false.

Segment answers 200 before it looks at the messages, so an accepted row is one that Segment has taken, not one that
every tool behind it has. People are named by the website's `user_id` alone: no anonymous id, nothing is merged.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from include.activate.calls import write
from include.activate.destination import Change, Destination, RowResult, Target
from include.connect.auth import BasicAuth
from include.connect.source import Rate, Source

if TYPE_CHECKING:
    from include.connect.http import Session

CALL_BYTES = 475_000
"""A call holds at most 500 KB; Segment's own libraries stay below by this much."""
MESSAGE_BYTES = 32_000
Message = tuple[Change, bytes]


async def nothing_to_make(session: Session, target: Target) -> Target:
    """A trait exists once somebody has it."""
    return target


async def identify(session: Session, target: Target, changes: Sequence[Change]) -> list[RowResult]:
    """Set traits, in as many calls as the messages' size asks for."""
    messages = [(change, msgspec.json.encode(_message(change))) for change in changes]
    results = [
        RowResult(change.address, False, "too_large", f"Segment takes {MESSAGE_BYTES} bytes per person")
        for change, raw in messages
        if len(raw) > MESSAGE_BYTES
    ]
    for together in _calls([message for message in messages if len(message[1]) <= MESSAGE_BYTES]):
        body = {"batch": [msgspec.Raw(raw) for _, raw in together]}
        answer = await write(session, "POST", "/batch", body, label="identify")
        results += [RowResult(change.address, True, request_id=answer.request_id) for change, _ in together]
    return results


def _message(change: Change) -> dict[str, Any]:
    # Segment drops a message whose id it has seen: the same body sent again counts once, a later change never.
    return {
        "type": "identify",
        "userId": change.address,
        "messageId": f"stitchline-{uuid.uuid4().hex}",
        "traits": dict(change.fields),
    }


def _calls(messages: Sequence[Message]) -> Iterator[list[Message]]:
    together: list[Message] = []
    size = 0
    for message in messages:
        if together and size + len(message[1]) + 1 > CALL_BYTES:
            yield together
            together, size = [], 0
        together.append(message)
        size += len(message[1]) + 1
    if together:
        yield together


API = Source(
    name="segment_tracking",
    title="Segment's HTTP API",
    base_url="https://api.segment.io/v1",  # workspaces in the EU: https://events.eu1.segmentapis.com
    auth=BasicAuth(user="{password}"),
    budget=Rate(100),
    docs_url="https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/",
)
DESTINATION = Destination(
    name="segment_identify",
    title="Segment traits",
    connection="segment_tracking",
    key="user_id",
    batch=2500,
    target="field",
    prepare=nothing_to_make,
    enter=identify,
    leave=identify,
    takes_fields=True,
    api=API,
)
