"""Computes a list from the published marts, or sends a computed list to one destination.

`segment_<name>` runs when marts change and once a day, because people enter a list by time passing. A
list whose facts are late is held: it ends as skipped and no sync starts. `sync_<segment>__<destination>`
plans first, then delivers the plan; a plan that trips a guard waits for a run with `approve`.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, Param, get_current_context, task

from include import steps, wiring
from include.activate.header import SyncSpec
from include.activate.segment import Segment, all_segments
from include.settings import Settings, read_settings


def segment_dag(segment: Segment, settings: Settings) -> DAG:
    """One DAG per segment file: compute."""
    with DAG(
        f"segment_{segment.name}",
        description=f"{segment.header.title}: {segment.header.why}",
        schedule=AssetOrTimeSchedule(
            timetable=CronTriggerTimetable("0 5 * * *", timezone=settings.timezone), assets=wiring.marts_asset()
        ),
        catchup=False,
        max_active_runs=1,
        default_args=wiring.task_defaults(segment.header.owner) | {"pool": wiring.POOL},
        tags=[wiring.Tag.SEGMENT.of(segment.name), wiring.Tag.LAYER.of("segments"), wiring.Tag.IMPACT.of("tier_2")],
        doc_md=__doc__,
    ) as dag:

        @task(outlets=[wiring.segment_asset(segment.name)])
        def compute() -> dict[str, Any]:
            return steps.segment_compute(segment.name, wiring.current_run())

        compute()
    return dag


def sync_dag(segment: Segment, spec: SyncSpec) -> DAG:
    """One DAG per `sync:` entry of a segment's header: plan, deliver."""
    with DAG(
        f"sync_{segment.name}__{spec.to}",
        description=f"{segment.header.title} to {spec.to}, {spec.mode}",
        schedule=[wiring.segment_asset(segment.name)],
        catchup=False,
        max_active_runs=1,
        params={"approve": Param(False, type="boolean", description="send a plan that a guard held")},
        default_args=wiring.task_defaults(segment.header.owner),
        tags=[
            wiring.Tag.SEGMENT.of(segment.name),
            wiring.Tag.DESTINATION.of(spec.to),
            wiring.Tag.LAYER.of("activation"),
            wiring.Tag.IMPACT.of("tier_1"),
        ],
        doc_md=__doc__,
    ) as dag:

        @task(pool=wiring.POOL)
        def plan() -> dict[str, Any]:
            is_approved = bool(get_current_context()["params"]["approve"])
            return steps.sync_plan(segment.name, spec.to, wiring.current_run(), is_approved=is_approved)

        @task
        def deliver(planned: dict[str, Any]) -> dict[str, Any]:
            return steps.sync_deliver(segment.name, spec.to, wiring.current_run(), planned["plan_id"])

        deliver(plan())
    return dag


def build(settings: Settings) -> None:
    """Put the DAGs this process needs into the module, where Airflow finds them."""
    for segment in all_segments().values():
        made = {f"segment_{segment.name}": lambda segment=segment: segment_dag(segment, settings)}
        for spec in segment.header.syncs:
            if wiring.is_destination_enabled(settings, spec.to):
                made[f"sync_{segment.name}__{spec.to}"] = lambda segment=segment, spec=spec: sync_dag(segment, spec)
        globals().update({dag_id: make() for dag_id, make in made.items() if wiring.is_wanted(dag_id)})


build(read_settings())
