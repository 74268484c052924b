"""Every model against its cases, on the embedded engine with real tables."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from include.warehouse.engine import Engine

sys.path.insert(0, str(Path(__file__).parent))
from cases import CASES, Bench, Case, difference, verdict


@pytest.fixture(scope="session")
def bench(engine: Engine) -> Bench:
    """One bench per engine: its empty tables serve every case."""
    return Bench(engine)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.model}: {case.name}")
def test_model_makes_the_expected_rows(case: Case, bench: Bench) -> None:
    if seen := verdict(case, bench.run(case)):
        pytest.fail(seen, pytrace=False)


def test_case_names_are_unique_within_a_model() -> None:
    names = [(case.model, case.name) for case in CASES]

    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("expected", "got", "shown"),
    [
        ([{"n": 1}], [{"n": 2}], "+ {n: Decimal('2')}"),
        ([{"n": 1}], [{"n": 1}, {"n": 1}], "+ {n: Decimal('1')}"),
        ([{"n": 1}], [], "- {'n': 1}"),
        ([], [{"n": 1}], "+ {'n': 1}"),
        ([{"n": "1"}], [{"n": 1}], "- {n: '1'}"),
        ([{"n": True}], [{"n": 1}], "- {n: True}"),
        ([{"n": None}], [{"n": ""}], "- {n: None}"),
        ([{"n": [1, 2]}], [{"n": [2, 1]}], "- {n: [Decimal('1'), Decimal('2')]}"),
        ([{"n": {"a": 1}}], [{"n": '{"a": 2}'}], "+ {n: {'a': Decimal('2')}}"),
        ([{"at": "2026-01-01T00:00:00Z"}], [{"at": datetime(2026, 1, 1, 1, tzinfo=UTC)}], "01:00:00"),
        ([{"x": 1}], [{"n": 1}], "no column x"),
        ([{"x": 1}, {"n": 1}], [{"n": 1}], "same columns"),
    ],
)
def test_a_wrong_row_is_seen(expected: list[dict[str, Any]], got: list[dict[str, Any]], shown: str) -> None:
    assert shown in difference(expected, got, ordered=False)


def test_equal_rows_are_equal_in_any_order_and_spelling() -> None:
    expected: list[dict[str, Any]] = [
        {"at": "2026-01-01T02:00:00+02:00", "n": 0.1, "j": {"a": 1, "b": None}},
        {"at": None, "n": 2, "j": None},
    ]
    got: list[dict[str, Any]] = [
        {"at": None, "n": 2.0, "j": None, "x": 9},
        {"at": datetime(2026, 1, 1, tzinfo=UTC), "n": Decimal("0.10"), "j": '{"b":null,"a":1}'},
    ]

    assert difference(expected, got, ordered=False) == ""
    assert difference(expected, got, ordered=True) != ""
