"""What a destination is: one writable thing at one vendor, declared as data and three small functions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from include.connect.http import Session
    from include.connect.source import Source

Operation = Literal["enter", "update", "leave"]
Mode = Literal["mirror", "upsert", "add_only", "update_only"]
FieldKind = Literal["bool", "number", "text"]
MODES: tuple[Mode, ...] = ("mirror", "upsert", "add_only", "update_only")


@dataclass(frozen=True, slots=True)
class Target:
    """Where at the vendor one batch goes.

    Args:
        container: the list or audience, where the vendor has several; empty elsewhere.
        name: the tag or the field the sync sets; empty when it only maps fields.
        fields: every field the sync writes and its kind, so `prepare` can create what is missing.
        extra: the connection's extra fields.
        handle: what `prepare` found or made (the id behind a tag's name).
    """

    container: str
    name: str
    fields: Mapping[str, FieldKind] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    handle: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One row to send; `fields` holds only what is new to the destination, `previous` all that it accepted last.

    `key` is the row's own: the same however often the row is sent, another for every later change.
    """

    customer_id: str
    address: str
    operation: Operation
    fields: Mapping[str, Any] = field(default_factory=dict)
    previous: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""


@dataclass(frozen=True, slots=True)
class RowResult:
    """What the vendor said about one row."""

    address: str
    accepted: bool
    code: str = ""
    message: str = ""
    request_id: str | None = None


class BatchRejected(Exception):
    """The vendor refused a whole call because of its content; the sender halves it until each bad row is alone."""

    def __init__(self, code: str, message: str, request_id: str | None = None) -> None:
        self.code = code
        self.message = message
        self.request_id = request_id
        super().__init__(code, message, request_id)


Send = Callable[["Session", Target, Sequence[Change]], Awaitable[Sequence[RowResult]]]
Prepare = Callable[["Session", Target], Awaitable[Target]]
ReadBack = Callable[["Session", Target], Awaitable[set[str]]]


@dataclass(frozen=True, slots=True)
class Destination:
    """One writable thing at one vendor.

    Args:
        name: also the file's name, and what a segment's header writes after `to:`.
        title: one line for people.
        connection: the source whose Airflow connection and budget it shares; the name of `api` where that is set.
        key: column of `marts.customers` holding what the vendor knows the person by.
        batch: the most rows the vendor takes in one call.
        target: the header option that names what is set (`tag` or `field`).
        enter, update, leave: send one batch; operations that share a function share batches.
        prepare: find or create the tag or field; called once per place, only when there is something to send.
        read_back: who the destination holds now; for the baseline of a first sync and for drift.
        container: column of `marts.customers` with the list the person is in, where there are several.
        default_container: connection extra used when that column is empty.
        requires: column that must be filled, or the person is unknown to the vendor.
        consent: consent without which nobody is sent, whatever the header says.
        takes_fields: whether a header may map fields.
        concurrency: calls in flight at once; the vendor's budget paces them besides.
        api: where it is and how calls sign in, where that is no source's.
    """

    name: str
    title: str
    connection: str
    key: str
    batch: int
    target: Literal["tag", "field"]
    enter: Send
    leave: Send
    prepare: Prepare
    update: Send | None = None
    read_back: ReadBack | None = None
    container: str | None = None
    default_container: str | None = None
    requires: str | None = None
    consent: str | None = None
    takes_fields: bool = False
    modes: tuple[Mode, ...] = MODES
    concurrency: int = 4
    api: Source | None = None

    def sender(self, operation: Operation) -> Send:
        """The function that sends an operation."""
        if operation == "leave":
            return self.leave
        return self.enter if operation == "enter" or self.update is None else self.update

    def place(self, container: str, name: str) -> str:
        """Where a row goes, as `activation.state` keeps it: another tag or list is another place."""
        return f"{container}/{name}" if self.container else name

    def parted(self, place: str) -> tuple[str, str]:
        """Container and name of a place."""
        if not self.container:
            return "", place
        container, _, name = place.partition("/")
        return container, name
