"""Pulls one account of a source into landing and loads what landed into raw.

`kind` `backfill` reads the range from `start` to `end` again without moving the cursor. `sweep` reads the keys of
all records and marks those the vendor deleted silently; a DAG of its own does so each week. When nothing new
arrived the load ends as skipped and nothing downstream starts. The collector's DAG only loads.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task

from include import steps, wiring
from include.collector import NAME
from include.collector.ingest import load_collected
from include.settings import read_settings
from include.sources import get_source

PARAMS = {
    "kind": Param(
        "incremental", enum=["incremental", "full", "backfill", "sweep"], description="why this pull is made"
    ),
    "start": Param(None, type=["null", "string"], description="backfill: first day, 2026-01-31"),
    "end": Param(None, type=["null", "string"], description="backfill: where the range ends"),
    "accept_deletions": Param(False, type="boolean", description="sweep: mark however many records are gone"),
}
COMMON = {"catchup": False, "max_active_runs": 1, "default_args": wiring.task_defaults(), "doc_md": __doc__}


def ingest_dag(dag_id: str, source: str, account: str, kind: str, schedule: str | None) -> DAG:
    """One DAG per account and purpose: pull, load."""
    with DAG(
        dag_id,
        description=f"{get_source(source).title}: {'sweep keys' if kind == 'sweep' else 'pull'} and load",
        schedule=schedule,
        **COMMON,
        params={**PARAMS, "kind": kind} if kind == "sweep" else PARAMS,
        tags=[wiring.Tag.SOURCE.of(source), wiring.Tag.LAYER.of("raw"), wiring.Tag.IMPACT.of("tier_1")],
    ) as dag:

        @task
        def pull() -> dict[str, Any]:
            return steps.ingest_pull(source, account, wiring.current_run(), **get_current_context()["params"])

        @task(pool=wiring.POOL, outlets=[wiring.raw_asset(source)])
        def load() -> dict[str, Any]:
            return steps.ingest_load(source, account, wiring.current_run())

        pull() >> load()
    return dag


def collector_dag(seconds: int) -> DAG:
    """What vendors sent by themselves."""
    with DAG(
        f"ingest_{NAME}",
        description="Collector: load what webhooks, calls, pixels and links brought",
        schedule=timedelta(seconds=seconds),
        **COMMON,
        tags=[wiring.Tag.SOURCE.of(NAME), wiring.Tag.LAYER.of("raw"), wiring.Tag.IMPACT.of("tier_1")],
    ) as dag:

        @task(pool=wiring.POOL, outlets=[wiring.raw_asset(NAME)])
        def load() -> dict[str, Any]:
            return load_collected(wiring.current_run())

        load()
    return dag


for dag_id, name, account, kind, schedule in wiring.ingests(read_settings()):
    if wiring.is_wanted(dag_id):
        globals()[dag_id] = ingest_dag(dag_id, name, account, kind, schedule)
if read_settings().collector and wiring.is_wanted(f"ingest_{NAME}"):
    globals()[f"ingest_{NAME}"] = collector_dag(read_settings().collector_load_seconds)
