"""What is odd about Jira: a search without a bound is refused, done issues open again, times are the owner's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.sources.simulator import Puller, Simulator
from tests.sources.test_oddities import asked


def test_re_opened_issues_come_again_and_deleted_ones_do_not(changing_world: Simulator, tmp_path: Path) -> None:
    pulling = Puller(changing_world, tmp_path)
    _, issues = pulling("jira")
    held = {line["_key"]: line["_payload"]["fields"] for line in pulling.lines(issues)}
    latest = max(held, key=lambda key: held[key]["updated"])
    asked(changing_world, "jira", pulling, ("DELETE", f"/issue/{latest}", {}))
    changing_world.advance(0.1)
    pulling.follow()
    _, issues = pulling("jira", "2")
    again = {line["_key"]: line["_payload"]["fields"] for line in pulling.lines(issues)}
    assert latest not in again
    reopened = [key for key in again if again[key]["updated"] > held[key]["updated"]]
    assert len(reopened) == 3
    for key in reopened:
        assert held[key]["resolutiondate"] is not None
        assert (again[key]["resolutiondate"], again[key]["status"]["statusCategory"]["key"]) == (None, "indeterminate")


def test_a_backfill_brings_what_changed_between_two_dates(world: Simulator, tmp_path: Path) -> None:
    pulling = Puller(world, tmp_path)
    today = datetime.now(UTC).replace(microsecond=0)
    start, end = today - timedelta(days=40), today - timedelta(days=20)
    _, everything = pulling("jira")
    _, found = pulling("jira", "2", kind="backfill", start=start, end=end)
    moments = {
        line["_key"]: datetime.fromisoformat(line["_payload"]["fields"]["updated"])
        for line in pulling.lines(everything)
    }
    wanted = {key for key, at in moments.items() if start <= at < end}
    assert set(pulling.keys([found])["issues"]) == wanted
    assert 0 < len(wanted) < len(moments)
