"""The main job on BigQuery, through Google's own client against an emulator: the same rows as on DuckDB."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fingerprint import differences, fingerprint
from road import Road, company

from include.simulate.bigquery import SEGMENT_DATASET, emulator, load_segment
from include.simulate.server import SEGMENT_FILE
from include.warehouse.bigquery import open_client


@pytest.mark.long
def test_the_main_job_ends_in_the_same_rows_as_on_duckdb(tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    with company(tmp_path / "company", now=now) as started:
        road = Road(tmp_path / "embedded", started)
        road.walk(checked=True)
        with road.here() as settings:
            embedded = fingerprint(settings)
    with emulator(tmp_path / "bigquery") as google, company(tmp_path / "again", now=now) as started:
        overrides = {
            **google,
            "STITCHLINE_WAREHOUSE": "bigquery",
            "AIRFLOW_CONN_SEGMENT": json.dumps({"conn_type": "generic", "host": SEGMENT_DATASET}),
        }
        road = Road(tmp_path / "production", started, overrides=overrides)
        with road.here() as settings, open_client(settings) as client:
            load_segment(started.folder / SEGMENT_FILE, client, settings.bigquery_location)
        road.walk(checked=True)
        with road.here() as settings:
            production = fingerprint(settings)
    assert embedded["members"]
    assert embedded["sent"]
    assert differences(embedded, production) == {}
