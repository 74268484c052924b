"""The main job on BigQuery, through Google's own client against an emulator: killed on its way, and the same rows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fingerprint import differences, fingerprint
from road import DESTINATIONS, Road, company

from include import steps
from include.simulate.bigquery import SEGMENT_DATASET, emulator, load_segment
from include.simulate.server import SEGMENT_FILE
from include.warehouse.bigquery import open_client

SENT = (
    "SELECT sync, status, enter, `update`, leave, unchanged, suppressed, invalid FROM activation.plans ORDER BY sync",
    "SELECT sync, customer_id, place, address, operation, status FROM activation.receipts ORDER BY 1, 2, 3, 4, 5",
    "SELECT segment, customer_id FROM segments.memberships ORDER BY 1, 2",
)


@pytest.mark.long
def test_killed_on_bigquery_and_run_again_the_main_job_ends_in_the_same_rows_as_on_duckdb(tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    with company(tmp_path / "company", now=now) as started:
        road = Road(tmp_path / "embedded", started)
        road.walk(checked=True)
        embedded, embedded_sent = _held(road)
    with company(tmp_path / "again", now=now) as started:
        segment = json.dumps({"conn_type": "generic", "host": SEGMENT_DATASET})
        overrides = {"STITCHLINE_WAREHOUSE": "bigquery", "AIRFLOW_CONN_SEGMENT": segment}
        road = Road(tmp_path / "production", started, overrides=overrides)
        # Started anew for each part of the way: the longer the emulator runs, the slower it is.
        for part in (_load_with_kills, _stage_with_kills, _stitch_with_kills, _build_with_kills, _send):
            with emulator(tmp_path / "bigquery") as google:
                road.overrides |= google
                part(road)
        with emulator(tmp_path / "bigquery") as google:
            road.overrides |= google
            production, production_sent = _held(road)
    assert embedded["members"]
    assert embedded["sent"]
    assert differences(embedded, production) == {}
    assert production_sent == embedded_sent


def _load_with_kills(road: Road) -> None:
    with road.here() as settings, open_client(settings) as client:
        load_segment(road.company.folder / SEGMENT_FILE, client, settings.bigquery_location)
    road.turn()
    calendly, hubspot, *others = road.sources
    road.ingest(calendly)
    with road.here():
        steps.ingest_pull(hubspot, "main", road.run(f"ingest_{hubspot}"), kind="incremental", start=None, end=None)
    for patience in (0.3, 1.0):
        road.kill_in_the_middle(f"load {hubspot}", patience)
    road.ingest(hubspot, *others)


def _stage_with_kills(road: Road) -> None:
    with road.here():
        road.kill_in_the_middle("stage", 5.0)
        steps.unify_stage(road.run("unify"))
        steps.unify_check(road.run("unify"))


def _stitch_with_kills(road: Road) -> None:
    with road.here():
        road.kill_in_the_middle("identity", 15.0)
        steps.unify_identity(road.run("unify"))


def _build_with_kills(road: Road) -> None:
    with road.here():
        road.kill_in_the_middle("marts", 4.0)
        steps.unify_marts(road.run("unify"))
        steps.unify_publish(road.run("unify"))


def _send(road: Road) -> None:
    assert road.segment() is None
    for destination in DESTINATIONS:
        road.sync(destination)


def _held(road: Road) -> tuple[dict[str, Any], list[list[dict[str, Any]]]]:
    """Every table by its rows, and what was planned and sent, under the customers' real ids."""
    with road.here() as settings:
        return fingerprint(settings), [road.query(sql) for sql in SENT]
