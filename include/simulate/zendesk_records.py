"""What Zendesk's simulator stores: users, tickets and organizations, user fields, and the jobs that change users."""

from __future__ import annotations

import re
import zlib
from bisect import insort
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from include.simulate.limits import Clock
from include.simulate.people import Population, ZendeskTicket, ZendeskUser
from include.simulate.vendor import Order

KINDS = ("users", "tickets", "organizations")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
JOB_SECONDS = 3.0
"""A job nobody asks about is done after this long."""


def stamp(moment: datetime) -> str:
    """A moment as Zendesk writes it: seconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class Problem(Exception):
    """Why Zendesk refuses a record."""

    def __init__(self, name: str, description: str) -> None:
        self.name, self.description = name, description
        super().__init__(name)


@dataclass(slots=True)
class Job:
    """A bulk change; the work is done at once, but the results show only when the job completes."""

    id: str
    results: list[dict[str, Any]]
    started: float
    asked: int = 0

    def body(self, url: str, seconds: float, now: datetime) -> dict[str, Any]:
        """The job as the next look at it shows it: queued, then working, then completed."""
        is_late = seconds - self.started >= JOB_SECONDS
        status = "completed" if is_late or self.asked > 1 else ("queued", "working")[self.asked]
        self.asked += 1
        total, done = len(self.results), status == "completed"
        return {
            "id": self.id,
            "job_type": "Bulk Update User",
            "url": url,
            "total": total,
            "progress": total if done else total // 2 if status == "working" else None,
            "status": status,
            "message": f"Completed at {now:%Y-%m-%d %H:%M:%S} +0000" if done else None,
            "results": self.results if done else None,
        }

    def is_open(self, seconds: float) -> bool:
        """Whether the job still counts against the account's limit of running jobs."""
        return self.asked < 3 and seconds - self.started < JOB_SECONDS


@dataclass(slots=True)
class Desk:
    """The store; a record is the JSON object the API shows, without its url."""

    clock: Clock
    records: dict[str, dict[int, dict[str, Any]]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    ids: dict[str, list[int]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    generated: dict[str, Order] = field(default_factory=dict)
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    by_email: dict[str, int] = field(default_factory=dict)
    by_external_id: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, population: Population, clock: Clock) -> Desk:
        """The help desk as the population has it."""
        desk, generated = cls(clock), {kind: dict[Any, Any]() for kind in KINDS}
        for user in population.zendesk_users:
            desk.records["users"][user.id] = _user(user)
            generated["users"][user.id] = int(user.updated_at.timestamp())
            desk._index(desk.records["users"][user.id])
        for ticket in population.zendesk_tickets:
            desk.records["tickets"][ticket.id] = _ticket(ticket)
            at = ticket.updated_at
            if ticket.id % 10 == 0:
                # An update by the system itself: the export's own clock moves, updated_at does not.
                at = max(at, min(at + timedelta(hours=2), population.now - timedelta(minutes=2)))
            generated["tickets"][ticket.id] = int(at.timestamp())
        for one in population.zendesk_organizations:
            times = {"created_at": stamp(one.created_at), "updated_at": stamp(one.updated_at)}
            rest: dict[str, Any] = {"domain_names": [], "details": None, "notes": None, "group_id": None, "tags": []}
            more: dict[str, Any] = {
                "shared_tickets": False,
                "shared_comments": False,
                "external_id": None,
                "organization_fields": {},
            }
            desk.records["organizations"][one.id] = {"id": one.id, "name": one.name, **more, **times, **rest}
            generated["organizations"][one.id] = int(one.updated_at.timestamp())
        for kind in KINDS:
            desk.ids[kind] = sorted(desk.records[kind])
            desk.generated[kind] = Order(generated[kind])
        return desk

    def _index(self, user: Mapping[str, Any]) -> None:
        if user["email"]:
            self.by_email[user["email"].lower()] = user["id"]
        if user["external_id"]:
            self.by_external_id[user["external_id"]] = user["id"]

    def touch(self, kind: str, number: int) -> None:
        """Count a change by the system: only the export notices."""
        self.generated[kind].put(number, int(self.clock.now().timestamp()))
        if kind == "tickets":
            self.records[kind][number]["generated_timestamp"] = int(self.clock.now().timestamp())

    def user(self, given: Mapping[str, Any]) -> dict[str, Any] | None:
        """The user meant by an id, an address or an external id."""
        users, email, external = self.records["users"], given.get("email"), given.get("external_id")
        if given.get("id") is not None:
            return users.get(int(given["id"])) if str(given["id"]).isdigit() else None
        number = self.by_external_id.get(str(external)) if external else None
        if number is None and email:
            number = self.by_email.get(str(email).strip().lower())
        return users[number] if number is not None else None

    def save(self, given: Mapping[str, Any], user: dict[str, Any] | None) -> dict[str, Any]:
        """Create a user, or change one.

        Raises:
            Problem: a value Zendesk would not take; nothing is changed then.
        """
        email, name = given.get("email"), given.get("name", user["name"] if user else None)
        if email and not EMAIL.fullmatch(str(email).strip()):
            raise Problem("email", f"Email: {email} is not properly formatted")
        if not name:
            raise Problem("name", "Name: is too short (minimum is 1 character)")
        for what, index in (("email", self.by_email), ("external_id", self.by_external_id)):
            owner = index.get(str(given.get(what) or "").strip().lower() if what == "email" else str(given.get(what)))
            if given.get(what) and owner not in (None, user["id"] if user else None):
                raise Problem(what, f"{what.capitalize()}: {given[what]} is already being used by another user")
        values = self._checked(given.get("user_fields") or {})
        now = self.clock.now()
        if user is None:
            number = (self.ids["users"][-1] if self.ids["users"] else 900_000_000) + 1
            user = _user(ZendeskUser(None, number, name, None, None, None, "end-user", now, now))
            self.records["users"][number] = user
            insort(self.ids["users"], number)
        known = ("name", "email", "phone", "external_id", "tags", "alias", "verified", "notes", "details", "role")
        changed = {key: given[key] for key in known if key in given} | {"user_fields": user["user_fields"] | values}
        if any(user[key] != value for key, value in changed.items()) or user["id"] not in self.generated["users"]:
            self.by_email.pop((user["email"] or "").lower(), None)
            self.by_external_id.pop(user["external_id"] or "", None)
            user.update(changed, updated_at=stamp(now))
            self._index(user)
            self.touch("users", user["id"])
        return user

    def delete_user(self, user: dict[str, Any]) -> None:
        """Deactivate: the address goes, the record stays."""
        self.by_email.pop((user["email"] or "").lower(), None)
        user.update(active=False, email=None, external_id=None, updated_at=stamp(self.clock.now()))
        self.touch("users", user["id"])

    def _checked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values of user fields that exist; unknown keys are ignored without a word, as Zendesk does."""
        checked = {key: value for key, value in values.items() if key in self.fields}
        for key, value in checked.items():
            kind = self.fields[key]["type"]
            if kind == "checkbox":
                checked[key] = value in (True, "true", "1", 1)
            elif value is not None and kind in ("integer", "decimal"):
                if not re.fullmatch(r"-?\d+(\.\d+)?", str(value)):
                    raise Problem(key, f"{self.fields[key]['title']}: {value} is not a number")
                checked[key] = int(value) if kind == "integer" else str(value)
            elif value is not None and kind == "date":
                checked[key] = f"{str(value)[:10]}T00:00:00+00:00"
        return checked

    def user_fields(self, user: Mapping[str, Any]) -> dict[str, Any]:
        """Every field of the account; an unset checkbox is false, everything else null."""
        unset = {key: False if one["type"] == "checkbox" else None for key, one in self.fields.items()}
        return unset | {key: value for key, value in user["user_fields"].items() if key in unset}

    def add_field(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """A new user field.

        Raises:
            Problem: key, type or title is missing, or the key is taken.
        """
        for name in ("key", "type", "title"):
            if not given.get(name):
                raise Problem(name, f"{name.capitalize()}: cannot be blank")
        if given["key"] in self.fields:
            raise Problem("key", f"Key: {given['key']} has already been taken")
        now, position = stamp(self.clock.now()), len(self.fields)
        self.fields[given["key"]] = {
            "id": 360_001_000_000 + position,
            "type": given["type"],
            "key": given["key"],
            "title": given["title"],
            "description": given.get("description", ""),
            "raw_title": given["title"],
            "raw_description": given.get("description", ""),
            "position": position,
            "active": True,
            "system": False,
            "regexp_for_validation": None,
            "created_at": now,
            "updated_at": now,
        }
        return self.fields[given["key"]]

    def start_job(self, rows: Iterable[Any], act: Callable[[Any], dict[str, Any]], failure: str) -> Job:
        """Do a bulk change row by row; a row that fails is reported in the results of a job that completes."""
        results: list[dict[str, Any]] = []
        for index, row in enumerate(rows):
            try:
                results.append(act(row))
            except Problem as problem:
                whose = {"id": row["id"]} if isinstance(row, Mapping) and "id" in row else {}
                what = "NotFound" if problem.name == "id" else failure
                results.append({"index": index, "error": what, **whose, "details": problem.description})
        number = len(self.jobs) + 1
        job = Job(f"{number:04d}{zlib.crc32(str(number).encode()):08x}", results, self.clock.seconds())
        self.jobs[job.id] = job
        return job


def _user(user: ZendeskUser) -> dict[str, Any]:
    return {
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "created_at": stamp(user.created_at),
        "updated_at": stamp(user.updated_at),
        "time_zone": "Berlin",
        "iana_time_zone": "Europe/Berlin",
        "phone": user.phone,
        "shared_phone_number": None,
        "photo": None,
        "locale_id": 1,
        "locale": "en-US",
        "organization_id": None,
        "role": user.role,
        "verified": True,
        "external_id": user.external_id,
        "tags": [],
        "alias": None,
        "active": True,
        "shared": False,
        "shared_agent": False,
        "last_login_at": None,
        "two_factor_auth_enabled": False,
        "signature": None,
        "details": None,
        "notes": None,
        "role_type": None,
        "custom_role_id": None,
        "moderator": user.role != "end-user",
        "ticket_restriction": "requested" if user.role == "end-user" else None,
        "only_private_comments": False,
        "restricted_agent": user.role == "end-user",
        "suspended": False,
        "default_group_id": None,
        "report_csv": False,
        "user_fields": {},
    }


def _ticket(ticket: ZendeskTicket) -> dict[str, Any]:
    return {
        "id": ticket.id,
        "external_id": None,
        "via": {"channel": "web", "source": {"from": {}, "to": {}, "rel": None}},
        "created_at": stamp(ticket.created_at),
        "updated_at": stamp(ticket.updated_at),
        "generated_timestamp": int(ticket.updated_at.timestamp()),
        "type": None,
        "subject": ticket.subject,
        "raw_subject": ticket.subject,
        "description": ticket.subject,
        "priority": None,
        "status": ticket.status,
        "recipient": None,
        "requester_id": ticket.requester_id,
        "submitter_id": ticket.requester_id,
        "assignee_id": None,
        "organization_id": None,
        "group_id": None,
        "collaborator_ids": [],
        "follower_ids": [],
        "email_cc_ids": [],
        "problem_id": None,
        "has_incidents": False,
        "is_public": True,
        "due_at": None,
        "tags": [],
        "custom_fields": [],
        "satisfaction_rating": None,
        "brand_id": 1,
        "allow_channelback": False,
        "allow_attachments": True,
    }
