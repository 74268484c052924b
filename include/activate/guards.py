"""Guards: how much one sync may change by itself, and what a person must look at first."""

from __future__ import annotations

from datetime import timedelta

from include.activate.header import Guards
from include.activate.plan import Counts

HELD_FOR = timedelta(hours=24)
"""A held plan is approved within this time or made anew."""


def tripped(
    counts: Counts,
    guards: Guards,
    *,
    entering: int | None,
    leaving: int | None,
    is_first: bool,
    is_first_approved: bool,
) -> str | None:
    """Why a person must approve the plan; None when it may go by itself.

    Args:
        counts: the plan's own numbers.
        guards: the header's limits.
        entering: people entering who were not let through before; None when that could not be counted.
        leaving: people leaving who were not let through before; None when that could not be counted.
        is_first: nothing was ever sent for this sync.
        is_first_approved: the header says `first_run: approved`.
    """
    if entering is None or leaving is None:
        return "who enters and who leaves could not be counted"
    wanted = counts.holding - counts.leave + counts.enter
    if counts.holding and not guards.allow_empty and (counts.members == 0 or (counts.leave and wanted <= 0)):
        what = "the list is empty" if counts.members == 0 else "nobody on the list can be sent"
        return f"{what} and {counts.holding} people would leave; an empty list removes nobody"
    if is_first:
        return (
            None if is_first_approved or not counts.to_send else f"first sync of this list: {counts.enter} people enter"
        )
    if _past(leaving, counts.holding, guards.max_leaving, guards.max_leaving_share):
        allowed = _allowed(guards.max_leaving, guards.max_leaving_share)
        return f"{leaving} of {counts.holding} people would leave; {allowed}"
    if _past(entering, counts.holding, guards.max_entering, guards.max_entering_share):
        allowed = _allowed(guards.max_entering, guards.max_entering_share)
        return f"{entering} people would enter {counts.holding}; {allowed}"
    return None


def _past(number: int, of: int, most: int, share: float) -> bool:
    return number > most and number > share * of


def _allowed(most: int, share: float) -> str:
    return f"{most} or {share:.0%} may without approval"
