"""From a failed task to one message per cause, and one more when it is over."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from include.connect.errors import StitchlineError
from include.notify.message import KINDS, UNEXPECTED, Channel, Message, cause_of, describe, kind_of, masked
from include.state.records import Incident
from include.state.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Affected:
    """Lists that are out of date while the trouble lasts, and how many people are in them."""

    lists: tuple[str, ...] = ()
    people: int | None = None


@dataclass(frozen=True, slots=True)
class TaskSeen:
    """The task an alert is about, as Airflow knows it."""

    task: str
    owner: str
    tier: str
    log_url: str


def report_failure(
    store: Store,
    error: BaseException | str | None,
    seen: TaskSeen,
    channels: Sequence[Channel],
    now: float,
    find_affected: Callable[[], Affected] = Affected,
) -> Incident:
    """Count the failure in its incident and, if nobody was told of it yet, tell every channel.

    A channel that fails is logged and noted in the incident; nothing is raised for it, and a later
    failure of the same cause tries it again.
    """
    kind, where = kind_of(error), masked(error.where if isinstance(error, StitchlineError) else seen.task)
    what, fix = describe(error)
    title = f"{kind.title}: {where}"
    cause = cause_of(error, seen.task)
    incident, _ = store.open_incident(cause, title, f"{what}. {fix}", seen.tier, now, task=seen.task)
    if not store.claim_alert(incident.incident_id, now):
        log.info("incident %s already told of, seen %d times: %s", incident.incident_id, incident.occurrences, title)
        return incident
    affected = find_affected()
    message = Message(title, what, fix, where, seen.owner, kind.link, seen.log_url, affected.lists, affected.people)
    store.record_alert(incident.incident_id, now, _tell(message, channels))
    return incident


def report_recovery(store: Store, seen: TaskSeen, channels: Sequence[Channel], now: float) -> list[Incident]:
    """A task succeeded: close the incidents it was the last to suffer from, and say so once."""
    closed = store.recovered(seen.task, now)
    for incident in closed:
        minutes = (now - incident.opened_at) / 60
        what = (
            f"over after {minutes:,.0f} min and {incident.occurrences} failure{'s' if incident.occurrences > 1 else ''}"
        )
        log.info("incident %s is %s", incident.incident_id, what)
        if incident.alerted_at is None:
            continue  # Nobody heard of it, so nobody waits for its end.
        message = Message(
            f"Recovered: {incident.title}",
            what,
            "",
            seen.task,
            seen.owner,
            runbook_of(incident),
            seen.log_url,
            is_recovery=True,
        )
        error = _tell(message, channels)
        if error:
            store.record_alert(incident.incident_id, now, error)
    return closed


def runbook_of(incident: Incident) -> str:
    """Runbook of an incident, from the error class its cause begins with."""
    name = incident.cause.partition(" |")[0]
    return next((kind.link for error, kind in KINDS.items() if error.__name__ == name), UNEXPECTED.link)


def _tell(message: Message, channels: Sequence[Channel]) -> str | None:
    """Tell every channel; returns why some could not be told."""
    if not channels:
        log.warning("no alert channel is set up: %s: %s. %s", message.title, message.what, message.fix)
        return None
    failures = []
    for channel in channels:
        try:
            channel(message)
        except Exception as error:  # An alert channel never fails the pipeline, whatever it raises.
            name = getattr(channel, "__name__", type(channel).__name__)
            failures.append(
                str(error) if isinstance(error, StitchlineError) else f"{name} failed ({type(error).__name__})"
            )
            log.error("an alert was not delivered: %s. It said: %s: %s", failures[-1], message.title, message.what)
    return "; ".join(failures) or None
