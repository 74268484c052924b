from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from benchmarks.pull import measure, pace, shortfall


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ([1, 2, 3], "all delivered"),
        ([1, 2], "WRONG: 2 records, 2 distinct"),
        ([1, 2, 2], "WRONG: 3 records, 2 distinct"),
    ],
)
def test_what_is_missing_or_doubled_is_told(tmp_path: Path, ids: list[int], said: str) -> None:
    records = b"".join(b'{"data": {"id": "contact-%08d"}}\n' % number for number in ids)
    (tmp_path / "messages.jsonl").write_bytes(records)
    assert shortfall("airbyte-cdk", tmp_path, 3) == said
    (tmp_path / "messages.jsonl").rename(tmp_path / "_manifest.json")
    (tmp_path / "part-00000.ndjson.gz").write_bytes(gzip.compress(records))
    assert shortfall("ours, landed", tmp_path, 3) == said


@pytest.mark.long
def test_our_ways_deliver_every_record() -> None:
    ways = ["ours, landed", "ours, loaded", "bare socket", "bare socket, unpacked"]
    found = measure(350, 1, ways, lambda line: None)
    assert {way: turn.wrong for way, turn in found.items()} == dict.fromkeys(ways, "all delivered")


@pytest.mark.long
def test_a_paced_pull_makes_its_calls() -> None:
    assert pace(20, 2).calls == 41
