"""A task that failed for good becomes one incident and one message; its next success closes it."""

from __future__ import annotations

import logging
import time
from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

log = logging.getLogger(__name__)


class Alerts:
    """Airflow calls this where the task ran, or in the scheduler when the task's process is gone.

    Nothing raised here may reach Airflow's own handling of the task, and nothing heavy is imported
    before there is something to tell: every process of Airflow loads this file.
    """

    @hookimpl
    def on_task_instance_failed(
        self, previous_state: Any, task_instance: Any, error: BaseException | str | None
    ) -> None:
        """Tell of a final failure; not of one to be retried, nor of a state set by hand (it has no previous one)."""
        if previous_state is None or task_instance.state == "up_for_retry":
            return
        from include.notify.task import tell

        tell(task_instance, error)

    @hookimpl
    def on_task_instance_success(self, previous_state: Any, task_instance: Any) -> None:
        """Close the incidents of this task."""
        try:
            from include.notify.incident import report_recovery
            from include.notify.task import channels, task_seen
            from include.settings import read_settings
            from include.state.store import Store

            settings = read_settings()
            with Store.open(settings) as store:
                seen = task_seen(task_instance, settings)
                if store.has_incidents(seen.task):
                    report_recovery(store, seen, channels(settings), time.time())
        except Exception:
            log.exception("the recovery of %s.%s could not be reported", task_instance.dag_id, task_instance.task_id)


class StitchlineAlertsPlugin(AirflowPlugin):
    """Registers the listener."""

    name = "stitchline_alerts"
    listeners = [Alerts()]  # noqa: RUF012  (Airflow reads it from the class)
