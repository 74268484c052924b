"""Shopify Admin GraphQL 2026-10: queries by their cost, bulk operations, customers that are merged."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import msgspec
from starlette.responses import Response

from include.simulate.graphql import BadQuery, Field, cost, parse, select
from include.simulate.limits import Clock
from include.simulate.people import Population
from include.simulate.shopify_records import LISTS, Record, Shop, iso, make_shop
from include.simulate.vendor import Call, Refused, Route, Vendor, new_id, read, take

TOKEN = "shpat_demo"
NARROW = "shpat_orders"
"""A token that may not read customers."""
API = "/admin/api/2026-10/graphql.json"
SIGNATURE = "demo-signature"
MOST_POINTS, POINTS, POINTS_A_SECOND = 1000, 2000.0, 100.0
MUTATION_POINTS = 10
TAGGED = ("tagsAdd", "tagsRemove")
MOST_TAGS, LONGEST_TAG = 250, 255
SORTS = {"UPDATED_AT": "updatedAt", "CREATED_AT": "createdAt", "ID": "id"}


class Shopify(Vendor):
    """One shop; results of bulk operations lie on storage that asks for no token but a signed address."""

    name = "shopify"
    retyped_fields: ClassVar[Mapping[str, str]] = {
        "customers": "locale",
        "orders": "sourceName",
        "abandonedCheckouts": "name",
    }

    def __init__(self, population: Population, clock: Clock, *, unlimited: bool = False) -> None:
        super().__init__(population, clock, unlimited=unlimited)
        self._began = population.now
        self._left, self._filled_at = POINTS, clock.seconds()
        self._bulk: dict[str, tuple[bytes, int]] = {}
        self._polled: set[str] = set()

    @cached_property
    def shop(self) -> Shop:
        """Everything in the shop, made when first asked for."""
        return make_shop(self.population, self._began)

    def routes(self) -> list[Route]:
        """The one endpoint, and the storage of bulk results."""
        graphql = Route(
            "POST", API, self._answer, is_write=lambda call: any(name.encode() in call.body for name in TAGGED)
        )
        return [graphql, read("/storage/{id:int}.jsonl", self._file)]

    def accepts(self, call: Call) -> bool:
        """An app's token; the storage asks for the signature in the address."""
        if call.path.startswith("/storage/"):
            return call.query.get("X-Goog-Signature") == SIGNATURE and "x-shopify-access-token" not in call.headers
        return call.headers.get("x-shopify-access-token") in (TOKEN, NARROW)

    def refuse(self, call: Call) -> Response:
        """401."""
        said = "[API] Invalid API key or access token (unrecognized login or wrong password)"
        return self.reply({"errors": said}, 401)

    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """Points used up: an answer with status 200; the edge in front of it says 429."""
        if retry_after is not None:
            return self.reply({"errors": "Exceeded 2 calls per second."}, 429, {"Retry-After": str(retry_after)})
        return self._throttled(500, 300.0)

    def broken(self, call: Call) -> Response:
        """500."""
        return self.reply({"errors": "Internal Server Error"}, 500)

    def missing(self, call: Call) -> Response:
        """404."""
        return self.reply({"errors": "Not Found"}, 404)

    def malformed(self, call: Call) -> Response:
        """400."""
        return self.reply({"errors": {"query": "Required parameter missing or invalid"}}, 400)

    def stamp(self, call: Call, response: Response) -> None:
        """Shopify's id of the call."""
        response.headers["X-Request-Id"] = new_id()

    def continues(self, call: Call) -> bool:
        """A query with the place of a record."""
        return b'"after":"' in call.body

    def list_of(self, call: Call) -> str:
        """All lists are one address: the one that is named first."""
        found = re.search(rb"\b(customers|orders|abandonedCheckouts)\(", call.body)
        return found[1].decode() if found else super().list_of(call)

    def grow(self, recovered: Sequence[int]) -> None:
        """The checkouts left longest ago are completed, and the customers behind them change."""
        if "shop" not in vars(self):
            return  # nobody has looked yet
        records, now = self.shop.records, iso(self.population.now)
        left = [one for one in records["abandonedCheckouts"].values() if one["completedAt"] is None]
        for checkout in sorted(left, key=lambda one: (one["updatedAt"], one["id"]))[:2]:
            checkout |= {"completedAt": now, "updatedAt": now}
            customer = records["customers"].get(checkout["customer"]["id"])
            if customer is not None:
                customer["updatedAt"] = now
        for order in sorted(records["orders"].values(), key=lambda one: (one["updatedAt"], one["id"]))[:2]:
            order |= {"displayFulfillmentStatus": "FULFILLED", "updatedAt": now}

    def lose(self, stream: str, key: str) -> Callable[[], None]:
        """A customer or an order."""
        return take(self.shop.records[stream], key)

    def _answer(self, call: Call) -> Response:
        asked = self.json(call)
        try:
            fields = parse(str(asked.get("query", "")), asked.get("variables") or {})
            if call.headers["x-shopify-access-token"] == NARROW and any(
                one.name in ("customers", *TAGGED) for one in fields
            ):
                said = "Access denied for customers field. Required access: `read_customers` access scope."
                return self._error("ACCESS_DENIED", said)
            changes = [one for one in fields if one.name in TAGGED]
            points = MUTATION_POINTS * len(changes) if changes else cost(fields)
            if points > MOST_POINTS:
                said = f"Query cost is {points}, which exceeds the single query max cost limit ({MOST_POINTS})."
                return self._error("MAX_COST_EXCEEDED", said)
            if not self.unlimited and not self._spend(points):
                return self._throttled(points, self._left)
            data = {one.key: self._resolve(call, one) for one in fields}
        except BadQuery as error:
            return self._error("undefinedField", str(error))
        return self.reply({"data": data, "extensions": {"cost": self._cost(points, self._left)}})

    def _spend(self, points: int) -> bool:
        now = self.clock.seconds()
        self._left = min(POINTS, self._left + (now - self._filled_at) * POINTS_A_SECOND)
        self._filled_at = now
        if points > self._left:
            return False
        self._left -= points
        return True

    def _resolve(self, call: Call, one: Field) -> Any:
        if one.name in LISTS:
            return self._page(one)
        if one.name.removesuffix("Count") in LISTS:
            found = len(self._found(one.name.removesuffix("Count"), one))
            return select({"count": found, "precision": "EXACT"}, one.fields)
        if one.name == "bulkOperationRunQuery":
            return select(self._start(one), one.fields)
        if one.name == "bulkOperation":
            return self._operation(call, one)
        if one.name in TAGGED:
            return select(self._tag(one), one.fields)
        if one.name == "customerMerge":
            return select(self._merge(one), one.fields)
        raise BadQuery(f"Field '{one.name}' doesn't exist on type 'QueryRoot'")

    def _found(self, name: str, one: Field) -> list[Record]:
        """Records of a list that its `query` argument lets through."""
        found = list(self.shop.records[name].values())
        for operator, value in re.findall(r"updated_at:(>=|<)'([^']+)'", str(one.arguments.get("query") or "")):
            found = [record for record in found if (record["updatedAt"] >= value) == (operator == ">=")]
        tag = re.search(r"tag:'([^']+)'", str(one.arguments.get("query") or ""))
        if tag is not None:
            found = [record for record in found if tag[1].lower() in (held.lower() for held in record["tags"])]
        return found

    def _page(self, one: Field) -> dict[str, Any]:
        sort = SORTS.get(str(one.arguments.get("sortKey", "ID")))
        size = one.arguments.get("first")
        if sort is None or not isinstance(size, int) or not 1 <= size <= 250:
            raise BadQuery("first must be 1 to 250, and sortKey a key of this list")
        found = sorted(((record[sort], record["id"], record) for record in self._found(one.name, one)), key=_place)
        after = one.arguments.get("after")
        if after is not None:
            place = _read_cursor(str(after))
            found = [row for row in found if _place(row) > place]
        page = found[:size]
        info = {"hasNextPage": len(found) > size, "endCursor": _cursor(page[-1]) if page else None}
        shown = [self._shown(one.name, record, one) for _, _, record in page]
        return {"nodes": shown, "pageInfo": info}

    def _shown(self, name: str, record: Record, one: Field) -> Record:
        shown = select(record, one.node)
        return self.drifted(name, shown) if self.retyped_fields[name] in shown else shown

    def _start(self, one: Field) -> dict[str, Any]:
        if any(number not in self._polled for number in self._bulk):
            said = "A bulk query operation for this app and shop is already in progress"
            error = {"code": "OPERATION_IN_PROGRESS", "message": said, "field": None}
            return {"bulkOperation": None, "userErrors": [error]}
        (root,) = parse(str(one.arguments["query"]), {})
        lines = []
        for record in self._found(root.name, root):
            shown = self._shown(root.name, record, root)
            nested = {key: value["edges"] for key, value in shown.items() if _is_connection(value)}
            lines.append({key: value for key, value in shown.items() if key not in nested})
            lines += [{**edge["node"], "__parentId": record["id"]} for edges in nested.values() for edge in edges]
        number = f"gid://shopify/BulkOperation/{len(self._bulk) + 1}"
        self._bulk[number] = b"".join(msgspec.json.encode(line) + b"\n" for line in lines), len(lines)
        return {"bulkOperation": {"id": number, "status": "CREATED"}, "userErrors": []}

    def _operation(self, call: Call, one: Field) -> dict[str, Any] | None:
        number = str(one.arguments.get("id"))
        if number not in self._bulk:
            return None
        is_done = number in self._polled
        self._polled.add(number)
        body, count = self._bulk[number]
        url = f"{call.base}/storage/{number.rpartition('/')[2]}.jsonl?X-Goog-Signature={SIGNATURE}"
        state = {
            "id": number,
            "status": "COMPLETED" if is_done else "RUNNING",
            "errorCode": None,
            "objectCount": str(count if is_done else 0),
            "fileSize": str(len(body)) if is_done else None,
            "url": url if is_done and count else None,
        }
        return select(state, one.fields)

    def _file(self, call: Call) -> Response:
        found = self._bulk.get(f"gid://shopify/BulkOperation/{call.params['id']}")
        if found is None:
            raise Refused(self.missing(call))
        return Response(found[0], media_type="application/jsonl")

    def _tag(self, one: Field) -> dict[str, Any]:
        """Add tags to a customer, or take them away; tags differ by more than case."""
        customer = self.shop.records["customers"].get(str(one.arguments.get("id")))
        tags = [str(tag) for tag in one.arguments.get("tags") or ()]
        if customer is None:
            return {"node": None, "userErrors": [{"field": ["id"], "message": "Customer does not exist"}]}
        problem = ""
        held = {tag.lower(): tag for tag in customer["tags"]}
        if one.name == "tagsRemove":
            for tag in tags:
                held.pop(tag.lower(), None)
        elif self.rejects((customer["defaultEmailAddress"] or {}).get("emailAddress")):
            problem = "Customer could not be saved"
        else:
            held = {tag.lower(): tag for tag in tags} | held
            if len(held) > MOST_TAGS or any(len(tag) > LONGEST_TAG for tag in tags):
                problem = f"At most {MOST_TAGS} tags of {LONGEST_TAG} characters"
        if problem:
            return {"node": None, "userErrors": [{"field": ["tags"], "message": problem}]}
        if sorted(held.values()) != sorted(customer["tags"]):
            customer |= {"tags": sorted(held.values()), "updatedAt": iso(self.clock.now())}
        return {"node": {"id": customer["id"]}, "userErrors": []}

    def _merge(self, one: Field) -> dict[str, Any]:
        """The first customer goes; what it bought is the second one's."""
        records, now = self.shop.records, iso(self.clock.now())
        gone, kept = str(one.arguments["customerOneId"]), str(one.arguments["customerTwoId"])
        if gone not in records["customers"] or kept not in records["customers"]:
            error = {"code": "INVALID_CUSTOMER_ID", "message": "Customer does not exist", "field": None}
            return {"resultingCustomerId": None, "userErrors": [error]}
        del records["customers"][gone]
        for record in (*records["orders"].values(), *records["abandonedCheckouts"].values()):
            if record["customer"] and record["customer"]["id"] == gone:
                record |= {"customer": {"id": kept}, "updatedAt": now}
        records["customers"][kept]["updatedAt"] = now
        return {"resultingCustomerId": kept, "userErrors": []}

    def _error(self, code: str, message: str) -> Response:
        return self.reply({"errors": [{"message": message, "extensions": {"code": code}}]})

    def _throttled(self, points: int, left: float) -> Response:
        errors = [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]
        return self.reply({"errors": errors, "extensions": {"cost": self._cost(points, left, None)}})

    def _cost(self, points: int, left: float, actual: int | None = 0) -> dict[str, Any]:
        status = {"maximumAvailable": POINTS, "currentlyAvailable": int(left), "restoreRate": POINTS_A_SECOND}
        spent = None if actual is None else points
        return {"requestedQueryCost": points, "actualQueryCost": spent, "throttleStatus": status}


def _place(row: tuple[str, str, Record]) -> tuple[str, str]:
    return row[0], row[1]


def _cursor(row: tuple[str, str, Record]) -> str:
    return base64.b64encode(msgspec.json.encode(_place(row))).decode()


def _read_cursor(cursor: str) -> tuple[str, str]:
    try:
        return msgspec.json.decode(base64.b64decode(cursor, validate=True), type=tuple[str, str])
    except (binascii.Error, msgspec.DecodeError):
        raise BadQuery("Invalid cursor for current pagination sort") from None


def _is_connection(value: Any) -> bool:
    return isinstance(value, dict) and "edges" in value
