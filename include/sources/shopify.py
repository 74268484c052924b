"""Shopify Admin API (GraphQL): customers, orders and abandoned checkouts; a large load is one bulk operation."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from tempfile import TemporaryFile
from typing import Any, Literal

import msgspec

from include.connect.auth import HeaderAuth
from include.connect.connection import Connection
from include.connect.cursor import written
from include.connect.download import download
from include.connect.errors import FixCredentials, RetryLater
from include.connect.http import CallRefused, Session
from include.connect.pages import Listing, Step
from include.connect.records import Body, BrokenAnswer, Lifter, Throttled, decode_page
from include.connect.signatures import HmacSignature
from include.connect.source import Connections, Page, ReadFunction, Source, Stream, Sweep, Window
from include.connect.webhook import Webhook

log = logging.getLogger(__name__)

BULK_FROM = 2000
"""From this many records on, a bulk operation costs less than pages do; `bulk_from` in the extra replaces it."""
BULK_PAGE = 1000
BULK_SECONDS = 7200.0
"""How long a bulk operation is waited for before the task tries again later."""
PATH = "/graphql.json"
ITEMS = 10
"""Line items shown of a checkout on a page; a bulk operation shows all."""

START = """mutation ($query: String!) {
  bulkOperationRunQuery(query: $query, groupObjects: true) { bulkOperation { id } userErrors { code message } }
}"""
STATE = "query ($id: ID!) { bulkOperation(id: $id) { status errorCode objectCount url } }"

MONEY = "{ shopMoney { amount currencyCode } }"
CUSTOMER = """id legacyResourceId createdAt updatedAt firstName lastName state verifiedEmail locale tags numberOfOrders
  multipassIdentifier amountSpent { amount currencyCode }
  defaultEmailAddress { emailAddress marketingState marketingOptInLevel marketingUpdatedAt }
  defaultPhoneNumber { phoneNumber }"""
ORDER = f"""id legacyResourceId name createdAt processedAt updatedAt cancelledAt cancelReason test email phone tags
  sourceName displayFinancialStatus displayFulfillmentStatus subtotalLineItemsQuantity checkoutToken
  customer {{ id }} customAttributes {{ key value }}
  totalPriceSet {MONEY} currentTotalPriceSet {MONEY} totalRefundedSet {MONEY}"""
CHECKOUT = f"""id name createdAt updatedAt completedAt abandonedCheckoutUrl
  customer {{ id }} customAttributes {{ key value }} totalPriceSet {MONEY}"""
ITEM = "id title sku quantity"
SWEEP = Sweep()


class _Cost(msgspec.Struct, rename="camel"):
    requested_query_cost: float = 0.0
    throttle_status: dict[str, Any] = {}


class _Extensions(msgspec.Struct):
    code: str = ""
    cost: _Cost | None = None


class _Error(msgspec.Struct):
    extensions: _Extensions = msgspec.field(default_factory=_Extensions)


class _Said(msgspec.Struct):
    errors: list[_Error] = []
    extensions: _Extensions = msgspec.field(default_factory=_Extensions)


def checked(session: Session, label: str, data: bytes) -> None:
    """Raise what an answer with status 200 says went wrong."""
    try:
        said = msgspec.json.decode(data, type=_Said)
    except msgspec.MsgspecError:
        raise BrokenAnswer("the answer is not what GraphQL answers") from None
    codes = [error.extensions.code for error in said.errors]
    if not codes:
        return
    where = f"{session.where} {label}"
    if "THROTTLED" in codes:
        cost = said.extensions.cost or _Cost()
        has = cost.throttle_status
        missing = cost.requested_query_cost - float(has.get("currentlyAvailable") or 0)
        raise Throttled(max(1.0, missing / float(has.get("restoreRate") or 50)))
    if "ACCESS_DENIED" in codes:
        raise FixCredentials(
            "the app may not do what is asked for",
            where=f"connection {session.connection.id}, {where}",
            fix="Give the app read_customers, read_all_orders and access to protected customer data; write_customers, "
            "if it is to set tags.",
        )
    if "INTERNAL_SERVER_ERROR" in codes or "TIMEOUT" in codes:
        raise BrokenAnswer("the vendor could not answer")
    too_dear = "MAX_COST_EXCEEDED" in codes
    raise CallRefused(
        f"the vendor refused the query ({', '.join(sorted({code or 'no code' for code in codes}))})",
        where=where,
        fix='Make pages smaller: {"page_size": 20} in the extra.' if too_dear else "Check the version of the API.",
        request_id=None,
        status=200,
    )


@dataclass(frozen=True, slots=True)
class QueryPages:
    """Paging by the last record's cursor; page size and place are variables of the query."""

    name: str
    query: str
    size: int
    place: Literal["query", "body"] = "body"

    def ask(self, token: str | None) -> Mapping[str, Any]:
        """The variables."""
        return {"variables": {"first": self.size, "after": token, "query": self.query}}

    def after(self, token: str | None, body: Body, key_of: Callable[[Any], str | None]) -> Step:
        """The cursor in the answer, where there is more."""
        info = body.at(f"data.{self.name}.pageInfo") or {}
        return Step(str(info["endCursor"]) if info.get("hasNextPage") and info.get("endCursor") else None)


def lists(name: str, fields: str, size: int, sort: str, items: bool = False) -> ReadFunction:
    """Read what changed in the window, by pages or, past `BULK_FROM` records, by a bulk operation.

    Args:
        name: of the connection in the schema; the one that counts it is `<name>Count`.
        fields: selected of each record.
        size: records on a page; a query may cost 1000 points, each object in it costs one.
        sort: order of the pages.
        items: whether records have line items.
    """
    key = Lifter(("id",))
    children = f"lineItems(first: {ITEMS}) {{ nodes {{ {ITEM} }} }}" if items else ""

    def document(asked: str) -> str:
        return f"""query ($first: Int!, $after: String, $query: String) {{
  {name}(first: $first, after: $after, query: $query, sortKey: {sort}) {{
    nodes {{ {asked} }}
    pageInfo {{ hasNextPage endCursor }}
  }}
  {name}Count(query: $query) {{ count }}
}}"""

    async def read(session: Session, window: Window) -> AsyncIterator[Page]:
        way, _, place = (window.resume or "").partition("|")
        if way == "bulk":
            async for page in results(session, *_split(place)):
                yield page
            return
        changed = _changed(window)
        asked = "id" if window.kind == "sweep" else f"{fields} {children}"
        nested = f"lineItems {{ edges {{ node {{ {ITEM} }} }} }}" if items else ""
        in_bulk = asked if window.kind == "sweep" else f"{fields} {nested}"
        listing = Listing(
            session,
            PATH,
            f"data.{name}.nodes",
            QueryPages(name, changed, size),
            lambda record: key.lift(record).key,
            method="POST",
            body={"query": document(asked)},
            label=name,
            decode=partial(_decoded, session, name),
        )
        may_be_bulk = not way
        async for body, following in listing.pages(place or None):
            if may_be_bulk and int(body.at(f"data.{name}Count.count") or 0) > _bulk_from(session.connection):
                operation = await start(session, changed, in_bulk)
                if operation is not None:
                    async for page in results(session, operation, 0):
                        yield page
                    return
            may_be_bulk = False
            yield Page(body.records, f"page|{following}" if following else None, rejected=body.rejected)

    async def start(session: Session, changed: str, asked: str) -> str | None:
        """Start a bulk operation; None where Shopify has no room for another one."""
        query = f"query: {msgspec.json.encode(changed).decode()}"
        bulk = f"{{ {name}({query}) {{ edges {{ node {{ {asked} }} }} }} }}"
        answer = (await _ask(session, START, {"query": bulk}, name))["bulkOperationRunQuery"]
        if answer["userErrors"]:
            codes = ", ".join(str(error.get("code")) for error in answer["userErrors"])
            log.warning("no bulk operation where=%s stream=%s: %s", session.where, name, codes)
            return None
        return str(answer["bulkOperation"]["id"])

    async def results(session: Session, operation: str, done: int) -> AsyncIterator[Page]:
        """Records of a bulk operation, after the first `done` lines of its file; results are kept for a week."""
        where, attempt = f"{session.where} {name}", 0
        most = min(int(session.connection.extra.get("page_size") or BULK_PAGE), BULK_PAGE)
        while True:
            state = await _finished(session, operation, name)
            if state.get("url") is None:
                return  # nothing was found
            with TemporaryFile() as file:
                await download(session, state["url"], name, into=file)
                file.seek(0)
                if sum(line.endswith(b"}\n") for line in file) != int(state["objectCount"]):
                    attempt += 1
                    await session.back_off(attempt, "the file of a bulk operation is not whole", name)
                    continue
                file.seek(0)
                records: list[dict[str, Any]] = []
                for number, line in enumerate(file):
                    if number < done:
                        continue
                    row = msgspec.json.decode(line)
                    parent = row.pop("__parentId", None)
                    if parent is None:
                        if len(records) == most:
                            yield Page(_encoded(records), f"bulk|{operation}|{number}")
                            records = []
                        records.append({**row, "lineItems": {"nodes": []}} if items else row)
                    elif records and records[-1]["id"] == parent:
                        records[-1]["lineItems"]["nodes"].append(row)
                    else:
                        raise RetryLater("a bulk operation's rows are not grouped by record", where=where)
            yield Page(_encoded(records))
            return

    return read


async def _finished(session: Session, operation: str, label: str) -> dict[str, Any]:
    """A bulk operation's end."""
    deadline, pause = session.clock.now() + BULK_SECONDS, 1.0
    where = f"{session.where} {label}"
    while True:
        state: dict[str, Any] = (await _ask(session, STATE, {"id": operation}, label))["bulkOperation"] or {}
        status = state.get("status")
        if status == "COMPLETED":
            return state
        if status in (None, "EXPIRED", "CANCELED"):
            raise CallRefused(
                f"the bulk operation is {str(status or 'forgotten').lower()}",
                where=where,
                fix="Run it again: another one is then started.",
                request_id=None,
                status=200,
            )
        if status == "FAILED":
            raise RetryLater(f"the bulk operation failed ({state.get('errorCode')})", where=where)
        if session.clock.now() + pause > deadline:
            raise RetryLater(f"the bulk operation is still {str(status).lower()}", where=where, after=600)
        await session.clock.sleep(pause)
        pause = min(30.0, pause * 1.5)


async def _ask(session: Session, document: str, variables: Mapping[str, Any], label: str) -> dict[str, Any]:
    def decode(data: bytes) -> Any:
        checked(session, label, data)
        return msgspec.json.decode(data)["data"]

    body = {"query": document, "variables": variables}
    answer = await session.send("POST", PATH, json=body, reads=True, label=label, decode=decode)
    found: dict[str, Any] = answer.value
    return found


def _decoded(session: Session, label: str, data: bytes, path: str) -> Body:
    checked(session, label, data)
    return decode_page(data, path)


def _changed(window: Window) -> str:
    """The window in Shopify's search syntax."""
    limits = []
    if window.since_at is not None:
        limits.append(f"updated_at:>='{written(window.since_at)[:19]}Z'")
    if window.end is not None:
        limits.append(f"updated_at:<'{written(window.end)[:19]}Z'")
    return " AND ".join(limits)


def _bulk_from(connection: Connection) -> int:
    return int(connection.extra.get("bulk_from") or BULK_FROM)


def _split(place: str) -> tuple[str, int]:
    operation, _, done = place.rpartition("|")
    return operation, int(done)


def _encoded(records: list[dict[str, Any]]) -> list[bytes]:
    return [msgspec.json.encode(record) for record in records]


def stream(name: str, read: ReadFunction, description: str, deletes: Sweep | str = SWEEP) -> Stream:
    """A list by the time of change."""
    return Stream(
        name,
        read=read,
        cursor="updatedAt",
        lookback=timedelta(minutes=10),
        deletes=deletes,
        description=description,
    )


SOURCE = Source(
    name="shopify",
    title="Shopify",
    base_url="https://{shop}.myshopify.com/admin/api/2026-10",
    auth=HeaderAuth(name="X-Shopify-Access-Token"),
    budget=Connections(4),  # what limits is the cost of queries: 100 points a second, more on larger plans
    docs_url="https://shopify.dev/docs/api/admin-graphql",
    not_covered="Products, stock, draft orders and the lines of refunds.",
    webhook=Webhook(
        "shopify_events",
        HmacSignature("x-shopify-hmac-sha256", encoding="base64"),
        event_id=("outside.x-shopify-webhook-id",),
        timestamp="outside.x-shopify-triggered-at",
        headers=("x-shopify-topic", "x-shopify-shop-domain", "x-shopify-webhook-id", "x-shopify-triggered-at"),
        description="Customers, orders, checkouts and carts as they change; kept raw, the pull brings them",
    ),
    streams=(
        stream(
            "customers",
            lists("customers", CUSTOMER, 200, "UPDATED_AT"),
            "Customers with consent and spending",
        ),
        stream("orders", lists("orders", ORDER, 100, "UPDATED_AT"), "Orders, cancelled and refunded ones included"),
        stream(
            "abandoned_checkouts",
            lists("abandonedCheckouts", CHECKOUT, 40, "CREATED_AT", items=True),
            "Checkouts that were left with an address in them; a completed one is an order now",
            deletes="the shop lists the latest only: what is missing may be just old",
        ),
    ),
)
