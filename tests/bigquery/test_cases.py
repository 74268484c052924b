"""The models' cases as one statement each: on the emulator through Google's client, and on ZetaSQL itself."""

from __future__ import annotations

import pytest
from cases import CASES, Case, verdict
from evaluator import evaluate
from google.cloud import bigquery
from one_statement import statement
from zetasql_service import Refused

from include.warehouse import models
from include.warehouse.render import Names, render

BEYOND_ZETASQL = dict.fromkeys(
    ("rules/zendesk_user_same_name", "rules/zendesk_user_same_initial", "rules/phantombuster_same_name"),
    "Failed to get a normalizer instance",  # the WASM build is without ICU's data
)
"""Models that ZetaSQL analyzes but cannot execute -> what it says to each of their cases."""


TEXTS: dict[str, str] = {}


def name(case: Case) -> str:
    return f"{case.model}: {case.name}"


def text(case: Case) -> str:
    """The case's statement as BigQuery gets it, its parameters written into it."""
    if name(case) not in TEXTS:
        TEXTS[name(case)] = render(statement(case), Names("bigquery"), models.clock(case.run, case.settings))
    return TEXTS[name(case)]


@pytest.mark.parametrize("case", CASES, ids=name)
def test_the_emulator_makes_the_expected_rows(case: Case, client: bigquery.Client) -> None:
    got = [dict(row) for row in client.query_and_wait(text(case))]
    if seen := verdict(case, got):
        pytest.fail(seen, pytrace=False)


@pytest.mark.parametrize("case", CASES, ids=name)
def test_zetasql_makes_the_expected_rows(case: Case) -> None:
    if case.model in BEYOND_ZETASQL:
        with pytest.raises(Refused, match=BEYOND_ZETASQL[case.model]):
            evaluate(text(case))
    elif seen := verdict(case, evaluate(text(case))):
        pytest.fail(seen, pytrace=False)


def test_what_is_beyond_zetasql_has_cases() -> None:
    assert BEYOND_ZETASQL.keys() <= {case.model for case in CASES}
