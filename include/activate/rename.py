"""A renamed segment: `formerly: <old name>` in its header, and it goes on as what the old one was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.connect.errors import FixSettings
from include.warehouse.engine import Engine, Statement

if TYPE_CHECKING:
    from include.activate.segment import Segment

OF_SEGMENTS = ("memberships", "runs")
OF_SYNCS = ("state", "receipts", "plans", "plan_rows", "places")


def take_over(engine: Engine, segment: Segment) -> None:
    """Put history and the memory of the syncs under the new name, once; nobody leaves or enters by a new name.

    Raises:
        FixSettings: the old file is still there, so both would send the same list.
    """
    old, new = segment.header.formerly, segment.name
    if old is None:
        return
    if segment.path.with_name(f"{old}.sql").exists():
        raise FixSettings(
            f"formerly: {old!r} is a segment of its own", where=str(segment.path), fix=f"Delete {old}.sql, or the line."
        )
    runs = engine.query(
        "SELECT COUNTIF(segment = @old) AS before, COUNTIF(segment = @new) AS since FROM segments.runs",
        {"old": old, "new": new},
    )[0]
    if not runs["before"] or runs["since"]:
        return
    statements = [
        Statement(f"UPDATE segments.{table} SET segment = @new WHERE segment = @old", {"old": old, "new": new})
        for table in OF_SEGMENTS
    ]
    for spec in segment.header.syncs:
        names = {"old": f"{old}__{spec.to}", "new": f"{new}__{spec.to}"}
        statements += [
            Statement(f"UPDATE activation.{table} SET sync = @new WHERE sync = @old", names) for table in OF_SYNCS
        ]
    # First, or a kill between the two would leave the old list standing for ever.
    engine.drop(f"segments.{old}")
    engine.atomically(statements)
