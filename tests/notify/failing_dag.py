"""A DAG for the listener's test: fails as often as the file of its parameter says."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG, task

from include.connect.errors import StopSync

with DAG("ingest_example", schedule=None, start_date=datetime(2026, 1, 1), tags=["impact:tier_1"]) as dag:

    @task(owner="lifecycle-marketing", retries=1, retry_delay=timedelta(0))
    def pull(countdown: str) -> None:
        """Fail while the number in the file is above zero, and lower it."""
        left = int(Path(countdown).read_text())
        Path(countdown).write_text(str(left - 1))
        if left > 0:
            raise StopSync(f"stopped, {left} to go", where="example", fix="Wait.")

    pull("{{ dag_run.conf['countdown'] }}")
