"""Delivery: full batches, several at once, paced by the shared budget, read row by row; a bad row ends alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from include.activate.destination import BatchRejected, Destination, FieldKind, RowResult, Send, Target
from include.activate.plan_book import PlannedRow
from include.activate.receipts import Outcome
from include.connect.errors import StitchlineError, StopSync

if TYPE_CHECKING:
    from include.connect.http import Session

HOPELESS_ROWS = 20
"""When every row of a batch this large is refused alone and for one reason, the reason is not in the rows."""


class Delivery:
    """Sends groups of rows to one destination over one session; remembers what it prepared and what went wrong."""

    def __init__(
        self, session: Session, destination: Destination, kinds: Mapping[str, FieldKind], extra: Mapping[str, Any]
    ) -> None:
        self.destination = destination
        self.trouble: StitchlineError | None = None
        self._session = session
        self._kinds = kinds
        self._extra = extra
        self._places = asyncio.Semaphore(destination.concurrency)
        self._targets: dict[str, Target] = {}

    async def prepare(self, rows: Sequence[PlannedRow]) -> dict[str, str]:
        """Find or make where the rows go; the vendor's ids of the places that were not known before."""
        known = set(self._targets)
        for place in sorted({row.place for row in rows}):
            await self._prepare(place)
        return {place: one.handle for place, one in self._targets.items() if place not in known and one.handle}

    async def send(self, rows: Sequence[PlannedRow]) -> list[Outcome]:
        """Send the rows and say what became of each, in any order.

        Trouble with the vendor or the connection does not raise: the rows it kept back are `deferred`, the
        error is in `trouble`, and nothing more is sent.
        """
        await self.prepare(rows)
        outcomes: list[Outcome] = []
        leaving = [row for row in rows if row.change.operation == "leave"]
        others = [row for row in rows if row.change.operation != "leave"]
        # Everybody has left before anybody enters: one record may answer to two ids.
        for phase in (leaving, others):
            batches = self._batches(phase)
            for found in await asyncio.gather(*(self._batch(send, batch) for send, batch in batches)):
                outcomes += found
        return outcomes

    def kept_back(self, rows: Sequence[PlannedRow]) -> list[Outcome]:
        """Rows that were to follow when the trouble came; none of them was on its way."""
        return _kept_back(rows, self.trouble) if self.trouble is not None else []

    def _batches(self, rows: Sequence[PlannedRow]) -> list[tuple[Send, list[PlannedRow]]]:
        together: dict[tuple[Send, str], list[PlannedRow]] = {}
        for row in rows:
            together.setdefault((self.destination.sender(row.change.operation), row.place), []).append(row)
        size = self.destination.batch
        return [
            (send, group[at : at + size]) for (send, _), group in together.items() for at in range(0, len(group), size)
        ]

    async def _prepare(self, place: str) -> None:
        if place in self._targets or self.trouble is not None:
            return
        container, name = self.destination.parted(place)
        target = Target(container, name, self._kinds, self._extra)
        try:
            self._targets[place] = await self.destination.prepare(self._session, target)
        except BatchRejected as error:
            self.trouble = StopSync(
                f"the vendor would not make {name or 'the fields'} ({error.code})",
                where=self.destination.name,
                fix="Check that the connection's credentials may create it, or create it by hand.",
                request_id=error.request_id,
            )
        except StitchlineError as error:
            self.trouble = error

    async def _batch(self, send: Send, rows: list[PlannedRow]) -> list[Outcome]:
        async with self._places:
            if self.trouble is not None:
                return _kept_back(rows, self.trouble)
            outcomes = await self._split(send, rows)
        alone = {outcome.code for outcome in outcomes if outcome.status == "rejected"}
        refused = sum(outcome.status == "rejected" for outcome in outcomes)
        if len(rows) >= HOPELESS_ROWS and refused == len(rows) and len(alone) == 1 and self.trouble is None:
            self.trouble = StopSync(
                f"all {refused} rows of a batch were refused for one reason ({next(iter(alone))})",
                where=self.destination.name,
                fix="Look at their receipts; the reason is likely in the destination's set-up, not in the rows.",
            )
        return outcomes

    async def _split(self, send: Send, rows: list[PlannedRow]) -> list[Outcome]:
        """Send a batch; halve it for as long as the vendor refuses it whole."""
        try:
            results = await send(self._session, self._targets[rows[0].place], [row.change for row in rows])
        except BatchRejected as error:
            if len(rows) == 1:
                return [Outcome(rows[0], "rejected", error.code, error.message, error.request_id)]
            middle = len(rows) // 2
            first = await self._split(send, rows[:middle])
            return first + (
                _kept_back(rows[middle:], self.trouble) if self.trouble else await self._split(send, rows[middle:])
            )
        except StitchlineError as error:
            self.trouble = self.trouble or error
            return _kept_back(rows, error, is_unsure=True)
        return _matched(rows, results)


def _matched(rows: Sequence[PlannedRow], results: Sequence[RowResult]) -> list[Outcome]:
    """Each row with its own result; a row the vendor did not speak of was not accepted."""
    said = {result.address: result for result in results}
    outcomes = []
    for row in rows:
        result = said.get(row.change.address)
        if result is None:
            outcomes.append(Outcome(row, "rejected", "no_answer", "the vendor's answer does not mention the row"))
        elif result.accepted:
            outcomes.append(Outcome(row, "accepted", request_id=result.request_id))
        else:
            outcomes.append(Outcome(row, "rejected", result.code or "rejected", result.message, result.request_id))
    return outcomes


def _kept_back(rows: Sequence[PlannedRow], error: StitchlineError, *, is_unsure: bool = False) -> list[Outcome]:
    """Rows for a later run; `is_unsure` where they were on their way when the trouble came."""
    return [Outcome(row, "deferred", type(error).__name__, error.what, error.request_id, is_unsure) for row in rows]
