"""Stripe v1: customers, charges, and the events that tell what changed in the last 30 days."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from starlette.responses import Response

from include.simulate.limits import Clock, SlidingWindow
from include.simulate.people import Population, StripeCharge, StripeCustomer
from include.simulate.vendor import Call, Order, Refused, Route, Vendor, read, write

API_KEY = "sk_test_demo"
API_VERSION = "2026-10-28.endive"
EVENTS_KEPT = timedelta(days=30)
PER_SECOND = 100
WRITABLE = frozenset({"email", "name", "phone", "description"})


@dataclass(slots=True)
class Collection:
    """Objects of one kind, listed newest first."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    order: Order = field(default_factory=Order)

    def add(self, one: dict[str, Any]) -> None:
        """Put an object in its place by creation time."""
        self.objects[one["id"]] = one
        self.order.put(one["id"], one["created"])


@dataclass(frozen=True, slots=True)
class Replay:
    """What an idempotency key has been answered with."""

    fingerprint: str
    status: int
    body: bytes
    request_id: str


class Stripe(Vendor):
    """One account in test mode."""

    name = "stripe"
    media_type = "application/json"
    retyped_fields: ClassVar[Mapping[str, str]] = {"customer": "created", "charge": "amount", "event": "created"}

    def __init__(self, population: Population, clock: Clock, *, unlimited: bool = False) -> None:
        super().__init__(population, clock, unlimited=unlimited)
        self._second = SlidingWindow(PER_SECOND, 1, clock)
        self._customers, self._charges, self._events = Collection(), Collection(), Collection()
        self._charges_of: dict[str, Collection] = {}
        self._deleted: set[str] = set()
        self._replays: dict[str, Replay] = {}
        self._requests = 0
        self._known = (0, 0)
        self.grow(())

    def routes(self) -> list[Route]:
        """Everything under /v1."""
        return [
            read("/v1/customers", lambda call: self._list(call, "customer", self._customers)),
            write("POST", "/v1/customers", self._create),
            read("/v1/customers/search", self._search),
            read("/v1/customers/{id}", self._get_customer),
            write("POST", "/v1/customers/{id}", self._update),
            write("DELETE", "/v1/customers/{id}", self._delete),
            read("/v1/charges", self._list_charges),
            read("/v1/charges/{id}", lambda call: self.reply(self._one(call, "charge", self._charges))),
            read("/v1/events", self._list_events),
            read("/v1/events/{id}", lambda call: self.reply(self._one(call, "event", self._events))),
        ]

    def accepts(self, call: Call) -> bool:
        """The key as Basic user or as Bearer."""
        basic = call.basic()
        return call.bearer() == API_KEY or (basic is not None and basic == (API_KEY, ""))

    def refuse(self, call: Call) -> Response:
        """401."""
        return self._error(401, "Invalid API Key provided.")

    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """429; Stripe gives no Retry-After unless a test asks for one."""
        response = self._error(429, "Request rate limit exceeded.", code="rate_limit")
        if retry_after is not None:
            response.headers["Retry-After"] = str(retry_after)
        return response

    def broken(self, call: Call) -> Response:
        """500."""
        return self._error(500, "An unknown error occurred.", kind="api_error")

    def missing(self, call: Call) -> Response:
        """404 for a path nobody serves."""
        return self._error(404, f"Unrecognized request URL ({call.method}: {call.path}).")

    def limit(self, call: Call, in_flight: int) -> Response | None:
        """A hundred requests a second."""
        return None if self._second.take().allowed else self.too_many(call, None)

    def stamp(self, call: Call, response: Response) -> None:
        """Request id and version; errors say whether to retry."""
        head = response.headers
        self._requests += 1
        head["Server"] = "nginx"
        head.setdefault("Request-Id", f"req_{self._requests:014d}")
        head["Stripe-Version"] = call.headers.get("stripe-version", API_VERSION)
        if "idempotency-key" in call.headers:
            head["Idempotency-Key"] = call.headers["idempotency-key"]
        if response.status_code >= 400:
            head["Stripe-Should-Retry"] = "true" if response.status_code in (409, 429, 500) else "false"

    def continues(self, call: Call) -> bool:
        """A list that starts after an object."""
        return "starting_after" in call.query

    def grow(self, recovered: Sequence[int]) -> None:
        """Take in customers and charges the world added since the last time, each with its events."""
        customers, charges = self.population.stripe_customers, self.population.stripe_charges
        for customer in customers[self._known[0] :]:
            self._customers.add(_customer(customer))
            self._emit("customer.created", self._customers.objects[customer.id], customer.created_at)
        for charge in charges[self._known[1] :]:
            self._add_charge(charge)
        self._known = len(customers), len(charges)

    def lose(self, stream: str, key: str) -> Callable[[], None]:
        """A customer, without the event."""
        held = {"customers": self._customers}[stream]
        held.order.drop(key)
        return partial(held.add, held.objects.pop(key))

    def _add_charge(self, charge: StripeCharge) -> None:
        customer = self._customers.objects.get(charge.customer_id)
        body = _charge(charge, customer)
        self._charges.add(body)
        self._charges_of.setdefault(charge.customer_id, Collection()).add(body)
        self._emit(f"charge.{charge.status}", {**body, "refunded": False, "amount_refunded": 0}, charge.created_at)
        if charge.refunded:
            self._emit("charge.refunded", body, min(charge.created_at + timedelta(minutes=30), self.population.now))

    def _emit(self, kind: str, thing: Mapping[str, Any], at: datetime, before: Mapping[str, Any] | None = None) -> None:
        if at < self.population.now - EVENTS_KEPT:
            return
        name = f"{len(self._events.objects) + 1}/{kind}/{thing['id']}"
        data = {"object": dict(thing), **({"previous_attributes": dict(before)} if before else {})}
        self._events.add(
            {
                "id": f"evt_{hashlib.sha256(name.encode()).hexdigest()[:24]}",
                "object": "event",
                "api_version": API_VERSION,
                "created": int(at.timestamp()),
                "data": data,
                "livemode": False,
                "pending_webhooks": 0,
                "request": {"id": None, "idempotency_key": None},
                "type": kind,
            }
        )

    def _error(self, status: int, message: str, *, kind: str = "invalid_request_error", **more: Any) -> Response:
        return self.reply({"error": {**more, "message": message, "type": kind}}, status)

    def _invalid(self, message: str, param: str, code: str = "parameter_invalid") -> Refused:
        url = f"https://docs.example/error-codes/{code}"
        return Refused(self._error(400, message, code=code, doc_url=url, param=param))

    # -- reading

    def _one(self, call: Call, kind: str, collection: Collection) -> dict[str, Any]:
        found = collection.objects.get(call.params["id"])
        if found is None:
            text = f"No such {kind}: '{call.params['id']}'"
            raise Refused(self._error(404, text, code="resource_missing", param="id"))
        return self.drifted(kind, found)

    def _get_customer(self, call: Call) -> Response:
        if call.params["id"] in self._deleted:
            return self.reply({"id": call.params["id"], "object": "customer", "deleted": True})
        return self.reply(self._one(call, "customer", self._customers))

    def _search(self, call: Call) -> Response:
        asked = re.fullmatch(r"metadata\['(.+)'\]:'(.*)'", call.query.get("query", ""))
        limit, start = call.int_query("limit", 10), call.int_query("page", 0)
        if asked is None or limit is None or not 1 <= limit <= 100 or start is None:
            raise self._invalid("This simulator searches for one metadata value.", "query")
        found = [one for one in self._customers.objects.values() if one["metadata"].get(asked[1]) == asked[2]]
        more = start + limit if start + limit < len(found) else None
        page = found[start : start + limit]
        body = {"object": "search_result", "data": page, "has_more": more is not None, "url": call.path}
        return self.reply({**body, "next_page": str(more) if more is not None else None})

    def _list_charges(self, call: Call) -> Response:
        customer = call.query.get("customer")
        return self._list(call, "charge", self._charges_of.get(customer, Collection()) if customer else self._charges)

    def _list_events(self, call: Call) -> Response:
        kinds = {value for key, value in call.query.multi_items() if key == "type" or key.startswith("types[")}
        return self._list(call, "event", self._events, kinds)

    def _list(
        self, call: Call, kind: str, collection: Collection, kinds: frozenset[str] | set[str] = frozenset()
    ) -> Response:
        limit = call.int_query("limit", 10)
        if limit is None or not 1 <= limit <= 100:
            raise self._invalid("limit must be 1 to 100.", "limit", "parameter_invalid_integer")
        low, high = self._created(call, collection.order)
        if kind == "event":
            low = max(low, collection.order.at(int((self.clock.now() - EVENTS_KEPT).timestamp())))
        after, before = call.query.get("starting_after"), call.query.get("ending_before")
        # Newest first: "after" an object means older than it.
        if after is not None:
            high = min(high, self._position(after, collection, "starting_after"))
        if before is not None:
            low = max(low, self._position(before, collection, "ending_before") + 1)
        step, at = (1, low) if before is not None else (-1, high - 1)
        email = call.query.get("email") if kind == "customer" else None
        found: list[dict[str, Any]] = []
        while low <= at < high and len(found) <= limit:
            one = collection.objects[collection.order.pairs[at][1]]
            if (not kinds or _is_of(one.get("type", ""), kinds)) and email in (None, one.get("email")):
                found.append(self.drifted(kind, one))
            at += step
        page = found[:limit] if before is None else found[:limit][::-1]
        return self.reply({"object": "list", "data": page, "has_more": len(found) > limit, "url": call.path})

    def _created(self, call: Call, order: Order) -> tuple[int, int]:
        low, high = 0, len(order)
        for key, value in call.query.multi_items():
            match = re.fullmatch(r"created(?:\[(gte?|lte?)\])?", key)
            if match is None:
                continue
            if not re.fullmatch(r"\d{1,12}", value):
                raise self._invalid(f"Invalid integer: {value}", key, "parameter_invalid_integer")
            here, above = order.at(int(value)), order.at(int(value) + 1)
            low = max(low, {"gt": above, "gte": here, None: here}.get(match[1], 0))
            high = min(high, {"lt": here, "lte": above, None: above}.get(match[1], high))
        return low, high

    def _position(self, item: str, collection: Collection, param: str) -> int:
        if item not in collection.objects:
            raise self._invalid(f"No such object: '{item}'", param, "resource_missing")
        return collection.order.index(item)

    # -- writing

    def _replayed(self, call: Call) -> Response | None:
        key = call.headers.get("idempotency-key")
        seen = self._replays.get(key or "")
        if seen is None:
            return None
        if seen.fingerprint != _fingerprint(call):
            text = "Keys for idempotent requests can only be used with the same parameters they were first used with."
            raise Refused(self._error(400, text, kind="idempotency_error"))
        replay = {"Idempotent-Replayed": "true", "Original-Request": seen.request_id}
        return Response(seen.body, seen.status, replay, self.media_type)

    def _remember(self, call: Call, response: Response) -> Response:
        key = call.headers.get("idempotency-key")
        if key:
            request_id = f"req_{self._requests + 1:014d}"
            self._replays[key] = Replay(_fingerprint(call), response.status_code, bytes(response.body), request_id)
        return response

    def _create(self, call: Call) -> Response:
        replay = self._replayed(call)
        if replay is not None:
            return replay
        changes = self._form(call, {})
        number = len(self._customers.objects) + len(self._deleted)
        name = hashlib.sha256(f"customer/{number}".encode()).hexdigest()[:14]
        new = StripeCustomer(None, f"cus_{name}", None, "", None, {}, self.clock.now())
        body = {**_customer(new), "name": None, **changes}
        self._customers.add(body)
        self._emit("customer.created", body, self.clock.now())
        return self._remember(call, self.reply(body))

    def _update(self, call: Call) -> Response:
        replay = self._replayed(call)
        if replay is not None:
            return replay
        self._one(call, "customer", self._customers)
        customer = self._customers.objects[call.params["id"]]
        if self.rejects(customer["email"]):
            raise self._invalid("This customer cannot be updated.", "id")
        changes = self._form(call, customer["metadata"])
        before = {key: customer[key] for key, value in changes.items() if customer[key] != value}
        if before:
            # Replaced, not changed in place: events keep what the object was.
            customer = {**customer, **changes}
            self._customers.objects[customer["id"]] = customer
            self._emit("customer.updated", customer, self.clock.now(), before)
        return self._remember(call, self.reply(customer))

    def _delete(self, call: Call) -> Response:
        self._one(call, "customer", self._customers)
        gone = self._customers.objects.pop(call.params["id"])
        self._customers.order.drop(gone["id"])
        self._deleted.add(gone["id"])
        self._emit("customer.deleted", gone, self.clock.now())
        return self.reply({"id": gone["id"], "object": "customer", "deleted": True})

    def _form(self, call: Call, metadata: Mapping[str, str]) -> dict[str, Any]:
        """What a form body changes; metadata is merged, and an empty value unsets."""
        changes: dict[str, Any] = {}
        merged = dict(metadata)
        for key, value in parse_qsl(call.body.decode(), keep_blank_values=True):
            match = re.fullmatch(r"metadata\[(.+)\]", key)
            if match is not None:
                if len(match[1]) > 40 or len(value) > 500:
                    raise self._invalid("Metadata keys have at most 40 characters, values 500.", key)
                merged.pop(match[1], None) if value == "" else merged.update({match[1]: value})
            elif key == "metadata" and value == "":
                merged = {}
            elif key in WRITABLE:
                changes[key] = value or None
            elif not key.startswith("expand"):
                raise self._invalid(f"Received unknown parameter: {key}", key, "parameter_unknown")
        if len(merged) > 50:
            raise self._invalid("Metadata has at most 50 keys.", "metadata")
        if self.rejects(changes.get("email")):
            raise self._invalid("Invalid email address.", "email", "email_invalid")
        return {**changes, "metadata": merged}


def _fingerprint(call: Call) -> str:
    return hashlib.sha256(f"{call.method} {call.path}\n".encode() + call.body).hexdigest()


def _is_of(kind: str, wanted: frozenset[str] | set[str]) -> bool:
    return any(kind == one or (one.endswith(".*") and kind.startswith(one[:-1])) for one in wanted)


def _customer(customer: StripeCustomer) -> dict[str, Any]:
    return {
        "id": customer.id,
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": int(customer.created_at.timestamp()),
        "currency": "usd",
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": customer.email,
        "invoice_prefix": customer.id[-8:].upper(),
        "invoice_settings": dict.fromkeys(("custom_fields", "default_payment_method", "footer", "rendering_options")),
        "livemode": False,
        "metadata": dict(customer.metadata),
        "name": customer.name,
        "next_invoice_sequence": 1,
        "phone": customer.phone,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }


def _charge(charge: StripeCharge, customer: Mapping[str, Any] | None) -> dict[str, Any]:
    is_paid = charge.status == "succeeded"
    person = {key: customer[key] if customer else None for key in ("email", "name", "phone")}
    card = {"brand": "visa", "country": "US", "exp_month": 8, "exp_year": 2030, "funding": "credit", "last4": "4242"}
    unset = ("application", "application_fee", "balance_transaction", "description", "invoice", "payment_intent")
    return {
        "id": charge.id,
        "object": "charge",
        **dict.fromkeys(unset),
        "amount": charge.amount,
        "amount_captured": charge.amount if is_paid else 0,
        "amount_refunded": charge.amount if charge.refunded else 0,
        "billing_details": {"address": None, **person, "tax_id": None},
        "captured": is_paid,
        "created": int(charge.created_at.timestamp()),
        "currency": charge.currency,
        "customer": charge.customer_id,
        "disputed": False,
        "failure_code": None if is_paid else "card_declined",
        "failure_message": None if is_paid else "Your card was declined.",
        "fraud_details": {},
        "livemode": False,
        "metadata": {},
        "outcome": {
            "network_status": "approved_by_network" if is_paid else "declined_by_network",
            "type": "authorized",
        },
        "paid": is_paid,
        "payment_method": f"card_{charge.id[3:]}",
        "payment_method_details": {"card": card, "type": "card"},
        "receipt_email": None,
        "receipt_url": None,
        "refunded": charge.refunded,
        "status": charge.status,
    }
