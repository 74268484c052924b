"""What an alert says: what failed, what to do, whose it is, and who feels it."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from include.connect.errors import (
    CheckFailed,
    FixCredentials,
    FixSettings,
    RetryLater,
    ReviewIdentity,
    StitchlineError,
    StopSync,
    WarehouseBusy,
)

ROOT = Path(__file__).resolve().parents[2]
RUNBOOKS = "docs/runbooks"
ADDRESS = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+\.[^\s@<>\"']+")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of alert: its headline and the runbook that says what to do."""

    title: str
    runbook: str

    @property
    def link(self) -> str:
        """Path of the runbook in the repository."""
        return f"{RUNBOOKS}/{self.runbook}.md"


UNEXPECTED = Kind("Unexpected error", "unexpected-error")
KINDS: dict[type[BaseException], Kind] = {
    FixCredentials: Kind("Credentials refused", "credentials"),
    WarehouseBusy: Kind("Warehouse busy", "warehouse-busy"),
    RetryLater: Kind("No answer after all retries", "vendor-down"),
    CheckFailed: Kind("Data check failed", "check-failed"),
    ReviewIdentity: Kind("Who is who changed too much", "identity-health"),
    StopSync: Kind("Stopped before harm", "sync-stopped"),
    FixSettings: Kind("A setting is wrong", "settings"),
}
"""By error class; an error is of the kind of its nearest ancestor here."""


@dataclass(frozen=True, slots=True)
class Message:
    """One alert. It holds no personal data: counts and names of lists, never of people."""

    title: str
    what: str
    fix: str
    where: str
    owner: str
    runbook: str
    log_url: str
    lists: tuple[str, ...] = ()
    people: int | None = None
    is_recovery: bool = False

    @property
    def affected(self) -> str:
        """`12,410 people in 3 lists`, or what of it is known."""
        if not self.lists:
            return ""
        lists = f"{len(self.lists)} list{'s' if len(self.lists) > 1 else ''} ({', '.join(self.lists)})"
        return lists if self.people is None else f"{self.people:,} people in {lists}"


Channel = Callable[[Message], None]
"""Sends a message or raises; what it raises is recorded and goes no further."""


def kind_of(error: BaseException | str | None) -> Kind:
    """The kind of alert an error makes."""
    return next((KINDS[ancestor] for ancestor in type(error).__mro__ if ancestor in KINDS), UNEXPECTED)


def cause_of(error: BaseException | str | None, task: str) -> str:
    """What makes two failures the same trouble: error class, place, first line; numbers in it do not count.

    Refused credentials and a silent vendor are one trouble for all streams of the account.
    """
    if not isinstance(error, StitchlineError):
        return f"{type(error).__name__} | {task} | {_first_line(_described(error))}"
    name = type(error).__name__
    if isinstance(error, FixCredentials | RetryLater) and not isinstance(error, WarehouseBusy):
        connection = re.search(r"connection '?([A-Za-z0-9_]+)", error.where)
        return f"{name} | {connection[1] if connection else re.split('[ ,]', error.where)[0]}"
    return f"{name} | {_first_line(error.where)} | {_first_line(error.what)}"


def describe(error: BaseException | str | None) -> tuple[str, str]:
    """What happened and what to do, free of personal data.

    The text of an error that is not ours may quote a row, so only its class and our line of code are told.
    """
    if isinstance(error, StitchlineError):
        seen = f" (request id {error.request_id})" if error.request_id else ""
        return f"{masked(error.what)}{seen}", masked(error.fix)
    return _described(error), "Open the task's log, then the runbook."


def masked(text: str) -> str:
    """The text without e-mail addresses, should one have slipped into it."""
    return ADDRESS.sub("[address]", text)


def _described(error: BaseException | str | None) -> str:
    if not isinstance(error, BaseException):
        # Airflow itself speaks: a worker that died, a task killed by its timeout.
        return "the task ended without an error of its own: it was killed, or its worker died"
    ours = [
        frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(f"{ROOT}/include/")
    ]
    at = f" at {Path(ours[-1].filename).relative_to(ROOT)} in {ours[-1].name}" if ours else ""
    return f"{type(error).__name__}{at}"


def _first_line(text: str) -> str:
    return re.sub(r"\d+", "#", masked(text.strip().split("\n")[0]))[:300]
