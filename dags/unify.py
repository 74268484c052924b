"""Turns everything loaded into one published generation: staging, checks, identity, marts.

Runs when any source brought rows or somebody is to be erased, one run at a time; what arrives meanwhile
is merged into one next run. It starts at most every `STITCHLINE_UNIFY_EVERY_SECONDS`, and not in the
middle of pulls. Readers keep the last generation until the last step publishes the new one.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, AssetAny, Param, get_current_context, task

from include import steps, wiring
from include.collector import NAME
from include.settings import read_settings

ACCOUNTS = list(wiring.enabled_accounts(read_settings()))
RAW = [wiring.raw_asset(source) for source in dict.fromkeys(source for source, _ in ACCOUNTS)]
if read_settings().collector:
    RAW.append(wiring.raw_asset(NAME))
INGESTS = [wiring.ingest_dag_id(source, account) for source, account in ACCOUNTS]

with DAG(
    "unify",
    description="Staging, checks, identity and marts, published together",
    schedule=AssetAny(*RAW, wiring.erasures_asset()) if RAW else None,
    catchup=False,
    max_active_runs=1,
    params={
        "full_refresh": Param(False, type="boolean", description="begin again from everything ever loaded"),
        "accept_identity_changes": Param(
            False, type="boolean", description="publish although many more people merged or split than usual"
        ),
    },
    default_args=wiring.task_defaults() | {"pool": wiring.POOL},
    tags=[wiring.Tag.LAYER.of("staging"), wiring.Tag.LAYER.of("marts"), wiring.Tag.IMPACT.of("tier_1")],
    doc_md=__doc__,
):
    # Not in the pool: while it waits for pulls, their loads need the slot.
    wait_turn = wiring.WaitTurn(task_id="wait_turn", pulls=INGESTS, pool="default_pool")

    @task
    def stage() -> dict[str, Any]:
        """Type the new rows of raw and keep the latest of each record."""
        return steps.unify_stage(wiring.current_run(), full_refresh=get_current_context()["params"]["full_refresh"])

    @task
    def check() -> dict[str, Any]:
        """Check schema, completeness, keys, values and volume; failing rows go to quarantine."""
        return steps.unify_check(wiring.current_run())

    @task
    def identity() -> dict[str, Any]:
        """Stitch identifiers into people; stop where far more of them changed than usual."""
        return steps.unify_identity(wiring.current_run(), **get_current_context()["params"])

    @task
    def marts() -> dict[str, Any]:
        """Build customers, activities and the rest of the generation."""
        return steps.unify_marts(wiring.current_run())

    @task(outlets=[wiring.marts_asset()])
    def publish() -> dict[str, Any]:
        """Switch every reader to this generation at once."""
        return steps.unify_publish(wiring.current_run())

    wait_turn >> stage() >> check() >> identity() >> marts() >> publish()
