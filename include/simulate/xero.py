"""Xero: rotating refresh tokens, tenants, and the contacts, invoices and payments of one organisation."""

from __future__ import annotations

import hashlib
import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import parse_qs

from starlette.responses import Response

from include.simulate.limits import Clock, SlidingWindow
from include.simulate.names import random_uuid, spell_email
from include.simulate.people import Person, Population
from include.simulate.vendor import Call, Refused, Route, Vendor, new_id, read, write

CLIENT_ID, CLIENT_SECRET = "xero-demo-app", "xero-demo-secret"
REFRESH_TOKEN = "xero-demo-authorization"
"""What a person's authorization gave; unlike the ones it turns into, it stays good, as each demo is a new one."""
TENANT = "7b1d5f0a-2f0e-4c7e-9a5c-acme00000001"
API = "/api.xro/2.0"
PER_MINUTE, PER_DAY = 60, 5000
ACCESS_LASTS, GRACE, UNUSED_LASTS = timedelta(minutes=30), timedelta(minutes=30), timedelta(days=60)
KINDS = {"Contacts": "ContactID", "Invoices": "InvoiceID", "Payments": "PaymentID"}
CURRENCIES = ("USD", "EUR", "GBP")


@dataclass(slots=True)
class Books:
    """Every record by list and id; `owners` says whose a contact is, None where nobody can say."""

    records: dict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: {name: {} for name in KINDS})
    owners: dict[str, int | None] = field(default_factory=dict)


class Xero(Vendor):
    """One organisation, and the identity server in front of it."""

    name = "xero"
    media_type = "application/json; charset=utf-8"
    retyped_fields: ClassVar[Mapping[str, str]] = {"Contacts": "Name", "Invoices": "Reference", "Payments": "Amount"}

    def __init__(self, population: Population, clock: Clock, *, unlimited: bool = False) -> None:
        super().__init__(population, clock, unlimited=unlimited)
        self._began = population.now
        self._minute = SlidingWindow(PER_MINUTE, 60, clock)
        self._day = SlidingWindow(PER_DAY, 86_400, clock)
        self._first_used: dict[str, datetime] = {}
        self._issued = 0

    @cached_property
    def books(self) -> Books:
        """Every record, made when first asked for."""
        return make_books(self.population, self._began)

    def routes(self) -> list[Route]:
        """The token endpoint, the list of tenants, and the accounting API."""
        return [
            read("/connect/token", self._token, "POST"),
            read("/Connections", self._connections),
            *(read(f"{API}/{name}", self._list) for name in KINDS),
            write("POST", f"{API}/Contacts/{{id}}", self._update),
        ]

    def accepts(self, call: Call) -> bool:
        """A token that has not run out; the token endpoint judges for itself."""
        if call.path == "/connect/token":
            return True
        ends, _, mark = (call.bearer() or "").partition(".")
        return mark == _mark("access", ends) and self.clock.now().timestamp() < int(ends)

    def refuse(self, call: Call) -> Response:
        """401."""
        return self._problem(401, "Unauthorized", "TokenExpired")

    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """429; a plain text, as Xero's edge answers."""
        headers = {"X-Rate-Limit-Problem": "minute", "Retry-After": str(retry_after or 1)}
        return Response("", 429, headers)

    def broken(self, call: Call) -> Response:
        """500."""
        return self._problem(500, "An error occurred", "An error occurred in Xero.")

    def missing(self, call: Call) -> Response:
        """404."""
        return Response("The resource you're looking for cannot be found", 404, None, "text/html")

    def limit(self, call: Call, in_flight: int) -> Response | None:
        """Sixty calls a minute, five thousand a day."""
        if not call.path.startswith(API):
            return None
        for window, problem in ((self._day, "day"), (self._minute, "minute")):
            call.verdict = window.take()
            if not call.verdict.allowed:
                wait = str(math.ceil(call.verdict.resets_in))
                return Response("", 429, {"X-Rate-Limit-Problem": problem, "Retry-After": wait})
        return None

    def stamp(self, call: Call, response: Response) -> None:
        """What is left of the limits, and Xero's id of the call."""
        response.headers["xero-correlation-id"] = new_id()
        if call.verdict is not None:
            response.headers["X-MinLimit-Remaining"] = str(call.verdict.remaining)
            response.headers["X-AppMinLimit-Remaining"] = "9999"

    def continues(self, call: Call) -> bool:
        """A page past the first."""
        return call.query.get("page", "1") != "1"

    def _problem(self, status: int, title: str, detail: str) -> Response:
        body = {"Type": None, "Title": title, "Status": status, "Detail": detail, "Instance": new_id()}
        return self.reply({**body, "Extensions": {}}, status)

    # -- identity

    def _token(self, call: Call) -> Response:
        form = {name: values[0] for name, values in parse_qs(call.body.decode()).items()}
        if call.basic() != (CLIENT_ID, CLIENT_SECRET):
            return self.reply({"error": "invalid_client"}, 400)
        if form.get("grant_type") != "refresh_token":
            return self.reply({"error": "unsupported_grant_type"}, 400)
        if not self._is_good(form.get("refresh_token", "")):
            return self.reply({"error": "invalid_grant"}, 400)
        now = self.clock.now()
        ends = str(int((now + ACCESS_LASTS).timestamp()))
        self._issued += 1
        made = f"{int(now.timestamp())}-{self._issued}"
        return self.reply(
            {
                **{"access_token": f"{ends}.{_mark('access', ends)}", "token_type": "Bearer"},
                "expires_in": int(ACCESS_LASTS.total_seconds()),
                "refresh_token": f"{made}.{_mark('refresh', made)}",
                "scope": "accounting.contacts accounting.transactions offline_access",
            }
        )

    def _is_good(self, token: str) -> bool:
        """Whether a refresh token buys another: once, and for half an hour again if the answer was lost."""
        if token == REFRESH_TOKEN:
            return True
        made, _, mark = token.partition(".")
        now = self.clock.now()
        # Signed, not remembered: a simulator that was started anew knows the tokens it gave before.
        if mark != _mark("refresh", made) or now - datetime.fromtimestamp(int(made.split("-")[0]), UTC) > UNUSED_LASTS:
            return False
        return now - self._first_used.setdefault(token, now) <= GRACE

    def _connections(self, call: Call) -> Response:
        at = f"{self._began:%Y-%m-%dT%H:%M:%S}.0000000"
        tenant = {"id": random_uuid(random.Random(1)), "tenantId": TENANT, "tenantType": "ORGANISATION"}
        return self.reply([{**tenant, "tenantName": "Acme", "createdDateUtc": at, "updatedDateUtc": at}])

    # -- accounting

    def _list(self, call: Call) -> Response:
        name = call.path.rpartition("/")[2]
        if call.headers.get("xero-tenant-id") != TENANT:
            return self._problem(403, "Forbidden", "AuthenticationUnsuccessful")
        key = KINDS[name]
        order = re.fullmatch(rf"({key}|UpdatedDateUTC)(?: (ASC|DESC))?", call.query.get("order", "UpdatedDateUTC"))
        page, size = call.int_query("page", 1), call.int_query("pageSize", 100)
        if order is None or not page or page < 1 or not size or not 1 <= size <= 1000:
            message = {"ErrorNumber": 16, "Type": "QueryParseException", "Message": "Invalid query"}
            return self.reply(message, 400)
        since = call.headers.get("if-modified-since")
        try:
            at = datetime.fromisoformat(since) if since else datetime.min
        except ValueError:
            at = datetime.min
        least = at.replace(tzinfo=at.tzinfo or UTC)
        show_archived = call.query.get("includeArchived", "").lower() == "true"
        found = [
            one
            for one in self.books.records[name].values()
            if moment(one["UpdatedDateUTC"]) >= least and (show_archived or one.get("ContactStatus") != "ARCHIVED")
        ]
        found.sort(key=lambda one: one[order[1]], reverse=order[2] == "DESC")
        shown = [self.drifted(name, one) for one in found[(page - 1) * size : page * size]]
        numbers = {"page": page, "pageSize": size, "pageCount": -(-len(found) // size), "itemCount": len(found)}
        head = {"Id": new_id(), "Status": "OK", "ProviderName": "Acme", "DateTimeUTC": date(self.clock.now())}
        return self.reply({**head, "pagination": numbers, name: shown})

    def _update(self, call: Call) -> Response:
        found = self.books.records["Contacts"].get(call.params["id"])
        if found is None:
            raise Refused(self.missing(call))
        changes = self.json(call)
        if self.rejects(changes.get("EmailAddress")):
            errors = [{"ValidationErrors": [{"Message": "Email address must be valid."}]}]
            body = {"ErrorNumber": 10, "Type": "ValidationException", "Message": "A validation exception occurred"}
            raise Refused(self.reply({**body, "Elements": errors}, 400))
        found.update({**changes, "UpdatedDateUTC": date(self.clock.now())})
        return self.reply({"Id": new_id(), "Status": "OK", "Contacts": [found]})


def _mark(kind: str, text: str) -> str:
    return hashlib.sha256(f"{CLIENT_SECRET}/{kind}/{text}".encode()).hexdigest()[:24]


def date(at: datetime) -> str:
    """A moment as Xero's JSON writes it."""
    return f"/Date({int(at.timestamp() * 1000)}+0000)/"


def moment(text: str) -> datetime:
    """What `date` wrote."""
    return datetime.fromtimestamp(int(text[6:-7]) / 1000, UTC)


def make_books(population: Population, now: datetime) -> Books:
    """The organisation's books at `now`; the same population gives the same books."""
    return _Maker(population, now).made()


class _Maker:
    def __init__(self, population: Population, now: datetime) -> None:
        self.world, self.now = population, now
        self.rng = random.Random(f"{population.seed}/xero")
        self.books = Books()

    def made(self) -> Books:
        for person in self.world.people:
            if self.rng.random() < 0.35:
                self._customer(person)
        for company in self.world.hubspot_companies[:6]:
            # A supplier's address is the supplier's, whoever reads there.
            contact = self._contact(None, company.name, None, f"billing@{company.domain}", {"IsSupplier": True})
            self._invoice(contact, "ACCPAY")
        return self.books

    def _moment(self) -> datetime:
        return self.now - timedelta(seconds=round(self.rng.uniform(0.2, 118.0) * 86_400))

    def _customer(self, person: Person) -> None:
        rng = self.rng
        email = spell_email(rng, person.emails[0]) if rng.random() < 0.95 else ""
        phone = person.phone if rng.random() < 0.4 else None
        # Filled by whoever connected a shop or a CRM: here it is the website's user id.
        number = {"ContactNumber": person.user_id} if person.user_id and rng.random() < 0.3 else {}
        contact = self._contact(person, person.name, phone, email, {"IsCustomer": True, **number})
        draw = rng.random()
        if draw < 0.05:
            loser = {"ContactStatus": "ARCHIVED", "MergedToContactID": contact["ContactID"]}
            self._contact(person, f"{person.name} (2)", None, person.emails[-1], loser)
        elif draw < 0.09:
            contact["ContactStatus"] = "ARCHIVED"
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            self._invoice(contact, "ACCREC")

    def _contact(
        self, person: Person | None, name: str, phone: str | None, email: str, more: Mapping[str, object]
    ) -> dict[str, Any]:
        number = random_uuid(self.rng)
        digits = (phone[2:5], phone[5:8] + "-" + phone[8:], "1") if phone else ("", "", "")
        empty = {"PhoneNumber": "", "PhoneAreaCode": "", "PhoneCountryCode": ""}
        mobile = dict(zip(("PhoneAreaCode", "PhoneNumber", "PhoneCountryCode"), digits, strict=True))
        one = {
            **{"ContactID": number, "ContactStatus": "ACTIVE", "Name": name, "EmailAddress": email},
            **({"FirstName": person.first_name, "LastName": person.last_name} if person else {}),
            "Addresses": [{"AddressType": kind, "City": "", "Country": ""} for kind in ("STREET", "POBOX")],
            "Phones": [
                {"PhoneType": kind, **(mobile if kind == "MOBILE" else empty)}
                for kind in ("DDI", "DEFAULT", "FAX", "MOBILE")
            ],
            **{"UpdatedDateUTC": date(self._moment()), "ContactGroups": [], "ContactPersons": []},
            **{"IsSupplier": False, "IsCustomer": False, "HasAttachments": False, "HasValidationErrors": False},
            **more,
        }
        self.books.records["Contacts"][number] = one
        self.books.owners[number] = person.person_id if person else None
        return one

    def _invoice(self, contact: Mapping[str, Any], kind: str) -> None:
        rng = self.rng
        issued = self._moment()
        status = rng.choices(("PAID", "AUTHORISED", "DRAFT", "VOIDED", "DELETED"), (70, 15, 5, 6, 4))[0]
        net = rng.randint(9, 2_400)
        total, paid = round(net * 1.2, 2), status == "PAID"
        updated = issued + timedelta(seconds=round((self.now - issued).total_seconds() * rng.random()))
        number = random_uuid(rng)
        day = issued.replace(hour=0, minute=0, second=0, microsecond=0)
        short = {
            **{"InvoiceID": number, "InvoiceNumber": f"INV-{len(self.books.records['Invoices']) + 1:04d}"},
            "Contact": {key: contact[key] for key in ("ContactID", "Name")},
            **{"Type": kind, "CurrencyCode": rng.choices(CURRENCIES, (80, 15, 5))[0]},
        }
        invoice = {
            **short,
            **{"Reference": "", "Status": status, "LineAmountTypes": "Exclusive", "LineItems": []},
            **{"DateString": f"{day:%Y-%m-%dT%H:%M:%S}", "Date": date(day)},
            **{"DueDateString": f"{day + timedelta(days=14):%Y-%m-%dT%H:%M:%S}"},
            **{"SubTotal": float(net), "TotalTax": round(total - net, 2), "Total": total},
            **{"AmountDue": 0.0 if paid else total, "AmountPaid": total if paid else 0.0, "AmountCredited": 0.0},
            **({"FullyPaidOnDate": date(day + timedelta(days=3))} if paid else {}),
            **{"UpdatedDateUTC": date(updated), "HasErrors": False, "SentToContact": True},
        }
        self.books.records["Invoices"][number] = invoice
        if paid:
            self._payment(short, total, day + timedelta(days=3), updated)

    def _payment(self, invoice: Mapping[str, Any], total: float, day: datetime, updated: datetime) -> None:
        number = random_uuid(self.rng)
        kind = "ACCRECPAYMENT" if invoice["Type"] == "ACCREC" else "ACCPAYPAYMENT"
        self.books.records["Payments"][number] = {
            **{"PaymentID": number, "Date": date(day), "BankAmount": total, "Amount": total, "CurrencyRate": 1.0},
            **{"PaymentType": kind, "Status": "DELETED" if self.rng.random() < 0.04 else "AUTHORISED"},
            **{"UpdatedDateUTC": date(updated), "HasAccount": True, "IsReconciled": self.rng.random() < 0.5},
            "Invoice": dict(invoice),
        }
