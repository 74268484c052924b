"""A task that failed for good becomes one incident and one message; its next success closes it."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from include.notify.incident import TaskSeen
    from include.notify.message import Channel
    from include.settings import Settings

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
        try:
            from include.notify.affected import affected_by
            from include.notify.incident import report_failure
            from include.settings import read_settings
            from include.state.store import Store

            settings = read_settings()
            with Store.open(settings) as store:
                report_failure(
                    store,
                    error,
                    task_seen(task_instance, settings),
                    channels(settings),
                    time.time(),
                    lambda: affected_by(settings, task_instance.dag_id),
                )
        except Exception:
            log.exception("the failure of %s.%s could not be reported", task_instance.dag_id, task_instance.task_id)

    @hookimpl
    def on_task_instance_success(self, previous_state: Any, task_instance: Any) -> None:
        """Close the incidents of this task."""
        try:
            from include.notify.incident import report_recovery
            from include.settings import read_settings
            from include.state.store import Store

            settings = read_settings()
            with Store.open(settings) as store:
                seen = task_seen(task_instance, settings)
                if store.has_incidents(seen.task):
                    report_recovery(store, seen, channels(settings), time.time())
        except Exception:
            log.exception("the recovery of %s.%s could not be reported", task_instance.dag_id, task_instance.task_id)


def task_seen(task_instance: Any, settings: Settings) -> TaskSeen:
    """What an alert says of a task; Airflow gives one of two classes, with these fields in common."""
    from include.notify.incident import TaskSeen

    mapped = task_instance.map_index if task_instance.map_index is not None else -1
    label = getattr(task_instance, "rendered_map_index", None) or mapped
    task = f"{task_instance.dag_id}.{task_instance.task_id}" + (f"[{label}]" if mapped >= 0 else "")
    operator = getattr(task_instance, "task", None)
    tags = sorted(getattr(getattr(operator, "dag", None), "tags", None) or ())
    tier = next((tag.removeprefix("impact:") for tag in tags if tag.startswith("impact:")), "unrated")
    return TaskSeen(task, getattr(operator, "owner", None) or "nobody", tier, log_url(task_instance, settings, mapped))


def log_url(task_instance: Any, settings: Settings, mapped: int) -> str:
    """The task's page in the Airflow UI."""
    from urllib.parse import quote

    run = f"{settings.ui_url.rstrip('/')}/dags/{task_instance.dag_id}/runs/{quote(task_instance.run_id, safe='')}"
    return f"{run}/tasks/{task_instance.task_id}" + (f"/mapped/{mapped}" if mapped >= 0 else "")


def channels(settings: Settings) -> list[Channel]:
    """Where to tell: the Slack webhook of the alert connection; without one the log is all there is."""
    from functools import partial

    from include.connect.connection import read_connection
    from include.connect.errors import FixCredentials
    from include.notify import slack

    try:
        connection = read_connection(settings.alert_connection)
    except FixCredentials:
        return []
    return [partial(slack.send, webhook_url=connection.base_url or "")]


class StitchlineAlertsPlugin(AirflowPlugin):
    """Registers the listener."""

    name = "stitchline_alerts"
    listeners = [Alerts()]  # noqa: RUF012  (Airflow reads it from the class)
