"""The simulated population is the same for a seed, holds what makes identity hard, and can recover."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from include.simulate.names import PLACEHOLDER_EMAILS, PLACEHOLDER_USER_IDS, hash_email
from include.simulate.people import Population, advance
from include.simulate.truth import at_risk, reachable_by_hubspot, reachable_by_mailchimp, reachable_by_zendesk

NOW = datetime(2026, 6, 1, 9, 30, tzinfo=UTC)
EDGE = NOW - timedelta(days=30)


@pytest.fixture(scope="module", params=[7, 8, 2026])
def population(request: pytest.FixtureRequest) -> Population:
    return Population.generate(500, request.param, NOW)


@pytest.fixture
def fresh() -> Population:
    return Population.generate(200, 7, NOW)


def people_with(records: list) -> set[int]:
    return {record.person_id for record in records if record.person_id is not None}


def test_the_same_seed_gives_the_same_world_and_another_seed_another() -> None:
    assert Population.generate(60, 7, NOW) == Population.generate(60, 7, NOW)
    assert Population.generate(60, 7, NOW).people != Population.generate(60, 8, NOW).people


def test_another_now_moves_the_history_and_changes_nobody() -> None:
    one, later = Population.generate(60, 7, NOW), Population.generate(60, 7, NOW + timedelta(days=3))
    assert one.people == later.people
    assert later.stripe_charges[0].created_at - one.stripe_charges[0].created_at == timedelta(days=3)


def test_a_clock_without_zone_and_an_empty_world_are_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        Population.generate(10, 7, datetime(2026, 6, 1))
    with pytest.raises(ValueError, match="nobody"):
        Population.generate(0, 7, NOW)


@pytest.mark.parametrize("count", [1, 2, 5, 19, 20, 33])
def test_small_worlds_work(count: int) -> None:
    world = Population.generate(count, 7, NOW)
    assert [person.person_id for person in world.people] == list(range(1, count + 1))
    assert world.web_events


def test_sizes_are_as_declared(population: Population) -> None:
    count = len(population.people)
    paying = people_with(population.stripe_charges)
    asking = people_with(population.zendesk_tickets)
    assert 16 <= len(population.web_events) / count <= 21
    assert 0.64 <= len(people_with(population.mailchimp_members)) / count <= 0.77
    assert 0.69 <= len(people_with(population.hubspot_contacts)) / count <= 0.82
    assert 0.20 <= len(people_with(population.zendesk_users)) / count <= 0.31
    assert 0.52 <= len(paying) / count <= 0.70
    assert 0.09 <= len(asking) / count <= 0.16
    assert 0.05 <= len(population.calendly_bookings) / count <= 0.07
    assert 0.07 <= sum(person.household is not None for person in population.people) / count <= 0.1
    assert {len(person.emails) for person in population.people} == {1, 2, 3}
    assert {len(person.devices) for person in population.people} == {1, 2, 3, 4}


def test_a_known_share_is_at_risk_and_most_can_be_reached(population: Population) -> None:
    risky = at_risk(population, NOW)
    assert 0.03 <= len(risky) / len(population.people) <= 0.05
    assert reachable_by_hubspot(population, NOW) == risky
    assert reachable_by_zendesk(population, NOW) == risky
    reachable = reachable_by_mailchimp(population, NOW)
    assert 0.75 <= len(reachable) / len(risky) < 1
    statuses = {member.status for member in population.mailchimp_members if member.person_id in risky - reachable}
    assert "unsubscribed" in statuses


def test_a_run_some_hours_late_sees_the_same_people_at_risk(population: Population) -> None:
    instants = [record.created_at for record in (*population.zendesk_tickets, *population.stripe_charges)]
    assert all(abs(at - EDGE) >= timedelta(hours=6) for at in instants)
    assert at_risk(population, NOW + timedelta(hours=6)) == at_risk(population, NOW)


def test_history_lies_in_the_120_days_before_now(population: Population) -> None:
    oldest = NOW - timedelta(days=120)
    for event in population.web_events:
        assert oldest <= event.ts <= event.received_at <= NOW - timedelta(minutes=30)
    for changing in (population.hubspot_contacts, population.zendesk_users, population.zendesk_tickets):
        assert all(oldest <= record.created_at <= record.updated_at <= NOW for record in changing)
    for booking in population.calendly_bookings:
        assert oldest <= booking.created_at <= booking.updated_at <= NOW
        assert booking.created_at < booking.starts_at
    assert all(oldest <= member.opted_at <= member.changed_at <= NOW for member in population.mailchimp_members)
    assert all(oldest <= charge.created_at <= NOW for charge in population.stripe_charges)


def test_vendor_keys_are_unique(population: Population) -> None:
    contacts = population.hubspot_contacts
    for keys in (
        [member.email.lower() for member in population.mailchimp_members],
        [number for contact in contacts for number in (contact.id, *contact.merged_ids)],
        [email for contact in contacts for email in (contact.email, *contact.additional_emails) if email],
        [user.id for user in population.zendesk_users],
        [user.email for user in population.zendesk_users if user.email],
        [user.external_id for user in population.zendesk_users if user.external_id],
        [ticket.id for ticket in population.zendesk_tickets],
        [customer.id for customer in population.stripe_customers],
        [charge.id for charge in population.stripe_charges],
        [booking.invitee_uuid for booking in population.calendly_bookings],
        [event.event_id for event in population.web_events],
    ):
        assert max(Counter(keys).values()) == 1


def test_records_point_at_records_of_the_same_person(population: Population) -> None:
    customers = {customer.id: customer.person_id for customer in population.stripe_customers}
    assert all(customers[charge.customer_id] == charge.person_id for charge in population.stripe_charges)
    users = {user.id: user.person_id for user in population.zendesk_users}
    assert all(users[ticket.requester_id] == ticket.person_id for ticket in population.zendesk_tickets)
    contacts = {contact.id for contact in population.hubspot_contacts}
    assert all(set(deal.contact_ids) <= contacts for deal in population.hubspot_deals)


def test_an_own_address_number_account_or_device_never_shows_up_under_somebody_else(population: Population) -> None:
    owners = {email: person.person_id for person in population.people for email in person.emails}
    assert len(owners) == sum(len(person.emails) for person in population.people)
    accounts = {person.user_id: person.person_id for person in population.people if person.user_id}
    phones = {person.phone: person.person_id for person in population.people if person.phone}
    assert len(phones) == sum(person.phone is not None for person in population.people)
    seen: list[tuple[str | None, int | None]] = []
    for record in (*population.mailchimp_members, *population.stripe_customers, *population.calendly_bookings):
        seen.append((record.email, record.person_id))
    for user in population.zendesk_users:
        seen.append((user.email, user.person_id))
        assert user.external_id is None or accounts[user.external_id] == user.person_id
    for contact in population.hubspot_contacts:
        seen += [(email, contact.person_id) for email in (contact.email, *contact.additional_emails)]
    for event in population.web_events:
        seen.append((event.properties.get("email"), event.person_id))
        assert accounts.get(event.user_id or "", event.person_id) == event.person_id
    for email, whose in seen:
        clean = (email or "").strip().lower()
        assert owners.get(clean, whose) == whose
    homes = defaultdict(set)
    for person in population.people:
        for device in person.devices:
            homes[device].add(person.household)
    assert all(len(households) == 1 for households in homes.values())


def test_whoever_has_a_recent_ticket_can_be_joined_by_trusted_evidence(population: Population) -> None:
    recent = {ticket.person_id for ticket in population.zendesk_tickets if ticket.created_at >= EDGE}
    contacts = {contact.person_id: contact for contact in population.hubspot_contacts}
    assert at_risk(population, NOW) <= recent
    for who in recent:
        assert who is not None
        contact = contacts[who]
        assert (contact.email, *contact.additional_emails) == population.people[who - 1].emails
    for record in (*population.stripe_customers, *population.zendesk_users, *population.mailchimp_members):
        if record.person_id in recent:
            known = population.people[record.person_id - 1].emails
            assert (record.email or "").strip().lower() in known


def test_families_share_a_tablet_and_take_turns(population: Population) -> None:
    shared: defaultdict[str, set[int]] = defaultdict(set)
    for person in population.people:
        if person.household is not None:
            shared[person.devices[-1]].add(person.person_id)
    assert shared
    assert all(2 <= len(members) <= 4 for members in shared.values())
    users = defaultdict(set)
    ways = Counter()
    for event in population.web_events:
        if event.anonymous_id in shared:
            users[event.anonymous_id].add(event.person_id)
            ways[(event.kind == "identify", event.user_id is not None)] += 1
    assert all(users[device] <= members for device, members in shared.items())
    assert sum(len(found) > 1 for found in users.values()) >= 0.9 * len(shared)
    assert ways[True, True]
    assert ways[True, False]


def test_kiosks_have_many_visitors_and_events_of_nobody(population: Population) -> None:
    own = {device for person in population.people for device in person.devices}
    kiosk = [event for event in population.web_events if event.anonymous_id not in own]
    assert len({event.person_id for event in kiosk} - {None}) >= 5
    nobodys = [event for event in kiosk if event.person_id is None]
    assert nobodys
    # Whatever is somebody's says so itself; what says nothing is nobody's.
    assert all(event.user_id or "email" in event.properties for event in kiosk if event.person_id is not None)
    assert all(event.user_id is None for event in nobodys)
    assert not any(event.person_id is None for event in population.web_events if event.anonymous_id in own)


def test_several_people_use_one_inbox_beside_their_own_address(population: Population) -> None:
    own = {email for person in population.people for email in person.emails}
    users = defaultdict(set)
    for record in (*population.stripe_customers, *population.calendly_bookings):
        email = (record.email or "").strip().lower()
        if email not in own and email not in PLACEHOLDER_EMAILS and email:
            users[email].add(record.person_id)
    assert len(users) >= 2
    assert all(len(people) >= 3 for people in users.values())
    helped = {user.id for user in population.zendesk_users if user.email in users}
    assert helped
    assert {ticket.person_id for ticket in population.zendesk_tickets if ticket.requester_id in helped} == {None}


def test_people_type_placeholders_and_misspell_their_address(population: Population) -> None:
    identifies = [event for event in population.web_events if event.kind == "identify"]
    addresses = {event.properties.get("email", "") for event in identifies}
    assert addresses & set(PLACEHOLDER_EMAILS)
    for placeholder in PLACEHOLDER_USER_IDS[:1]:
        typists = {event.person_id for event in population.web_events if event.user_id == placeholder}
        assert len(typists) > 1
    assert any(address != address.strip() for address in addresses)
    assert any(address != address.lower() for address in addresses)


def test_links_carry_the_address_or_its_hash(population: Population) -> None:
    kinds = Counter()
    for event in population.web_events:
        for name, values in parse_qs(urlsplit(event.url or "").query).items():
            assert event.person_id is not None or name.startswith("utm_")
            if event.person_id is None:
                continue
            emails = population.people[event.person_id - 1].emails
            if name in ("email", "utm_email"):
                assert values[0].strip().lower() in emails
            elif name == "eh":
                assert values[0] in {hash_email(email) for email in emails}
            kinds[name] += 1
    assert min(kinds["email"], kinds["utm_email"], kinds["eh"]) >= 5


def test_bookings_name_the_visitors_device(population: Population) -> None:
    booked = [booking for booking in population.calendly_bookings if booking.utm_term not in (None, "null")]
    assert len(booked) >= 0.4 * len(population.calendly_bookings)
    for booking in booked:
        assert booking.person_id is not None
        assert booking.utm_term in population.people[booking.person_id - 1].devices


def test_some_help_desk_users_have_only_a_name(population: Population) -> None:
    names = Counter(person.name for person in population.people)
    nameless = [user for user in population.zendesk_users if user.email is None]
    counts = Counter(names[user.name] for user in nameless)
    assert counts[1] >= 3
    assert counts[2] >= 1
    for user in nameless:
        assert (user.phone, user.external_id) == (None, None)
        assert user.person_id not in at_risk(population, NOW)


def test_the_crm_holds_duplicates(population: Population) -> None:
    contacts = population.hubspot_contacts
    assert any(contact.merged_ids for contact in contacts)
    assert any(contact.additional_emails for contact in contacts)
    assert any(contact.email is None and contact.phone for contact in contacts)


def test_some_devices_never_identify_themselves(population: Population) -> None:
    telling = {event.anonymous_id for event in population.web_events if event.user_id or event.kind == "identify"}
    telling |= {event.anonymous_id for event in population.web_events if "email" in (event.url or "")}
    telling |= {booking.utm_term for booking in population.calendly_bookings}
    devices = {event.anonymous_id for event in population.web_events}
    assert 0.1 <= len(devices - telling) / len(devices) <= 0.4


def test_recovering_people_order_just_before_now(fresh: Population) -> None:
    before, later = at_risk(fresh, NOW), NOW + timedelta(hours=1)
    charges = len(fresh.stripe_charges)
    recovered = advance(fresh, later, 3)
    assert len(recovered) == 3
    assert at_risk(fresh, later) == before - set(recovered)
    placed = fresh.stripe_charges[charges:]
    assert [charge.person_id for charge in placed] == list(recovered)
    assert fresh.now == later
    customers = {customer.id: customer for customer in fresh.stripe_customers}
    for charge in placed:
        assert timedelta(0) < later - charge.created_at < timedelta(minutes=10)
        assert customers[charge.customer_id].person_id == charge.person_id
        assert charge.status == "succeeded"


def test_recovery_starts_with_people_a_list_can_show(fresh: Population) -> None:
    reachable = reachable_by_mailchimp(fresh, NOW)
    assert set(advance(fresh, NOW, 2)) <= reachable


def test_named_people_recover_unless_they_are_not_at_risk(fresh: Population) -> None:
    risky = sorted(at_risk(fresh, NOW))
    calm = next(person.person_id for person in fresh.people if person.person_id not in risky)
    assert advance(fresh, NOW, [risky[-1], calm]) == (risky[-1],)
    assert at_risk(fresh, NOW) == set(risky[:-1])


def test_recovery_uses_the_existing_customer_and_makes_one_only_where_there_is_none(fresh: Population) -> None:
    paying = people_with(fresh.stripe_customers)
    count = len(fresh.stripe_customers)
    recovered = advance(fresh, NOW, len(fresh.people))
    assert set(recovered) - paying == people_with(fresh.stripe_customers[count:])
    assert len(fresh.stripe_customers) - count == len(set(recovered) - paying)
    assert at_risk(fresh, NOW) == set()


def test_time_passing_alone_ends_the_risk(fresh: Population) -> None:
    assert advance(fresh, NOW + timedelta(days=31)) == ()
    assert at_risk(fresh, fresh.now) == set()


def test_the_clock_never_goes_back(fresh: Population) -> None:
    with pytest.raises(ValueError, match="cannot go back"):
        advance(fresh, NOW - timedelta(seconds=1))
