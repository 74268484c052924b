"""Amazon Kinesis: the records of a stream, shard by shard, from where the last run stopped in each."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Raw

from include.connect.aws import AwsRefused, call, open_client
from include.connect.cursor import instant, written
from include.connect.http import Session
from include.connect.source import Page, Rate, Source, Stream, Window

MOST = 10_000
BYTES_PER_SECOND = 2 * 1024 * 1024
"""What a shard gives; after a big page the next one is refused until as many seconds have passed."""
SHARDS_AT_ONCE = 8
HOLDS = {"list_shards": "Shards", "get_shard_iterator": "ShardIterator", "get_records": "Records"}
LISTS = Rate(100, seconds=1, name="lists")
DONE = "-"
"""Checkpoint of a closed shard that was read to its end."""

Checkpoint = dict[str, str]
"""Shard -> sequence number of its last record, or `DONE`. As JSON text it is the stream's cursor."""


@dataclass(slots=True)
class _Shard:
    """A shard that is being read."""

    id: str
    iterator: str | None = None
    not_before: float = 0.0
    is_finished: bool = False
    last: str | None = None
    repeats: int = 0
    records: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class _Reader:
    """Reads one stream for one window."""

    session: Session
    window: Window
    client: Any
    name: str
    since: datetime | None
    checkpoint: Checkpoint
    closed: set[str] = field(default_factory=set)

    async def ask(self, operation: str, shard: str = "", **arguments: Any) -> dict[str, Any]:
        """One call; reads of a shard have a budget of their own, as all its readers together have."""
        budget = Rate(5, seconds=1, name=f"shard/{self.name}/{shard}") if shard else LISTS
        holds = HOLDS[operation]
        return await call(self.session, self.client, operation, arguments, holds=holds, budget=budget, label="records")

    async def shards(self) -> dict[str, tuple[str, ...]]:
        """Every shard that still holds records, with its parents."""
        found: dict[str, tuple[str, ...]] = {}
        asked: dict[str, Any] = {"StreamName": self.name}
        while True:
            answer = await self.ask("list_shards", **asked)
            for shard in answer["Shards"]:
                parents = (shard.get("ParentShardId"), shard.get("AdjacentParentShardId"))
                found[shard["ShardId"]] = tuple(parent for parent in parents if parent)
                if shard["SequenceNumberRange"].get("EndingSequenceNumber"):
                    self.closed.add(shard["ShardId"])
            if not answer.get("NextToken"):
                return found
            asked = {"NextToken": answer["NextToken"]}

    async def iterator(self, shard: _Shard) -> str | None:
        """Where to go on reading a shard; None where the shard is gone."""
        last = shard.last or self.checkpoint.get(shard.id)
        at: dict[str, Any] = {"ShardIteratorType": "TRIM_HORIZON"}
        if last is not None:
            at = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": last}
        elif self.since is not None:
            at = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": self.since}
        asked = {"StreamName": self.name, "ShardId": shard.id}
        try:
            answer = await self.ask("get_shard_iterator", **asked, **at)
        except AwsRefused as error:
            if error.code == "ResourceNotFoundException":
                return None
            if error.code != "InvalidArgumentException" or last is None:
                raise
            # The stream was made anew under its name, so the numbers of the old one mean nothing in it.
            answer = await self.ask("get_shard_iterator", **asked, ShardIteratorType="TRIM_HORIZON")
        return str(answer["ShardIterator"])

    async def read(self, shard: _Shard, most: int) -> _Shard:
        """One page of a shard, into `shard.records`."""
        shard.records = []
        clock = self.session.clock
        while True:
            if shard.iterator is None and (iterator := await self.iterator(shard)) is not None:
                shard.iterator = iterator
            if shard.iterator is None:
                shard.is_finished = True
                return shard
            if (wait := shard.not_before - clock.now()) > 0:
                await clock.sleep(wait)
            try:
                answer = await self.ask("get_records", shard.id, ShardIterator=shard.iterator, Limit=most)
            except AwsRefused as error:
                if error.code != "ExpiredIteratorException":
                    raise
                shard.iterator = None  # it lives for five minutes
                continue
            found = answer["Records"]
            if found and shard.last is not None and int(found[0]["SequenceNumber"]) <= int(shard.last):
                shard.repeats += 1
                await self.session.back_off(shard.repeats, "the same page came again", "records")
                continue
            break
        shard.repeats = 0
        shard.not_before = clock.now() + sum(len(record["Data"]) for record in found) / BYTES_PER_SECOND
        shard.iterator = answer.get("NextShardIterator")
        end = self.window.end or self.window.until
        arrived = [record["ApproximateArrivalTimestamp"] for record in found]
        in_window = found if self.window.end is None else [r for r, at in zip(found, arrived, strict=True) if at < end]
        shard.records = [_landed(shard.id, record) for record in in_window]
        if found:
            shard.last = found[-1]["SequenceNumber"]
        is_past = bool(arrived) and arrived[-1] > end
        is_at_tip = not answer.get("MillisBehindLatest") and len(found) < most
        if shard.id in self.closed and is_at_tip and not found:
            shard.iterator = None  # nothing can come any more, whether or not this answer says so
        shard.is_finished = shard.iterator is None or is_past or (is_at_tip and shard.id not in self.closed)
        return shard


def _landed(shard: str, record: Mapping[str, Any]) -> bytes:
    """A record with what Kinesis says of it; its bytes as JSON where they are, else in Base64."""
    about = {
        "shard_id": shard,
        "sequence_number": record["SequenceNumber"],
        "partition_key": record["PartitionKey"],
        "arrived_at": written(record["ApproximateArrivalTimestamp"].astimezone(UTC)),
    }
    data: bytes = record["Data"]
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.json.encode({**about, "data_base64": base64.b64encode(data).decode()})
    return msgspec.json.encode({**about, "data": Raw(data)})


async def read_records(session: Session, window: Window) -> AsyncIterator[Page]:
    """Records of every shard until it is read up to now; the shards a split or a merge made after their parents.

    The cursor is the checkpoint of all shards, so it is stored with the records it stands behind. Records that are
    older than the stream keeps are gone; what is left is read.
    """
    stream = session.connection.fill("{stream}")
    # A backfill, or a first run that has a start, begins at a time; every later one at a checkpoint.
    since = instant(window.since)
    before = window.resume or (None if since is not None else window.since)
    checkpoint = msgspec.json.decode(before or "{}", type=Checkpoint)
    client = open_client("kinesis", session.connection, session.base_url)
    reader = _Reader(session, window, client, stream, since, checkpoint)
    most = min(int(session.connection.extra.get("page_size") or MOST), MOST)
    listed = await reader.shards()
    for gone in checkpoint.keys() - listed.keys():
        del checkpoint[gone]  # older than the stream keeps
    running: dict[str, _Shard] = {}
    left = {name for name in listed if checkpoint.get(name) != DONE}
    caught_up: set[str] = set()
    while True:
        waiting = left - caught_up - running.keys()
        for one in sorted(waiting):
            is_ready = all(checkpoint.get(parent) == DONE for parent in listed[one] if parent in listed)
            if is_ready and len(running) < SHARDS_AT_ONCE:
                running[one] = _Shard(one)
        if not running:
            break
        for shard in await asyncio.gather(*(reader.read(one, most) for one in running.values())):
            if shard.last is not None:
                checkpoint[shard.id] = shard.last
            if shard.is_finished:
                del running[shard.id]
                caught_up.add(shard.id)
                if shard.iterator is None:
                    checkpoint[shard.id] = DONE
            place = msgspec.json.encode(checkpoint, order="sorted").decode()
            yield Page(shard.records, resume=place, cursor=place)


SOURCE = Source(
    name="kinesis",
    title="Amazon Kinesis",
    base_url="https://kinesis.{region}.amazonaws.com",
    # Calls are signed by boto3, with the connection's keys or those that AWS's own tools would find.
    docs_url="https://docs.aws.amazon.com/kinesis/latest/APIReference/",
    not_covered="Enhanced fan-out, and records that producers packed together (KPL aggregation).",
    streams=(
        Stream(
            "records",
            read=read_records,
            key=("shard_id", "sequence_number"),
            deletes="never deleted, only kept no longer",
            description="Records of the stream that the extra's `stream` names; a shard gives 5 pages, 2 MB a second",
        ),
    ),
)
