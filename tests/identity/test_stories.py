"""Stories of people and their identifiers: who is one, who is not, and whose the event is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from include.warehouse.engine import Engine
from include.warehouse.identity.evidence import scores
from include.warehouse.identity.inferred import UNSAID
from include.warehouse.identity.kinds import Limits

People = Any
World = Any
Ask = Callable[[Engine], People]

TABLET = ("anonymous_id", "tablet")
ANN, BOB = ("user_id", "ann-1"), ("user_id", "bob-2")
ANN_MAIL, BOB_MAIL = ("email", "ann@work.example.org"), ("email", "bob@work.example.org")


def hashed(email: str) -> tuple[str, str]:
    return ("email_sha256", hashlib.sha256(email.encode()).hexdigest())


def test_id_is_the_hash_of_the_oldest_identifier(world: World, people_of: Ask) -> None:
    world.event("e1", ("anonymous_id", "d1"))
    world.event("e2", ("anonymous_id", "d1"), ANN)
    world.see(ANN, ANN_MAIL)
    people = people_of(world.stitch()[0])
    assert set(people.ids.values()) == {hashlib.sha256(b"anonymous_id:d1").hexdigest()[:32]}
    assert people.events["e1"] == people.events["e2"]


def test_chain_of_tools_is_one_person(world: World, people_of: Ask) -> None:
    chain = [
        ("anonymous_id", "laptop"),
        ANN,
        ANN_MAIL,
        ("hubspot_contact_id", "main/1"),
        ("email", "ann@home.example.org"),
        ("stripe_customer_id", "main/cus_1"),
    ]
    for left, right in pairwise(chain):
        world.see(left, right)
    assert people_of(world.stitch()[0]).same(*chain)


def test_family_tablet_fuses_nobody_and_follows_who_signed_in(world: World, people_of: Ask) -> None:
    world.event("before", TABLET, minute=0)
    world.event("ann in", TABLET, ANN, minute=10)
    world.event("ann reads", TABLET, minute=20)
    world.event("bob in", TABLET, BOB, minute=5000)
    world.event("bob reads", TABLET, minute=5010)
    world.event("ann again", TABLET, ANN, minute=9000)
    world.event("ann reads again", TABLET, minute=20000)
    engine, summary = world.stitch()
    people = people_of(engine)
    assert people.ids[ANN] != people.ids[BOB]
    assert people.events["ann reads"] == people.events["ann reads again"] == people.ids[ANN]
    assert people.events["bob reads"] == people.ids[BOB]
    assert people.events["before"] not in (people.ids[ANN], people.ids[BOB])
    assert people.blocked[TABLET] == "shared_device"
    assert summary.shared_devices == 1
    turns = engine.query(
        "SELECT customer_id, valid_from, valid_to FROM identity.ownership AS o "
        "WHERE value = 'tablet' ORDER BY valid_from"
    )
    assert [row["customer_id"] for row in turns] == [
        people.events["before"],
        people.ids[ANN],
        people.ids[BOB],
        people.ids[ANN],
    ]
    assert all(one["valid_to"] == two["valid_from"] for one, two in pairwise(turns))
    assert turns[-1]["valid_to"] is None


def test_account_and_address_on_one_device_are_one_person(world: World, people_of: Ask) -> None:
    world.event("form", ("anonymous_id", "phone-1"), ANN_MAIL)
    world.event("login", ("anonymous_id", "phone-1"), ANN)
    people = people_of(world.stitch()[0])
    assert people.same(ANN, ANN_MAIL, ("anonymous_id", "phone-1"))


@pytest.mark.parametrize(
    ("other_name", "is_one"),
    [(("Ann", "Smith"), True), (("A", "Smith"), True), (("Tom", "Smith"), False), (None, False)],
)
def test_two_addresses_on_one_device_need_names_that_agree(
    world: World, people_of: Ask, other_name: tuple[str, str] | None, is_one: bool
) -> None:
    home = ("email", "as@home.example.org")
    world.event("e1", TABLET, ANN_MAIL)
    world.event("e2", TABLET, home)
    world.call(ANN_MAIL, "Ann", "Smith")
    if other_name:
        world.call(home, *other_name)
    assert people_of(world.stitch()[0]).same(ANN_MAIL, home) is is_one


def test_namesakes_with_records_of_their_own_share_a_tablet(world: World, people_of: Ask) -> None:
    father, son = ("stripe_customer_id", "main/cus_1"), ("hubspot_contact_id", "main/1")
    for record, mail in ((father, ANN_MAIL), (son, BOB_MAIL)):
        world.see(record, mail)
        world.call(record, "Emil", "Torres")
        world.event(f"e {mail}", TABLET, mail)
    assert not people_of(world.stitch()[0]).same(father, son)
    assert people_of(world.stitch(limits=Limits(devices_join_records=True))[0]).same(father, son)


def test_device_of_too_many_people_is_shared_even_if_names_agree(world: World, people_of: Ask) -> None:
    mails = [("email", f"ann{number}@home.example.org") for number in range(4)]
    for number, mail in enumerate(mails):
        world.event(f"e{number}", TABLET, mail)
        world.call(mail, "Ann", "Smith")
    people = people_of(world.stitch()[0])
    assert len({people.ids[mail] for mail in mails}) == 4
    assert people.blocked[TABLET] == "shared_device"


def test_chain_of_shared_devices_does_not_collect_accounts(world: World, people_of: Ask) -> None:
    # Each device alone could be one person's: together they would hold two accounts.
    world.event("e1", ("anonymous_id", "d1"), ANN)
    world.event("e2", ("anonymous_id", "d1"), ANN_MAIL)
    world.event("e3", ("anonymous_id", "d2"), ANN_MAIL)
    world.event("e4", ("anonymous_id", "d2"), BOB)
    people = people_of(world.stitch()[0])
    assert people.ids[ANN] != people.ids[BOB]


def test_role_inbox_and_placeholders_join_nobody(world: World, people_of: Ask) -> None:
    nobody = [
        ("email", "info@shop.example.org"),
        ("email", "test@test.com"),
        hashed("test@test.com"),
        ("user_id", "NULL"),
        ("user_id", "00000000-0000-0000-0000-000000000000"),
        ("user_id", "anonymous"),
        ("stripe_customer_id", "main/undefined"),
        ("phone", "000-000-0000"),
        ("phone", "+1 999 999 9999"),
    ]
    for number, value in enumerate(nobody):
        for side in "ab":
            world.see(value, ("hubspot_contact_id", f"main/{number}{side}"))
    engine, summary = world.stitch()
    people = people_of(engine)
    for number in range(len(nobody)):
        assert (
            people.ids["hubspot_contact_id", f"main/{number}a"] != people.ids["hubspot_contact_id", f"main/{number}b"]
        )
    assert summary.blocked == len(nobody)
    assert people.blocked["email", "info@shop.example.org"] == "role_inbox"
    assert people.blocked["email", "test@test.com"] == "placeholder"
    assert not set(people.blocked) & set(people.ids)


@pytest.mark.parametrize(
    "value", [("user_id", "1"), ("user_id", "77"), ("email", "infos@shop.example.org"), ("phone", "+12005550101")]
)
def test_real_values_that_look_odd_are_not_blocked(world: World, people_of: Ask, value: tuple[str, str]) -> None:
    world.see(value, ("stripe_customer_id", "main/cus_1"))
    assert people_of(world.stitch()[0]).same(value, ("stripe_customer_id", "main/cus_1"))


def test_inbox_of_two_accounts_is_blocked_by_the_data(world: World, people_of: Ask) -> None:
    inbox = ("email", "the.smiths@home.example.org")
    world.see(ANN, inbox)
    world.see(BOB, inbox)
    engine, _ = world.stitch()
    people = people_of(engine)
    assert people.ids[ANN] != people.ids[BOB]
    assert people.blocked[inbox] == "shared_inbox"
    assert engine.query("SELECT met, detail FROM identity.blocked_values AS b") == [{"met": 2, "detail": "2 accounts"}]


def test_inbox_of_three_names_is_blocked_by_the_data_and_so_is_its_hash(world: World, people_of: Ask) -> None:
    inbox = ("email", "welcome-desk@hotel.example.org")
    for number, name in enumerate((("Ann", "Smith"), ("Tom", "Brown"), ("Eve", "Jones"))):
        world.see(("stripe_customer_id", f"main/cus_{number}"), inbox)
        world.call(("stripe_customer_id", f"main/cus_{number}"), *name)
    world.event("e1", TABLET, hashed(inbox[1]))
    people = people_of(world.stitch()[0])
    assert len({people.ids["stripe_customer_id", f"main/cus_{number}"] for number in range(3)}) == 3
    assert people.blocked[inbox] == people.blocked[hashed(inbox[1])] == "shared_inbox"


def test_customer_who_pays_as_guest_again_and_again_is_one_person(world: World, people_of: Ask) -> None:
    records = [("stripe_customer_id", f"main/cus_{number}") for number in range(12)]
    for record in records:
        world.see(record, ANN_MAIL)
        world.call(record, "Ann", "Smith")
    assert people_of(world.stitch()[0]).same(ANN_MAIL, *records)


def test_two_accounts_at_the_ends_of_a_chain_stay_apart(world: World, people_of: Ask) -> None:
    world.see(ANN, ANN_MAIL)
    world.see(BOB, BOB_MAIL)
    contact = ("hubspot_contact_id", "main/1")
    world.see(contact, ANN_MAIL)
    world.see(contact, BOB_MAIL)
    people = people_of(world.stitch()[0])
    assert people.same(ANN, ANN_MAIL, contact), "the older evidence holds"
    assert people.same(BOB, BOB_MAIL)
    assert people.ids[ANN] != people.ids[BOB]


def test_person_has_at_most_five_addresses(world: World, people_of: Ask) -> None:
    contact = ("hubspot_contact_id", "main/1")
    mails = [("email", f"ann{number}@home.example.org") for number in range(7)]
    for mail in mails:
        world.see(contact, mail)
    engine, _ = world.stitch()
    people = people_of(engine)
    assert [people.ids[mail] == people.ids[contact] for mail in mails] == [True] * 5 + [False] * 2
    raised, _ = world.stitch(limits=Limits(per_person={"email": 7}))
    assert people_of(raised).same(contact, *mails)


WEEK = 7 * 24 * 60
"""Minutes."""


def test_person_has_at_most_five_new_devices_in_a_week(world: World, people_of: Ask) -> None:
    """A script that signs in as a new visitor each time; what visitors do on their own is theirs."""
    robots = [("anonymous_id", f"robot-{number}") for number in range(7)]
    for number, robot in enumerate(robots):
        world.event(f"in {number}", robot, ANN, minute=number)
        world.event(f"alone {number}", robot, minute=number + 0.5)
    later = ("anonymous_id", "a week later")
    world.event("later", later, ANN, minute=WEEK)
    engine, _ = world.stitch()
    people = people_of(engine)
    assert people.same(ANN, later, *robots[:5])
    assert len({people.ids[ANN], people.ids[robots[5]], people.ids[robots[6]]}) == 3
    assert people.blocked == {robots[5]: "too_many_devices", robots[6]: "too_many_devices"}
    details = engine.query("SELECT DISTINCT detail, met FROM identity.blocked_values AS b")
    assert details == [{"detail": "7 new ones of one person in the 7 days from 2026-01-01, 5 are the most", "met": 7}]
    assert people.events["in 6"] == people.ids[ANN]
    assert people.events["alone 6"] == people.ids[robots[6]]


def test_limit_of_devices_can_be_set(world: World, people_of: Ask) -> None:
    devices = [("anonymous_id", f"d{number}") for number in range(3)]
    for number, device in enumerate(devices):
        world.event(f"e{number}", device, ANN)
    people = people_of(world.stitch(limits=Limits(per_person={"anonymous_id": 2}))[0])
    assert people.same(ANN, *devices[:2])
    assert not people.same(ANN, devices[2])


def test_merged_crm_contact_is_one_person(world: World, people_of: Ask) -> None:
    old, new = ("hubspot_contact_id", "main/1"), ("hubspot_contact_id", "main/2")
    world.see(old, ANN_MAIL)
    world.see(new, ("email", "ann@home.example.org"))
    first, _ = world.stitch()
    assert not people_of(first).same(old, new)
    world.see(new, old, rule="hubspot_merged")
    second, summary = world.stitch(previous=first.generation)
    people = people_of(second)
    assert people.same(old, new, ANN_MAIL)
    assert summary.merges == 1
    gone = people_of(first).ids[new]
    merged = second.query(
        "SELECT customer_id, other_customer_id, detail FROM identity.changes AS c WHERE change = 'merged'"
    )
    assert merged == [
        {
            "customer_id": people.ids[old],
            "other_customer_id": gone,
            "detail": "hubspot_merged: hubspot_contact_id - hubspot_contact_id",
        }
    ]
    assert second.query("SELECT old_customer_id, customer_id FROM identity.redirects AS r") == [
        {"old_customer_id": gone, "customer_id": people.ids[old]}
    ]


def test_booking_ties_the_visitor_to_the_address(world: World, people_of: Ask) -> None:
    visitor, invitee = ("anonymous_id", "visitor"), ("calendly_invitee", "main/abc")
    world.event("page", visitor)
    world.see(invitee, visitor, rule="calendly_utm_term")
    world.see(invitee, ANN_MAIL)
    people = people_of(world.stitch()[0])
    assert people.same(visitor, invitee, ANN_MAIL)
    assert people.events["page"] == people.ids[ANN_MAIL]


@pytest.mark.parametrize("spelled", ["+49301234567", "49301234567"])
def test_hashed_number_meets_the_clear_one_with_its_plus_or_without(world: World, people_of: Ask, spelled: str) -> None:
    of_number = ("phone_sha256", hashlib.sha256(spelled.encode()).hexdigest().upper())
    world.event("lead", ("facebook_id", "f1"), of_number)
    world.see(("hubspot_contact_id", "main/1"), ("phone", "+49 (30) 123-4567"))
    people = people_of(world.stitch()[0])
    assert people.events["lead"] == people.ids["hubspot_contact_id", "main/1"]


def test_hash_of_a_family_s_number_joins_nobody(world: World, people_of: Ask) -> None:
    number, of_number = ("phone", "+49301234567"), ("phone_sha256", hashlib.sha256(b"+49301234567").hexdigest())
    for name in ("Ann", "Bob", "Cem"):
        record = ("hubspot_contact_id", f"main/{name}")
        world.see(record, number)
        world.call(record, name, "Smith")
    world.see(("user_id", "u1"), of_number)
    world.see(("user_id", "u2"), of_number)
    people = people_of(world.stitch()[0])
    ids = [people.ids["hubspot_contact_id", f"main/{name}"] for name in ("Ann", "Bob", "Cem")]
    ids += [people.ids["user_id", "u1"], people.ids["user_id", "u2"]]
    assert len(set(ids)) == 5
    assert people.blocked[number] == people.blocked[of_number] == "shared_phone"


def test_hash_of_a_placeholder_is_nobody_either(world: World, people_of: Ask) -> None:
    number, of_number = ("phone", "+10000000000"), ("phone_sha256", hashlib.sha256(b"10000000000").hexdigest())
    world.see(("stripe_customer_id", "main/a"), number)
    world.see(("user_id", "u1"), of_number)
    people = people_of(world.stitch()[0])
    assert people.ids["stripe_customer_id", "main/a"] != people.ids["user_id", "u1"]
    assert people.blocked[number] == people.blocked[of_number] == "placeholder"


def test_hash_in_a_link_meets_the_address(world: World, people_of: Ask) -> None:
    world.event("click", ("anonymous_id", "d1"), hashed(ANN_MAIL[1]))
    world.see(("mailchimp_member_id", "main/l/m"), ANN_MAIL)
    people = people_of(world.stitch()[0])
    assert people.events["click"] == people.ids[ANN_MAIL]
    assert people.same(hashed(ANN_MAIL[1]), ANN_MAIL)


@pytest.mark.parametrize("visitors_seen", [4, 8], ids=["four who came once", "eight"])
def test_kiosk_belongs_to_a_visitor_for_a_session_only(world: World, people_of: Ask, visitors_seen: int) -> None:
    kiosk = ("anonymous_id", "kiosk")
    for number in range(visitors_seen):
        start = number * 600
        world.event(f"idle {number}", kiosk, minute=start)
        world.event(f"in {number}", kiosk, ("user_id", f"visitor-{number}"), minute=start + 100)
        world.event(f"reads {number}", kiosk, minute=start + 110)
        world.event(f"later {number}", kiosk, minute=start + 200)
    people = people_of(world.stitch()[0])
    everybody = range(visitors_seen)
    visitors = [people.ids["user_id", f"visitor-{number}"] for number in everybody]
    assert len(set(visitors)) == visitors_seen
    assert [people.events[f"reads {number}"] for number in everybody] == visitors
    strangers = [people.events[f"{what} {number}"] for what in ("idle", "later") for number in everybody]
    assert len(set(strangers)) == 2 * visitors_seen, "strangers are not pooled"
    assert not set(strangers) & set(visitors)


def test_tablet_of_a_family_of_four_stays_with_whoever_signed_in_last(world: World, people_of: Ask) -> None:
    tablet = ("anonymous_id", "tablet")
    for day in range(8):
        world.event(f"in {day}", tablet, ("user_id", f"member-{day % 4}"), minute=day * 1440)
        world.event(f"later {day}", tablet, minute=day * 1440 + 300)
    people = people_of(world.stitch()[0])
    members = [people.ids["user_id", f"member-{day % 4}"] for day in range(8)]
    assert [people.events[f"later {day}"] for day in range(8)] == members
    assert len(set(members)) == 4


def test_phone_of_a_family_joins_nobody_and_of_one_person_joins_records(world: World, people_of: Ask) -> None:
    phone, own = ("phone", "+12005550101"), ("phone", "+12005550102")
    for number, first in enumerate(("Ann", "Tom"), start=1):
        world.see(("hubspot_contact_id", f"main/{number}"), phone)
        world.call(("hubspot_contact_id", f"main/{number}"), first, "Smith")
    for record in (("hubspot_contact_id", "main/7"), ("stripe_customer_id", "main/cus_7")):
        world.see(record, own)
        world.call(record, "Eve", "Jones")
    people = people_of(world.stitch()[0])
    assert people.ids["hubspot_contact_id", "main/1"] != people.ids["hubspot_contact_id", "main/2"]
    assert people.blocked[phone] == "shared_phone"
    assert people.same(("hubspot_contact_id", "main/7"), ("stripe_customer_id", "main/cus_7"), own)


def test_phone_never_joins_two_accounts(world: World, people_of: Ask) -> None:
    world.see(ANN, ("phone", "+12005550101"))
    world.see(BOB, ("phone", "+12005550101"))
    world.call(ANN, "Kim", "Smith")
    world.call(BOB, "Kim", "Smith")
    people = people_of(world.stitch()[0])
    assert people.ids[ANN] != people.ids[BOB]


def test_event_of_nobody_is_pooled_with_nothing(world: World, people_of: Ask) -> None:
    world.event("e1", ("email", "test@test.com"))
    world.event("e2", ("email", "test@test.com"))
    people = people_of(world.stitch()[0])
    assert people.events["e1"] != people.events["e2"]


def test_strongest_identifier_decides_an_event(world: World, people_of: Ask) -> None:
    world.see(ANN, ANN_MAIL)
    world.see(BOB, BOB_MAIL)
    world.occurrences += [
        {"event_id": "e", "ts": None, "seq": 1, "kind": kind, "value": value}
        for kind, value in (BOB_MAIL, ANN, ("anonymous_id", "x"))
    ]
    for row in world.occurrences:
        row["ts"] = world.facts[0]["ts"]
    people = people_of(world.stitch()[0])
    assert people.events["e"] == people.ids[ANN]


@pytest.mark.parametrize(("rule", "said"), [*scores().items(), ("no file says so", UNSAID)])
def test_guess_attaches_to_the_only_match_flagged_and_scored(
    world: World, people_of: Ask, rule: str, said: float
) -> None:
    ticket, contact = ("zendesk_user_id", "main/9"), ("hubspot_contact_id", "main/1")
    world.see(contact, ANN_MAIL)
    world.event("ticket", ticket)
    world.see(ticket, contact, inferred=True, rule=rule)
    engine, summary = world.stitch()
    people = people_of(engine)
    assert people.ids[ticket] == people.ids[contact]
    assert people.inferred == {ticket}
    scored = engine.query("SELECT kind, score FROM identity.identifiers AS i ORDER BY kind")
    assert {row["kind"]: row["score"] for row in scored} == {"email": 1, "hubspot_contact_id": 1, ticket[0]: said}
    assert engine.query("SELECT event_id, is_inferred FROM identity.events AS e") == [
        {"event_id": "ticket", "is_inferred": True}
    ]
    assert summary.inferred == 1


def test_guess_with_two_matches_attaches_nothing(world: World, people_of: Ask) -> None:
    ticket = ("zendesk_user_id", "main/9")
    for number, mail in enumerate((ANN_MAIL, BOB_MAIL), start=1):
        world.see(("hubspot_contact_id", f"main/{number}"), mail)
        world.see(ticket, ("hubspot_contact_id", f"main/{number}"), inferred=True)
    engine, summary = world.stitch()
    people = people_of(engine)
    assert people.ids[ticket] not in (people.ids[ANN_MAIL], people.ids[BOB_MAIL])
    assert summary.inferred == 0
    assert engine.query("SELECT kind, candidates, reason FROM identity.review AS r") == [
        {"kind": "zendesk_user_id", "candidates": 2, "reason": "ambiguous"}
    ]


def test_guess_never_merges_two_people(world: World, people_of: Ask) -> None:
    world.see(ANN, ANN_MAIL)
    world.see(BOB, BOB_MAIL)
    world.see(ANN, BOB, inferred=True)
    engine, _ = world.stitch()
    people = people_of(engine)
    assert people.ids[ANN] != people.ids[BOB]
    assert not people.inferred
    assert [row["reason"] for row in engine.query("SELECT reason FROM identity.review AS r")] == ["two_people"]


def test_space_keeps_brands_apart_and_guards_still_hold(world: World, people_of: Ask) -> None:
    world.see(("email", "info@shop.example.org"), ("stripe_customer_id", "main/cus_1"))
    world.see(ANN_MAIL, ("stripe_customer_id", "main/cus_2"))
    world.event("e", TABLET, hashed(ANN_MAIL[1]))
    people = people_of(world.stitch(space="north/")[0])
    assert people.blocked["email", "north/info@shop.example.org"] == "role_inbox"
    assert people.same(("email", f"north/{ANN_MAIL[1]}"), ("anonymous_id", "north/tablet"))


def test_device_joins_the_account_and_the_contact_that_complete_each_other(world: World, people_of: Ask) -> None:
    device = ("anonymous_id", "d1")
    contact, payer = ("hubspot_contact_id", "main/1"), ("stripe_customer_id", "main/cus_1")
    world.event("login", device, ANN)
    world.see(ANN, payer)
    world.event("form", device, ANN_MAIL)
    world.see(contact, ANN_MAIL)
    assert people_of(world.stitch()[0]).same(device, ANN, payer, ANN_MAIL, contact)
