"""Calendly v2: scheduled events and their invitees, whose tracking carries the visitor's anonymous id."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from starlette.responses import Response

from include.simulate.limits import Clock, FixedWindow
from include.simulate.people import CalendlyBooking, Population
from include.simulate.vendor import Call, Order, Refused, Route, Vendor, new_id, read

TOKEN = "cal-demo"
ORGANIZATION = "0a1b2c3d-0000-4000-8000-00000000c0de"
USER = "0a1b2c3d-0000-4000-8000-00000000beef"
EVENT_TYPE = "0a1b2c3d-0000-4000-8000-00000000e7e7"
PER_MINUTE = 500


def stamp(moment: datetime) -> str:
    """A moment as Calendly writes it: microseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Calendly(Vendor):
    """One organization with one user."""

    name = "calendly"
    media_type = "application/json"
    retyped_fields: ClassVar[Mapping[str, str]] = {"event": "created_at", "invitee": "created_at"}

    def __init__(self, population: Population, clock: Clock, *, unlimited: bool = False) -> None:
        super().__init__(population, clock, unlimited=unlimited)
        self._minute = FixedWindow(PER_MINUTE, 60, clock)
        self._invitees: dict[str, list[CalendlyBooking]] = {}
        for booking in population.calendly_bookings:
            self._invitees.setdefault(booking.event_uuid, []).append(booking)
        self._events = Order({uuid: bookings[0].starts_at for uuid, bookings in self._invitees.items()})

    def routes(self) -> list[Route]:
        """Everything is read only: Calendly has nothing to write back to."""
        return [
            read("/users/me", self._me),
            read("/users/{uuid}", self._me),
            read("/organization_memberships", self._memberships),
            read("/scheduled_events", self._list_events),
            read(
                "/scheduled_events/{uuid}", lambda call: self.reply({"resource": self._event(call, self._booked(call))})
            ),
            read("/scheduled_events/{uuid}/invitees", self._list_invitees),
            read("/scheduled_events/{uuid}/invitees/{invitee}", self._get_invitee),
        ]

    def accepts(self, call: Call) -> bool:
        """A personal access token."""
        return call.bearer() == TOKEN

    def refuse(self, call: Call) -> Response:
        """401."""
        return self._error(401, "Unauthenticated", "The access token is invalid")

    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """429; the reset header says when to come back."""
        response = self._error(429, "Too Many Requests", "You have exceeded your rate limit")
        if retry_after is not None:
            response.headers["Retry-After"] = str(retry_after)
        return response

    def broken(self, call: Call) -> Response:
        """500."""
        return self._error(500, "Internal Server Error", "The server encountered an unexpected error")

    def missing(self, call: Call) -> Response:
        """404."""
        return self._error(404, "Resource Not Found", "The server could not find the requested resource.")

    def limit(self, call: Call, in_flight: int) -> Response | None:
        """500 requests a minute."""
        call.verdict = self._minute.take()
        return None if call.verdict.allowed else self.too_many(call, None)

    def stamp(self, call: Call, response: Response) -> None:
        """The rate headers; reset is in seconds from now."""
        response.headers["X-Request-Id"] = new_id()
        if call.verdict is not None:
            response.headers["X-RateLimit-Limit"] = str(call.verdict.limit)
            response.headers["X-RateLimit-Remaining"] = str(call.verdict.remaining)
            response.headers["X-RateLimit-Reset"] = str(math.ceil(call.verdict.resets_in))

    def continues(self, call: Call) -> bool:
        """A list with a page token."""
        return "page_token" in call.query

    def _error(self, status: int, title: str, message: str, parameter: str | None = None) -> Response:
        details = [] if parameter is None else [{"parameter": parameter, "message": message}]
        return self.reply({"title": title, "message": message, **({"details": details} if details else {})}, status)

    def _invalid(self, parameter: str, message: str) -> Refused:
        return Refused(self._error(400, "Invalid Argument", message, parameter))

    def _me(self, call: Call) -> Response:
        if call.params.get("uuid", USER) != USER:
            raise Refused(self.missing(call))
        return self.reply({"resource": self._user(call)})

    def _user(self, call: Call) -> dict[str, Any]:
        return {
            "uri": f"{call.base}/users/{USER}",
            "name": "Demo Host",
            "slug": "demo-host",
            "email": "host@acme.example",
            "scheduling_url": "https://calendly.example/demo-host",
            "timezone": "Europe/Berlin",
            "time_notation": "24h",
            "avatar_url": None,
            "created_at": "2024-01-15T09:00:00.000000Z",
            "updated_at": "2024-01-15T09:00:00.000000Z",
            "current_organization": f"{call.base}/organizations/{ORGANIZATION}",
            "resource_type": "User",
            "locale": "en",
        }

    def _memberships(self, call: Call) -> Response:
        self._check_scope(call)
        member = {
            "uri": f"{call.base}/organization_memberships/{USER}",
            "role": "owner",
            "user": self._user(call),
            "organization": f"{call.base}/organizations/{ORGANIZATION}",
            "created_at": "2024-01-15T09:00:00.000000Z",
            "updated_at": "2024-01-15T09:00:00.000000Z",
        }
        return self.reply({"collection": [member], "pagination": self._pagination(call, 1, None)})

    def _check_scope(self, call: Call) -> None:
        organization, user = call.query.get("organization"), call.query.get("user")
        if not organization and not user:
            raise self._invalid("organization", "One of organization, user or group is required.")
        if not (organization or f"/{ORGANIZATION}").endswith(f"/{ORGANIZATION}") or (
            user and not user.endswith(f"/{USER}")
        ):
            raise Refused(self._error(403, "Permission Denied", "You do not have permission to access this resource."))

    def _list_events(self, call: Call) -> Response:
        self._check_scope(call)
        count = self._count(call)
        low, high = self._moment(call, "min_start_time"), self._moment(call, "max_start_time")
        first = self._events.at(low) if low else 0
        last = self._events.at(high + timedelta(microseconds=1)) if high else len(self._events)
        sort, status = call.query.get("sort", "start_time:asc"), call.query.get("status")
        if sort not in ("start_time:asc", "start_time:desc"):
            raise self._invalid("sort", "Only start_time:asc and start_time:desc are supported.")
        if status not in (None, "active", "canceled"):
            raise self._invalid("status", "Must be active or canceled.")
        step = 1 if sort.endswith("asc") else -1
        at = self._position(call, first if step > 0 else last - 1)
        found: list[dict[str, Any]] = []
        while first <= at < last and len(found) < count:
            booking = self._invitees[self._events.pairs[at][1]][0]
            if status in (None, booking.status):
                found.append(self._event(call, booking))
            at += step
        following = _token(at) if first <= at < last else None
        return self.reply({"collection": found, "pagination": self._pagination(call, len(found), following)})

    def _list_invitees(self, call: Call) -> Response:
        count, bookings = self._count(call), self._invitees[self._booked(call).event_uuid]
        email, status = call.query.get("email"), call.query.get("status")
        bookings = [b for b in bookings if email in (None, b.email) and status in (None, b.status)]
        at = self._position(call, 0)
        page = [self._invitee(call, booking) for booking in bookings[at : at + count]]
        following = _token(at + count) if at + count < len(bookings) else None
        return self.reply({"collection": page, "pagination": self._pagination(call, len(page), following)})

    def _get_invitee(self, call: Call) -> Response:
        for booking in self._invitees[self._booked(call).event_uuid]:
            if booking.invitee_uuid == call.params["invitee"]:
                return self.reply({"resource": self._invitee(call, booking)})
        raise Refused(self.missing(call))

    def _booked(self, call: Call) -> CalendlyBooking:
        bookings = self._invitees.get(call.params["uuid"])
        if not bookings:
            raise Refused(self.missing(call))
        return bookings[0]

    def _count(self, call: Call) -> int:
        count = call.int_query("count", 20)
        if count is None or not 1 <= count <= 100:
            raise self._invalid("count", "must be between 1 and 100")
        return count

    def _moment(self, call: Call, name: str) -> datetime | None:
        value = call.query.get(name)
        if not value:
            return None
        try:
            moment = datetime.fromisoformat(value.replace(" ", "+"))
        except ValueError:
            raise self._invalid(name, "must be a valid ISO 8601 time") from None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def _position(self, call: Call, start: int) -> int:
        token = call.query.get("page_token")
        if token is None:
            return start
        try:
            return int(base64.urlsafe_b64decode(token))
        except (binascii.Error, ValueError):
            raise self._invalid("page_token", "is not a page token of this list") from None

    def _pagination(self, call: Call, count: int, following: str | None) -> dict[str, Any]:
        pages = {"next_page_token": following, "previous_page": None, "previous_page_token": None}
        link = None
        if following is not None:
            others = [(key, value) for key, value in call.query.multi_items() if key != "page_token"]
            link = f"{call.base}{call.path}?{type(call.query)([*others, ('page_token', following)])}"
        return {"count": count, "next_page": link, **pages}

    def _event(self, call: Call, booking: CalendlyBooking) -> dict[str, Any]:
        invitees = self._invitees[booking.event_uuid]
        active = sum(one.status == "active" for one in invitees)
        owner = {"user": f"{call.base}/users/{USER}", "user_email": "host@acme.example", "user_name": "Demo Host"}
        body = {
            "uri": f"{call.base}/scheduled_events/{booking.event_uuid}",
            "name": "Introduction",
            "meeting_notes_plain": None,
            "meeting_notes_html": None,
            "status": booking.status,
            "start_time": stamp(booking.starts_at),
            "end_time": stamp(booking.starts_at + timedelta(minutes=30)),
            "event_type": f"{call.base}/event_types/{EVENT_TYPE}",
            "location": {"type": "zoom", "status": "pushed", "join_url": "https://meet.example/demo"},
            "invitees_counter": {"total": len(invitees), "active": active, "limit": 1},
            "created_at": stamp(booking.created_at),
            "updated_at": stamp(booking.updated_at),
            "event_memberships": [owner],
            "event_guests": [],
            "calendar_event": None,
        }
        if booking.status == "canceled":
            body["cancellation"] = self._cancellation(booking)
        return self.drifted("event", body)

    def _cancellation(self, booking: CalendlyBooking) -> dict[str, Any]:
        who = {"canceled_by": booking.name, "reason": "", "canceler_type": "invitee"}
        return {**who, "created_at": stamp(booking.updated_at)}

    def _invitee(self, call: Call, booking: CalendlyBooking) -> dict[str, Any]:
        event = f"{call.base}/scheduled_events/{booking.event_uuid}"
        uri = f"{event}/invitees/{booking.invitee_uuid}"
        names = ("utm_campaign", "utm_source", "utm_medium", "utm_content", "utm_term", "salesforce_uuid")
        tracking = {**dict.fromkeys(names), "utm_term": booking.utm_term}
        answers = [{"question": "What would you like to discuss?", "answer": "The product", "position": 0}]
        if booking.phone is not None:
            answers.append({"question": "Phone number", "answer": booking.phone, "position": 1})
        no_show = {
            "uri": f"{call.base}/invitee_no_shows/{booking.invitee_uuid}",
            "created_at": stamp(booking.updated_at),
        }
        body = {
            "uri": uri,
            "email": booking.email,
            "first_name": None,
            "last_name": None,
            "name": booking.name,
            "status": booking.status,
            "questions_and_answers": answers,
            "timezone": "Europe/Berlin",
            "event": event,
            "created_at": stamp(booking.created_at),
            "updated_at": stamp(booking.updated_at),
            "tracking": tracking,
            "text_reminder_number": booking.phone,
            "rescheduled": False,
            "old_invitee": None,
            "new_invitee": None,
            "cancel_url": f"https://calendly.example/cancellations/{booking.invitee_uuid}",
            "reschedule_url": f"https://calendly.example/reschedulings/{booking.invitee_uuid}",
            "routing_form_submission": None,
            "payment": None,
            "no_show": no_show if booking.is_no_show else None,
            "reconfirmation": None,
            "scheduling_method": None,
            "invitee_scheduled_by": None,
        }
        if booking.status == "canceled":
            body["cancellation"] = self._cancellation(booking)
        return self.drifted("invitee", body)


def _token(position: int) -> str:
    return base64.urlsafe_b64encode(str(position).encode()).decode()
