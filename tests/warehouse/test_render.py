"""GoogleSQL in, the engine's SQL out: names, generations, inlined models, and errors that name file and line."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from include.connect.errors import FixSettings
from include.warehouse.models import read_model
from include.warehouse.render import Names, inlined, parameters, parse, references, render

GENERATION = "20261120T000000Z-AbCd0123"


@pytest.mark.parametrize(
    ("names", "table", "physical"),
    [
        (Names("duckdb"), "staging.a", ("staging", "a")),
        (Names("duckdb"), "marts.a", ("marts", "a")),
        (Names("duckdb", GENERATION), "marts.a", ("generations", "marts__a__20261120t000000z_abcd0123")),
        (Names("duckdb", GENERATION), "identity.a", ("generations", "identity__a__20261120t000000z_abcd0123")),
        (Names("duckdb", GENERATION), "staging.a", ("staging", "a")),
        (Names("duckdb"), "scratch.a", ("temp", "main", "scratch__a")),
        (
            Names("duckdb", foreign={"segment": ("foreign_segment", "main")}),
            "segment.a",
            ("foreign_segment", "main", "a"),
        ),
        (Names("bigquery", prefix="dev_", project="p"), "staging.a", ("p", "dev_staging", "a")),
        (
            Names("bigquery", GENERATION, prefix="dev_", project="p"),
            "marts.a",
            ("p", "dev_generations", "marts__a__20261120t000000z_abcd0123"),
        ),
        (Names("bigquery", prefix="dev_", project="p"), "scratch.a", ("_SESSION", "a")),
        (Names("bigquery", foreign={"segment": ("proj", "web")}, prefix="dev_"), "segment.a", ("proj", "web", "a")),
    ],
)
def test_a_logical_name_is_spelled_for_the_engine(names: Names, table: str, physical: tuple[str, ...]) -> None:
    dataset, _, name = table.partition(".")

    assert names.physical(dataset, name) == physical


def test_columns_stay_qualified_by_the_name_the_file_uses() -> None:
    sql = "SELECT customers.email FROM marts.customers INNER JOIN staging.b AS other ON other.id = customers.id"

    shown = render(sql, Names("duckdb", GENERATION))

    assert '"generations"."marts__customers__20261120t000000z_abcd0123" AS customers' in shown
    assert '"staging"."b" AS other' in shown


def test_names_of_common_table_expressions_are_left_alone() -> None:
    sql = "WITH orders AS (SELECT 1 AS n FROM raw.a) SELECT n FROM orders"

    assert "FROM orders" in render(sql, Names("duckdb", GENERATION))
    assert references(sql) == {"raw.a"}


def test_a_scratch_table_is_temporary() -> None:
    made = "CREATE OR REPLACE TABLE scratch.a AS SELECT 1 AS n"

    embedded, production = render(made, Names("duckdb")), render(made, Names("bigquery"))

    assert embedded == 'CREATE OR REPLACE TEMPORARY TABLE "temp"."main"."scratch__a" AS SELECT 1 AS n'
    assert production == "CREATE OR REPLACE TEMPORARY TABLE `_SESSION`.`a` AS SELECT 1 AS n"


def test_parameters_are_named_and_only_those_used_are_asked_for() -> None:
    assert parameters("SELECT @as_of AS a, '@not_one' AS b") == {"as_of"}
    assert render("SELECT @as_of AS a", Names("duckdb")) == "SELECT $as_of AS a"
    assert render("SELECT @as_of AS a", Names("bigquery")) == "SELECT @as_of AS a"


def test_a_model_is_inlined_under_the_name_it_is_read_by() -> None:
    sql = "SELECT contacts.id, b.id FROM staging.contacts INNER JOIN staging.contacts AS b ON b.id = contacts.id"

    shown = inlined(sql, {"staging.contacts": "SELECT id FROM raw.contacts"})

    assert references(shown) == {"raw.contacts"}
    assert "(SELECT id FROM raw.contacts) AS contacts" in shown
    assert "(SELECT id FROM raw.contacts) AS b" in shown


def test_rendering_leaves_the_parsed_statement_as_it_was() -> None:
    sql = "SELECT a FROM marts.a"
    before = parse(sql).sql(dialect="bigquery")

    render(sql, Names("duckdb", GENERATION))

    assert parse(sql).sql(dialect="bigquery") == before


def test_sql_that_does_not_parse_names_the_file_and_the_line() -> None:
    with pytest.raises(FixSettings) as caught:
        parse("SELECT\n  a\nFROM b\nWHERE (a = 1", "include/segments/churned.sql")

    assert caught.value.where == "include/segments/churned.sql:4"
    assert "not valid GoogleSQL" in caught.value.what


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("SELECT 1", ":1", "no header"),
        ("/*\ntitle: a", ":1", "no header"),
        ("/*\ntitle: a\nwhy: b: c\n*/\nSELECT 1", ":3", "not YAML"),
    ],
)
def test_a_header_that_cannot_be_read_names_the_file_and_the_line(
    tmp_path: Path, text: str, where: str, what: str
) -> None:
    path = tmp_path / "model.sql"
    path.write_text(text)

    with pytest.raises(FixSettings, match=what) as caught:
        read_model(path, "marts.model")

    assert caught.value.where == f"{path}{where}"


@pytest.mark.parametrize(("given", "length"), [('{"a": [1, null]}', 2), ('{"a": "x"}', None), ('{"a": {}}', None)])
def test_what_is_no_array_is_null_as_on_bigquery(given: str, length: int | None) -> None:
    sql = "SELECT ARRAY_LENGTH(JSON_QUERY_ARRAY(PARSE_JSON(@given), '$.a')) AS n"

    assert duckdb.sql(render(sql, Names("duckdb"), {"given": given})).fetchall() == [(length,)]
