from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.connect.records import BrokenAnswer, Lifter, decode_page

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(TEXT, VALUES, max_size=4), max_size=5), st.booleans())
def test_records_keep_the_vendors_bytes(records: list[dict[str, Any]], is_ascii: bool) -> None:
    written = [json.dumps(record, ensure_ascii=is_ascii).encode() for record in records]
    body = decode_page(
        b'{"paging":{"next":{"after":"7"}},"data":{"results":[' + b",".join(written) + b"]}}", "data.results"
    )
    assert [bytes(record) for record in body.records] == written
    assert body.rejected == []
    assert body.at("paging.next.after") == "7"


@given(st.lists(st.dictionaries(TEXT, VALUES, max_size=4), max_size=5), st.sampled_from(["\n", "\r\n"]))
def test_pretty_printed_records_become_one_line_each(records: list[dict[str, Any]], newline: str) -> None:
    pretty = json.dumps({"results": records}, indent=2, ensure_ascii=False).replace("\n", newline)
    body = decode_page(pretty.encode(), "results")
    assert all(b"\n" not in bytes(record) and b"\r" not in bytes(record) for record in body.records)
    assert [json.loads(bytes(record)) for record in body.records] == records


@given(st.lists(st.dictionaries(TEXT, VALUES, max_size=4), min_size=1, max_size=3), st.data())
def test_a_cut_answer_is_never_taken_for_a_page(records: list[dict[str, Any]], data: st.DataObject) -> None:
    whole = json.dumps({"results": records}).encode()
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(BrokenAnswer):
        decode_page(cut, "results")


@pytest.mark.parametrize(
    "answer",
    [b"", b"<html>", b"null", b"3", b"[]", b"{}", b'{"results":{"a":1}}', b'{"results":3}', b'{"error":"busy"}'],
)
def test_an_answer_without_the_list_is_no_empty_page(answer: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        decode_page(answer, "results")


def test_a_bare_list_and_a_null_list_are_pages() -> None:
    assert [bytes(record) for record in decode_page(b'[{"id":1}]', "").records] == [b'{"id":1}']
    assert decode_page(b'{"results":null}', "results").is_empty


def test_text_that_no_warehouse_takes_costs_its_record_only() -> None:
    body = decode_page(b'{"results":[{"id":"\\ud800"},{"id":"\xc3\xa9"},{"id":"\xff"},{"id":1,"n":NaN}]}', "results")
    assert [bytes(record) for record in body.records] == ['{"id":"é"}'.encode()]
    assert len(body.rejected) == 3
    assert body.rejected[0][0] == b'{"id": "\\ud800"}'


@pytest.mark.parametrize(
    ("record", "key", "cursor"),
    [
        (b'{"list_id":"a","id":7,"at":{"changed":"x"}}', "a|7", "x"),
        (b'{"list_id":"a","id":7,"at":null}', "a|7", None),
        (b'{"list_id":"a","id":7,"at":"odd"}', "a|7", None),
        (b'{"list_id":"a","id":7,"at":[1]}', "a|7", None),
        (b'{"list_id":"a","id":7,"new":{"field":[1,2]}}', "a|7", None),
    ],
)
def test_key_and_cursor_survive_drift(record: bytes, key: str, cursor: str | None) -> None:
    lifted = Lifter(("list_id", "id"), "at.changed").lift(record)
    assert (lifted.key, lifted.cursor) == (key, cursor)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b'{"list_id":"a"}', "no usable key at id"),
        (b'{"list_id":"a","id":null}', "no usable key at id"),
        (b'{"list_id":"a","id":""}', "no usable key at id"),
        (b'{"list_id":"a","id":true}', "no usable key at id"),
        (b'{"list_id":["a"],"id":1}', "no usable key at list_id"),
        (b'"text"', "not an object"),
        (b"[1]", "not an object"),
    ],
)
def test_a_record_without_a_key_says_why(record: bytes, reason: str) -> None:
    lifted = Lifter(("list_id", "id"), "at.changed").lift(record)
    assert lifted.key is None
    assert reason in lifted.reason
