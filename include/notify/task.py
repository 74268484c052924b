"""Telling people of a task that needs them: it failed for good, or waits for an answer."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import Any
from urllib.parse import quote

from include.connect.connection import read_connection
from include.connect.errors import FixCredentials
from include.notify import slack
from include.notify.affected import affected_by
from include.notify.incident import TaskSeen, report_failure
from include.notify.message import Channel
from include.settings import Settings, read_settings
from include.state.store import Store

log = logging.getLogger(__name__)


def tell(task_instance: Any, error: BaseException | str | None) -> None:
    """Open or extend the incident of this cause and tell people; what goes wrong here is logged, not raised."""
    try:
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


def task_seen(task_instance: Any, settings: Settings) -> TaskSeen:
    """What an alert says of a task; Airflow gives one of two classes, with these fields in common."""
    mapped = task_instance.map_index if task_instance.map_index is not None else -1
    label = getattr(task_instance, "rendered_map_index", None) or mapped
    task = f"{task_instance.dag_id}.{task_instance.task_id}" + (f"[{label}]" if mapped >= 0 else "")
    operator = getattr(task_instance, "task", None)
    tags = sorted(getattr(getattr(operator, "dag", None), "tags", None) or ())
    tier = next((tag.removeprefix("impact:") for tag in tags if tag.startswith("impact:")), "unrated")
    return TaskSeen(task, getattr(operator, "owner", None) or "nobody", tier, log_url(task_instance, settings, mapped))


def log_url(task_instance: Any, settings: Settings, mapped: int) -> str:
    """The task's page in the Airflow UI."""
    run = f"{settings.ui_url.rstrip('/')}/dags/{task_instance.dag_id}/runs/{quote(task_instance.run_id, safe='')}"
    return f"{run}/tasks/{task_instance.task_id}" + (f"/mapped/{mapped}" if mapped >= 0 else "")


def channels(settings: Settings) -> list[Channel]:
    """Where to tell: the Slack webhook of the alert connection; without one the log is all there is."""
    try:
        connection = read_connection(settings.alert_connection)
    except FixCredentials:
        return []
    return [partial(slack.send, webhook_url=connection.base_url or "")]
