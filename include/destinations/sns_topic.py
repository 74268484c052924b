"""Amazon SNS: changes of a list published to a topic, ten a call, for whoever subscribes.

The tag names the topic, which is made by hand. A message is JSON: `id`, `list`, `operation` (enter, update or leave),
`customer_id` and the mapped `fields` that are new; `list` and `operation` are attributes too, for filters of
subscriptions. SNS delivers at least once, so a message may come twice, with the same `id`; a FIFO topic drops the
second by it, and keeps the order of each person's messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from include.activate.destination import BatchRejected, Change, Destination, RowResult, Target
from include.connect.aws import AwsRefused, call, open_client
from include.connect.errors import FixSettings
from include.connect.source import Rate, Source

if TYPE_CHECKING:
    from include.connect.http import Session

MOST_BYTES = 262_144
"""Of a call, and so of a message; attributes count."""
TRIES = 3
TOO_LARGE = "the message is larger than SNS takes"
Entry = dict[str, Any]


async def find_topic(session: Session, target: Target) -> Target:
    """The topic of that name; one that is not there is made by hand, with its subscriptions."""
    client = await asyncio.to_thread(open_client, "sns", session.connection, session.base_url)
    asked: dict[str, Any] = {}
    while True:
        page = await call(session, client, "list_topics", asked, holds="ResponseMetadata", label="topics")
        for topic in page.get("Topics") or ():
            if str(topic["TopicArn"]).rpartition(":")[2] == target.name:
                return replace(target, handle=str(topic["TopicArn"]))
        if not page.get("NextToken"):
            raise FixSettings(
                f"there is no topic {target.name!r} in region {session.connection.fill('{region}')}",
                where=f"connection {session.connection.id}",
                fix="Make the topic and its subscriptions in SNS, or name another in the list's `tag:`.",
            )
        asked = {"NextToken": page["NextToken"]}


async def publish(session: Session, target: Target, changes: Sequence[Change]) -> list[RowResult]:
    """Publish changes; SNS answers for each message, and what failed for a fault of SNS's is sent again."""
    client = await asyncio.to_thread(open_client, "sns", session.connection, session.base_url)
    results: list[RowResult] = []
    left: list[tuple[Change, Entry]] = []
    for number, change in enumerate(changes):
        entry = _entry(target, change, number)
        if _size(entry) > MOST_BYTES:
            results.append(RowResult(change.address, False, "too_large", TOO_LARGE))
        else:
            left.append((change, entry))
    for part in _parts(left):
        results += await _published(session, client, target, part)
    return results


async def _published(
    session: Session, client: Any, target: Target, part: Sequence[tuple[Change, Entry]]
) -> list[RowResult]:
    left = {entry["Id"]: (change, entry) for change, entry in part}
    results, attempt = list[RowResult](), 0
    while left:
        attempt += 1
        asked = {"TopicArn": target.handle, "PublishBatchRequestEntries": [entry for _, entry in left.values()]}
        try:
            answer = await call(session, client, "publish_batch", asked, holds="ResponseMetadata", label="publish")
        except AwsRefused as error:
            raise BatchRejected(error.code, error.what, error.request_id) from None
        request_id = answer["ResponseMetadata"].get("RequestId")
        for one in answer.get("Successful") or ():
            change, _ = left.pop(one["Id"])
            results.append(RowResult(change.address, True, request_id=str(one["MessageId"])))
        for one in answer.get("Failed") or ():
            if one.get("SenderFault") or attempt == TRIES:
                change, _ = left.pop(one["Id"])
                told = str(one.get("Message") or "")
                results.append(RowResult(change.address, False, str(one["Code"]), told, request_id))
        if left:
            await session.back_off(attempt, "SNS failed on some messages", "publish")
    return results


def _entry(target: Target, change: Change, number: int) -> Entry:
    body = {
        "id": change.key,
        "list": target.name,
        "operation": change.operation,
        "customer_id": change.customer_id,
        "fields": dict(change.fields),
    }
    attributes = {"list": target.name, "operation": change.operation}
    entry: Entry = {
        "Id": str(number),
        "Message": msgspec.json.encode(body).decode(),
        "MessageAttributes": {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
    }
    if target.name.endswith(".fifo"):
        entry |= {"MessageGroupId": change.customer_id, "MessageDeduplicationId": change.key}
    return entry


def _size(entry: Entry) -> int:
    """Bytes that count against the limit: the message, and name, type and value of its attributes."""
    attributes = entry["MessageAttributes"].items()
    counted = (f"{name}{one['DataType']}{one['StringValue']}" for name, one in attributes)
    return len(entry["Message"].encode()) + sum(len(text.encode()) for text in counted)


def _parts(entries: Sequence[tuple[Change, Entry]]) -> Iterator[list[tuple[Change, Entry]]]:
    """As few calls as their bytes allow."""
    part: list[tuple[Change, Entry]] = []
    size = 0
    for change, entry in entries:
        if part and size + _size(entry) > MOST_BYTES:
            yield part
            part, size = [], 0
        part.append((change, entry))
        size += _size(entry)
    if part:
        yield part


API = Source(
    name="sns",
    title="Amazon SNS",
    base_url="https://sns.{region}.amazonaws.com",
    budget=Rate(100),  # 300 to 30,000 messages a second, by region: rate_limit in the extra, in calls of ten
    docs_url="https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html",
)
DESTINATION = Destination(
    name="sns_topic",
    title="Amazon SNS topics",
    connection="sns",
    key="customer_id",
    batch=10,
    target="tag",
    prepare=find_topic,
    enter=publish,
    leave=publish,
    takes_fields=True,
    api=API,
)
