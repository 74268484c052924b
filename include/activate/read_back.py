"""What a destination holds now, against what the warehouse believes: before a first sync, and as drift ever after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.activate.destination import Destination, Target
from include.activate.plan import sync_id
from include.activate.segment import Segment
from include.activate.tables import DRIFT, ensure_tables
from include.connect.connection import Connection, read_connection
from include.connect.errors import FixSettings, StopSync
from include.destinations import api_of
from include.run import Run
from include.settings import Settings
from include.warehouse.engine import Engine

if TYPE_CHECKING:
    from include.connect.http import Session

MOST_MISSING = 0.2
"""Share of what was accepted that people may have taken away by hand before somebody is told."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One place of a destination: how many we put there, how many of those are gone, how many others are there."""

    sync: str
    place: str
    expected: int
    missing: int
    others: int


@asynccontextmanager
async def open_session(destination: Destination, settings: Settings, connection: Connection) -> AsyncIterator[Session]:
    """A session with the destination's vendor, paced with everything else that calls it; writes only where allowed."""
    from include.connect.http import Session
    from include.state.store import Store

    writable = connection.allows_writes(settings.env)
    with Store.open(settings) as store:
        async with Session(api_of(destination), connection, store, writable=writable) as session:
            yield session


def wanted_in(engine: Engine) -> dict[str, set[str]]:
    """Addresses that the drawn plan would put there, by place."""
    return _by_place(engine.query("SELECT place, address FROM scratch.plan_rows WHERE operation = 'enter'"))


async def baseline(
    destination: Destination, settings: Settings, connection: Connection, places: dict[str, set[str]]
) -> str:
    """What the destination holds before our first sync, in words for who approves it."""
    there = await _held(destination, settings, connection, places)
    ours = sum(len(there[place] & wanted) for place, wanted in places.items())
    return f"the destination holds {sum(map(len, there.values()))} already, {ours} of them on the list"


def verify(
    segment: Segment,
    destination: Destination,
    settings: Settings,
    run: Run,
    open_engine: Callable[[], AbstractContextManager[Engine]],
) -> list[Drift]:
    """Read back what a sync put into a destination and keep the differences as numbers; changes nothing there.

    Who was taken away by hand stays away, and who was put there by hand stays: this only tells. Rows on their way,
    whose end nobody knows yet, are not counted.

    Raises:
        FixSettings: the vendor has no way to read the destination back.
        StopSync: far more is gone than people take away by hand.
    """
    name = sync_id(segment, destination)
    if destination.read_back is None:
        raise FixSettings(
            f"{destination.title} cannot be read back", where=name, fix="Nothing to do: the vendor has no call for it."
        )
    with open_engine() as engine:
        ensure_tables(engine)
        known = engine.query(
            "SELECT place, address, operation FROM activation.state WHERE sync = @sync", {"sync": name}
        )
        ours = _by_place(row for row in known if row["operation"] in ("enter", "update"))
        doubted = _by_place(row for row in known if row["operation"] not in ("enter", "update"))
    there = asyncio.run(_held(destination, settings, read_connection(destination.connection), ours))
    found = [
        Drift(
            name,
            place,
            len(addresses),
            len(addresses - there[place]),
            len(there[place] - addresses - doubted.get(place, set())),
        )
        for place, addresses in sorted(ours.items())
    ]
    with open_engine() as engine:
        now = datetime.now(UTC)
        if found:
            engine.append(DRIFT.name, [{"checked_at": now, "run_id": run.run_id, **asdict(one)} for one in found])
    for one in found:
        if one.missing > MOST_MISSING * one.expected:
            raise StopSync(
                f"{one.missing} of {one.expected} people sent to {one.place} are no longer there",
                where=name,
                fix="Look there for who emptied it; to send everybody again, delete the sync's rows of "
                "activation.state and approve the next plan.",
            )
    return found


async def _held(
    destination: Destination, settings: Settings, connection: Connection, places: Iterable[str]
) -> dict[str, set[str]]:
    """Addresses that the destination holds now, by place."""
    assert destination.read_back is not None
    async with open_session(destination, settings, connection) as session:
        return {
            place: await destination.read_back(session, Target(*destination.parted(place), extra=connection.extra))
            for place in places
        }


def _by_place(rows: Iterable[dict[str, str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["place"], set()).add(row["address"])
    return found
