"""Mandrill 1.0: searches of at most a thousand messages, exports as zip files, errors that are all a 500."""

from __future__ import annotations

import csv
import random
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from io import BytesIO, StringIO
from typing import Any, ClassVar

from starlette.responses import Response

from include.simulate.limits import Clock, FixedWindow
from include.simulate.people import Population
from include.simulate.vendor import Call, Refused, Route, Vendor, new_id, read, write

KEY = "md-demo"
API = "/api/1.0"
SIGNATURE = "demo-signature"
SEARCHES_A_MINUTE = 20
SENDER = "hello@acme.example"
SHOP = "https://www.acme.example/"
SUBJECTS = ("Your order", "Reset your password", "Your parcel is on its way", "")
STATES = ("sent", "bounced", "soft-bounced", "rejected", "spam", "unsub")
REASONS = ("hard-bounce", "soft-bounce", "spam", "unsub", "custom")
ACTIVITY = ("Date", "Email Address", "Sender", "Subject", "Status", "Tags", "Opens", "Clicks", "Bounce Detail")
REJECTS = ("email", "reason", "detail", "created_at", "last_event_at", "expires_at")
Record = dict[str, Any]


@dataclass(slots=True)
class Outbox:
    """Messages by id and rejects by address; `owners` says who each message went to."""

    messages: dict[str, Record]
    rejects: dict[str, Record]
    owners: dict[str, int | None]


def make_outbox(population: Population, now: datetime) -> Outbox:
    """What was sent until `now`; the same population gives the same."""
    rng = random.Random(f"{population.seed}/mandrill")
    made = Outbox({}, {}, {})
    for person in population.people:
        if rng.random() >= 0.5:
            continue
        for _ in range(rng.choice((1, 1, 2, 3))):
            email = rng.choice(person.emails)
            state = rng.choices(STATES, (88, 4, 3, 3, 1, 1))[0]
            at = now - timedelta(seconds=round(rng.uniform(0.05, 29) * 86_400))
            opens = rng.choice((0, 0, 1, 2)) if state == "sent" else 0
            clicks = rng.randint(0, opens)
            number = f"{rng.getrandbits(128):032x}"
            has_id = person.user_id is not None and rng.random() < 0.4
            made.messages[number] = {
                "ts": int(at.timestamp()),
                "_id": number,
                "sender": SENDER,
                "template": rng.choice(("order", "password", None)),
                "subject": rng.choice(SUBJECTS),
                "email": email,
                "tags": rng.choice((["order"], ["password-reset"], [])),
                "opens": opens,
                "opens_detail": [_seen(at, count) for count in range(opens)],
                "clicks": clicks,
                "clicks_detail": [{**_seen(at, count), "url": SHOP} for count in range(clicks)],
                "state": state,
                "metadata": {"user_id": person.user_id} if has_id else {},
                "smtp_events": [],
            }
            made.owners[number] = person.person_id
            if state in ("bounced", "spam", "unsub") or rng.random() < 0.05:
                made.rejects[email] = {
                    **{"email": email, "reason": rng.choice(REASONS), "detail": ""},
                    **{"created_at": _stamp(at), "last_event_at": _stamp(at)},
                    "expires_at": _stamp(at + timedelta(days=365)),
                }
    return made


def _seen(sent: datetime, count: int) -> Record:
    """One of the times a message was opened or clicked."""
    return {"ts": int(sent.timestamp()) + 60 * (count + 1), "ip": "203.0.113.7", "location": None, "ua": "Mail/1.0"}


class Mandrill(Vendor):
    """One account; exports lie on storage that asks for no key but a signed address."""

    name = "mandrill"
    retyped_fields: ClassVar[Mapping[str, str]] = {"message": "template"}

    def __init__(self, population: Population, clock: Clock, *, unlimited: bool = False) -> None:
        super().__init__(population, clock, unlimited=unlimited)
        self._began = population.now
        self._searches = FixedWindow(SEARCHES_A_MINUTE, 60, clock)
        self._exports: dict[str, tuple[str, bytes]] = {}
        self._polled: set[str] = set()

    @cached_property
    def outbox(self) -> Outbox:
        """What was sent, made when first asked for."""
        return make_outbox(self.population, self._began)

    def routes(self) -> list[Route]:
        """Calls are all a POST; the storage is not."""
        return [
            read(f"{API}/messages/search.json", self._search, "POST"),
            read(f"{API}/exports/activity.json", self._export_activity, "POST"),
            read(f"{API}/exports/rejects.json", self._export_rejects, "POST"),
            read(f"{API}/exports/info.json", self._info, "POST"),
            write("POST", f"{API}/rejects/delete.json", self._let_off),
            read("/storage/{id}.zip", self._file),
        ]

    def accepts(self, call: Call) -> bool:
        """The key in the body; the storage asks for the signature in the address."""
        if call.path.startswith("/storage/"):
            return call.query.get("signature") == SIGNATURE
        return self.json(call).get("key") == KEY

    def refuse(self, call: Call) -> Response:
        """A 500 whose body says what it is."""
        return self._error(-1, "Invalid_Key", "Invalid API key")

    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """429."""
        headers = {"Retry-After": str(retry_after)} if retry_after is not None else None
        said = "Too many requests, please slow down"
        return self.reply({"status": "error", "code": -99, "name": "GeneralError", "message": said}, 429, headers)

    def broken(self, call: Call) -> Response:
        """500."""
        return self._error(-99, "GeneralError", "An internal error has occurred")

    def missing(self, call: Call) -> Response:
        """404."""
        return self._error(-99, "GeneralError", "Not found", 404)

    def malformed(self, call: Call) -> Response:
        """500."""
        return self._error(-2, "ValidationError", "You must specify a key value")

    def limit(self, call: Call, in_flight: int) -> Response | None:
        """Twenty searches in a minute of the clock."""
        if not call.path.endswith("/messages/search.json"):
            return None
        call.verdict = self._searches.take()
        return None if call.verdict.allowed else self.too_many(call, None)

    def stamp(self, call: Call, response: Response) -> None:
        """The id of the call."""
        response.headers["X-Request-Id"] = new_id()

    def continues(self, call: Call) -> bool:
        """One search after another."""
        return call.path.endswith("/messages/search.json")

    def grow(self, recovered: Sequence[int]) -> None:
        """The latest messages that nobody had opened are opened."""
        if "outbox" not in vars(self):
            return  # nobody has looked yet
        unread = [one for one in self.outbox.messages.values() if one["state"] == "sent" and not one["opens"]]
        for message in sorted(unread, key=lambda one: (one["ts"], one["_id"]))[-3:]:
            message["opens"] = 1
            message["opens_detail"] = [_seen(datetime.fromtimestamp(message["ts"], UTC), 0)]

    def _search(self, call: Call) -> Response:
        asked = self.json(call)
        limit = asked.get("limit", 100)
        if not isinstance(limit, int) or not 1 <= limit <= 1000:
            raise Refused(self._error(-2, "ValidationError", "limit must be 1 to 1000"))
        today = self.clock.now()
        first = _day(asked.get("date_from")) or today - timedelta(days=7)
        last = (_day(asked.get("date_to")) or today) + timedelta(days=1)
        found = [one for one in self._sent() if first.timestamp() <= one["ts"] < last.timestamp()]
        return self.reply([self.drifted("message", one) for one in found[:limit]])

    def _sent(self) -> list[Record]:
        """Every message, newest first."""
        return sorted(self.outbox.messages.values(), key=lambda one: (-one["ts"], one["_id"]))

    def _export_activity(self, call: Call) -> Response:
        asked = self.json(call)
        low, high = (_moment(asked.get(name)) for name in ("date_from", "date_to"))
        found = [one for one in self._sent() if (low or 0) <= one["ts"] < (high or 2**40)]
        rows = [
            (
                *(_stamp(datetime.fromtimestamp(one["ts"], UTC)), one["email"], one["sender"], one["subject"]),
                *(one["state"].capitalize(), ",".join(one["tags"]), one["opens"], one["clicks"], ""),
                one["metadata"].get("user_id", ""),
            )
            for one in found
        ]
        return self._export("activity", (*ACTIVITY, "user_id"), rows)

    def _export_rejects(self, call: Call) -> Response:
        rows = [tuple(one[name] for name in REJECTS) for one in self.outbox.rejects.values()]
        return self._export("rejects", REJECTS, rows)

    def _export(self, kind: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> Response:
        text, packed = StringIO(), BytesIO()
        csv.writer(text).writerows([columns, *rows])
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{kind}.csv", text.getvalue())
        export = f"{len(self._exports):032x}"
        self._exports[export] = kind, packed.getvalue()
        return self.reply(self._state(export, "waiting", None))

    def _info(self, call: Call) -> Response:
        export = str(self.json(call).get("id"))
        if export not in self._exports:
            raise Refused(self._error(-99, "Unknown_Export", f"No export job exists with the id '{export}'"))
        is_done = export in self._polled
        self._polled.add(export)
        url = f"{call.base}/storage/{export}.zip?signature={SIGNATURE}" if is_done else None
        return self.reply(self._state(export, "complete" if is_done else "working", url))

    def _state(self, export: str, state: str, url: str | None) -> Record:
        now = _stamp(self.clock.now())
        finished = now if state == "complete" else None
        kind = self._exports[export][0]
        return {
            **{"id": export, "created_at": now, "type": kind, "finished_at": finished},
            **{"state": state, "result_url": url},
        }

    def _let_off(self, call: Call) -> Response:
        email = str(self.json(call).get("email"))
        return self.reply({"email": email, "deleted": self.outbox.rejects.pop(email, None) is not None})

    def _file(self, call: Call) -> Response:
        found = self._exports.get(call.params["id"])
        if found is None:
            raise Refused(self.missing(call))
        return Response(found[1], media_type="application/zip")

    def _error(self, code: int, name: str, message: str, status: int = 500) -> Response:
        return self.reply({"status": "error", "code": code, "name": name, "message": message}, status)


def _day(value: Any) -> datetime | None:
    return datetime.fromisoformat(value).replace(tzinfo=UTC) if isinstance(value, str) else None


def _moment(value: Any) -> float | None:
    at = _day(value)
    return None if at is None else at.timestamp()


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
