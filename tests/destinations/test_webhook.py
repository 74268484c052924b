"""What a receiver of webhooks sees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from destination_bench import Bench, make_bench
from seen import hook_seen

from include.connect.errors import FixCredentials, FixSettings

if TYPE_CHECKING:
    from vendors import Simulator


@pytest.fixture
def hook(simulator: Simulator, tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
    return make_bench("webhook", simulator, tmp_path, request.node.originalname)


def bodies(hook: Bench) -> list[Any]:
    """What was delivered in the test."""
    found = [json.loads(one["body"]) for one in hook_seen(hook.simulator)["deliveries"]]
    return [body for body in found if hook.target in json.dumps(body)]


def connect(hook: Bench, monkeypatch: pytest.MonkeyPatch, **extra: Any) -> None:
    connection = json.loads(hook.simulator.connections()["AIRFLOW_CONN_WEBHOOK"])
    monkeypatch.setenv("AIRFLOW_CONN_WEBHOOK", json.dumps({**connection, "extra": {**connection["extra"], **extra}}))


MAPPED = "{email: email, orders: order_count}"


def test_a_delivery_says_what_changed(hook: Bench) -> None:
    people = [row | {"order_count": 4} for row in hook.everybody[:2]]
    hook.send(hook.publish(people, fields=MAPPED))
    people[0]["order_count"] = 5
    hook.send(hook.publish(people, fields=MAPPED))
    hook.send(hook.publish(people[1:], fields=MAPPED))
    entered, updated, left = bodies(hook)
    assert (entered["list"], len(entered["rows"])) == (hook.target, 2)
    first = {"customer_id": "c00000", "operation": "enter", "fields": {"email": "person0@example.com", "orders": 4}}
    assert entered["rows"][0] == first
    assert updated["rows"] == [{"customer_id": "c00000", "operation": "update", "fields": {"orders": 5}}]
    assert left["rows"] == [{"customer_id": "c00000", "operation": "leave", "fields": {"email": None, "orders": None}}]


def test_a_delivery_that_comes_twice_has_one_id(hook: Bench) -> None:
    hook.simulator.faults("webhook", truncate_every=2)
    hook.send(hook.publish(hook.everybody[: hook.batch * 3]))
    hook.simulator.no_faults()
    found = [one for one in hook_seen(hook.simulator)["deliveries"] if hook.target in one["body"]]
    ids = [one["headers"]["x-stitchline-id"] for one in found]
    assert len(set(ids)) == 3
    assert len(ids) > 3
    assert len({one["body"] for one in found}) == 3


def test_templates_fill_in_values_of_their_own_type(hook: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"mail": "$email", "n": "$orders", "note": "$operation: ${orders} orders", "from": ["$list", 1]}
    connect(hook, monkeypatch, hooks={hook.target: {"path": "/catch/1/abc/", "row": row, "body": "$rows"}})
    people = [hook.everybody[0] | {"order_count": 4, "email": 'a "quoted" $name'}]
    hook.send(hook.publish(people, fields=MAPPED))
    filled = {"mail": 'a "quoted" $name', "n": 4, "note": "enter: 4 orders", "from": [hook.target, 1]}
    assert bodies(hook) == [[filled]]
    assert hook_seen(hook.simulator)["deliveries"][-1]["path"] == "/catch/1/abc/"


@pytest.mark.parametrize(
    ("extra", "said"),
    [({"row": {"x": "$shoe_size"}}, "names \\$shoe_size"), ({"body": {"list": "$list"}}, "no \\$rows")],
)
def test_a_template_that_cannot_be_filled_in_is_said_before_anything_is_sent(
    hook: Bench, monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any], said: str
) -> None:
    connect(hook, monkeypatch, **extra)
    with pytest.raises(FixSettings, match=said):
        hook.send(hook.publish(hook.everybody[:2]))
    assert hook.stats()["requests"] == 0


def test_a_wrong_secret_is_said(hook: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = json.loads(hook.simulator.connections()["AIRFLOW_CONN_WEBHOOK"])
    monkeypatch.setenv("AIRFLOW_CONN_WEBHOOK", json.dumps({**connection, "password": "another"}))
    with pytest.raises(FixCredentials, match="401"):
        hook.send(hook.publish(hook.everybody[:2]))
