"""SendGrid v3: marketing contacts that only an export shows in full, and the suppression lists."""

from __future__ import annotations

import csv
import gzip
import hashlib
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from io import StringIO
from typing import Any, ClassVar

from starlette.responses import Response

from include.simulate.limits import Clock, FixedWindow
from include.simulate.names import random_uuid, spell_phone
from include.simulate.people import Person, Population
from include.simulate.sendgrid_lists import Lists
from include.simulate.vendor import Call, Refused, Route, Vendor, new_id, read, write

KEY = "SG.demo"
PER_MINUTE = 200
ROWS_A_FILE = 1000
EXPORTS_KEPT = timedelta(days=3)
SIGNATURE = "demo-signature"
SUPPRESSIONS: Mapping[str, float] = {"bounces": 0.05, "blocks": 0.03, "spam_reports": 0.02, "unsubscribes": 0.13}
"""Kind of suppression -> share of contacts that have it."""
COLUMNS = (
    *("EMAIL", "FIRST_NAME", "LAST_NAME", "ALTERNATE_EMAILS", "PHONE_NUMBER", "EXTERNAL_ID", "ANONYMOUS_ID"),
    *("COUNTRY", "CREATED_AT", "UPDATED_AT", "CONTACT_ID"),
)


@dataclass(slots=True)
class SendgridContact:
    """A marketing contact and when its address was suppressed, by kind; nobody's where `person_id` is None."""

    person_id: int | None
    id: str
    email: str
    first_name: str
    last_name: str
    alternate_emails: tuple[str, ...]
    phone: str | None
    external_id: str | None
    anonymous_id: str | None
    created_at: datetime
    updated_at: datetime
    suppressed: dict[str, datetime]


def make_contacts(population: Population, now: datetime) -> list[SendgridContact]:
    """Contacts and suppressions as they are at `now`; the same population gives the same ones."""
    rng = random.Random(f"{population.seed}/sendgrid")
    return [_contact(rng, person, now) for person in population.people if rng.random() < 0.6]


def _contact(rng: random.Random, person: Person, now: datetime) -> SendgridContact:
    created = now - timedelta(seconds=round(rng.uniform(40, 400) * 86_400))
    updated = created + timedelta(seconds=round((now - created).total_seconds() * rng.uniform(0, 0.9)))
    suppressed = {
        kind: now - timedelta(seconds=round(rng.uniform(1, 39) * 86_400))
        for kind, share in SUPPRESSIONS.items()
        if rng.random() < share
    }
    return SendgridContact(
        person.person_id,
        random_uuid(rng),
        person.emails[0],
        person.first_name,
        person.last_name,
        person.emails[1:] if rng.random() < 0.5 else (),
        spell_phone(rng, person.phone) if rng.random() < 0.2 else None,
        person.user_id if rng.random() < 0.3 else None,
        rng.choice(person.devices) if rng.random() < 0.15 else None,
        created,
        updated,
        suppressed,
    )


class SendGrid(Vendor):
    """One account; exports are made ready on storage that asks for no key but a signed address."""

    name = "sendgrid"
    media_type = "application/json"
    retyped_fields: ClassVar[Mapping[str, str]] = dict.fromkeys(SUPPRESSIONS, "status")

    def __init__(self, population: Population, clock: Clock, *, unlimited: bool = False) -> None:
        super().__init__(population, clock, unlimited=unlimited)
        self._began = population.now
        self._minute = FixedWindow(PER_MINUTE, 60, clock)
        self._exports: dict[str, tuple[datetime, list[bytes]]] = {}
        self._polled: set[str] = set()
        self.lists = Lists(self)

    @cached_property
    def contacts(self) -> list[SendgridContact]:
        """The contacts, with true owners."""
        return make_contacts(self.population, self._began)

    def routes(self) -> list[Route]:
        """Exports, the few contacts a list shows, and suppressions."""
        exports = "/v3/marketing/contacts/exports"
        lists = [read(f"/v3/suppression/{kind}", partial(self._suppressed, kind)) for kind in SUPPRESSIONS]
        return [
            read(exports, self._start_export, "POST"),
            read(exports + "/{id}", self._export),
            read("/storage/{id}/{number:int}.csv.gz", self._file),
            read("/v3/marketing/contacts", self._sample),
            write("DELETE", "/v3/marketing/contacts", self._delete),
            *self.lists.routes(),
            *lists,
        ]

    def accepts(self, call: Call) -> bool:
        """An API key; the storage asks for the signature in the address."""
        if call.path.startswith("/storage/"):
            return call.query.get("X-Amz-Signature") == SIGNATURE and "authorization" not in call.headers
        return call.bearer() == KEY

    def refuse(self, call: Call) -> Response:
        """401."""
        return self._error(401, "The provided authorization grant is invalid, expired, or revoked")

    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """429; the reset header says when the minute ends."""
        response = self._error(429, "too many requests")
        if retry_after is not None:
            response.headers["Retry-After"] = str(retry_after)
        return response

    def broken(self, call: Call) -> Response:
        """500."""
        return self._error(500, "internal server error")

    def missing(self, call: Call) -> Response:
        """404."""
        return self._error(404, "not found")

    def malformed(self, call: Call) -> Response:
        """400."""
        return self._error(400, "bad request")

    def limit(self, call: Call, in_flight: int) -> Response | None:
        """200 requests in a minute of the clock."""
        call.verdict = self._minute.take()
        return None if call.verdict.allowed else self.too_many(call, None)

    def stamp(self, call: Call, response: Response) -> None:
        """The rate headers; reset is in seconds from now."""
        response.headers["x-amzn-requestid"] = new_id()
        if call.verdict is not None:
            response.headers["X-RateLimit-Limit"] = str(call.verdict.limit)
            response.headers["X-RateLimit-Remaining"] = str(call.verdict.remaining)
            response.headers["X-RateLimit-Reset"] = str(math.ceil(call.verdict.resets_in))

    def continues(self, call: Call) -> bool:
        """A suppression list from an offset on."""
        return call.query.get("offset", "0") != "0"

    def grow(self, recovered: Sequence[int]) -> None:
        """The contacts left alone longest change, and the first of them without a no wants no more mail."""
        if "contacts" not in vars(self):
            return  # nobody has looked yet
        oldest = sorted(self.contacts, key=lambda contact: (contact.updated_at, contact.id))
        for contact in oldest[:3]:
            contact.updated_at = self.population.now
        for contact in [one for one in oldest if "unsubscribes" not in one.suppressed][:1]:
            contact.suppressed["unsubscribes"] = self.population.now

    def lose(self, stream: str, key: str) -> Callable[[], None]:
        """A contact, with what was suppressed of it."""
        place = [one.id for one in self.contacts if stream == "contacts"].index(key)
        contact = self.contacts.pop(place)
        return partial(self.contacts.insert, place, contact)

    def _start_export(self, call: Call) -> Response:
        asked = self.json(call)
        if asked.get("file_type", "csv") != "csv":
            raise Refused(self._error(400, "this simulator writes csv only", "file_type"))
        of = asked.get("list_ids")
        wanted = self.lists.members(of) if of else None
        rows = [_row(contact) for contact in self.contacts if wanted is None or contact.id in wanted]
        files = [_packed(rows[start : start + ROWS_A_FILE]) for start in range(0, len(rows), ROWS_A_FILE)]
        export = hashlib.sha256(f"export/{len(self._exports)}".encode()).hexdigest()[:32]
        self._exports[export] = self.clock.now(), files
        return self.reply({"id": export, "_metadata": {"self": f"{call.base}{call.path}/{export}"}}, 202)

    def _export(self, call: Call) -> Response:
        export = call.params["id"]
        at, files = self._job(call)
        is_ready = export in self._polled
        self._polled.add(export)
        address = f"{call.base}/storage/{export}/{{}}.csv.gz?X-Amz-Expires=300&X-Amz-Signature={SIGNATURE}"
        job = {
            "id": export,
            "status": "ready" if is_ready else "pending",
            "created_at": _iso(at),
            "updated_at": _iso(at),
            "completed_at": _iso(at) if is_ready else None,
            "expires_at": _iso(at + EXPORTS_KEPT),
            "urls": [address.format(number) for number in range(len(files))] if is_ready else [],
            "contact_count": len(self.contacts) if is_ready else 0,
            "_metadata": {"self": f"{call.base}{call.path}"},
        }
        return self.reply(job)

    def _file(self, call: Call) -> Response:
        _, files = self._job(call)
        number = int(call.params["number"])
        if number >= len(files):
            raise Refused(self.missing(call))
        return Response(files[number], media_type="application/gzip")

    def _job(self, call: Call) -> tuple[datetime, list[bytes]]:
        job = self._exports.get(call.params["id"])
        if job is None:
            raise Refused(self.missing(call))
        return job

    def _sample(self, call: Call) -> Response:
        latest = sorted(self.contacts, key=lambda contact: contact.updated_at)[-50:]
        shown = [{"id": one.id, "email": one.email, "updated_at": _iso(one.updated_at)} for one in latest]
        return self.reply({"result": shown, "contact_count": len(self.contacts), "_metadata": {}})

    def _delete(self, call: Call) -> Response:
        gone = set(call.query.get("ids", "").split(","))
        self.contacts[:] = [contact for contact in self.contacts if contact.id not in gone]
        return self.reply({"job_id": new_id()}, 202)

    def _suppressed(self, kind: str, call: Call) -> Response:
        limit, offset = call.int_query("limit", 500), call.int_query("offset", 0)
        low, high = call.int_query("start_time", 0), call.int_query("end_time", 2**40)
        if None in (limit, offset, low, high) or not 1 <= (limit or 0) <= 500 or (offset or 0) < 0:
            raise Refused(self._error(400, "limit must be 1 to 500", "limit"))
        found = sorted(
            ((int(at.timestamp()), one.email) for one in self.contacts if (at := one.suppressed.get(kind))),
            reverse=True,
        )
        found = [pair for pair in found if (low or 0) <= pair[0] <= (high or 0)][offset or 0 :][: limit or 0]
        return self.reply([self._suppression(kind, *pair) for pair in found])

    def _suppression(self, kind: str, created: int, email: str) -> dict[str, Any]:
        record: dict[str, Any] = {"created": created, "email": email}
        if kind == "bounces":
            record |= {"reason": f"550 5.1.1 <{email}>: Recipient address rejected: User unknown", "status": "5.1.1"}
        elif kind == "blocks":
            record |= {"reason": "error dialing remote address: no route to host", "status": "4.0.0"}
        elif kind == "spam_reports":
            record |= {"ip": "192.0.2.10"}
        return self.drifted(kind, record) if "status" in record else record

    def _error(self, status: int, message: str, field: str | None = None) -> Response:
        return self.reply({"errors": [{"field": field, "message": message}]}, status)


def _row(contact: SendgridContact) -> tuple[str, ...]:
    return (
        contact.email,
        contact.first_name,
        contact.last_name,
        ",".join(contact.alternate_emails),
        contact.phone or "",
        contact.external_id or "",
        contact.anonymous_id or "",
        "",
        _iso(contact.created_at),
        _iso(contact.updated_at),
        contact.id,
    )


def _packed(rows: Sequence[tuple[str, ...]]) -> bytes:
    text = StringIO()
    csv.writer(text).writerows([COLUMNS, *rows])
    return gzip.compress(text.getvalue().encode(), 1, mtime=0)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
