"""What Segment is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from destination_bench import Bench, make_bench
from seen import traits

if TYPE_CHECKING:
    from pathlib import Path

    from vendors import Simulator


@pytest.fixture
def segment(simulator: Simulator, tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
    return make_bench("segment_identify", simulator, tmp_path, request.node.originalname)


def test_who_leaves_keeps_a_trait_that_says_no_and_mapped_ones_are_cleared(segment: Bench) -> None:
    people = [row | {"order_count": 4} for row in segment.everybody[:2]]
    segment.send(segment.publish(people, fields="{made_orders: order_count}"))
    segment.send(segment.publish(people[1:], fields="{made_orders: order_count}"))
    held = [traits(segment.simulator)[row["user_id"]] for row in people]
    assert [(one[segment.target], one["made_orders"]) for one in held] == [(False, None), (True, 4)]


def test_a_call_is_never_larger_than_segment_takes_and_a_person_too_large_is_told(segment: Bench) -> None:
    people = [row | {"journey_stage": "x" * 20_000} for row in segment.everybody[:60]]
    people[7]["journey_stage"] = "x" * 33_000
    result = segment.send(segment.publish(people, fields="{made_essay: journey_stage}", tolerance="0.1"))
    assert (result.accepted, result.rejected) == (59, 1)
    assert segment.stats()["writes"] == 3
    refused = segment.warehouse.rows("SELECT address, code FROM activation.receipts WHERE status = 'rejected'")
    assert refused == [{"address": people[7]["user_id"], "code": "too_large"}]
