"""Random tables through the models: DuckDB, the emulator and Google's own engine must make the same rows of them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest
from cases import Bench, difference, every_model
from evaluator import evaluate
from google.cloud import bigquery
from one_statement import select, statement
from random_tables import IDENTIFIERS, KINDS, tables

from include.warehouse import models
from include.warehouse.duckdb import DuckDBEngine
from include.warehouse.identity.normalize import name_key, normalized
from include.warehouse.render import Names, render

PROFILES = ("linkedin_url", "twitter_handle", "facebook_id", "email_sha256")
SETS = {name: [30] for name in every_model() if name.startswith(("staging/", "identity/", "rules/segment_url"))}
"""Model -> rows of each set of tables. What takes row by row needs one set; what joins and ranks several small ones."""
SETS |= {name: [12, 12, 12] for name in every_model() if name.startswith(("marts/", "segments/"))}
SETS["marts/golden_fields"] = [12]  # the costliest statement
SETS |= dict.fromkeys(("segments/churned", "segments/scored_leads"), [12] * 6)  # few of whose tables meet


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    engine = DuckDBEngine.in_memory()
    yield Bench(engine)
    engine.connection.close()


@pytest.mark.parametrize("model", SETS)
def test_three_engines_make_the_same_rows(model: str, bench: Bench, client: bigquery.Client) -> None:
    seen = 0
    for seed, rows in enumerate(SETS[model]):
        case = tables(model, random.Random(f"{model} {seed}"), rows)
        text = render(statement(case), Names("bigquery"), models.clock(case.run, case.settings))
        google = told(evaluate(text))
        seen += len(google)
        others = {"DuckDB": told(bench.run(case))}
        # There JSON_QUERY_ARRAY fails on what is no array, where BigQuery answers NULL.
        if "JSON_QUERY_ARRAY" not in text:
            others["the emulator"] = told(map(dict, client.query_and_wait(text)))
        for engine, made in others.items():
            if different := difference(google, made, ordered=False):
                pytest.fail(f"{model}, set {seed}: - Google, + {engine}\n{different}", pytrace=False)

    assert seen, "the tables do not meet"


def told(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows with texts in quotes: a case may write an instant as text, but here a text must be the same text."""
    return [{name: repr(value) if isinstance(value, str) else value for name, value in row.items()} for row in rows]


def test_identifiers_are_normalised_alike(bench: Bench, client: bigquery.Client) -> None:
    rows = [{"kind": kind, "value": value} for kind in [*KINDS, "phone", *PROFILES] for value in IDENTIFIERS]
    given = select({"kind": "STRING", "value": "STRING"}, rows)
    sql = f"SELECT kind, value, {normalized('kind', 'value')} AS form, {name_key('value')} AS name FROM ({given}) AS t"
    # Its WASM build is without the data of NORMALIZE, which changes nothing here.
    google = told(evaluate(sql.replace("NORMALIZE(value, NFC)", "value")))

    assert sum(row["form"] is not None for row in google) > 100
    for made in (bench.engine.query(sql), map(dict, client.query_and_wait(sql))):
        assert difference(google, told(made), ordered=False) == ""
