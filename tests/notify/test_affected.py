from __future__ import annotations

from pathlib import Path

import pytest

from include.notify.affected import affected_by
from include.notify.incident import Affected
from include.warehouse.engine import Column, Table, connect

MEMBERSHIPS = Table(
    "segments.memberships",
    (Column("segment", "STRING"), Column("customer_id", "STRING"), Column("left_at", "TIMESTAMP")),
)


@pytest.fixture
def segments(tmp_path: Path) -> Path:
    folder = tmp_path / "segments"
    folder.mkdir()
    for name, table in (
        ("askers", "marts.tickets"),
        ("buyers", "marts.orders"),
        ("stripe_names", "staging.stripe__customers"),
    ):
        (folder / f"{name}.sql").write_text(f"/*\ntitle: {name}\n*/\nSELECT customer_id FROM {table}\n")
    return folder


@pytest.mark.parametrize(
    ("dag_id", "lists"),
    [
        ("ingest_zendesk", ("askers",)),
        ("ingest_stripe__eu", ("buyers", "stripe_names")),
        ("ingest_mailchimp", ()),
        ("unify", ("askers", "buyers", "stripe_names")),
        ("segment_buyers", ("buyers",)),
        ("sync_buyers__mailchimp_tag", ("buyers",)),
        ("sync_stripe_names__zendesk_user", ("stripe_names",)),
        ("watch_freshness", ()),
    ],
)
def test_a_dag_touches_the_lists_that_are_computed_from_what_it_brings(settings, segments, dag_id, lists) -> None:
    assert affected_by(settings, dag_id, segments).lists == lists


def test_people_are_counted_once_and_only_while_they_are_in(settings, segments) -> None:
    rows = [
        {"segment": "askers", "customer_id": "ada", "left_at": None},
        {"segment": "buyers", "customer_id": "ada", "left_at": None},
        {"segment": "buyers", "customer_id": "bob", "left_at": None},
        {"segment": "buyers", "customer_id": "cid", "left_at": "2026-01-01T00:00:00Z"},
        {"segment": "other", "customer_id": "dee", "left_at": None},
    ]
    with connect(settings) as engine:
        engine.ensure([MEMBERSHIPS])
        engine.append(MEMBERSHIPS.name, rows)
        engine.publish("g1", "g1")
    assert affected_by(settings, "unify", segments).people == 2
    assert affected_by(settings, "segment_askers", segments).people == 1


def test_what_cannot_be_found_out_is_left_out(settings, segments, caplog) -> None:
    assert affected_by(settings, "segment_buyers", segments) == Affected(("buyers",), None)
    assert "could not count" in caplog.text
    (segments / "broken.sql").write_text("/* */ SELECT ( FROM")
    assert affected_by(settings, "ingest_stripe", segments) == Affected()
