"""The graph of tables is what the SQL reads: from the files, and from what stitching executes."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter

import pytest

from include.connect.errors import FixSettings
from include.warehouse.catalog import catalog
from include.warehouse.identity.tables import TABLES as STITCHED
from include.warehouse.lineage import BOOKS, ROAD, mermaid, parents, text_tree


def test_a_model_comes_from_what_its_sql_names() -> None:
    assert parents()["marts.lifetime_values"] == {"marts.orders"}
    assert parents()["staging.stripe__charges"] == {"raw.stripe__charges"}
    raw = {"raw.segment__pages", "raw.rudderstack__pages", "raw.collector__segment_calls"}
    assert parents()["staging.segment__pages"] == raw
    assert parents()["marts.orders"] == {"staging.stripe__charges", "staging.shopify__orders", "identity.events"}
    assert parents()["segments.at_risk_customers"] == {"marts.tickets", "marts.orders"}


def test_evidence_comes_from_what_its_rules_read() -> None:
    assert {"staging.segment__pages", "staging.zendesk__users"} <= parents()["identity.evidence"]


@pytest.mark.parametrize("table", [table.name for table in STITCHED if table.name not in BOOKS])
def test_what_stitching_makes_is_followed_through_its_scratch_tables(table: str) -> None:
    found = parents()[table]

    assert found
    assert all(parent.startswith("identity.") and parent != table for parent in found)


def test_everything_begins_in_raw_and_nothing_turns_back() -> None:
    order = list(TopologicalSorter(parents()).static_order())

    assert {table for table in order if not parents()[table]} == {t for t in order if t.startswith("raw.")}
    for table, above in parents().items():
        layer = table.partition(".")[0]
        assert all(ROAD.index(parent.partition(".")[0]) <= ROAD.index(layer) for parent in above), table


def test_every_table_of_the_road_is_in_the_graph() -> None:
    books = {*BOOKS, "segments.memberships", "segments.runs"}
    road = {name for name, table in catalog().items() if table.dataset in ROAD}

    assert road - books == set(parents())


def test_the_tree_of_one_table_goes_back_to_raw_and_says_each_thing_once() -> None:
    lines = text_tree("marts.lifetime_values").splitlines()

    assert lines[:2] == ["marts.lifetime_values", "  marts.orders"]
    assert any(line.strip() == "raw.stripe__charges" for line in lines)
    whole = [line.strip() for line in lines if "see above" not in line and "raw." not in line]
    assert len(whole) == len(set(whole))


def test_the_whole_tree_is_by_layer() -> None:
    lines = text_tree().splitlines()

    assert [line for line in lines if not line.startswith(" ")] == list(ROAD)
    at = lines.index("  marts.lifetime_values")
    assert lines[at + 1] == "    marts.orders"


def test_an_unknown_table_gets_a_suggestion() -> None:
    with pytest.raises(FixSettings, match=r"Did you mean marts\.customers\?"):
        text_tree("marts.customer")


def test_the_picture_joins_boxes_that_are_drawn_and_stays_small() -> None:
    lines = mermaid().splitlines()
    drawn = {line.strip().partition("[")[0] for line in lines if "[" in line}
    joined = [line.strip().split(" --> ") for line in lines if "-->" in line]

    assert lines[0] == "flowchart LR"
    assert {end for pair in joined for end in pair} == drawn
    assert all(re.fullmatch(r"\w+", box) for box in drawn)
    assert len(drawn) < 80


def test_the_picture_of_one_table_leaves_the_others_out() -> None:
    text = mermaid("marts.lifetime_values")

    assert "raw_stripe --> staging_stripe" in text
    assert "marts_customers" not in text
