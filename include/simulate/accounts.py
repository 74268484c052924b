"""What the tools hold of the people: audience members, CRM contacts, bookings, help desk users, payments.

Whoever is traceable (see `crowd.py`) has a CRM contact that names all own addresses, and uses only those.
Everybody else leaves the traces real customers leave: second accounts, shared inboxes, placeholders, no address.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta

from include.simulate.browsing import HISTORY_DAYS, Moment
from include.simulate.crowd import Crowd
from include.simulate.names import (
    LAST_NAMES,
    PLACEHOLDER_EMAILS,
    PLACEHOLDER_PHONES,
    plain,
    random_uuid,
    spell_email,
    spell_phone,
)
from include.simulate.people import (
    CalendlyBooking,
    HubspotCompany,
    HubspotContact,
    HubspotDeal,
    MailchimpMember,
    Person,
    Population,
    StripeCharge,
    StripeCustomer,
    ZendeskOrganization,
    ZendeskTicket,
    ZendeskUser,
)

WINDOW_DAYS = 30.0
_EDGE_DAYS = 0.4  # nothing happens this close to the end of the window: a run a few hours late sees the same
_RECENT = (0.2, WINDOW_DAYS - _EDGE_DAYS)
_OLD = (WINDOW_DAYS + _EDGE_DAYS, 118.0)
_LONG_AGO = (36.0, 118.0)
_CONSENTS = ("subscribed", "unsubscribed", "cleaned", "pending", "archived")
_SUBJECTS = ("Cannot sign in", "Invoice question", "Delivery is late", "Feature request", "Wrong item", "Refund please")
_STATUSES = ("new", "open", "pending", "hold", "solved", "closed")
_CURRENCIES = ("usd", "eur", "gbp")


def add_accounts(population: Population, crowd: Crowd, moments: dict[int, Moment]) -> None:
    """Fill every list of the population but the web events; `moments` are known sittings at a family tablet."""
    maker = _Accounts(population, crowd)
    maker.mailchimp()
    maker.hubspot()
    maker.calendly(moments)
    maker.zendesk()
    maker.stripe()


class _Accounts:
    def __init__(self, population: Population, crowd: Crowd) -> None:
        self.world = population
        self.crowd = crowd
        self.now = population.now
        self.count = len(crowd.people)
        self.traceable = crowd.traceable
        self.at_risk = frozenset(crowd.at_risk)
        self.rng = random.Random()

    def _begin(self, tool: str) -> random.Random:
        # A generator per tool: a change to one tool's records leaves the others' as they were.
        self.rng = random.Random(f"{self.world.seed}/{tool}")
        return self.rng

    def _ago(self, days: tuple[float, float]) -> datetime:
        return self.now - timedelta(seconds=round(self.rng.uniform(*days) * 86_400))

    def _any_time(self) -> datetime:
        while True:
            days = self.rng.uniform(0.2, 118.0)
            if abs(days - WINDOW_DAYS) > _EDGE_DAYS:
                return self.now - timedelta(seconds=round(days * 86_400))

    def _span(self) -> tuple[datetime, datetime]:
        created = self._ago((1.0, HISTORY_DAYS))
        return created, self._after(created)

    def _after(self, at: datetime) -> datetime:
        """A moment between `at` and an hour ago."""
        return at + timedelta(seconds=round((self.now - timedelta(hours=1) - at).total_seconds() * self.rng.random()))

    def mailchimp(self) -> None:
        rng = self._begin("mailchimp")
        fates = self._fates()
        for person in self.crowd.people:
            fate = fates.get(person.person_id)
            if fate is None:
                draw = rng.choices(_CONSENTS, (82, 10, 4, 2, 2))[0]
                fate = (draw if rng.random() < 0.69 else "none", "")
            main, second = fate
            if main != "none":
                self._member(person.person_id, person.emails[0], main, person)
            if not second and len(person.emails) > 1 and rng.random() < 0.08:
                second = "subscribed"
            if second:
                self._member(person.person_id, person.emails[1], second, person)
        for inbox in self.crowd.inboxes[::2]:
            self._member(None, inbox.email, "subscribed", None)
        if self.count >= 20:
            self._member(None, PLACEHOLDER_EMAILS[0], "subscribed", None)

    def _fates(self) -> dict[int, tuple[str, str]]:
        """Status of the main and the second address of everybody at risk: most can be written to, some must not."""
        waiting = list(self.crowd.at_risk)
        some = max(1, round(len(waiting) * 0.05)) if len(waiting) >= 8 else 0
        fates = dict.fromkeys(waiting[:some], ("unsubscribed", ""))
        fates |= dict.fromkeys(waiting[some : 2 * some], ("none", ""))
        fates |= dict.fromkeys(waiting[2 * some : 2 * some + some // 2], ("cleaned", ""))
        rest = [who for who in waiting if who not in fates]
        twofold = [who for who in rest if len(self.crowd.people[who - 1].emails) > 1][:some]
        # A no on one address is a no for the person, whatever another address says.
        fates |= dict.fromkeys(twofold, ("subscribed", "unsubscribed"))
        return dict.fromkeys(rest, ("subscribed", "")) | fates

    def _member(self, whose: int | None, email: str, status: str, person: Person | None) -> None:
        rng = self.rng
        opted, changed = self._span()
        first, last = (person.first_name, person.last_name) if person else ("", "")
        phone = spell_phone(rng, person.phone) if person and rng.random() < 0.15 else None
        tags = tuple(tag for tag in ("vip", "webinar") if rng.random() < 0.05)
        address = email.title() if rng.random() < 0.03 else email
        self.world.mailchimp_members.append(
            MailchimpMember(whose, address, status, first, last, phone, tags, opted, changed)
        )

    def hubspot(self) -> None:
        rng = self._begin("hubspot")
        number = 100_000_001
        for person in self.crowd.people:
            traceable = person.person_id in self.traceable
            if not traceable and person.person_id not in self.crowd.namesakes and rng.random() >= 0.73:
                continue
            number += 7
            created, updated = self._span()
            email: str | None = person.emails[0]
            phone = spell_phone(rng, person.phone) if rng.random() < 0.5 else None
            extra = person.emails[1:] if traceable or rng.random() < 0.6 else ()
            if not traceable:
                if rng.random() < 0.015:
                    phone = rng.choice(PLACEHOLDER_PHONES)
                elif person.phone and rng.random() < 0.03:
                    email, phone, extra = None, person.phone, ()
                elif person.phone and len(person.emails) > 1 and rng.random() < 0.05:
                    # Entered twice and never merged: only the phone number shows that it is one person.
                    phone, extra = person.phone, ()
                    self._contact(person, number + 3, person.emails[1], person.phone, (), (), self._span())
            merged = tuple(number + step for step in range(1, rng.choice((2, 2, 3)))) if rng.random() < 0.04 else ()
            self._contact(person, number, email, phone, extra, merged, (created, updated))
        self._companies()

    def _contact(
        self,
        person: Person,
        number: int,
        email: str | None,
        phone: str | None,
        extra: tuple[str, ...],
        merged: tuple[int, ...],
        span: tuple[datetime, datetime],
    ) -> None:
        stage = self.rng.choices(("subscriber", "lead", "opportunity", "customer"), (30, 30, 10, 30))[0]
        self.world.hubspot_contacts.append(
            HubspotContact(
                person.person_id, number, email, person.first_name, person.last_name, phone, extra, merged, stage, *span
            )
        )

    def _companies(self) -> None:
        rng = self.rng
        for number in range(max(2, self.count // 20)):
            name = rng.choice(LAST_NAMES)
            domain = f"{plain(name)}{number}.example.com"
            self.world.hubspot_companies.append(
                HubspotCompany(200_000_001 + number, f"{name} {number}", domain, *self._span())
            )
        for number, contact in enumerate(self.world.hubspot_contacts):
            if rng.random() < 0.1:
                stage = rng.choice(("appointmentscheduled", "qualifiedtobuy", "closedwon", "closedlost"))
                self.world.hubspot_deals.append(
                    HubspotDeal(
                        300_000_001 + number,
                        f"Deal with {contact.lastname}",
                        rng.randint(5, 400) * 100,
                        stage,
                        (contact.id,),
                        *self._span(),
                    )
                )

    def calendly(self, moments: dict[int, Moment]) -> None:
        rng = self._begin("calendly")
        seated = rng.sample(sorted(moments), len(moments) // 4)
        teams = [(who, inbox.email) for inbox in self.crowd.inboxes for who in inbox.members if rng.random() < 0.4]
        rest = max(0, round(self.count * 0.06) - len(seated) - len(teams))
        for who in seated:
            moment = moments[who]
            self._booking(who, self.crowd.people[who - 1].emails[0], moment.device, moment.at)
        for who, inbox_email in teams:
            self._booking(who, inbox_email, self._own_device(who), self._any_time())
        for who in rng.sample(range(1, self.count + 1), min(self.count, rest)):
            email = rng.choice(self.crowd.people[who - 1].emails)
            if who not in self.traceable and rng.random() < 0.04:
                email = PLACEHOLDER_EMAILS[0]
            term = "null" if rng.random() < 0.03 else self._own_device(who)
            self._booking(who, email, term, self._any_time())

    def _own_device(self, who: int) -> str | None:
        devices = self.crowd.telling_devices(self.crowd.people[who - 1])
        return self.rng.choice(devices) if devices and self.rng.random() < 0.75 else None

    def _booking(self, who: int, email: str, term: str | None, at: datetime) -> None:
        rng = self.rng
        person = self.crowd.people[who - 1]
        starts = at.replace(minute=0, second=0, microsecond=0) + timedelta(days=rng.randint(1, 10), hours=2)
        status = "canceled" if rng.random() < 0.12 else "active"
        missed = status == "active" and starts < self.now and rng.random() < 0.08
        self.world.calendly_bookings.append(
            CalendlyBooking(
                who,
                random_uuid(rng),
                random_uuid(rng),
                spell_email(rng, email),
                person.name,
                spell_phone(rng, person.phone) if rng.random() < 0.3 else None,
                term,
                starts,
                at,
                self._after(at) if status == "canceled" else at,
                status,
                missed,
            )
        )

    def zendesk(self) -> None:
        rng = self._begin("zendesk")
        nameless = self._nameless()
        requesters: dict[int, int] = {}
        for person in self.crowd.people:
            who = person.person_id
            if who not in self.traceable and who not in nameless and rng.random() >= 0.18:
                continue
            email: str | None = person.emails[0] if rng.random() < 0.85 else rng.choice(person.emails)
            phone = spell_phone(rng, person.phone) if rng.random() < 0.3 else None
            external = person.user_id if rng.random() < 0.5 else None
            if who in nameless:
                email = phone = external = None
            elif who not in self.traceable and rng.random() < 0.02:
                phone = rng.choice(PLACEHOLDER_PHONES)
            requesters[who] = self._user(who, person.name, email, phone, external, "end-user")
        for who, requester in requesters.items():
            self._tickets_of(who, requester, who in nameless)
        for number in range(1, 4):
            self._user(None, f"Agent {number}", f"agent{number}@support.example.com", None, None, "agent")
        for inbox in self.crowd.inboxes[::2]:
            # One help desk user for a whole team: which of them wrote, nobody can say.
            requester = self._user(None, f"{inbox.company} team", inbox.email, None, None, "end-user")
            for _ in range(rng.randint(1, 3)):
                self._ticket(None, requester, _LONG_AGO)
        for number in range(max(2, self.count // 25)):
            self.world.zendesk_organizations.append(
                ZendeskOrganization(700_001 + number, f"{rng.choice(LAST_NAMES)} Group {number}", *self._span())
            )

    def _nameless(self) -> frozenset[int]:
        """Who wrote to the help desk without an address: most have a name of their own, a few a namesake."""
        named = Counter((person.first_name, person.last_name) for person in self.crowd.people)
        known = {contact.person_id for contact in self.world.hubspot_contacts}
        unique = [
            person.person_id
            for person in self.crowd.people
            if named[person.first_name, person.last_name] == 1
            and person.person_id in known
            and person.person_id not in self.traceable
        ]
        ambiguous = sorted(self.crowd.namesakes - self.traceable)
        few = max(1, self.count // 500) if ambiguous else 0
        chosen = self.rng.sample(unique, min(len(unique), max(1, round(self.count * 0.01))))
        return frozenset(chosen) | frozenset(self.rng.sample(ambiguous, min(len(ambiguous), few)))

    def _tickets_of(self, who: int, requester: int, is_nameless: bool) -> None:
        rng = self.rng
        if who in self.at_risk or who in self.crowd.served:
            for _ in range(rng.choice((1, 1, 2, 3))):
                self._ticket(who, requester, _RECENT)
        elif who in self.crowd.dropped:
            self._ticket(who, requester, _RECENT, "deleted")
        old = rng.random() < (0.15 if who in self.traceable else 0.28)
        if is_nameless or old:
            # Old only: a recent one would put people on the list whom no trusted evidence leads to.
            for _ in range(rng.choice((1, 1, 2))):
                self._ticket(who, requester, _LONG_AGO, "deleted" if rng.random() < 0.05 else None)

    def _user(
        self, who: int | None, name: str, email: str | None, phone: str | None, external: str | None, role: str
    ) -> int:
        number = 900_000_001 + 3 * len(self.world.zendesk_users)
        self.world.zendesk_users.append(ZendeskUser(who, number, name, email, phone, external, role, *self._span()))
        return number

    def _ticket(self, who: int | None, requester: int, days: tuple[float, float], status: str | None = None) -> None:
        created = self._ago(days)
        updated = self._after(created) if self.rng.random() < 0.7 else created
        status = status or self.rng.choices(_STATUSES, (1, 3, 2, 1, 4, 4))[0]
        number = 1001 + len(self.world.zendesk_tickets)
        subject = self.rng.choice(_SUBJECTS)
        self.world.zendesk_tickets.append(ZendeskTicket(number, who, requester, subject, status, created, updated))

    def stripe(self) -> None:
        rng = self._begin("stripe")
        for person in self.crowd.people:
            who = person.person_id
            if who in self.crowd.served:
                customer = self._customer(person, self._typed(person))
                self._charge(who, customer, self._ago(_RECENT), "succeeded")
                self._older_charges(who, customer)
            elif who in self.traceable:
                if rng.random() < 0.7:
                    customer = self._customer(person, self._typed(person))
                    self._older_charges(who, customer)
                    if rng.random() < 0.25:
                        # An attempt, or money given back, is no order.
                        self._charge(who, customer, self._ago(_RECENT), rng.choice(("failed", "failed", "refunded")))
            elif rng.random() < 0.59:
                email = rng.choice((*PLACEHOLDER_EMAILS[:1], None)) if rng.random() < 0.02 else self._typed(person)
                customer = self._customer(person, email)
                for _ in range(rng.choice((1, 1, 2, 3, 4))):
                    again = rng.random() < 0.06
                    self._charge(who, self._customer(person, self._typed(person)) if again else customer)
        for inbox in self.crowd.inboxes:
            for who in inbox.members:
                customer = self._customer(self.crowd.people[who - 1], inbox.email, accounts=0.7)
                self._charge(who, customer)

    def _typed(self, person: Person) -> str:
        return spell_email(self.rng, person.emails[0] if self.rng.random() < 0.85 else self.rng.choice(person.emails))

    def _customer(self, person: Person, email: str | None, accounts: float = 0.45) -> str:
        rng = self.rng
        metadata = {"user_id": person.user_id} if person.user_id and rng.random() < accounts else {}
        phone = spell_phone(rng, person.phone) if rng.random() < 0.4 else None
        number = f"cus_{rng.getrandbits(56):014x}"
        created = self._ago((118.5, HISTORY_DAYS))
        self.world.stripe_customers.append(
            StripeCustomer(person.person_id, number, email, person.name, phone, metadata, created)
        )
        return number

    def _older_charges(self, who: int, customer: str) -> None:
        for _ in range(self.rng.choice((0, 1, 2, 3))):
            self._charge(who, customer, self._ago(_OLD))

    def _charge(self, who: int, customer: str, at: datetime | None = None, outcome: str | None = None) -> None:
        rng = self.rng
        outcome = outcome or rng.choices(("succeeded", "failed", "refunded"), (90, 5, 5))[0]
        self.world.stripe_charges.append(
            StripeCharge(
                f"ch_{rng.getrandbits(96):024x}",
                who,
                customer,
                rng.randint(900, 24_000),
                rng.choices(_CURRENCIES, (80, 15, 5))[0],
                "failed" if outcome == "failed" else "succeeded",
                outcome == "refunded",
                at or self._any_time(),
            )
        )
