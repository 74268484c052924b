"""Looks daily whether destinations still hold what they accepted.

`verify_destinations` reads each list back, keeps the differences in `activation.drift` and changes nothing: who
was taken away or put there by hand stays so. Where most of a list is gone, its task fails.
"""

from __future__ import annotations

from airflow.sdk import DAG, CronTriggerTimetable, task

from include import steps, wiring
from include.activate.segment import all_segments
from include.destinations import get_destination
from include.settings import read_settings

SETTINGS = read_settings()
SYNCS = [
    (segment.name, spec.to)
    for segment in (all_segments().values() if SETTINGS.sources else ())
    for spec in wiring.enabled_syncs(SETTINGS, segment.header.syncs)
    if get_destination(spec.to).read_back is not None
]

if SYNCS and wiring.is_wanted("verify_destinations"):
    with DAG(
        "verify_destinations",
        description="Do destinations still hold the people they accepted from us?",
        schedule=CronTriggerTimetable("30 4 * * *", timezone=SETTINGS.timezone),
        catchup=False,
        max_active_runs=1,
        default_args=wiring.task_defaults(),
        tags=[wiring.Tag.LAYER.of("activation"), wiring.Tag.IMPACT.of("tier_2")],
        doc_md=__doc__,
    ):
        for one in SYNCS:

            @task(task_id="__".join(one), outlets=[wiring.drift_asset()])
            def verify(segment: str, destination: str) -> steps.Summary:
                """Read one list back."""
                return steps.sync_verify(segment, destination, wiring.current_run())

            verify(*one)
