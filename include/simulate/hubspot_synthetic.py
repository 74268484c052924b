"""A HubSpot portal with as many contacts as asked for, none of which is stored."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from include.simulate.hubspot_records import Problem, Record, Shelf, milliseconds

FIRST_ID = 1_000_001


class SyntheticShelf(Shelf):
    """Contacts made up from their id, page by page: a million of them cost no memory.

    Writes are kept for the records they touch, but do not change the order of a search.
    """

    def __init__(self, count: int, now: datetime) -> None:
        super().__init__("contacts", ())
        self._newest = milliseconds(now) - 60_000
        # Sequences that know their length and make an element when asked stand in for the lists.
        self.ids = range(FIRST_ID, FIRST_ID + count)
        self.records = _MadeUp(self)
        self.modified.pairs = _MadeUpOrder(self)

    def get(self, number: int) -> Record | None:
        """The record of that number, made up unless it was written."""
        return self.records[number] if number in self.ids else None

    def add(self, properties: dict[str, str], now: int) -> Record:
        """Refused: the made-up contacts are a fixed set."""
        raise Problem("VALIDATION_ERROR", "This portal holds made-up contacts only; none can be created")

    def archive(self, record: Record, now: int) -> None:
        """Refused, as above."""
        raise Problem("VALIDATION_ERROR", "This portal holds made-up contacts only; none can be archived")

    def touch(self, record: Record, now: int) -> None:
        """Keep the written record."""
        record.updated = max(now, record.updated + 1)
        self.records[record.id] = record

    def find(self, key: str, by: str | None = None) -> Record | None:
        """By id, or by the address every made-up contact has."""
        match = re.fullmatch(r"contact(\d+)@example\.com", key) if by == "email" else None
        return super().find(match[1] if match else key, None if match else by)

    def made_at(self, number: int) -> int:
        """When that contact was last modified: one a second, the last one a minute ago."""
        return self._newest - (self.ids[-1] - number) * 1000

    def make(self, number: int) -> Record:
        """The contact of that number."""
        email = f"contact{number}@example.com"
        properties = {"email": email, "firstname": f"First{number % 997}", "lastname": f"Last{number % 7919}"}
        at = self.made_at(number)
        return Record(number, properties | {"lifecyclestage": "lead"}, at - 86_400_000, at)

    def _candidates(self, low: int, high: int, first: int, last: int) -> Iterator[Record]:
        # Ids and modified dates rise together here, so both ranges are ranges of the same index.
        yield from (self.records[self.ids[i]] for i in range(max(low, first), min(high, last)))


class _MadeUp(dict[int, Record]):
    def __init__(self, shelf: SyntheticShelf) -> None:
        super().__init__()
        self._shelf = shelf

    def __missing__(self, number: int) -> Record:
        return self._shelf.make(number)


class _MadeUpOrder(Sequence[tuple[int, int]]):
    def __init__(self, shelf: SyntheticShelf) -> None:
        self._shelf = shelf

    def __len__(self) -> int:
        return len(self._shelf.ids)

    def __getitem__(self, index: Any) -> Any:
        number = self._shelf.ids[index]
        return self._shelf.made_at(number), number
