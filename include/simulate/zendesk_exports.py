"""Zendesk's incremental exports: they compare when a record was generated, and leave out the last minute."""

from __future__ import annotations

import base64
import binascii
import re
from bisect import bisect_right
from typing import Any
from urllib.parse import urlencode

from include.simulate.vendor import Call
from include.simulate.zendesk_records import Desk

PAGE = 1000

Export = tuple[list[int], dict[str, Any]]
"""The ids of one page, and what the answer holds beside the records."""


class BadExport(Exception):
    """A parameter the export does not take."""

    def __init__(self, message: str, status: int = 400) -> None:
        self.status = status
        super().__init__(message)


def by_cursor(desk: Desk, kind: str, call: Call) -> Export:
    """One page from a start time, or from the cursor of the page before."""
    order, given, size = desk.generated[kind], call.query.get("cursor"), _size(call)
    if given is None:
        time, number = _start(desk, call), 0
    else:
        match = re.fullmatch(r"(\d+)\.0\|\|(\d+)", decoded(given) or "")
        if match is None:
            raise BadExport("cursor is not valid")
        time, number = int(match[1]), int(match[2])
    start, settled = bisect_right(order.pairs, (time, number)), _settled(desk, kind)
    stop = max(start, min(start + size, settled))
    if stop > start:
        time, number = order.pairs[stop - 1]
    # Set on the last page too: it is where the next export goes on.
    cursor = encoded(f"{time}.0||{number}")
    return order.ids(start, stop), {
        "after_url": f"{call.base}{call.path}.json?" + urlencode({"cursor": cursor, "per_page": size}),
        "after_cursor": cursor,
        "before_url": None,
        "before_cursor": None,
        "end_of_stream": stop >= settled,
    }


def by_time(desk: Desk, kind: str, call: Call) -> Export:
    """One page from a start time; the next one starts at the last record's time and repeats that record."""
    order, time, size = desk.generated[kind], _start(desk, call), _size(call)
    start, settled = order.at(time), _settled(desk, kind)
    stop = max(start, min(start + size, settled))
    end = order.pairs[stop - 1][0] if stop > start else None
    link = f"{call.base}{call.path}.json?" + urlencode({"start_time": end or time, "per_page": size})
    times = {"end_time": end, "next_page": link if end else None, "end_of_stream": stop >= settled}
    return order.ids(start, stop), {"count": stop - start, **times}


def _start(desk: Desk, call: Call) -> int:
    start = call.int_query("start_time", -1)
    if start is None or start < 0:
        raise BadExport("start_time is missing or not a unix time")
    if start > desk.clock.now().timestamp() - 60:
        raise BadExport("Too recent start_time. Use one at least a minute old", 422)
    return start


def _settled(desk: Desk, kind: str) -> int:
    return desk.generated[kind].at(int(desk.clock.now().timestamp()) - 59)


def _size(call: Call) -> int:
    size = call.int_query("per_page", PAGE)
    if size is None or not 1 <= size <= PAGE:
        raise BadExport(f"per_page must be 1 to {PAGE}")
    return size


def encoded(text: str) -> str:
    """A cursor as it travels."""
    return base64.b64encode(text.encode()).decode()


def decoded(text: str) -> str | None:
    """What a cursor says; None if it is none of ours."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
