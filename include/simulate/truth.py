"""What is true of the simulated world: who is at risk, who may be written to, and whose every event is.

An answer to "who is who" is scored on pairs of events: two events belong together when one person caused both.
Events are keyed `segment/<event id>`, `calendly/<invitee uuid>`, `stripe/<charge id>`, `zendesk/<ticket id>`.
Events of nobody (`person_id` None: a team's shared help desk user, a kiosk's event without an own identifier)
are left out of the score, whatever the answer says of them.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from urllib.parse import parse_qsl, urlsplit

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

WINDOW = timedelta(days=30)
_REFUSALS = frozenset({"unsubscribed", "cleaned"})

Identifier = tuple[str, str]
Event = WebEvent | CalendlyBooking | StripeCharge | ZendeskTicket
Record = MailchimpMember | HubspotContact | ZendeskUser | StripeCustomer


@dataclass(frozen=True, slots=True)
class Score:
    """How well an assignment of events to customers agrees with the truth.

    Attributes:
        precision: of the pairs of events put together, the share that one person caused.
        recall: of the pairs one person caused, the share put together.
        f1: harmonic mean of the two.
        oracle_recall: the recall of the oracle, which is all that the records can show.
        recall_of_oracle: recall / oracle_recall; above 1 where inference by name found more.
        people_true: people with at least one event.
        people_found: customers with at least one scored event.
        wrong_merges: customers that hold events of more than one person.
        largest_wrong_merge: scored events in the largest of them; 0 if there is none.
        most_people_per_person: the most people found in one customer; above 2 somebody was merged with two others.
    """

    precision: float
    recall: float
    f1: float
    oracle_recall: float
    recall_of_oracle: float
    people_true: int
    people_found: int
    wrong_merges: tuple[str, ...]
    largest_wrong_merge: int
    most_people_per_person: int


def at_risk(population: Population, as_of: datetime) -> set[int]:
    """People with a ticket created in the 30 days before `as_of` (not deleted) and no order in the same 30 days."""
    since = as_of - WINDOW
    asked = {
        ticket.person_id
        for ticket in population.zendesk_tickets
        if ticket.status != "deleted" and since <= ticket.created_at <= as_of
    }
    ordered = {
        charge.person_id
        for charge in population.stripe_charges
        if charge.status == "succeeded" and not charge.refunded and since <= charge.created_at <= as_of
    }
    return {who for who in asked - ordered if who is not None}


LISTS: Mapping[str, Callable[[Population, datetime], set[int]]] = {"at_risk_customers": at_risk}
"""Who truly belongs on each list whose truth is known here, by segment name."""


def people_of_customers(population: Population, assignment: Mapping[str, str | None]) -> dict[str, set[int]]:
    """Whose events each customer of an answer holds: the people a list of customers is truly of."""
    found: dict[str, set[int]] = defaultdict(set)
    for key, event in _events(population):
        customer = assignment.get(key)
        if customer is not None and event.person_id is not None:
            found[customer].add(event.person_id)
    return dict(found)


def consenting(population: Population) -> set[int]:
    """People with a subscribed address in the audience and no own address unsubscribed or cleaned."""
    statuses: defaultdict[int, set[str]] = defaultdict(set)
    for member in population.mailchimp_members:
        if member.person_id is not None:
            statuses[member.person_id].add(member.status)
    return {who for who, found in statuses.items() if "subscribed" in found and not found & _REFUSALS}


def reachable_by_mailchimp(population: Population, as_of: datetime) -> set[int]:
    """People who should hold the at-risk tag in the audience."""
    return at_risk(population, as_of) & consenting(population)


def reachable_by_hubspot(population: Population, as_of: datetime) -> set[int]:
    """People at risk who have a CRM contact."""
    return at_risk(population, as_of) & _whose(contact.person_id for contact in population.hubspot_contacts)


def reachable_by_zendesk(population: Population, as_of: datetime) -> set[int]:
    """People at risk who have a help desk user."""
    return at_risk(population, as_of) & _whose(user.person_id for user in population.zendesk_users)


def people_of_events(population: Population) -> dict[str, int | None]:
    """Whose every event is, by event key; None for events of nobody."""
    return {key: event.person_id for key, event in _events(population)}


def score(population: Population, assignment: Mapping[str, str | None]) -> Score:
    """Score an assignment of event keys to customer ids; an event without a customer stands alone."""
    owners = Counter(event.person_id for _, event in _events(population) if event.person_id is not None)
    same_person = _pairs(owners.values())
    together, right, holdings = _count(population, assignment)
    parts, nodes = _oracle(population)
    right_of_oracle = _pairs(Counter(map(parts.root, nodes)).values())
    precision = right / together if together else 1.0
    recall = right / same_person if same_person else 1.0
    oracle_recall = right_of_oracle / same_person if same_person else 1.0
    wrong = {customer: events for customer, events in holdings.items() if len(events) > 1}
    return Score(
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        oracle_recall=oracle_recall,
        recall_of_oracle=recall / oracle_recall if oracle_recall else 1.0,
        people_true=len(owners),
        people_found=len(holdings),
        wrong_merges=tuple(sorted(wrong)),
        largest_wrong_merge=max((events.total() for events in wrong.values()), default=0),
        most_people_per_person=max((len(events) for events in holdings.values()), default=0),
    )


def oracle(population: Population) -> dict[str, str]:
    """The best assignment the records allow: it knows whose every identifier was at each moment.

    Identifiers that stand together in one record or event are linked where both were truly the same person's
    then; the connected parts of each person are the customers. A shared inbox, a placeholder or somebody
    else's time at a tablet links nothing; a device that never identified itself stays alone.
    """
    parts, nodes = _oracle(population)
    scored = (key for key, event in _events(population) if event.person_id is not None)
    return {key: f"part-{parts.root(node)}" for key, node in zip(scored, nodes, strict=True)}


def _oracle(population: Population) -> tuple[_Parts, array[int]]:
    """The linked identifiers, and for each event of somebody, in order, the node it hangs on."""
    parts = _Parts()
    people = {person.person_id: _Own(person) for person in population.people}
    records: tuple[Sequence[Record], ...] = (
        population.mailchimp_members,
        population.hubspot_contacts,
        population.zendesk_users,
        population.stripe_customers,
    )
    for record in chain.from_iterable(records):
        if record.person_id is not None:
            parts.join(record.person_id, people[record.person_id].keep(_identifiers(record)))
    nodes = array("q")
    for _, event in _events(population):
        if event.person_id is not None:
            nodes.append(parts.join(event.person_id, people[event.person_id].keep(_identifiers(event))))
    return parts, nodes


class _Own:
    """Which identifiers are truly a person's own; ids of vendors' records are, and the device in hand is."""

    __slots__ = ("emails", "hashes", "person")

    def __init__(self, person: Person) -> None:
        self.person = person
        self.emails = frozenset(person.emails)
        self.hashes: dict[str, str] | None = None

    def keep(self, identifiers: Iterable[Identifier]) -> list[Identifier]:
        kept = []
        for kind, value in identifiers:
            if kind == "email":
                email = value.strip().lower()
                if email in self.emails:
                    kept.append((kind, email))
            elif kind == "email_sha256":
                if self.hashes is None:
                    self.hashes = {hash_email(email): email for email in self.emails}
                if value in self.hashes:
                    kept.append(("email", self.hashes[value]))
            elif kind == "phone":
                if self.person.phone is not None and _digits(value) == self.person.phone:
                    kept.append((kind, self.person.phone))
            elif kind == "user_id":
                if value == self.person.user_id:
                    kept.append((kind, value))
            elif kind == "utm_term":
                if value in self.person.devices:
                    kept.append(("anonymous_id", value))
            else:
                kept.append((kind, value))
        return kept


class _Parts:
    """Connected parts of a graph whose nodes are (person, kind, value)."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[int, str, str], int] = {}
        self.parents: list[int] = []

    def join(self, whose: int, identifiers: list[Identifier]) -> int:
        """Link the identifiers and return one of their nodes; a fresh node if there are none."""
        first = -1
        for kind, value in identifiers:
            number = self.numbers.setdefault((whose, kind, value), len(self.parents))
            if number == len(self.parents):
                self.parents.append(number)
            if first < 0:
                first = number
            else:
                self.parents[self.root(number)] = self.root(first)
        if first < 0:
            first = len(self.parents)
            self.parents.append(first)
        return first

    def root(self, node: int) -> int:
        parents = self.parents
        while parents[node] != node:
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node


def _events(population: Population) -> Iterator[tuple[str, Event]]:
    for event in population.web_events:
        yield f"segment/{event.event_id}", event
    for booking in population.calendly_bookings:
        yield f"calendly/{booking.invitee_uuid}", booking
    for charge in population.stripe_charges:
        yield f"stripe/{charge.id}", charge
    for ticket in population.zendesk_tickets:
        yield f"zendesk/{ticket.id}", ticket


def _identifiers(record: Event | Record) -> list[Identifier]:
    match record:
        case WebEvent():
            return _of_web_event(record)
        case CalendlyBooking(invitee_uuid=invitee, email=email, phone=phone, utm_term=term):
            return _named(calendly_invitee=invitee, email=email, phone=phone, utm_term=term)
        case StripeCharge(customer_id=customer):
            return [("stripe_customer_id", customer)]
        case ZendeskTicket(requester_id=requester):
            return [("zendesk_user_id", str(requester))]
        case MailchimpMember(email=email, phone=phone):
            return _named(mailchimp_member_id=email.lower(), email=email, phone=phone)
        case HubspotContact():
            found = _named(hubspot_contact_id=str(record.id), email=record.email, phone=record.phone)
            found += [("email", email) for email in record.additional_emails]
            return found + [("hubspot_contact_id", str(merged)) for merged in record.merged_ids]
        case ZendeskUser(id=number, email=address, phone=phone, external_id=user_id):
            return _named(zendesk_user_id=str(number), email=address, phone=phone, user_id=user_id)
        case StripeCustomer(id=customer, email=address, phone=phone, metadata=metadata):
            return _named(stripe_customer_id=customer, email=address, phone=phone, user_id=metadata.get("user_id"))


def _of_web_event(event: WebEvent) -> list[Identifier]:
    found: list[Identifier] = [("anonymous_id", event.anonymous_id)]
    if event.user_id is not None:
        found.append(("user_id", event.user_id))
    if event.kind == "identify":
        found += [(kind, event.properties[kind]) for kind in ("email", "phone") if kind in event.properties]
    if event.url is not None and "?" in event.url:
        for name, value in parse_qsl(urlsplit(event.url).query):
            if name in ("email", "utm_email"):
                found.append(("email", value))
            elif name == "eh":
                found.append(("email_sha256", value))
    return found


def _named(**values: str | None) -> list[Identifier]:
    return [(kind, value) for kind, value in values.items() if value is not None]


def _digits(phone: str) -> str:
    return "+" + "".join(letter for letter in phone if letter.isdigit())


def _whose(people: Iterable[int | None]) -> set[int]:
    return {who for who in people if who is not None}


def _pairs(sizes: Iterable[int]) -> int:
    return sum(size * (size - 1) // 2 for size in sizes)


def _count(population: Population, assignment: Mapping[str, str | None]) -> tuple[int, int, dict[str, Counter[int]]]:
    """Pairs put together, pairs rightly so, and how many events of whom each customer holds."""
    holdings: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for key, event in _events(population):
        customer = assignment.get(key)
        if event.person_id is not None and customer is not None:
            holdings[customer][event.person_id] += 1
    together = _pairs(events.total() for events in holdings.values())
    right = sum(_pairs(events.values()) for events in holdings.values())
    return together, right, dict(holdings)
