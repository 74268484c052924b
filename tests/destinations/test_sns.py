"""What SNS's topics have to cope with, and moto's topics as a second opinion on what is published."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from destination_bench import Bench, make_bench
from moto.server import ThreadedMotoServer
from seen import sns_messages

from include.connect.errors import FixCredentials, FixSettings
from include.simulate.sns import REGION

if TYPE_CHECKING:
    from vendors import Simulator

KEYS = {"aws_access_key_id": "AKIADEMO000000000000", "aws_secret_access_key": "demo", "region_name": REGION}


@pytest.fixture
def sns(simulator: Simulator, tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
    return make_bench("sns_topic", simulator, tmp_path, request.node.originalname)


def connect(bench: Bench, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    connection = json.loads(bench.simulator.connections()["AIRFLOW_CONN_SNS"])
    monkeypatch.setenv("AIRFLOW_CONN_SNS", json.dumps({**connection, **changes}))


def test_a_message_says_what_changed_and_has_an_id_of_its_own(sns: Bench) -> None:
    people = [row | {"order_count": 4} for row in sns.everybody[:2]]
    mapped = {"fields": "{orders: order_count}"}
    sns.seen = replace(sns.seen, option="tag: {}")
    sns.send(sns.publish(people, **mapped))
    people[0]["order_count"] = 5
    sns.send(sns.publish(people, **mapped))
    sns.send(sns.publish(people[1:], **mapped))
    found = sns_messages(sns.simulator, sns.target)
    assert [(one["operation"], one["customer_id"], one["fields"]) for one in found[-2:]] == [
        ("update", "c00000", {"orders": 5}),
        ("leave", "c00000", {"orders": None}),
    ]
    assert {one["list"] for one in found} == {sns.target}
    assert len({one["id"] for one in found}) == 4


def test_messages_are_split_by_bytes_and_one_that_is_too_large_is_told(sns: Bench) -> None:
    people = [row | {"email": f"{number}" + "x" * 60_000} for number, row in enumerate(sns.everybody[:10])]
    people[7]["email"] = "x" * 262_145
    result = sns.send(sns.publish(people, tolerance="1"))
    assert (result.accepted, result.rejected, sns.stats()["writes"]) == (9, 1, 3)
    refused = sns.warehouse.rows("SELECT address, code FROM activation.receipts WHERE status = 'rejected'")
    assert refused == [{"address": "c00007", "code": "too_large"}]


def test_a_topic_that_is_not_there_and_a_wrong_key_are_said(sns: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    sns.target = "elsewhere"
    with pytest.raises(FixSettings, match="no topic 'elsewhere' in region eu-central-1"):
        sns.send(sns.publish(sns.everybody[:2]))
    connect(sns, monkeypatch, login="AKIAOTHER")
    with pytest.raises(FixCredentials, match="InvalidClientTokenId"):
        sns.send(sns.publish(sns.everybody[:2]))
    assert sns.stats()["writes"] == 0


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    """Moto's AWS as an HTTP server."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.mark.parametrize("suffix", ["", ".fifo"])
def test_subscribers_of_a_real_client_see_it(
    sns: Bench, monkeypatch: pytest.MonkeyPatch, moto_url: str, suffix: str
) -> None:
    sns.target += suffix.replace(".", "_") + suffix
    fifo = {"FifoTopic": "true"} if suffix else {}
    topics, queues = (boto3.client(name, endpoint_url=moto_url, **KEYS) for name in ("sns", "sqs"))
    topic = topics.create_topic(Name=sns.target, Attributes=fifo)["TopicArn"]
    queue = queues.create_queue(QueueName=f"q{sns.target}", Attributes={"FifoQueue": "true"} if suffix else {})
    arn = queues.get_queue_attributes(QueueUrl=queue["QueueUrl"], AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    raw = {"RawMessageDelivery": "true", "FilterPolicy": json.dumps({"operation": ["enter"]})}
    topics.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=raw)
    connect(sns, monkeypatch, host=moto_url)
    people = sns.everybody[:12]
    assert sns.send(sns.publish(people)).accepted == 12
    assert sns.send(sns.publish(people[1:])).counts.leave == 1
    found: list[dict[str, Any]] = []
    while page := queues.receive_message(QueueUrl=queue["QueueUrl"], MaxNumberOfMessages=10).get("Messages"):
        found += [json.loads(one["Body"]) for one in page]
        for one in page:
            queues.delete_message(QueueUrl=queue["QueueUrl"], ReceiptHandle=one["ReceiptHandle"])
    # The one that left was filtered out by its attribute.
    assert sorted((one["customer_id"], one["operation"], one["fields"]["email"]) for one in found) == [
        (row["customer_id"], "enter", row["email"]) for row in people
    ]
