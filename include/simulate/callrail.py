"""CallRail v3: calls to tracking numbers, with the page the caller was on; staff edit them for weeks afterwards."""

from __future__ import annotations

import base64
import binascii
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import urlencode

from starlette.responses import Response

from include.simulate.browsing import SITE
from include.simulate.limits import Clock, SlidingWindow
from include.simulate.names import spell_email
from include.simulate.people import Person, Population
from include.simulate.vendor import Call, Order, Refused, Route, Vendor, new_id, read, write

KEY = "callrail-demo"
ACCOUNT = "ACC0190bc81"
COMPANY = "COM019f5b2d"
ZONE = timezone(timedelta(hours=-5))
"""Calls are shown, and days counted, in the account's own time."""
PER_HOUR, PER_DAY = 1000, 10_000
WITHHELD = "anonymous"
SOURCES = (("Google Ads", "cpc"), ("Google Organic", "organic"), ("Newsletter", "email"), ("Direct", None))
SHOWN = (
    *("id", "answered", "business_phone_number", "customer_city", "customer_country", "customer_name"),
    *("customer_phone_number", "customer_state", "direction", "duration", "recording", "recording_duration"),
    *("recording_player", "start_time", "tracking_phone_number", "voicemail"),
)
"""What a call shows without being asked for more."""
EDITABLE = {"note": str, "tags": list, "lead_status": str, "customer_name": str, "spam": bool, "value": str}


@dataclass(frozen=True, slots=True)
class CallrailCall:
    """One call; `person_id` is who really phoned, None where the number was withheld."""

    person_id: int | None
    id: str
    phone: str | None
    name: str
    direction: str
    seconds: int
    is_answered: bool
    source: str
    medium: str | None
    landing_page_url: str | None
    last_requested_url: str | None
    started_at: datetime


def make_calls(population: Population, now: datetime) -> list[CallrailCall]:
    """Every call of about 120 days before `now`; the same population gives the same calls."""
    rng = random.Random(f"{population.seed}/callrail")
    calls: list[CallrailCall] = []
    for person in population.people:
        if person.phone is None or rng.random() >= 0.2:
            continue
        for _ in range(rng.choice((1, 1, 2))):
            at = now - timedelta(seconds=round(rng.uniform(0.2, 118) * 86_400))
            calls.append(_call(rng, person, at, len(calls)))
    for one in rng.sample(calls, -(-len(calls) // 20)):
        offline = replace(one, landing_page_url=None, last_requested_url=None)
        calls.append(replace(offline, person_id=None, id=f"CAL{len(calls) + 1:032x}", phone=None, name="Anonymous"))
    return calls


def _call(rng: random.Random, person: Person, at: datetime, number: int) -> CallrailCall:
    source, medium = rng.choice(SOURCES)
    is_answered = rng.random() < 0.8
    landing = last = None
    if rng.random() < 0.7:
        # A number of the website's pool: the visitor's pages are known.
        params = {"utm_source": source.lower().replace(" ", "_"), "utm_medium": medium} if medium else {}
        if source == "Google Ads":
            params["gclid"] = f"{rng.getrandbits(96):024x}"
        landing = f"{SITE}/?{urlencode(params)}" if params else f"{SITE}/"
        if source == "Newsletter" and rng.random() < 0.7:
            landing += f"&{urlencode({'email': spell_email(rng, person.emails[0]).strip()})}"
        page = {"ajs_aid": rng.choice(person.devices)} if rng.random() < 0.6 else {}
        last = f"{SITE}/contact{'?' + urlencode(page) if page else ''}"
    # The network's name of a line is often the place it belongs to.
    name = person.name.upper() if rng.random() < 0.6 else "Rochester NY"
    seconds = rng.randint(20, 900) if is_answered else rng.randint(3, 60)
    direction = "inbound" if rng.random() < 0.9 else "outbound"
    return CallrailCall(
        *(person.person_id, f"CAL{number + 1:032x}", person.phone, name, direction, seconds, is_answered),
        *(source, medium, landing, last, at),
    )


class CallRail(Vendor):
    """One account with one company; calls are listed by their start, never by their last change."""

    name = "callrail"
    media_type = "application/json; charset=utf-8"
    retyped_fields: ClassVar[Mapping[str, str]] = {"call": "customer_name"}

    def __init__(self, population: Population, clock: Clock, *, unlimited: bool = False) -> None:
        super().__init__(population, clock, unlimited=unlimited)
        self._began = population.now
        self._hour = SlidingWindow(PER_HOUR, 3600, clock)
        self._day = SlidingWindow(PER_DAY, 86_400, clock)

    @cached_property
    def _made(self) -> list[CallrailCall]:
        return make_calls(self.population, self._began)

    @cached_property
    def _calls(self) -> dict[str, dict[str, Any]]:
        return {call.id: _record(call) for call in self._made}

    @cached_property
    def _order(self) -> Order:
        return Order({call.id: call.started_at for call in self._made})

    def routes(self) -> list[Route]:
        """Calls, one call, and its correction."""
        return [
            read("/v3/a.json", self._accounts),
            read("/v3/a/{account}/calls.json", self._list),
            read("/v3/a/{account}/calls/{id}.json", lambda call: self.reply(self._shown(call, self._one(call)))),
            write("PUT", "/v3/a/{account}/calls/{id}.json", self._update),
        ]

    def accepts(self, call: Call) -> bool:
        """A key in a token scheme of its own."""
        return call.headers.get("authorization") == f'Token token="{KEY}"'

    def refuse(self, call: Call) -> Response:
        """401."""
        return self.reply({"error": "HTTP Token: Access denied."}, 401)

    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """429; CallRail does not say when to come back."""
        headers = None if retry_after is None else {"Retry-After": str(retry_after)}
        return self.reply({"error": "Rate limit exceeded"}, 429, headers)

    def broken(self, call: Call) -> Response:
        """500."""
        return self.reply({"error": "Internal server error"}, 500)

    def missing(self, call: Call) -> Response:
        """404."""
        return self.reply({"error": "Not found"}, 404)

    def limit(self, call: Call, in_flight: int) -> Response | None:
        """A thousand requests an hour, ten thousand a day."""
        allowed = self._hour.take().allowed and self._day.take().allowed
        return None if allowed else self.too_many(call, None)

    def stamp(self, call: Call, response: Response) -> None:
        """A request id, and no rate headers."""
        response.headers["X-Request-Id"] = new_id()

    def continues(self, call: Call) -> bool:
        """A list that goes on after a call."""
        return "offset" in call.query

    def grow(self, recovered: Sequence[int]) -> None:
        """Staff rate the last calls days after they were made; nothing in the list's order or dates shows it."""
        if "_calls" not in vars(self):
            return  # nobody has looked yet
        for number in self._order.ids(max(0, len(self._order) - 3), len(self._order)):
            self._calls[number] |= {"lead_status": "good_lead", "note": "Called back.", "value": "120.00"}

    def lose(self, stream: str, key: str) -> Callable[[], None]:
        """A call that is marked as spam."""
        return self._order.take(key)

    def _accounts(self, call: Call) -> Response:
        account = {"id": ACCOUNT, "name": "Acme", "outbound_recording_enabled": False, "hipaa_account": False}
        return self.reply({"page": 1, "per_page": 100, "total_pages": 1, "total_records": 1, "accounts": [account]})

    def _list(self, call: Call) -> Response:
        if call.params["account"] != ACCOUNT:
            raise Refused(self.missing(call))
        size, page = call.int_query("per_page", 100), call.int_query("page", 1)
        if size is None or page is None or not 1 <= size <= 250 or page < 1:
            raise Refused(self._bad("per_page must be 1 to 250, page at least 1"))
        low, high = self._range(call)
        if call.query.get("relative_pagination") != "true":
            last = high - (page - 1) * size
            records = [self._at(call, at) for at in range(last - 1, max(low, last - size) - 1, -1)]
            pages = -(-(high - low) // size)
            about = {"page": page, "per_page": size, "total_pages": pages, "total_records": high - low}
            return self.reply({**about, "calls": records})
        high = min(high, self._after(call)) if "offset" in call.query else high
        records = [self._at(call, at) for at in range(high - 1, max(low, high - size) - 1, -1)]
        following = None
        if high - size > low:
            others = [(name, value) for name, value in call.query.multi_items() if name != "offset"]
            token = base64.urlsafe_b64encode(self._order.pairs[high - size][1].encode()).decode()
            following = f"{call.base}{call.path}?{urlencode([*others, ('offset', token)])}"
        after = {"has_next_page": following is not None, "next_page": following}
        before = {"has_previous_page": "offset" in call.query, "previous_page": None}
        return self.reply({"per_page": size, **after, **before, "calls": records})

    def _after(self, call: Call) -> int:
        """Where the last page ended, however many calls came in since."""
        try:
            return self._order.index(base64.urlsafe_b64decode(call.query["offset"]).decode())
        except (binascii.Error, UnicodeDecodeError, KeyError):
            raise Refused(self._bad("offset is not one of this list")) from None

    def _range(self, call: Call) -> tuple[int, int]:
        """Which calls started on the days asked for."""
        low, high = 0, len(self._order)
        try:
            if "start_date" in call.query:
                low = self._order.at(_midnight(call.query["start_date"]))
            if "end_date" in call.query:
                high = self._order.at(_midnight(call.query["end_date"]) + timedelta(days=1))
        except ValueError:
            raise Refused(self._bad("Dates are written as YYYY-MM-DD")) from None
        return low, high

    def _at(self, call: Call, position: int) -> dict[str, Any]:
        return self._shown(call, self._calls[self._order.pairs[position][1]])

    def _one(self, call: Call) -> dict[str, Any]:
        found = self._calls.get(call.params["id"])
        if found is None or call.params["account"] != ACCOUNT:
            raise Refused(self.missing(call))
        return found

    def _shown(self, call: Call, record: dict[str, Any]) -> dict[str, Any]:
        wanted = [name for name in call.query.get("fields", "").split(",") if name]
        unknown = [name for name in wanted if name not in record]
        if unknown:
            raise Refused(self._bad(f"Invalid fields requested: {', '.join(unknown)}"))
        return self.drifted("call", {name: record[name] for name in (*SHOWN, *wanted)})

    def _update(self, call: Call) -> Response:
        record, changes = self._one(call), self.json(call)
        wrong = [name for name, value in changes.items() if not isinstance(value, EDITABLE.get(name, ()))]
        if wrong:
            raise Refused(self._bad(f"Cannot set {', '.join(wrong)}"))
        if changes.pop("spam", False):
            # What is marked as spam is seen no more.
            self._order.drop(record["id"])
            del self._calls[record["id"]]
        record |= changes
        return self.reply(self._shown(call, record))

    def _bad(self, message: str) -> Response:
        return self.reply({"error": message}, 400)


def _midnight(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), ZONE)


def _record(call: CallrailCall) -> dict[str, Any]:
    at = call.started_at.astimezone(ZONE)
    utm = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
    is_voicemail = not call.is_answered and call.seconds > 20
    return {
        **dict.fromkeys(("agent_email", "gclid", "keywords", "note", "referrer_domain", "referring_url", *utm)),
        "id": call.id,
        "answered": call.is_answered,
        "business_phone_number": "+15555550100",
        "call_type": "voicemail" if is_voicemail else ("first_call" if call.is_answered else "missed"),
        "campaign": None,
        "company_id": COMPANY,
        "company_name": "Acme",
        "created_at": at.isoformat(timespec="milliseconds"),
        "customer_city": "Rochester",
        "customer_country": "US",
        "customer_name": call.name,
        "customer_phone_number": call.phone or WITHHELD,
        "customer_state": "NY",
        "direction": call.direction,
        "duration": call.seconds,
        "first_call": False,
        "landing_page_url": call.landing_page_url,
        "last_requested_url": call.last_requested_url,
        "lead_status": None,
        "medium": call.medium,
        "recording": None,
        "recording_duration": None,
        "recording_player": None,
        "source": call.source,
        "source_name": f"{call.source} pool",
        "start_time": at.isoformat(timespec="milliseconds"),
        "tags": [],
        "total_calls": 1,
        "tracker_id": "TRK019f5b2d",
        "tracking_phone_number": "+15555550199",
        "value": None,
        "voicemail": is_voicemail,
    }
