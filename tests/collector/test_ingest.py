"""ingest_collector: loads every account's landings, and ends as skipped where there are none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from include.collector.ingest import load_collected
from include.collector.land import land_files
from include.run import Run
from include.settings import read_settings
from include.state.store import Store
from tests.collector.spooling import fill

RUN = Run.of("ingest_collector", "one", datetime(2026, 5, 28, tzinfo=UTC))


def test_every_account_is_loaded() -> None:
    with pytest.raises(AirflowSkipException, match="nothing new"):
        load_collected(RUN)
    settings = read_settings()
    fill(settings.spool, ("hook", {"hook": "a"}, b'{"n":1}'))
    fill(settings.spool, ("mailchimp", {}, b"type=profile"), ("mailchimp", {}, b"type=cleaned"), account="eu")
    with Store.open(settings) as store:
        land_files(settings, store, settings.spool)

    assert load_collected(RUN) == {
        "eu": {"records": {"mailchimp_events": 2}, "landings": 1},
        "main": {"records": {"hooks": 1}, "landings": 1},
    }
