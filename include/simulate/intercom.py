"""Intercom 2.14: users, leads that become users, and conversations that are opened again."""

from __future__ import annotations

import base64
import binascii
import math
import random
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar

from starlette.responses import Response

from include.simulate.limits import Clock, SlidingWindow
from include.simulate.names import random_uuid, spell_phone
from include.simulate.people import Person, Population
from include.simulate.vendor import Call, Refused, Route, Vendor, new_id, read, take, write

TOKEN = "intercom-demo"
WORKSPACE = "ecahpwf5"
PER_SLICE, SLICE_SECONDS = 1666, 10
TITLES = ("Where is my order?", "Cannot sign in", "Which plan fits?", "Thank you")
CHANNELS = ("conversation", "conversation", "email", "facebook")


@dataclass(slots=True)
class IntercomContact:
    """A user or a lead; the external id of a lead is one Intercom made up."""

    person_id: int | None
    id: str
    role: str
    external_id: str | None
    email: str | None
    name: str | None
    phone: str | None
    has_unsubscribed: bool
    created_at: datetime
    updated_at: datetime


@dataclass(slots=True)
class IntercomConversation:
    """A conversation with one contact; `reopened` counts how often it was opened again."""

    person_id: int | None
    id: str
    contact_id: str
    title: str | None
    channel: str
    state: str
    rating: int | None
    reopened: int
    created_at: datetime
    updated_at: datetime


@dataclass(slots=True)
class Workspace:
    """Everything of one workspace, by id, with true owners."""

    contacts: dict[str, IntercomContact]
    conversations: dict[str, IntercomConversation]


def make_workspace(population: Population, now: datetime) -> Workspace:
    """The workspace as it is at `now`; the same population gives the same one."""
    rng = random.Random(f"{population.seed}/intercom")
    made = Workspace({}, {})
    for person in population.people:
        if rng.random() >= 0.4:
            continue
        roles = ["user"] if rng.random() < 0.7 else ["lead"]
        if roles == ["user"] and rng.random() < 0.1:
            roles.append("lead")  # wrote once more without signing in; nobody has merged the two
        for role in roles:
            contact = _contact(rng, person, role, now)
            made.contacts[contact.id] = contact
            for _ in range(rng.choice((0, 1, 1, 2))):
                conversation = _conversation(rng, contact, 1000 + len(made.conversations), now)
                made.conversations[conversation.id] = conversation
    return made


def _contact(rng: random.Random, person: Person, role: str, now: datetime) -> IntercomContact:
    created = now - timedelta(seconds=round(rng.uniform(40, 300) * 86_400))
    updated = created + timedelta(seconds=round((now - created).total_seconds() * rng.uniform(0, 0.98)))
    is_user = role == "user"
    return IntercomContact(
        person.person_id,
        f"{rng.getrandbits(96):024x}",
        role,
        person.user_id if is_user else random_uuid(rng),
        rng.choice(person.emails) if is_user or rng.random() < 0.6 else None,
        person.name if is_user or rng.random() < 0.5 else None,
        spell_phone(rng, person.phone) if rng.random() < 0.2 else None,
        rng.random() < 0.07,
        created,
        updated,
    )


def _conversation(rng: random.Random, contact: IntercomContact, number: int, now: datetime) -> IntercomConversation:
    created = now - timedelta(seconds=round(rng.uniform(0.3, 39) * 86_400))
    state = rng.choices(("open", "closed", "snoozed"), (30, 60, 10))[0]
    return IntercomConversation(
        contact.person_id,
        str(number),
        contact.id,
        rng.choice((*TITLES, None)),
        rng.choice(CHANNELS),
        state,
        rng.choice((None, None, 3, 4, 5)) if state == "closed" else None,
        1 if rng.random() < 0.1 else 0,
        created,
        created + timedelta(seconds=round((now - created).total_seconds() * rng.uniform(0, 0.98))),
    )


class Intercom(Vendor):
    """One workspace."""

    name = "intercom"
    media_type = "application/json; charset=utf-8"
    retyped_fields: ClassVar[Mapping[str, str]] = {"contact": "name", "conversation": "state"}

    def __init__(self, population: Population, clock: Clock, *, unlimited: bool = False) -> None:
        super().__init__(population, clock, unlimited=unlimited)
        self._began = population.now
        self._gone: dict[str, IntercomContact] = {}
        self._slice = SlidingWindow(PER_SLICE, SLICE_SECONDS, clock)

    @cached_property
    def workspace(self) -> Workspace:
        """What the workspace holds."""
        return make_workspace(self.population, self._began)

    def routes(self) -> list[Route]:
        """Searches, single records, and the merge of a lead into a user."""
        return [
            read("/contacts/search", lambda call: self._search(call, "contact"), "POST"),
            read("/conversations/search", lambda call: self._search(call, "conversation"), "POST"),
            write("POST", "/contacts/merge", self._merge),
            read("/contacts/{id}", lambda call: self.reply(self._one(call, "contact"))),
            read("/conversations/{id}", lambda call: self.reply(self._one(call, "conversation"))),
            read("/me", lambda call: self.reply({"type": "admin", "id": "1", "name": "Demo", "email": None})),
        ]

    def accepts(self, call: Call) -> bool:
        """An access token."""
        return call.bearer() == TOKEN

    def refuse(self, call: Call) -> Response:
        """401."""
        return self._error(401, "unauthorized", "Access Token Invalid")

    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """429; the reset header says when the slice ends."""
        response = self._error(429, "rate_limit_exceeded", "Exceeded rate limit")
        if retry_after is not None:
            response.headers["Retry-After"] = str(retry_after)
        return response

    def broken(self, call: Call) -> Response:
        """500."""
        return self._error(500, "server_error", "Something went wrong")

    def missing(self, call: Call) -> Response:
        """404."""
        return self._error(404, "not_found", "Resource Not Found")

    def malformed(self, call: Call) -> Response:
        """400."""
        return self._error(400, "bad_request", "bad 'request' parameter")

    def limit(self, call: Call, in_flight: int) -> Response | None:
        """Ten thousand a minute, in slices of ten seconds."""
        call.verdict = self._slice.take()
        return None if call.verdict.allowed else self.too_many(call, None)

    def stamp(self, call: Call, response: Response) -> None:
        """The rate headers; reset is a time."""
        response.headers["X-Request-Id"] = new_id()
        response.headers["Intercom-Version"] = "2.14"
        if call.verdict is not None:
            resets_at = math.ceil(self.clock.now().timestamp() + call.verdict.resets_in)
            response.headers["X-RateLimit-Limit"] = str(call.verdict.limit)
            response.headers["X-RateLimit-Remaining"] = str(call.verdict.remaining)
            response.headers["X-RateLimit-Reset"] = str(resets_at)

    def continues(self, call: Call) -> bool:
        """A search that goes on after a record."""
        return b'"starting_after"' in call.body

    def grow(self, recovered: Sequence[int]) -> None:
        """The conversations that were closed longest ago are open once more."""
        if "workspace" not in vars(self):
            return  # nobody has looked yet
        closed = [one for one in self.workspace.conversations.values() if one.state == "closed"]
        for conversation in sorted(closed, key=lambda one: (one.updated_at, one.id))[:3]:
            conversation.state, conversation.updated_at = "open", self.population.now
            conversation.reopened += 1

    def lose(self, stream: str, key: str) -> Callable[[], None]:
        """A contact, whose conversations stay, or a conversation."""
        if stream == "conversations":
            return take(self.workspace.conversations, key)
        self._gone[key] = self.workspace.contacts[key]
        return take(self.workspace.contacts, key)

    def _search(self, call: Call, kind: str) -> Response:
        asked = self.json(call)
        paging = asked.get("pagination") or {}
        size = paging.get("per_page", 50)
        if not isinstance(size, int) or not 1 <= size <= 150:
            raise self._invalid("per_page must be 1 to 150")
        held: Mapping[str, IntercomContact] | Mapping[str, IntercomConversation] = (
            self.workspace.contacts if kind == "contact" else self.workspace.conversations
        )
        rules = self._rules(asked.get("query"))
        moments = ((int(one.updated_at.timestamp()), one.id) for one in held.values())
        found = sorted(pair for pair in moments if all(_fits(pair[0], *rule, kind == "contact") for rule in rules))
        if (asked.get("sort") or {}).get("order", "descending") != "ascending":
            raise self._invalid("this simulator sorts ascending by updated_at only")
        at = bisect_right(found, self._place(paging["starting_after"])) if "starting_after" in paging else 0
        page = [self._shown(kind, held[number]) for _, number in found[at : at + size]]
        following = None
        if at + size < len(found):
            moment, number = found[at + size - 1]
            token = base64.b64encode(f"{moment}/{number}".encode()).decode()
            following = {"page": at // size + 2, "starting_after": token}
        pages = {"type": "pages", "page": at // size + 1, "per_page": size, "total_pages": -(-len(found) // size)}
        pages |= {"next": following} if following else {}
        listed = (
            {"type": "list", "data": page}
            if kind == "contact"
            else {
                "type": "conversation.list",
                "conversations": page,
            }
        )
        return self.reply({**listed, "total_count": len(found), "pages": pages})

    def _rules(self, query: Any) -> list[tuple[str, int]]:
        """Comparisons with the time of change; Intercom knows more fields, and nested rules."""
        rules = query["value"] if isinstance(query, dict) and query.get("operator") == "AND" else [query]
        found = []
        for rule in rules if isinstance(rules, list) else ():
            if (
                not isinstance(rule, dict)
                or rule.get("field") != "updated_at"
                or rule.get("operator") not in ("<", ">")
            ):
                raise self._invalid("query must compare updated_at")
            found.append((str(rule["operator"]), int(rule["value"])))
        return found

    def _place(self, token: str) -> tuple[int, str]:
        try:
            moment, _, number = base64.b64decode(token, validate=True).decode().partition("/")
            return int(moment), number
        except (binascii.Error, ValueError):
            raise self._invalid("starting_after is not a place of this search") from None

    def _merge(self, call: Call) -> Response:
        asked, contacts = self.json(call), self.workspace.contacts
        lead, user = contacts.get(str(asked.get("from"))), contacts.get(str(asked.get("into")))
        if lead is None or user is None or (lead.role, user.role) != ("lead", "user"):
            raise self._invalid("a lead is merged into a user")
        del contacts[lead.id]
        for conversation in self.workspace.conversations.values():
            if conversation.contact_id == lead.id:
                conversation.contact_id, conversation.updated_at = user.id, self.clock.now()
        user.updated_at = self.clock.now()
        return self.reply(self._shown("contact", user))

    def _one(self, call: Call, kind: str) -> dict[str, Any]:
        contact = self.workspace.contacts.get(call.params["id"]) if kind == "contact" else None
        found = contact or (self.workspace.conversations.get(call.params["id"]) if kind == "conversation" else None)
        if found is None:
            raise Refused(self.missing(call))
        return self._shown(kind, found)

    def _shown(self, kind: str, one: IntercomContact | IntercomConversation) -> dict[str, Any]:
        record = _contact_record(one) if isinstance(one, IntercomContact) else self._conversation_record(one)
        return self.drifted(kind, record)

    def _conversation_record(self, one: IntercomConversation) -> dict[str, Any]:
        contact = self.workspace.contacts.get(one.contact_id) or self._gone[one.contact_id]
        author = {"type": contact.role, "id": contact.id, "name": contact.name, "email": contact.email}
        link = {"type": "contact", "id": contact.id, "external_id": contact.external_id}
        return {
            **dict.fromkeys(("waiting_since", "snoozed_until", "admin_assignee_id", "team_assignee_id", "sla_applied")),
            "type": "conversation",
            "id": one.id,
            "title": one.title,
            "created_at": _seconds(one.created_at),
            "updated_at": _seconds(one.updated_at),
            "open": one.state == "open",
            "state": one.state,
            "read": True,
            "priority": "not_priority",
            "tags": {"type": "tag.list", "tags": []},
            "conversation_rating": {"rating": one.rating, "remark": None} if one.rating else None,
            "source": {
                "type": one.channel,
                "id": one.id,
                "delivered_as": "customer_initiated",
                "subject": "",
                "body": f"<p>{one.title or 'Hello'}</p>",
                "author": author,
                "attachments": [],
                "url": None,
                "redacted": False,
            },
            "contacts": {"type": "contact.list", "contacts": [link]},
            "teammates": {"type": "admin.list", "admins": []},
            "custom_attributes": {},
            "statistics": {"type": "conversation_statistics", "count_reopens": one.reopened},
            "ai_agent_participated": False,
        }

    def _error(self, status: int, code: str, message: str) -> Response:
        errors = [{"code": code, "message": message}]
        return self.reply({"type": "error.list", "request_id": new_id(), "errors": errors}, status)

    def _invalid(self, message: str) -> Refused:
        return Refused(self._error(400, "parameter_invalid", message))


def _fits(moment: int, operator: str, value: int, is_by_day: bool) -> bool:
    """Contacts are indexed by the day of their change: hours and minutes of a search are left out."""
    if is_by_day:
        moment, value = moment // 86_400, value // 86_400
    return moment > value if operator == ">" else moment < value


def _contact_record(one: IntercomContact) -> dict[str, Any]:
    never = ("owner_id", "signed_up_at", "last_replied_at", "last_contacted_at", "last_email_opened_at", "avatar")
    return {
        **dict.fromkeys((*never, "last_email_clicked_at", "language_override", "browser", "os")),
        "type": "contact",
        "id": one.id,
        "workspace_id": WORKSPACE,
        "external_id": one.external_id,
        "role": one.role,
        "email": one.email,
        "phone": one.phone,
        "name": one.name,
        "has_hard_bounced": False,
        "marked_email_as_spam": False,
        "unsubscribed_from_emails": one.has_unsubscribed,
        "created_at": _seconds(one.created_at),
        "updated_at": _seconds(one.updated_at),
        "last_seen_at": _seconds(one.updated_at),
        "custom_attributes": {},
        "tags": {"type": "list", "data": [], "total_count": 0, "has_more": False},
        "location": {"type": "location", "country": None, "region": None, "city": None},
        "social_profiles": {"type": "list", "data": []},
    }


def _seconds(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp())
