"""Computes a list from the published marts, or sends a computed list to one destination.

`segment_<name>` runs when marts change and once a day, because people enter a list by time passing. A
list whose facts are late is held: it ends as skipped and no sync starts. `sync_<segment>__<destination>`
plans, then delivers; a plan that trips a guard waits for an answer under Required Actions.
"""

from __future__ import annotations

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, Param, get_current_context, task

from include import steps, wiring
from include.activate.header import SyncSpec
from include.activate.segment import Segment, all_segments
from include.approval import ApprovePlan
from include.settings import Settings, read_settings

APPROVE = Param(None, type=["null", "string"], description="id of the held plan to send")


def segment_dag(segment: Segment, settings: Settings) -> DAG:
    """One DAG per segment file: compute."""
    with DAG(
        wiring.segment_dag_id(segment.name),
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
        def compute() -> steps.Summary:
            return steps.segment_compute(segment.name, wiring.current_run())

        compute()
    return dag


def sync_dag(segment: Segment, spec: SyncSpec) -> DAG:
    """One DAG per `sync:` entry of a segment's header: plan, approve where a guard asks for it, deliver."""
    with DAG(
        wiring.sync_dag_id(segment.name, spec.to),
        description=f"{segment.header.title} to {spec.to}, {spec.mode}",
        schedule=[wiring.segment_asset(segment.name)],
        catchup=False,
        max_active_runs=1,
        params={"approve": APPROVE},
        default_args=wiring.task_defaults(segment.header.owner),
        tags=[wiring.Tag.SEGMENT.of(segment.name), wiring.Tag.DESTINATION.of(spec.to), wiring.Tag.IMPACT.of("tier_1")],
        doc_md=__doc__,
    ) as dag:
        key = (segment.name, spec.to)

        @task(pool=wiring.POOL)
        def plan() -> steps.Summary:
            return steps.sync_plan(*key, wiring.current_run(), **get_current_context()["params"])

        @task
        def deliver(planned: steps.Summary, answer: dict[str, str] | None) -> steps.Summary:
            given = {**get_current_context()["params"], **(answer or {})}
            return steps.sync_deliver(*key, wiring.current_run(), plan_id=planned["plan_id"], **given)

        planned = plan()
        deliver(planned, ApprovePlan(task_id="approve", planned=planned, pool=wiring.POOL).output)
    return dag


SETTINGS = read_settings()
for one in all_segments().values() if SETTINGS.sources else ():
    if wiring.is_wanted(wiring.segment_dag_id(one.name)):
        globals()[wiring.segment_dag_id(one.name)] = segment_dag(one, SETTINGS)
    for to in wiring.enabled_syncs(SETTINGS, one.header.syncs):
        if wiring.is_wanted(wiring.sync_dag_id(one.name, to.to)):
            globals()[wiring.sync_dag_id(one.name, to.to)] = sync_dag(one, to)
