"""Pulls one account of a source into landing and loads what landed into raw.

`kind` `backfill` reads the range from `start` to `end` again without moving the cursor. When nothing
new arrived the load ends as skipped and nothing downstream starts.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task

from include import steps, wiring
from include.settings import read_settings
from include.sources import get_source

PARAMS = {
    "kind": Param(
        "incremental", enum=["incremental", "full", "backfill", "sweep"], description="why this pull is made"
    ),
    "start": Param(None, type=["null", "string"], description="backfill: first day, 2026-01-31"),
    "end": Param(None, type=["null", "string"], description="backfill: where the range ends"),
}


def ingest_dag(source: str, account: str) -> DAG:
    """One DAG per account: pull, load."""
    declared = get_source(source)
    with DAG(
        wiring.ingest_dag_id(source, account),
        description=f"{declared.title}: pull and load",
        schedule="@hourly",
        catchup=False,
        max_active_runs=1,
        params=PARAMS,
        default_args=wiring.task_defaults(),
        tags=[wiring.Tag.SOURCE.of(source), wiring.Tag.LAYER.of("raw"), wiring.Tag.IMPACT.of("tier_1")],
        doc_md=__doc__,
    ) as dag:

        @task
        def pull() -> dict[str, Any]:
            return steps.ingest_pull(source, account, wiring.current_run(), **get_current_context()["params"])

        @task(pool=wiring.POOL, outlets=[wiring.raw_asset(source)])
        def load() -> dict[str, Any]:
            return steps.ingest_load(source, account, wiring.current_run())

        pull() >> load()
    return dag


for name, account in wiring.enabled_accounts(read_settings()):
    if wiring.is_wanted(wiring.ingest_dag_id(name, account)):
        globals()[wiring.ingest_dag_id(name, account)] = ingest_dag(name, account)
