from __future__ import annotations

from datetime import timedelta

import pytest
from small_warehouse import STREAMS, SmallWarehouse, person

from include.activate.freshness import missing_facts, streams_of, tables_of
from include.activate.segment import SegmentResult, compute, get_segment
from include.settings import Settings
from include.warehouse.models import published

AT_RISK_STREAMS = ("stripe.charges", "zendesk.tickets")


def result_of(warehouse: SmallWarehouse, days: float = 0, settings: Settings | None = None) -> SegmentResult:
    with warehouse.open() as engine:
        return compute(engine, get_segment("at_risk_customers"), warehouse.run(days), settings or warehouse.settings)


def test_lineage_goes_through_marts_and_staging_to_the_streams() -> None:
    assert {".".join(stream) for stream in streams_of("marts.orders")} == {"stripe.charges", "shopify.orders"}
    assert {".".join(stream) for stream in streams_of("marts.tickets")} == {"zendesk.tickets", "jira.issues"}
    assert {"mailchimp.members", "hubspot.contacts"} <= {".".join(stream) for stream in streams_of("marts.customers")}


def test_who_is_who_carries_no_facts() -> None:
    assert streams_of("identity.identifiers") == frozenset()
    assert tables_of("SELECT customer_id FROM identity.customers JOIN marts.orders USING (customer_id)") == [
        "marts.orders"
    ]


def test_everything_there_is_computed(warehouse: SmallWarehouse) -> None:
    warehouse.publish([person(1)], loads=AT_RISK_STREAMS)
    assert result_of(warehouse).status == "computed"


@pytest.mark.parametrize("missing", AT_RISK_STREAMS)
def test_a_stream_that_never_came_holds_the_list(warehouse: SmallWarehouse, missing: str) -> None:
    warehouse.publish([person(1)], loads=[name for name in STREAMS if name != missing])
    result = result_of(warehouse)
    assert result.status == "held"
    assert f"{missing} was never completely loaded" in str(result.reason)


@pytest.mark.parametrize("changes", [{"is_complete": False}, {"kind": "backfill"}, {"kind": "sweep"}])
def test_half_a_load_is_no_load(warehouse: SmallWarehouse, changes: dict[str, object]) -> None:
    warehouse.load("stripe.charges", **changes)  # type: ignore[arg-type]
    warehouse.publish([person(1)], loads=["zendesk.tickets"])
    assert "stripe.charges was never completely loaded" in str(result_of(warehouse).reason)


def test_a_late_stream_holds_the_list_and_the_last_one_stays(warehouse: SmallWarehouse) -> None:
    tickets = [{"ticket_id": "t", "customer_id": "c00001", "created_at": warehouse.run().as_of - timedelta(days=2)}]
    warehouse.publish([person(1)], loads=AT_RISK_STREAMS, marts_tickets=tickets)
    assert result_of(warehouse).members == 1
    warehouse.publish([person(1)], days=1.5, loads=["zendesk.tickets"])
    result = result_of(warehouse, 1.5)
    assert result.reason == "stripe.charges is 36.0 h old, allowed are 26.0 h, and marts.orders rests on it"
    assert len(warehouse.rows("SELECT * FROM segments.at_risk_customers")) == 1
    runs = warehouse.rows("SELECT status, reason, generation FROM segments.runs ORDER BY as_of DESC LIMIT 1")
    assert runs == [{"status": "held", "reason": result.reason, "generation": "g2"}]


def test_a_header_may_allow_more(warehouse: SmallWarehouse) -> None:
    segment = warehouse.segment(sql="SELECT customer_id FROM marts.orders", max_age="{stripe.charges: 3d}")
    warehouse.publish([person(1)])
    assert warehouse.compute(segment, 2.5) == 0


def test_a_load_that_unify_has_not_seen_does_not_count(warehouse: SmallWarehouse) -> None:
    warehouse.publish([person(1)], loads=["zendesk.tickets"])
    warehouse.load("stripe.charges")
    assert "not yet in the published generation g1" in str(result_of(warehouse).reason)


def test_without_any_source_of_a_mart_the_list_is_held(warehouse: SmallWarehouse) -> None:
    warehouse.publish([person(1)], loads=STREAMS)
    settings = warehouse.settings.model_copy(update={"sources": ("zendesk",)})
    reason = str(result_of(warehouse, settings=settings).reason)
    assert reason == "marts.orders has no facts: none of shopify, stripe is switched on (STITCHLINE_SOURCES)"


def test_a_source_that_is_switched_off_is_not_waited_for(warehouse: SmallWarehouse) -> None:
    warehouse.publish([person(1)], loads=["stripe.charges"])
    settings = warehouse.settings.model_copy(update={"sources": ("stripe",)})
    segment = warehouse.segment(sql="SELECT customer_id FROM marts.orders")
    with warehouse.open() as engine:
        assert compute(engine, segment, warehouse.run(), settings).status == "computed"


def test_every_account_that_is_switched_on_must_be_there(warehouse: SmallWarehouse) -> None:
    warehouse.publish([person(1)], loads=AT_RISK_STREAMS)
    settings = warehouse.settings.model_copy(update={"sources": ("stripe", "stripe:eu", "zendesk")})
    assert "stripe__eu.charges was never completely loaded" in str(result_of(warehouse, settings=settings).reason)


def test_all_sources_may_be_switched_on_at_once(warehouse: SmallWarehouse) -> None:
    warehouse.publish([person(1)], loads=[*AT_RISK_STREAMS, "shopify.orders", "jira.issues"])
    settings = warehouse.settings.model_copy(update={"sources": ("*",)})
    assert result_of(warehouse, settings=settings).status == "computed"


def test_the_collector_that_is_switched_on_must_be_there_with_all_its_accounts(warehouse: SmallWarehouse) -> None:
    sql = "SELECT customer_id FROM marts.email_refusals"
    settings = warehouse.settings.model_copy(update={"sources": ("stripe",), "collector": ("mailchimp:eu", "segment")})
    streams = [".".join(stream) for stream in streams_of("marts.email_refusals") if stream[0] == "collector"]
    assert "collector.mailchimp_events" in streams
    warehouse.publish([person(1)], loads=streams)

    def missing() -> str | None:
        with warehouse.open() as engine:
            state = published(engine)
            assert state is not None
            return missing_facts(engine, sql, {}, state, warehouse.run(), settings)

    assert "collector__eu.email_clicks was never completely loaded" in str(missing())
    warehouse.load(*streams, account="eu")
    warehouse.publish([person(1)], loads=streams)
    assert missing() is None
