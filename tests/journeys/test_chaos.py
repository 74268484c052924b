"""Thirty runs of random changes with random faults, kills and edits at the vendors: nothing is lost, nobody wronged."""

from __future__ import annotations

from pathlib import Path

import pytest
from chaos import run_chaos


@pytest.mark.long
def test_after_chaos_the_destinations_are_what_the_warehouse_says(tmp_path: Path) -> None:
    report = run_chaos(tmp_path)
    print(report)
    assert report.problems == []
    # And it was chaos.
    assert min(report.kills, report.failed, report.unsubscribed, report.by_hand) > 0
    assert min(report.receipts[status] for status in ("accepted", "rejected", "deferred", "suppressed")) > 0
