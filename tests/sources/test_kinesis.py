"""Kinesis as moto's server answers it, which nobody here wrote; what moto lacks, as the simulator does."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from include.connect.aws import AwsRefused, open_client
from include.connect.connection import Connection
from include.connect.errors import FixCredentials, FixSettings, RetryLater
from include.sources.kinesis import DONE
from tests.sources.simulator import Puller, Simulator

STREAM = "orders"
SHARDS = 3


class Aws:
    """One stream in moto, and a puller of it."""

    def __init__(self, url: str, home: Path, stream: str = STREAM) -> None:
        extra = {"region": "eu-central-1", "stream": stream, "page_size": 7}
        self.connection = Connection("kinesis", "main", url, "AKIA", "secret", extra)
        self.client = open_client("kinesis", self.connection, url)
        self.pulling = Puller(Simulator(0), home)
        self.sent = 0

    def put(self, count: int, size: int = 0) -> None:
        for _ in range(count):
            data = json.dumps({"number": self.sent, "filling": "x" * size}).encode()
            self.client.put_record(StreamName=STREAM, Data=data, PartitionKey=f"customer-{self.sent % 40}")
            self.sent += 1

    def pull(self, run: str, **options: Any) -> tuple[list[int], Any]:
        """The numbers that landed, and the manifest."""
        now = datetime.now(UTC) + timedelta(hours=1)
        (manifest,) = self.pulling("kinesis", run, connection=self.connection, as_of=now, **options)
        lines = self.pulling.lines(manifest)
        assert len({line["_key"] for line in lines}) == len(lines)
        return [line["_payload"]["data"]["number"] for line in lines], manifest


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def aws(server: str, tmp_path: Path) -> Iterator[Aws]:
    made = Aws(server, tmp_path)
    made.client.create_stream(StreamName=STREAM, ShardCount=SHARDS)
    yield made
    made.client.delete_stream(StreamName=STREAM)


def test_every_record_lands_once_and_later_runs_bring_what_came_since(aws: Aws) -> None:
    aws.put(60)
    first, manifest = aws.pull("1")
    assert sorted(first) == list(range(60))
    assert manifest.kind == "full"
    assert len(json.loads(manifest.cursor_to)) == SHARDS
    aws.put(5)
    second, after = aws.pull("2")
    assert sorted(second) == list(range(60, 65))
    assert (after.kind, after.cursor_from) == ("incremental", manifest.cursor_to)
    third, last = aws.pull("3")
    assert (third, last.cursor_to) == ([], after.cursor_to)


def test_shards_that_were_split_and_merged_are_read_to_their_end_and_then_left_alone(aws: Aws) -> None:
    aws.put(20)
    shards = aws.client.list_shards(StreamName=STREAM)["Shards"]
    low, high = (int(shards[0]["HashKeyRange"][f"{end}HashKey"]) for end in ("Starting", "Ending"))
    middle = str((low + high) // 2)
    aws.client.split_shard(StreamName=STREAM, ShardToSplit=shards[0]["ShardId"], NewStartingHashKey=middle)
    aws.client.merge_shards(
        StreamName=STREAM, ShardToMerge=shards[1]["ShardId"], AdjacentShardToMerge=shards[2]["ShardId"]
    )
    aws.put(20)
    found, manifest = aws.pull("1")
    # moto copies the records of merged shards into the new one.
    assert set(found) == set(range(40))
    checkpoint = json.loads(manifest.cursor_to)
    closed = [shard["ShardId"] for shard in shards]
    assert {shard: checkpoint[shard] for shard in closed} == dict.fromkeys(closed, DONE)
    # It also goes on filling closed shards, which Kinesis never does: later runs rightly leave those alone.
    assert aws.pull("2")[0] == []


def test_pages_that_are_big_make_the_next_one_wait(aws: Aws) -> None:
    aws.connection = Connection(
        "kinesis", "main", aws.connection.base_url, "AKIA", "secret", {**aws.connection.extra, "page_size": 1}
    )
    for _ in range(4):
        aws.client.put_record(StreamName=STREAM, Data=json.dumps({"number": 0, "x": "x" * 1_000_000}), PartitionKey="a")
    found, _ = aws.pull("1")
    assert len(found) == 4
    # Two megabytes a second: half a second behind each, and the last one waits for nobody.
    assert aws.pulling.clock.skipped > 1.4


def test_a_stream_that_is_not_there_says_so(aws: Aws) -> None:
    wrong = Connection(
        "kinesis", "main", aws.connection.base_url, "AKIA", "secret", {**aws.connection.extra, "stream": "x"}
    )
    with pytest.raises(AwsRefused, match="ResourceNotFoundException") as failed:
        aws.pulling("kinesis", connection=wrong)
    assert failed.value.code == "ResourceNotFoundException"
    unnamed = Connection("kinesis", "main", aws.connection.base_url, "AKIA", "secret", {"region": "eu-central-1"})
    with pytest.raises(FixCredentials, match="no stream"):
        aws.pulling("kinesis", connection=unnamed)


def test_a_server_that_is_gone_is_tried_again(aws: Aws, tmp_path: Path) -> None:
    gone = Connection("kinesis", "main", "http://127.0.0.1:1", "AKIA", "secret", aws.connection.extra)
    with pytest.raises(RetryLater, match="failed"):
        aws.pulling("kinesis", connection=gone, total_seconds=20)
    assert aws.pulling.clock.skipped > 0


def test_what_a_split_made_is_read_after_what_was_split(pulling: Puller) -> None:
    (manifest,) = pulling("kinesis")
    shards = [line["_payload"]["shard_id"] for line in pulling.lines(manifest)]
    parent, children = "shardId-000000000000", {"shardId-000000000002", "shardId-000000000003"}
    last = max(at for at, shard in enumerate(shards) if shard == parent)
    assert children <= set(shards[last + 1 :])
    assert not children & set(shards[:last])
    assert json.loads(manifest.cursor_to)[parent] == DONE


def test_a_shard_is_read_five_times_a_second(world: Simulator, tmp_path: Path) -> None:
    pulling, connection = Puller(world, tmp_path), world.connection("kinesis")
    slow = Connection(
        *("kinesis", "main", connection.base_url, connection.login, connection.password),
        extra={**connection.extra, "page_size": 1},
    )
    (manifest,) = pulling("kinesis", connection=slow)
    pages = Counter(line["_payload"]["shard_id"] for line in pulling.lines(manifest))
    assert max(pages.values()) > 15
    assert pulling.clock.skipped > (max(pages.values()) - 6) / 5


def test_iterators_that_expired_are_made_anew(changing_world: Simulator, tmp_path: Path) -> None:
    whole = Puller(changing_world, tmp_path / "whole")
    before = set(whole.keys(whole("kinesis"))["records"])
    pulling, aged = Puller(changing_world, tmp_path / "aged"), []

    def age(stream: str, records: int, requests: int) -> None:
        if len(aged) < 3:
            aged.append(changing_world.control("POST", "advance", {"days": 0.01}))

    (manifest,) = pulling("kinesis", on_progress=age)
    assert len(aged) == 3
    keys = pulling.keys([manifest])["records"]
    # Every step of time brings records of its own, of which some come too late for this run.
    assert set(keys) >= before
    assert len(set(keys)) == len(keys)


def test_a_backfill_reads_a_span_of_time_and_moves_no_checkpoint(pulling: Puller) -> None:
    (first,) = pulling("kinesis")
    arrived = sorted(line["_payload"]["arrived_at"] for line in pulling.lines(first))
    start, end = (datetime.fromisoformat(arrived[at]) for at in (10, 40))
    (filled,) = pulling("kinesis", "2", kind="backfill", start=start, end=end)
    assert sorted(line["_payload"]["arrived_at"] for line in pulling.lines(filled)) == arrived[10:40]
    (after,) = pulling("kinesis", "3")
    assert (after.cursor_from, after.records) == (first.cursor_to, 0)


def test_a_machine_without_boto3_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(FixSettings, match=r"stitchline\[aws\]"):
        open_client("kinesis", Connection("kinesis", extra={"region": "eu-central-1"}), "http://127.0.0.1:1")
