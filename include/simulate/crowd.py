"""Who the people are: their names, addresses, devices, households, shared inboxes, and what each is cast for.

The casting makes the truth knowable: whoever has a ticket in the last 30 days keeps all own records under
own addresses that the CRM joins, so that "should be on the list" never hangs on evidence nobody recorded.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from include.simulate.names import DOMAINS, FIRST_NAMES, INBOX_NAMES, LAST_NAMES, phone_number, plain, random_uuid
from include.simulate.people import Person

AT_RISK = 0.04  # share of people with a recent ticket and no recent order
SERVED = 0.03  # share with a recent ticket and a recent order
DROPPED = 0.006  # share whose only recent ticket was deleted
IN_HOUSEHOLDS = 0.08


@dataclass(frozen=True, slots=True)
class Household:
    """People who live together and the tablet they all use."""

    device: str
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Kiosk:
    """A public device and the people who stand at it."""

    device: str
    visitors: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Inbox:
    """An address that belongs to a company's team, not to a person."""

    email: str
    company: str
    members: tuple[int, ...]


@dataclass(slots=True)
class Crowd:
    """The people and their casting; the person with id `n` is `people[n - 1]`."""

    people: list[Person]
    households: list[Household] = field(default_factory=list)
    kiosks: list[Kiosk] = field(default_factory=list)
    inboxes: list[Inbox] = field(default_factory=list)
    namesakes: frozenset[int] = frozenset()
    silent_devices: frozenset[str] = frozenset()
    at_risk: tuple[int, ...] = ()
    served: frozenset[int] = frozenset()
    dropped: frozenset[int] = frozenset()

    @property
    def traceable(self) -> frozenset[int]:
        """Everybody with a ticket in the last 30 days: all their records must be joinable."""
        return frozenset(self.at_risk) | self.served | self.dropped

    def own_devices(self, person: Person) -> tuple[str, ...]:
        """The person's devices without the family's tablet, which stands last."""
        return person.devices if person.household is None else person.devices[:-1]

    def telling_devices(self, person: Person) -> tuple[str, ...]:
        """Own devices on which the person ever says who they are."""
        return tuple(device for device in self.own_devices(person) if device not in self.silent_devices)


def make_crowd(count: int, seed: int) -> Crowd:
    """Invent the people; the same count and seed give the same crowd."""
    rng = random.Random(f"{seed}/crowd")
    households = _draw_households(rng, count)
    home = {member: number for number, household in enumerate(households) for member in household.members}
    names = [_name(rng) for _ in range(count)]
    for household in households:
        for member in household.members:
            names[member - 1] = (names[member - 1][0], names[household.members[0] - 1][1])
    loners = [who for who in range(1, count + 1) if who not in home]
    namesakes = rng.sample(loners, min(len(loners), 2 * max(1, count // 250)) // 2 * 2)
    for one, other in zip(namesakes[::2], namesakes[1::2], strict=True):
        names[other - 1] = names[one - 1]

    taken: set[str] = set()
    silent: set[str] = set()
    people = []
    phones = 0
    for who, (first, last) in enumerate(names, start=1):
        devices = [random_uuid(rng) for _ in range(rng.choices((1, 2, 3, 4), (50, 30, 13, 7))[0])]
        silent.update(device for device in devices if rng.random() < 0.15)
        if who in home:
            devices = [*devices[:3], households[home[who]].device]
        phone = None
        if rng.random() < 0.6:
            phone = phone_number(phones)
            phones += 1
        user_id = f"user_{rng.getrandbits(40):010x}" if rng.random() < 0.55 else None
        emails = _emails(rng, first, last, taken)
        people.append(Person(who, first, last, emails, phone, user_id, tuple(devices), home.get(who)))

    crowd = Crowd(people, households, namesakes=frozenset(namesakes), silent_devices=frozenset(silent))
    crowd.inboxes = _draw_inboxes(rng, people)
    crowd.kiosks = [
        Kiosk(random_uuid(rng), tuple(rng.sample(range(1, count + 1), min(count, rng.randint(8, 15)))))
        for _ in range(max(1, count // 250) if count >= 20 else 0)
    ]
    _cast(rng, crowd)
    return crowd


def _name(rng: random.Random) -> tuple[str, str]:
    last = rng.choice(LAST_NAMES)
    # Double names keep most names unique even among 100,000 people.
    return rng.choice(FIRST_NAMES), f"{last}-{rng.choice(LAST_NAMES)}" if rng.random() < 0.35 else last


def _emails(rng: random.Random, first: str, last: str, taken: set[str]) -> tuple[str, ...]:
    found: list[str] = []
    for number in range(rng.choices((1, 2, 3), (68, 24, 8))[0]):
        local = f"{plain(first)}.{plain(last)}" if number == 0 else f"{plain(first)[0]}.{plain(last)}"
        domain = rng.choice(DOMAINS)
        email = f"{local}@{domain}"
        while email in taken:
            email = f"{local}{rng.randint(1, 99_999)}@{domain}"
        taken.add(email)
        found.append(email)
    return tuple(found)


def _draw_households(rng: random.Random, count: int) -> list[Household]:
    households: list[Household] = []
    first = 1
    while first + 1 <= count and first <= count * IN_HOUSEHOLDS:
        size = min(rng.choice((2, 2, 3, 4)), count - first + 1)
        households.append(Household(random_uuid(rng), tuple(range(first, first + size))))
        first += size
    return households


def _draw_inboxes(rng: random.Random, people: list[Person]) -> list[Inbox]:
    # Members have website accounts, so that the data shows several people behind one address.
    pool = [person.person_id for person in people if person.user_id and person.household is None]
    rng.shuffle(pool)
    inboxes = []
    for number in range(max(2, len(people) // 150)):
        members = tuple(pool[:5] if number % 2 else pool[:3])
        if len(members) < 3:
            break
        del pool[: len(members)]
        company = f"{plain(rng.choice(LAST_NAMES))}{number}"
        inboxes.append(Inbox(f"{INBOX_NAMES[number % len(INBOX_NAMES)]}@{company}.example.com", company, members))
    return inboxes


def _cast(rng: random.Random, crowd: Crowd) -> None:
    shared = {member for inbox in crowd.inboxes for member in inbox.members}
    pool = [person.person_id for person in crowd.people if person.person_id not in shared]
    rng.shuffle(pool)
    count = len(crowd.people)
    sizes = [min(len(pool), max(1, round(share * count))) for share in (AT_RISK, SERVED, DROPPED)]
    crowd.at_risk = tuple(pool[: sizes[0]])
    crowd.served = frozenset(pool[sizes[0] : sizes[0] + sizes[1]])
    crowd.dropped = frozenset(pool[sizes[0] + sizes[1] : sum(sizes)])
