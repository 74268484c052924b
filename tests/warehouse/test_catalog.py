"""The catalog describes every table and column there is, and nothing that is not there."""

from __future__ import annotations

import ast
import re
from dataclasses import replace

import pytest

from include.activate.tables import ALL as ACTIVATION
from include.checks.results import CHECK_RESULTS
from include.checks.suite import Columns
from include.checks.suites import all_suites
from include.settings import ROOT
from include.warehouse.catalog import Meaning, catalog, gaps, meanings
from include.warehouse.engine import Table
from include.warehouse.identity.evidence import EVIDENCE, INPUTS
from include.warehouse.identity.tables import TABLES as STITCHED
from include.warehouse.personal import PERSONAL, is_personal
from include.warehouse.schema import OPS

CUSTOMERS = "marts.customers"


def test_every_table_and_column_is_described_and_every_description_is_of_something() -> None:
    assert gaps(catalog(), meanings()) == []


def test_a_column_nobody_described_is_a_gap() -> None:
    table = catalog()[CUSTOMERS]
    column = replace(table.columns[0], name="shoe_size", description="")
    tables = {CUSTOMERS: replace(table, columns=(*table.columns, column))}

    assert gaps(tables, {}) == ["marts.customers.shoe_size has no description (include/warehouse/marts/customers.sql)"]


def test_a_table_nobody_described_is_a_gap() -> None:
    tables = {CUSTOMERS: replace(catalog()[CUSTOMERS], description="", file="")}

    assert gaps(tables, {}) == ["marts.customers has no description (no file)"]


@pytest.mark.parametrize(("table", "column"), [(CUSTOMERS, "shoe_size"), ("marts.shoes", "size")])
def test_a_description_of_nothing_is_a_gap(table: str, column: str) -> None:
    written = {table: Meaning("", {column: "in centimetres"}, "some.sql")}

    assert gaps(catalog(), written) == [f"some.sql describes {table}.{column}, which does not exist"]


def declared_names() -> set[str]:
    """The `dataset.name` of every `Table("...", ...)` in the program."""
    calls = [
        node
        for path in (ROOT / "include").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Table" and node.args
    ]
    names = {call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)}
    return {str(name) for name in names if re.fullmatch(r"[a-z]+\.[a-z_]+", str(name))}


def test_no_declared_table_is_left_out() -> None:
    names = declared_names()

    assert {"ops.loads", "identity.links", "activation.receipts"} <= names
    assert names - catalog().keys() == set()


@pytest.mark.parametrize("table", [*OPS, EVIDENCE, INPUTS, *STITCHED, *ACTIVATION, CHECK_RESULTS], ids=lambda t: t.name)
def test_a_table_is_made_as_it_is_declared(table: Table) -> None:
    made = catalog()[table.name]

    assert {column.name: column.type for column in made.columns} == {c.name: c.type for c in table.columns}


def test_types_are_those_the_suites_expect() -> None:
    declared = {
        suite.table: dict(expectation.types)
        for suite in all_suites().values()
        for expectation in suite.expectations
        if isinstance(expectation, Columns)
    }

    assert len(declared) > 10
    for table, types in declared.items():
        assert {column.name: column.type for column in catalog()[table].columns} == types, table


def test_types_of_a_mart_are_googlesql() -> None:
    types = {column.name: column.type for column in catalog()[CUSTOMERS].columns}

    assert (types["emails"], types["order_count"], types["last_order_at"]) == ("ARRAY<STRING>", "INT64", "TIMESTAMP")
    assert {column.name: column.type for column in catalog()["marts.orders"].columns}["amount"] == "NUMERIC"


def test_quarantine_has_the_columns_of_staging_and_two_of_its_own() -> None:
    staged, aside = catalog()["staging.stripe__charges"].columns, catalog()["quarantine.stripe__charges"].columns

    assert aside[: len(staged)] == staged
    assert [column.name for column in aside[len(staged) :]] == ["_reason", "_quarantined_at"]


@pytest.mark.parametrize(
    "name",
    [
        "marts.customers.email",
        "marts.customers.emails",
        "marts.customers.full_name",
        "marts.consents.address",
        "staging.segment__pages.anonymous_id",
        "staging.segment__pages.url",
        "staging.mailchimp__members.mailchimp_member_id",
        "raw.stripe__charges._payload",
        "identity.identifiers.value",
        "identity.customers.anchor_value",
        "activation.state.fields_json",
        "segments.anything.phone",
    ],
)
def test_what_says_who_somebody_is_is_personal(name: str) -> None:
    table, _, column = name.rpartition(".")
    assert is_personal(table, column)


@pytest.mark.parametrize(
    "name",
    [
        "marts.customers.customer_id",
        "marts.customers.has_email_marketing_consent",
        "marts.orders.amount",
        "staging.hubspot__companies.name",
        "staging.segment__pages.path",
        "ops.check_results.detail",
        "identity.identifiers.kind",
    ],
)
def test_what_names_nobody_is_not(name: str) -> None:
    table, _, column = name.rpartition(".")
    assert not is_personal(table, column)


@pytest.mark.parametrize("pattern", PERSONAL)
def test_no_pattern_is_left_over(pattern: str) -> None:
    names = [f"{table.name}.{column.name}" for table in catalog().values() for column in table.columns]

    assert any(re.fullmatch(pattern, name) for name in names)
