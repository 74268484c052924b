"""The truth on worlds small enough to work out by hand, and the oracle on a generated one."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from include.simulate.names import hash_email
from include.simulate.people import (
    CalendlyBooking,
    HubspotContact,
    MailchimpMember,
    Person,
    Population,
    StripeCharge,
    StripeCustomer,
    WebEvent,
    ZendeskTicket,
    ZendeskUser,
)
from include.simulate.truth import (
    Score,
    at_risk,
    consenting,
    oracle,
    people_of_events,
    reachable_by_mailchimp,
    score,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=100)


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def person(who: int, *, devices: tuple[str, ...] = (), user_id: str | None = None, phone: str | None = None) -> Person:
    emails = (f"p{who}@example.com", f"p{who}.second@example.com")
    return Person(who, f"First{who}", f"Last{who}", emails, phone, user_id, devices, None)


def web(
    event_id: str,
    whose: int | None,
    device: str,
    *,
    user_id: str | None = None,
    url: str | None = None,
    traits: dict[str, str] | None = None,
) -> WebEvent:
    kind = "page" if traits is None else "identify"
    return WebEvent(whose, event_id, kind, NOW, NOW, device, user_id, "", url, traits or {})


def charge(number: str, whose: int, at: datetime, status: str = "succeeded", refunded: bool = False) -> StripeCharge:
    return StripeCharge(number, whose, f"cus_{whose}", 100, "usd", status, refunded, at)


def ticket(
    number: int, whose: int | None, at: datetime, status: str = "open", updated: datetime = NOW
) -> ZendeskTicket:
    return ZendeskTicket(number, whose, 500 + (whose or 0), "Help", status, at, updated)


def member(whose: int, status: str, email: str | None = None) -> MailchimpMember:
    return MailchimpMember(whose, email or f"p{whose}@example.com", status, "", "", None, (), LONG_AGO, LONG_AGO)


@pytest.fixture
def two_people() -> Population:
    """Person 1 has events a, b, c; person 2 has d, e; f is nobody's. The records show a-b and d-e."""
    return Population(
        NOW,
        0,
        [person(1, devices=("A", "B", "C"), user_id="u1"), person(2, devices=("D", "E"))],
        web_events=[
            web("a", 1, "A", user_id="u1"),
            web("b", 1, "B", user_id="u1"),
            web("c", 1, "C"),
            web("d", 2, "D", traits={"email": " P2@Example.com "}),
            web("e", 2, "E", url=f"https://www.example.com/?eh={hash_email('p2@example.com')}"),
            web("f", None, "K"),
        ],
    )


def test_score_counts_pairs(two_people: Population) -> None:
    # True pairs: ab ac bc de. Put together: ab ad bd (f is nobody's). Right: ab. The oracle finds ab and de.
    answer = {"segment/a": "X", "segment/b": "X", "segment/d": "X", "segment/f": "X", "segment/e": "Y"}
    assert score(two_people, answer) == Score(
        precision=pytest.approx(1 / 3),
        recall=pytest.approx(1 / 4),
        f1=pytest.approx(2 / 7),
        oracle_recall=pytest.approx(2 / 4),
        recall_of_oracle=pytest.approx(1 / 2),
        people_true=2,
        people_found=2,
        wrong_merges=("X",),
        largest_wrong_merge=3,
        most_people_per_person=2,
    )


def test_the_truth_itself_scores_one_and_beats_the_oracle(two_people: Population) -> None:
    answer = {key: f"person {whose}" for key, whose in people_of_events(two_people).items()}
    found = score(two_people, answer)
    assert (found.precision, found.recall, found.f1) == (1, 1, 1)
    assert found.recall_of_oracle == 2
    assert (found.wrong_merges, found.largest_wrong_merge, found.most_people_per_person) == ((), 0, 1)


def test_one_customer_for_everybody_is_imprecise(two_people: Population) -> None:
    found = score(two_people, dict.fromkeys(people_of_events(two_people), "all"))
    assert found.precision == pytest.approx(4 / 10)
    assert found.recall == 1
    assert (found.people_found, found.largest_wrong_merge, found.most_people_per_person) == (1, 5, 2)


def test_no_answer_merges_nobody_and_finds_nothing(two_people: Population) -> None:
    for answer in ({}, {"segment/a": None, "unknown": "X"}):
        found = score(two_people, answer)
        assert (found.precision, found.recall, found.f1, found.recall_of_oracle) == (1, 0, 0, 0)
        assert (found.people_true, found.people_found, found.most_people_per_person) == (2, 0, 0)


def test_a_world_without_events_has_nothing_to_get_wrong() -> None:
    found = score(Population(NOW, 0, []), {})
    assert (found.precision, found.recall, found.recall_of_oracle, found.people_true) == (1, 1, 1, 0)


def test_three_people_in_one_customer_is_told_apart_from_two() -> None:
    events = [web(f"{who}{part}", who, f"D{who}") for who in (1, 2, 3) for part in "ab"]
    world = Population(NOW, 0, [person(who) for who in (1, 2, 3)], web_events=events)
    found = score(world, {f"segment/{event.event_id}": "X" for event in events})
    assert found.most_people_per_person == 3
    # 6 events make 15 pairs, of which each person's one is right.
    assert found.precision == pytest.approx(3 / 15)


def test_every_kind_of_event_has_its_key() -> None:
    world = Population(
        NOW,
        0,
        [person(1)],
        web_events=[web("w", 1, "A")],
        calendly_bookings=[booking("i", 1, "p1@example.com", None)],
        stripe_charges=[charge("ch_1", 1, NOW)],
        zendesk_tickets=[ticket(9, None, NOW)],
    )
    assert people_of_events(world) == {"segment/w": 1, "calendly/i": 1, "stripe/ch_1": 1, "zendesk/9": None}


def booking(invitee: str, whose: int, email: str, utm_term: str | None, phone: str | None = None) -> CalendlyBooking:
    return CalendlyBooking(whose, "e", invitee, email, "", phone, utm_term, NOW, NOW, NOW, "active", False)


def parts(population: Population) -> set[frozenset[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for key, part in oracle(population).items():
        found[part].add(key)
    return {frozenset(keys) for keys in found.values()}


def test_the_oracle_follows_every_kind_of_evidence_through_every_tool() -> None:
    world = Population(
        NOW,
        0,
        [person(1, devices=("A",), user_id="u1", phone="+12005550100")],
        hubspot_contacts=[
            HubspotContact(
                1, 10, "p1@example.com", "", "", None, ("p1.second@example.com",), (11,), "lead", LONG_AGO, LONG_AGO
            )
        ],
        mailchimp_members=[member(1, "subscribed", "p1@example.com")],
        stripe_customers=[StripeCustomer(1, "cus_1", None, "", "+1 (200) 555-0100", {}, LONG_AGO)],
        stripe_charges=[charge("ch_1", 1, NOW)],
        zendesk_users=[ZendeskUser(1, 501, "", None, None, "u1", "end-user", LONG_AGO, LONG_AGO)],
        zendesk_tickets=[ticket(9, 1, NOW)],
        # The booking ties the device to the second address and to the phone; the CRM ties both addresses.
        calendly_bookings=[booking("i", 1, "P1.Second@example.com", "A", "+12005550100")],
        web_events=[
            web("w", 1, "A"),
            web("x", 1, "Z", user_id="u1", traits={"email": "p1@example.com"}),
            web("y", 1, "Y", url="https://www.example.com/?utm_email=p1%40example.com"),
        ],
    )
    everything = {"calendly/i", "stripe/ch_1", "zendesk/9", "segment/w", "segment/x", "segment/y"}
    assert parts(world) == {frozenset(everything)}
    # Without the contact that names both addresses, the two halves have nothing in common.
    halves = {
        frozenset({"calendly/i", "stripe/ch_1", "segment/w"}),
        frozenset({"zendesk/9", "segment/x", "segment/y"}),
    }
    world.hubspot_contacts = []
    assert parts(world) == halves


def test_the_oracle_never_links_through_what_is_shared_or_a_placeholder() -> None:
    shared = "info@acme.example.com"
    world = Population(
        NOW,
        0,
        [person(1, devices=("T",), user_id="u1"), person(2, devices=("T",))],
        stripe_customers=[StripeCustomer(who, f"cus_{who}", shared, "", None, {}, LONG_AGO) for who in (1, 2)],
        stripe_charges=[charge("ch_1", 1, NOW), charge("ch_2", 2, NOW)],
        calendly_bookings=[booking("i", 1, shared, "null"), booking("j", 1, "test@test.com", None)],
        web_events=[
            web("a", 1, "T", user_id="u1"),
            web("b", 2, "T", traits={"email": "p2@example.com"}),
            web("c", 2, "T"),
            web("d", 1, "X", user_id="anonymous"),
            web("e", 1, "Y", user_id="anonymous", traits={"email": "test@test.com"}),
        ],
    )
    # One tablet, each their own time on it; two purchases under one inbox stay apart, and so does all that is 'null'.
    together = frozenset({"segment/b", "segment/c"})
    alone = {"segment/a", "segment/d", "segment/e", "calendly/i", "calendly/j", "stripe/ch_1", "stripe/ch_2"}
    assert parts(world) == {together} | {frozenset({key}) for key in alone}


@pytest.mark.parametrize("seed", [7, 8])
def test_the_oracle_of_a_generated_world_is_precise_and_not_complete(seed: int) -> None:
    world = Population.generate(300, seed, NOW)
    found = score(world, oracle(world))
    assert found.precision == 1.0
    assert found.recall_of_oracle == 1.0
    assert (found.wrong_merges, found.most_people_per_person) == ((), 1)
    # Some devices never say whose they are, so no answer can be complete.
    assert 0.7 < found.oracle_recall < 0.95
    assert found.people_found > found.people_true == 300


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_who_is_at_risk_follows_from_what_the_records_show(seed: int) -> None:
    world = Population.generate(400, seed, NOW)
    customers = oracle(world)
    window = NOW - timedelta(days=30)
    asked = {
        customers[f"zendesk/{asking.id}"]
        for asking in world.zendesk_tickets
        if asking.person_id is not None and asking.created_at >= window and asking.status != "deleted"
    }
    ordered = {
        customers[f"stripe/{order.id}"]
        for order in world.stripe_charges
        if order.created_at >= window and order.status == "succeeded" and not order.refunded
    }
    people = people_of_events(world)
    owners = {part: people[key] for key, part in customers.items()}
    found = [owners[part] for part in asked - ordered]
    assert len(found) == len(set(found))
    assert set(found) == at_risk(world, NOW)


def test_at_risk_is_a_recent_ticket_without_a_recent_order() -> None:
    world = Population(
        NOW,
        0,
        [person(who) for who in range(1, 9)],
        zendesk_tickets=[
            ticket(1, 1, days_ago(5)),
            ticket(2, 2, days_ago(5)),
            ticket(3, 3, days_ago(5), "deleted"),
            ticket(4, 4, days_ago(31), updated=days_ago(1)),
            ticket(5, 5, days_ago(29), "closed"),
            ticket(6, 6, days_ago(5)),
            ticket(7, 7, days_ago(5)),
            ticket(8, 8, NOW + timedelta(days=1)),
            ticket(9, None, days_ago(5)),
        ],
        stripe_charges=[
            charge("old", 1, days_ago(31)),
            charge("recent", 2, days_ago(29)),
            charge("failed", 5, days_ago(2), "failed"),
            charge("refunded", 6, days_ago(2), refunded=True),
            charge("refunded too", 7, days_ago(2), refunded=True),
            charge("kept", 7, days_ago(3)),
        ],
    )
    assert at_risk(world, NOW) == {1, 5, 6}
    # Two days later the fifth person's ticket has left the window; the eighth's has come.
    assert at_risk(world, NOW + timedelta(days=2)) == {1, 2, 6, 8}


def test_a_no_on_any_own_address_is_a_no() -> None:
    world = Population(
        NOW,
        0,
        [person(who) for who in range(1, 8)],
        mailchimp_members=[
            member(1, "subscribed"),
            member(2, "unsubscribed"),
            member(3, "subscribed"),
            member(3, "unsubscribed", "p3.second@example.com"),
            member(4, "cleaned", "p4.second@example.com"),
            member(4, "subscribed"),
            member(5, "pending"),
            member(6, "archived", "p6.second@example.com"),
            member(6, "subscribed"),
            replace(member(7, "subscribed", "info@acme.example.com"), person_id=None),
        ],
        zendesk_tickets=[ticket(who, who, days_ago(3)) for who in (1, 2, 3, 7)],
    )
    assert consenting(world) == {1, 6}
    assert reachable_by_mailchimp(world, NOW) == {1}
