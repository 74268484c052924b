"""A record that a vendor deletes without a word: after the next sweep its person leaves the list, and may come back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from road import Road, company

from include import steps

MEMBERS = "SELECT customer_id FROM segments.memberships WHERE left_at IS NULL ORDER BY customer_id"
TICKETS = (
    "SELECT t.customer_id, t.ticket_id FROM marts.tickets AS t INNER JOIN segments.memberships AS m "
    "ON m.customer_id = t.customer_id WHERE m.left_at IS NULL ORDER BY t.customer_id, t.ticket_id"
)
TABLES = ("marts.tickets", "marts.activities", "marts.customers", "identity.identifiers", "staging.jira__issues")


@pytest.mark.long
def test_who_has_no_ticket_left_leaves_the_list_and_comes_back_with_it(tmp_path: Path) -> None:
    with company(tmp_path / "company", people=150) as started:
        road = Road(
            tmp_path / "home", started, sources=("jira", "stripe"), overrides={"STITCHLINE_LAYER_FROM_EVENTS": "0"}
        )
        road.turn()
        road.ingest()
        road.unify()
        assert road.segment() is None
        before = members(road)
        tickets = road.query(TICKETS)
        leaver = tickets[0]["customer_id"]
        theirs = [row["ticket_id"].removeprefix("jira/") for row in tickets if row["customer_id"] == leaver]

        for key in theirs:
            tell(road, "lose", key)
        pull_and_go_on(road)
        assert members(road) == before  # nothing tells of it
        assert sweep(road)["deleted"] == len(theirs)
        road.unify()
        assert road.state().base != road.state().generation  # as news, not all anew
        assert road.segment() is None
        assert members(road) == [one for one in before if one != leaver]
        swept = {table: rows(road, table) for table in TABLES}
        rebuild(road)
        assert {table: rows(road, table) for table in TABLES} == swept

        for key in theirs:
            tell(road, "restore", key)
        assert sweep(road)["returned"] == len(theirs)
        road.unify()
        assert road.segment() is None
        assert members(road) == before


def tell(road: Road, what: str, key: str) -> None:
    road.company.control("POST", what, {"source": "jira", "stream": "issues", "key": key})


def pull_and_go_on(road: Road) -> None:
    road.turn()
    road.ingest()
    road.unify()
    assert road.segment() is None


def sweep(road: Road) -> dict[str, Any]:
    road.turn()
    with road.here():
        run = road.run("sweep_jira")
        steps.ingest_pull("jira", "main", run, kind="sweep")
        steps.ingest_load("jira", "main", run)
    return road.query("SELECT deleted, returned FROM ops.sweeps AS s ORDER BY loaded_at DESC")[0]


def rebuild(road: Road) -> None:
    """Everything out of raw again."""
    road.turn()
    with road.here():
        run = road.run("unify")
        steps.unify_stage(run, full_refresh=True)
        steps.unify_identity(run, full_refresh=True)
        steps.unify_marts(run)
        steps.unify_publish(run)


def members(road: Road) -> list[str]:
    return [row["customer_id"] for row in road.query(MEMBERS)]


def rows(road: Road, table: str) -> list[str]:
    return sorted(map(repr, road.query(f"SELECT * FROM {table}")))
