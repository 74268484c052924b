"""What a Shopify shop holds of the people: customers, orders, and checkouts they left."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from include.simulate.names import spell_email, spell_phone
from include.simulate.people import Person, Population

LISTS = ("customers", "orders", "abandonedCheckouts")
GOODS = (("Tea, 250 g", "TEA-250"), ("Mug", "MUG-1"), ("Kettle", "KET-2"))
Record = dict[str, Any]


@dataclass(slots=True)
class Shop:
    """Every record by list and id; `owners` says whose it is."""

    records: dict[str, dict[str, Record]] = field(default_factory=lambda: {name: {} for name in LISTS})
    owners: dict[str, int | None] = field(default_factory=dict)

    def add(self, name: str, record: Record, owner: int | None) -> Record:
        """Keep a record under its id."""
        self.records[name][record["id"]] = record
        self.owners[record["id"]] = owner
        return record


def make_shop(population: Population, now: datetime) -> Shop:
    """The shop as it is at `now`; the same population gives the same one."""
    return _Maker(population, now).make()


class _Maker:
    def __init__(self, population: Population, now: datetime) -> None:
        self.rng = random.Random(f"{population.seed}/shopify")
        self.people, self.now, self.shop = population.people, now, Shop()

    def make(self) -> Shop:
        rng = self.rng
        for person in self.people:
            if rng.random() >= 0.45:
                continue
            customer = self._customer(person)
            if len(person.emails) > 1 and rng.random() < 0.1:
                self._customer(person, person.emails[1])  # bought as a guest; nobody has merged the two
            for _ in range(rng.choice((0, 1, 1, 2))):
                self._order(person, customer)
            if rng.random() < 0.25:
                self._checkout(person, customer)
        return self.shop

    def _ago(self, most: float) -> datetime:
        return self.now - timedelta(seconds=round(self.rng.uniform(2, most) * 86_400))

    def _after(self, at: datetime) -> datetime:
        return at + timedelta(seconds=round((self.now - at).total_seconds() * self.rng.uniform(0, 0.95)))

    def _customer(self, person: Person, email: str | None = None) -> Record:
        rng, created = self.rng, self._ago(300)
        state = rng.choices(("SUBSCRIBED", "NOT_SUBSCRIBED", "UNSUBSCRIBED", "PENDING"), (50, 30, 15, 5))[0]
        phone = spell_phone(rng, person.phone) if rng.random() < 0.4 else None
        address = None
        if email is None and rng.random() < 0.03 and phone:
            email = None  # signed in at a counter with a phone number
        else:
            address = {
                "emailAddress": email or spell_email(rng, person.emails[0]).strip(),
                "marketingState": state,
                "marketingOptInLevel": "SINGLE_OPT_IN" if state == "SUBSCRIBED" else None,
                "marketingUpdatedAt": None if state == "NOT_SUBSCRIBED" else iso(self._after(created)),
            }
        number = 7_000_000_000 + 11 * len(self.shop.records["customers"])
        record = {
            "id": f"gid://shopify/Customer/{number}",
            "legacyResourceId": str(number),
            "createdAt": iso(created),
            "updatedAt": iso(self._after(created)),
            "firstName": person.first_name,
            "lastName": person.last_name,
            "state": "ENABLED" if rng.random() < 0.5 else "DISABLED",
            "verifiedEmail": rng.random() < 0.8,
            "locale": "en",
            "tags": ["vip"] if rng.random() < 0.05 else [],
            "numberOfOrders": "0",
            "multipassIdentifier": person.user_id if rng.random() < 0.3 else None,
            "amountSpent": _money("0.00"),
            "defaultEmailAddress": address,
            "defaultPhoneNumber": {"phoneNumber": phone} if phone else None,
        }
        return self.shop.add("customers", record, person.person_id)

    def _order(self, person: Person, customer: Record) -> None:
        rng, created = self.rng, self._ago(100)
        number = 5_000_000_000 + 13 * len(self.shop.records["orders"])
        status = rng.choices(("PAID", "REFUNDED", "VOIDED", "PENDING"), (85, 7, 4, 4))[0]
        is_canceled = status in ("REFUNDED", "VOIDED") and rng.random() < 0.7
        total = f"{rng.randint(900, 24_000) / 100:.2f}"
        updated = self._after(created)
        record = {
            "id": f"gid://shopify/Order/{number}",
            "legacyResourceId": str(number),
            "name": f"#{1001 + len(self.shop.records['orders'])}",
            "createdAt": iso(created),
            "processedAt": iso(created),
            "updatedAt": iso(updated),
            "cancelledAt": iso(updated) if is_canceled else None,
            "cancelReason": "CUSTOMER" if is_canceled else None,
            "test": rng.random() < 0.02,
            "email": rng.choice(person.emails),
            "phone": None,
            "tags": [],
            "sourceName": "web",
            "displayFinancialStatus": status,
            "displayFulfillmentStatus": "FULFILLED" if status == "PAID" else "UNFULFILLED",
            "subtotalLineItemsQuantity": rng.randint(1, 4),
            "checkoutToken": f"{rng.getrandbits(128):032x}",
            "customer": {"id": customer["id"]} if rng.random() < 0.95 else None,
            "customAttributes": self._visitor(person),
            "totalPriceSet": {"shopMoney": _money(total)},
            "currentTotalPriceSet": {"shopMoney": _money("0.00" if status == "REFUNDED" else total)},
            "totalRefundedSet": {"shopMoney": _money(total if status == "REFUNDED" else "0.00")},
        }
        customer["numberOfOrders"] = str(int(customer["numberOfOrders"]) + 1)
        self.shop.add("orders", record, person.person_id)

    def _checkout(self, person: Person, customer: Record) -> None:
        rng, created = self.rng, self._ago(60)
        number = 3_000_000_000 + 17 * len(self.shop.records["abandonedCheckouts"])
        updated = self._after(created)
        items = [
            {"id": f"gid://shopify/AbandonedCheckoutLineItem/{number}{at}", "title": title, "sku": sku, "quantity": 1}
            for at, (title, sku) in enumerate(rng.sample(GOODS, rng.randint(1, len(GOODS))))
        ]
        record = {
            "id": f"gid://shopify/AbandonedCheckout/{number}",
            "name": f"#{number}",
            "createdAt": iso(created),
            "updatedAt": iso(updated),
            "completedAt": iso(updated) if rng.random() < 0.2 else None,
            "abandonedCheckoutUrl": f"https://shop.example.com/1/checkouts/ac/{rng.getrandbits(64):016x}/recover",
            "customer": {"id": customer["id"]},
            "customAttributes": self._visitor(person),
            "totalPriceSet": {"shopMoney": _money(f"{rng.randint(900, 24_000) / 100:.2f}")},
            "lineItems": items,
        }
        self.shop.add("abandonedCheckouts", record, person.person_id)

    def _visitor(self, person: Person) -> list[dict[str, str]]:
        """What the theme writes into a cart: the website's id of the browser."""
        if person.devices and self.rng.random() < 0.4:
            return [{"key": "anonymous_id", "value": self.rng.choice(person.devices)}]
        return []


def _money(amount: str) -> dict[str, str]:
    return {"amount": amount, "currencyCode": "USD"}


def iso(at: datetime) -> str:
    """A time as Shopify writes it."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
