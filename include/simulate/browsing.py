"""What the people do on the website: visits on own devices, on the family's tablet and at public kiosks.

Whose an event is follows from who sat there. Two cases belong to nobody, because not even a witness could
derive them from the data: a kiosk's event that carries nothing but the kiosk's own id, and a placeholder at one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from include.simulate.crowd import Crowd, Household, Kiosk
from include.simulate.names import PLACEHOLDER_EMAILS, PLACEHOLDER_USER_IDS, hash_email, spell_email
from include.simulate.people import Person, Population, WebEvent

SITE = "https://www.example.com"
HISTORY_DAYS = 119
_REFERRERS = ("https://www.google.example/", "https://news.example.org/reviews", "")
_PAGES = tuple(
    (name, SITE + path, {"title": f"{name} - Example"} | ({"referrer": referrer} if referrer else {}))
    for name, path in (
        ("Home", "/"),
        ("Pricing", "/pricing"),
        ("Features", "/features"),
        ("Docs", "/docs/getting-started"),
        ("Blog", "/blog/ten-ideas"),
        ("Contact", "/contact"),
    )
    for referrer in _REFERRERS
)
_PRODUCTS = tuple(
    (
        f"{SITE}/products/{number}",
        {"product_id": f"sku-{number}", "product_name": f"Lamp {number}", "price": f"{price}.00"},
    )
    for number, price in enumerate(range(19, 259, 12), start=1)
)
_TRACKS = ("Product Viewed", "Product Viewed", "Product Viewed", "Product Added", "Checkout Started")
_DELAYS = tuple(timedelta(milliseconds=ms) for ms in (180, 420, 900, 1600, 2400, 4100, 5200, 9300))
_LATE = timedelta(hours=7)  # a phone that was offline sends its events when it is back
_STEPS = tuple(timedelta(seconds=seconds) for seconds in (6, 11, 17, 25, 38, 52, 75, 110))


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment at which a family member was known to sit at the tablet."""

    device: str
    at: datetime


def add_web_events(population: Population, crowd: Crowd) -> dict[int, Moment]:
    """Fill `population.web_events`, oldest first; returns a moment at the tablet for each family member."""
    rng = random.Random(f"{population.seed}/web")
    events = population.web_events
    browser = _Browser(rng, population.now)
    for person in crowd.people:
        events.extend(browser.visits(person, crowd))
    moments: dict[int, Moment] = {}
    for household in crowd.households:
        events.extend(browser.tablet(household, crowd, moments))
    for kiosk in crowd.kiosks:
        events.extend(browser.kiosk(kiosk, crowd))
    events.sort(key=lambda event: event.ts)
    return moments


class _Browser:
    """Makes the events of one visit after the other."""

    def __init__(self, rng: random.Random, now: datetime) -> None:
        self.rng = rng
        self.now = now
        self.newest = now - timedelta(hours=1)
        self.settled = now - timedelta(days=1)

    def visits(self, person: Person, crowd: Crowd) -> Iterator[WebEvent]:
        """All of a person's visits on own devices; silent devices never tell who it is."""
        rng = self.rng
        own = crowd.own_devices(person)
        for number in range(max(len(own), rng.randint(3, 6))):
            device = own[number] if number < len(own) else rng.choice(own)
            tells = device not in crowd.silent_devices and rng.random() < (0.8 if number < len(own) else 0.35)
            how = self._way(person) if tells else "anonymous"
            if not tells and rng.random() < 0.03:
                how = rng.choice(("placeholder_user", "placeholder_email"))
            yield from self._visit(person, person.person_id, device, self._moment(), how, rng.randint(2, 5))

    def tablet(self, household: Household, crowd: Crowd, moments: dict[int, Moment]) -> Iterator[WebEvent]:
        """The family's tablet: visits far apart, each member saying who they are, or the last one going on."""
        rng = self.rng
        turns = [member for member in household.members for _ in range(rng.randint(3, 4))]
        rng.shuffle(turns)
        gap = timedelta(days=HISTORY_DAYS) / (len(turns) + 1)
        at = self.now - timedelta(days=HISTORY_DAYS)
        last: Person | None = None
        for member in turns:
            start = (at + gap * rng.uniform(0.1, 0.8)).replace(microsecond=0)
            at += gap
            person = crowd.people[member - 1]
            how = self._way(person)
            if last is not None and rng.random() < 0.2:
                # Nobody signs in, so it is still the one who did: the only case with a right answer.
                person, how = last, "anonymous"
            else:
                moments[person.person_id] = Moment(household.device, start + timedelta(seconds=1))
            yield from self._visit(person, person.person_id, household.device, start, how, rng.randint(2, 4))
            last = person

    def kiosk(self, kiosk: Kiosk, crowd: Crowd) -> Iterator[WebEvent]:
        """A public device: what carries a visitor's own id or address is theirs, all else is nobody's."""
        rng = self.rng
        turns = [visitor for visitor in kiosk.visitors for _ in range(rng.randint(1, 2))]
        rng.shuffle(turns)
        for member in turns:
            person = crowd.people[member - 1]
            how = rng.choice(("login", "form", "form", "anonymous", "placeholder_email"))
            for event in self._visit(person, None, kiosk.device, self._moment(), how, rng.randint(1, 3)):
                own = event.user_id == person.user_id if event.user_id else "email" in event.properties
                yield _of(event, member) if own and how in ("login", "form") else event

    def _way(self, person: Person) -> str:
        way = self.rng.choices(("login", "form", "link_email", "link_utm", "link_hash"), (50, 20, 12, 6, 12))[0]
        return "form" if way == "login" and person.user_id is None else way

    def _moment(self) -> datetime:
        return self.newest - timedelta(seconds=self.rng.randint(600, (HISTORY_DAYS - 1) * 86_400))

    def _visit(
        self, person: Person, whose: int | None, device: str, start: datetime, how: str, pages: int
    ) -> Iterator[WebEvent]:
        rng = self.rng
        at = start
        user_id: str | None = None
        if how.startswith("link"):
            name, url, properties = rng.choice(_PAGES)
            yield self._event(whose, "page", at, device, None, name, f"{url}?{self._query(person, how)}", properties)
        elif how != "anonymous":
            traits = {"email": spell_email(rng, self._address(person)), "name": person.name}
            if how == "login" and person.user_id is not None:
                user_id = person.user_id
                if rng.random() < 0.3:
                    traits = {"plan": rng.choice(("free", "pro", "team"))}
            elif how == "placeholder_user":
                user_id, traits = rng.choice(PLACEHOLDER_USER_IDS), {"plan": "free"}
            elif how == "placeholder_email":
                traits = {"email": rng.choice(PLACEHOLDER_EMAILS)}
            elif rng.random() < 0.2 and person.phone:
                traits["phone"] = person.phone
            yield self._event(whose, "identify", at, device, user_id, "", f"{SITE}/account", traits)
        for _ in range(pages):
            at += _STEPS[int(rng.random() * 8)]
            if rng.random() < 0.6:
                name, url, properties = _PAGES[int(rng.random() * len(_PAGES))]
                yield self._event(whose, "page", at, device, user_id, name, url, properties)
            else:
                url, properties = _PRODUCTS[int(rng.random() * len(_PRODUCTS))]
                yield self._event(whose, "track", at, device, user_id, rng.choice(_TRACKS), url, properties)

    def _address(self, person: Person) -> str:
        return person.emails[0] if self.rng.random() < 0.75 else self.rng.choice(person.emails)

    def _query(self, person: Person, how: str) -> str:
        email = self._address(person)
        named = {
            "link_email": {"email": spell_email(self.rng, email)},
            "link_utm": {"utm_email": email},
            "link_hash": {"eh": hash_email(email)},
        }[how]
        return urlencode({"utm_source": "newsletter", "utm_medium": "email"} | named)

    def _event(
        self,
        whose: int | None,
        kind: str,
        at: datetime,
        device: str,
        user_id: str | None,
        name: str,
        url: str,
        properties: dict[str, str],
    ) -> WebEvent:
        rng = self.rng
        late = at < self.settled and rng.random() < 0.01
        received = at + (_LATE if late else _DELAYS[int(rng.random() * 8)])
        event_id = f"ajs-{rng.getrandbits(96):024x}"
        return WebEvent(whose, event_id, kind, at, received, device, user_id, name, url, properties)


def _of(event: WebEvent, whose: int) -> WebEvent:
    return WebEvent(
        whose,
        event.event_id,
        event.kind,
        event.ts,
        event.received_at,
        event.anonymous_id,
        event.user_id,
        event.name,
        event.url,
        event.properties,
    )
