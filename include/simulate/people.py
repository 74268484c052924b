"""The invented people and every record the SaaS tools hold of them, with the truth of who is who.

Each record carries `person_id`, which no vendor ever sends: it is what an answer is scored against
(`truth.py`). `None` means that nobody can say whose it is: a shared inbox, a placeholder, a kiosk.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

AUDIENCE_ID = "aud0000001"
AUDIENCE_NAME = "Newsletter"


@dataclass(frozen=True, slots=True)
class Person:
    """One human being; `emails` are their own, clean, the main one first; `devices` are anonymous ids."""

    person_id: int
    first_name: str
    last_name: str
    emails: tuple[str, ...]
    phone: str | None
    user_id: str | None
    devices: tuple[str, ...]
    household: int | None

    @property
    def name(self) -> str:
        """First and last name as people write it."""
        return f"{self.first_name} {self.last_name}"


@dataclass(frozen=True, slots=True)
class MailchimpMember:
    """A member of the one audience; status is subscribed, unsubscribed, cleaned, pending or archived."""

    person_id: int | None
    email: str
    status: str
    first_name: str
    last_name: str
    phone: str | None
    tags: tuple[str, ...]
    opted_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class HubspotContact:
    """A CRM contact; `merged_ids` are contacts that no longer exist because they were merged into it."""

    person_id: int | None
    id: int
    email: str | None
    firstname: str
    lastname: str
    phone: str | None
    additional_emails: tuple[str, ...]
    merged_ids: tuple[int, ...]
    lifecyclestage: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class HubspotCompany:
    """A CRM company."""

    id: int
    name: str
    domain: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class HubspotDeal:
    """A CRM deal and the contacts it is associated with; `amount` in whole currency units."""

    id: int
    name: str
    amount: int
    stage: str
    contact_ids: tuple[int, ...]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class CalendlyBooking:
    """One scheduled event and its only invitee; `utm_term` is the anonymous id the website put in the link."""

    person_id: int | None
    event_uuid: str
    invitee_uuid: str
    email: str
    name: str
    phone: str | None
    utm_term: str | None
    starts_at: datetime
    created_at: datetime
    updated_at: datetime
    status: str
    is_no_show: bool


@dataclass(frozen=True, slots=True)
class ZendeskUser:
    """A help desk user; `role` is end-user or agent, `external_id` the website's user id."""

    person_id: int | None
    id: int
    name: str
    email: str | None
    phone: str | None
    external_id: str | None
    role: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ZendeskTicket:
    """A support ticket; status is new, open, pending, hold, solved, closed or deleted."""

    id: int
    person_id: int | None
    requester_id: int
    subject: str
    status: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ZendeskOrganization:
    """A help desk organization."""

    id: int
    name: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class StripeCustomer:
    """A payment customer; one person may have several, and several may share an inbox."""

    person_id: int | None
    id: str
    email: str | None
    name: str
    phone: str | None
    metadata: dict[str, str]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StripeCharge:
    """A payment; `amount` in minor units; status is succeeded or failed."""

    id: str
    person_id: int | None
    customer_id: str
    amount: int
    currency: str
    status: str
    refunded: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class WebEvent:
    """One website event as Segment received it; `properties` are the traits of an identify.

    `properties` may be shared between events: read it, never change it.
    """

    person_id: int | None
    event_id: str
    kind: str
    ts: datetime
    received_at: datetime
    anonymous_id: str
    user_id: str | None
    name: str
    url: str | None
    properties: dict[str, str]


@dataclass(slots=True)
class Population:
    """Everybody and everything at `now`; lists grow only through `advance`."""

    now: datetime
    seed: int
    people: list[Person]
    mailchimp_members: list[MailchimpMember] = field(default_factory=list)
    hubspot_contacts: list[HubspotContact] = field(default_factory=list)
    hubspot_companies: list[HubspotCompany] = field(default_factory=list)
    hubspot_deals: list[HubspotDeal] = field(default_factory=list)
    calendly_bookings: list[CalendlyBooking] = field(default_factory=list)
    zendesk_users: list[ZendeskUser] = field(default_factory=list)
    zendesk_tickets: list[ZendeskTicket] = field(default_factory=list)
    zendesk_organizations: list[ZendeskOrganization] = field(default_factory=list)
    stripe_customers: list[StripeCustomer] = field(default_factory=list)
    stripe_charges: list[StripeCharge] = field(default_factory=list)
    web_events: list[WebEvent] = field(default_factory=list)

    @classmethod
    def generate(cls, people: int, seed: int, now: datetime) -> Population:
        """Invent `people` persons and about 120 days of their records before `now`; same arguments, same world.

        Raises:
            ValueError: `now` has no time zone, or `people` is below one.
        """
        # Imported late because the makers are written in terms of the records above.
        from include.simulate.accounts import add_accounts
        from include.simulate.browsing import add_web_events
        from include.simulate.crowd import make_crowd

        if now.tzinfo is None:
            raise ValueError(f"now {now.isoformat()} has no time zone; pass an aware datetime")
        if people < 1:
            raise ValueError(f"a population of {people} people has nobody in it")
        crowd = make_crowd(people, seed)
        population = cls(now, seed, crowd.people)
        moments = add_web_events(population, crowd)
        add_accounts(population, crowd, moments)
        return population


def advance(population: Population, now: datetime, recover: int | Iterable[int] = 0) -> tuple[int, ...]:
    """Move the world's clock to `now`; people at risk then place an order a few minutes earlier.

    The new charges (and customers, for people who never paid before) are appended to the population's lists.

    Args:
        population: the world, changed in place.
        now: the new present; not before the population's own.
        recover: how many people at risk, or exactly who; anybody named who is not at risk is left alone.

    Returns:
        The person ids who recovered, ascending.

    Raises:
        ValueError: `now` lies before the world's present.
    """
    from include.simulate.truth import at_risk, reachable_by_mailchimp

    if now < population.now:
        raise ValueError(f"the world is at {population.now.isoformat()} and cannot go back to {now.isoformat()}")
    risky = at_risk(population, now)
    if isinstance(recover, int):
        # Whoever a list can show first: a recovery that no tool could see would test nothing.
        reachable = reachable_by_mailchimp(population, now)
        recovered = sorted(sorted(risky, key=lambda who: (who not in reachable, who))[:recover])
    else:
        recovered = sorted(risky.intersection(recover))
    people = {person.person_id: person for person in population.people}
    customers: dict[int, StripeCustomer] = {}
    for customer in population.stripe_customers:
        # Only a customer under an own address shows whose order it is.
        if customer.person_id is not None and _is_own(customer, people[customer.person_id]):
            customers.setdefault(customer.person_id, customer)
    for who in recovered:
        rng = random.Random(f"{population.seed}/recover/{len(population.stripe_charges)}/{who}")
        at = now - timedelta(minutes=rng.randint(3, 9))
        if who not in customers:
            person = people[who]
            customers[who] = StripeCustomer(
                who, f"cus_{rng.getrandbits(56):014x}", person.emails[0], person.name, person.phone, {}, at
            )
            population.stripe_customers.append(customers[who])
        population.stripe_charges.append(
            StripeCharge(
                f"ch_{rng.getrandbits(96):024x}",
                who,
                customers[who].id,
                rng.randint(900, 24_000),
                "usd",
                "succeeded",
                False,
                at,
            )
        )
    population.now = now
    return tuple(recovered)


def _is_own(customer: StripeCustomer, person: Person) -> bool:
    return customer.email is not None and customer.email.strip().lower() in person.emails
