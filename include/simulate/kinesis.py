"""Amazon Kinesis: one stream whose first shard was split in two, read through iterators by signed JSON calls."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import urlsplit

import msgspec
from starlette.responses import Response

from include.simulate.limits import Clock, SlidingWindow
from include.simulate.people import Population
from include.simulate.vendor import Call, Refused, Route, Vendor, new_id, read

ACCESS_KEY, SECRET_KEY = "AKIADEMO000000000000", "kinesis-demo"
REGION, STREAM = "eu-central-1", "web-events"
PER_SHARD = 5
ITERATOR_SECONDS = 300
KINDS = ("order_shipped", "order_returned", "coupon_used")
Record = dict[str, Any]


@dataclass(slots=True)
class Shard:
    """One shard; a closed one takes no more records."""

    parent: str | None
    is_closed: bool = False
    records: list[Record] = field(default_factory=list)


def make_shards(population: Population, now: datetime) -> dict[str, Shard]:
    """The stream as it is at `now`: a closed shard, its two children, and one beside them."""
    rng = random.Random(f"{population.seed}/kinesis")
    shards = {
        _name(0): Shard(None, is_closed=True),
        _name(1): Shard(None),
        _name(2): Shard(_name(0)),
        _name(3): Shard(_name(0)),
    }
    split = now - timedelta(hours=9)
    for number in range(60):
        at = now - timedelta(hours=20) + timedelta(minutes=20 * number)
        side = rng.choice((0, 1)) if at < split else rng.choice((1, 2, 3))
        add_record(shards[_name(side)], number, at, rng.choice(population.people).user_id, rng.choice(KINDS))
    return shards


def add_record(shard: Shard, number: int, at: datetime, user_id: str | None, kind: str) -> None:
    """Put one record into a shard; every fourth is no JSON."""
    data = msgspec.json.encode({"type": kind, "user_id": user_id, "number": number})
    shard.records.append(
        {
            "SequenceNumber": str(49_600_000_000_000_000_000_000 + number),
            "ApproximateArrivalTimestamp": at.timestamp(),
            "PartitionKey": user_id or "none",
            "Data": data if number % 4 else b"\x00" + data,
        }
    )


class Kinesis(Vendor):
    """One stream of one account."""

    name = "kinesis"
    media_type = "application/x-amz-json-1.1"
    retyped_fields: ClassVar[Mapping[str, str]] = {"data": "number"}

    def __init__(self, population: Population, clock: Clock, *, unlimited: bool = False) -> None:
        super().__init__(population, clock, unlimited=unlimited)
        self._began = population.now
        self._reads: dict[str, SlidingWindow] = {}

    @cached_property
    def shards(self) -> dict[str, Shard]:
        """The shards by name, made when first asked for."""
        return make_shards(self.population, self._began)

    def routes(self) -> list[Route]:
        """One address; a header says what is asked."""
        return [read("/api", self._asked, "POST")]

    def accepts(self, call: Call) -> bool:
        """A signature (version 4) over the call, with the account's secret."""
        scheme, _, rest = call.headers.get("authorization", "").partition(" ")
        given = dict(part.strip().partition("=")[::2] for part in rest.split(","))
        access_key, _, scope = given.get("Credential", "").partition("/")
        if scheme != "AWS4-HMAC-SHA256" or access_key != ACCESS_KEY or scope.count("/") != 3:
            return False
        names = given.get("SignedHeaders", "").split(";")
        signed = "".join(f"{name}:{call.headers.get(name, '').strip()}\n" for name in names)
        path = urlsplit(call.base).path + call.path
        asked = "\n".join((call.method, path, "", signed, ";".join(names), hashlib.sha256(call.body).hexdigest()))
        digest = hashlib.sha256(asked.encode()).hexdigest()
        text = "\n".join((scheme, call.headers.get("x-amz-date", ""), scope, digest))
        key = f"AWS4{SECRET_KEY}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.compare_digest(hmac.new(key, text.encode(), "sha256").hexdigest(), given.get("Signature", ""))

    def refuse(self, call: Call) -> Response:
        """400 with the code of a wrong signature."""
        return self._refusal("InvalidSignatureException", "The request signature we calculated does not match.")

    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """400 with the code of a shard that is read too fast."""
        return self._refusal("ProvisionedThroughputExceededException", "Rate exceeded for shard.")

    def broken(self, call: Call) -> Response:
        """500."""
        return self._refusal("InternalFailure", "Internal error", 500)

    def missing(self, call: Call) -> Response:
        """404, of an address there is none of."""
        return self._refusal("UnknownOperationException", "", 404)

    def limit(self, call: Call, in_flight: int) -> Response | None:
        """Five pages a second of each shard."""
        if not call.headers.get("x-amz-target", "").endswith(".GetRecords"):
            return None
        shard = str(self.json(call).get("ShardIterator")).partition("/")[0]
        window = self._reads.setdefault(shard, SlidingWindow(PER_SHARD, 1, self.clock))
        return None if window.take().allowed else self.too_many(call, None)

    def stamp(self, call: Call, response: Response) -> None:
        """The id of the call."""
        response.headers["x-amzn-RequestId"] = new_id()

    def continues(self, call: Call) -> bool:
        """A page of records behind the first."""
        return call.headers.get("x-amz-target", "").endswith(".GetRecords")

    def list_of(self, call: Call) -> str:
        """Each shard's pages are a list of their own."""
        return f"{call.headers.get('x-amz-target')} {str(self.json(call).get('ShardIterator')).partition('/')[0]}"

    def grow(self, recovered: Sequence[int]) -> None:
        """Two records more."""
        if "shards" in vars(self):
            number = sum(len(shard.records) for shard in self.shards.values())
            for shard in (1, 3):
                add_record(self.shards[_name(shard)], number, self.population.now, None, KINDS[0])
                number += 1

    def _asked(self, call: Call) -> Response:
        operation = call.headers.get("x-amz-target", "").rpartition(".")[2]
        asked = self.json(call)
        if asked.get("StreamName", STREAM) != STREAM:
            raise Refused(self._refusal("ResourceNotFoundException", "Stream not found."))
        if operation == "ListShards":
            return self._list(asked)
        if operation == "GetShardIterator":
            return self._iterator(asked)
        if operation == "GetRecords":
            return self._records(asked)
        raise Refused(self._refusal("UnknownOperationException", operation))

    def _list(self, asked: Record) -> Response:
        """Two shards a page."""
        names = sorted(self.shards)
        start = int(asked.get("NextToken") or 0)
        page = []
        for name in names[start : start + 2]:
            shard = self.shards[name]
            numbers = {"StartingSequenceNumber": "0"} | ({"EndingSequenceNumber": "1"} if shard.is_closed else {})
            parent = {"ParentShardId": shard.parent} if shard.parent else {}
            page.append({"ShardId": name, "SequenceNumberRange": numbers, **parent})
        more = {"NextToken": str(start + 2)} if start + 2 < len(names) else {}
        return self.reply({"Shards": page, **more})

    def _iterator(self, asked: Record) -> Response:
        shard = self.shards.get(str(asked.get("ShardId")))
        if shard is None:
            raise Refused(self._refusal("ResourceNotFoundException", "Shard not found."))
        place, kind = 0, asked.get("ShardIteratorType")
        if kind == "AFTER_SEQUENCE_NUMBER":
            number = str(asked.get("StartingSequenceNumber"))
            if not number.isdecimal():
                raise Refused(self._refusal("InvalidArgumentException", "StartingSequenceNumber is invalid."))
            place = sum(int(record["SequenceNumber"]) <= int(number) for record in shard.records)
        elif kind == "AT_TIMESTAMP":
            at = float(asked["Timestamp"])
            place = sum(record["ApproximateArrivalTimestamp"] < at for record in shard.records)
        return self.reply({"ShardIterator": self._place(str(asked["ShardId"]), place)})

    def _place(self, name: str, place: int) -> str:
        return f"{name}/{place}/{self.clock.now().timestamp():.3f}"

    def _records(self, asked: Record) -> Response:
        name, place, made = str(asked.get("ShardIterator")).split("/")
        if self.clock.now().timestamp() - float(made) > ITERATOR_SECONDS:
            raise Refused(self._refusal("ExpiredIteratorException", "Iterator expired."))
        shard, limit, start = self.shards[name], int(asked.get("Limit") or 10_000), int(place)
        found = shard.records[start : start + limit]
        left = shard.records[start + limit :]
        following = None if shard.is_closed and not left else self._place(name, start + len(found))
        behind = (
            (shard.records[-1]["ApproximateArrivalTimestamp"] - left[0]["ApproximateArrivalTimestamp"]) if left else 0
        )
        more = {"NextShardIterator": following} if following else {}
        return self.reply(
            {
                "Records": [self._shown(record) for record in found],
                "MillisBehindLatest": int(behind * 1000) + bool(left),
            }
            | more
        )

    def _shown(self, record: Record) -> Record:
        data = record["Data"]
        if self.faults.drift and not data.startswith(b"\x00"):
            data = msgspec.json.encode(self.drifted("data", msgspec.json.decode(data)))
        return {**record, "Data": base64.b64encode(data).decode()}

    def _refusal(self, code: str, message: str, status: int = 400) -> Response:
        return self.reply({"__type": code, "message": message}, status)


def _name(number: int) -> str:
    return f"shardId-{number:012d}"
