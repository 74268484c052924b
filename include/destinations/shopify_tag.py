"""Shopify customer tags: people on the list carry the tag; a hundred customers are as much as one call may cost.

A call is a GraphQL document with one `tagsAdd` or `tagsRemove` for each customer, ten points each, and a shop gives
back 100 points a second (more on larger plans): when they are used up Shopify says so, and the call waits for them.
Other tags of a customer are never touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from include.activate.calls import write
from include.activate.destination import BatchRejected, Change, Destination, RowResult, Target
from include.connect.errors import FixSettings
from include.connect.http import CallRefused
from include.sources.shopify import PATH, checked

if TYPE_CHECKING:
    from include.connect.http import Session

LONGEST = 255
TAGGED = """query ($after: String, $query: String) {
  customers(first: 250, after: $after, query: $query, sortKey: ID) {
    nodes { legacyResourceId tags } pageInfo { hasNextPage endCursor }
  }
}"""


async def check_tag(session: Session, target: Target) -> Target:
    """A tag exists once somebody carries it; only its name can be wrong. Calls nothing."""
    if len(target.name) > LONGEST or not set(target.name).isdisjoint(",'\\"):
        raise FixSettings(
            "the tag cannot be one of Shopify's",
            where=f"destination {DESTINATION.name}",
            fix=f"Take one of at most {LONGEST} characters, without comma, quotation mark and backslash.",
        )
    return target


async def add_tag(session: Session, target: Target, changes: Sequence[Change]) -> list[RowResult]:
    """Add the tag; who carries it already is as they were."""
    return await _change(session, target, changes, "tagsAdd")


async def remove_tag(session: Session, target: Target, changes: Sequence[Change]) -> list[RowResult]:
    """Remove the tag; who does not carry it, or is no customer any more, has left."""
    return await _change(session, target, changes, "tagsRemove")


async def read_tagged(session: Session, target: Target) -> set[str]:
    """Customers that carry the tag now, as far as Shopify's search has seen them."""
    found: set[str] = set()
    after: str | None = None
    while True:
        body = {"query": TAGGED, "variables": {"after": after, "query": f"tag:'{target.name}'"}}
        answer = await session.send(
            "POST", PATH, json=body, reads=True, label="tagged", decode=partial(_decoded, session, "tagged")
        )
        page = answer.value["customers"]
        # The search looks at words in any case.
        found.update(
            one["legacyResourceId"]
            for one in page["nodes"]
            if target.name.lower() in (tag.lower() for tag in one["tags"])
        )
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


async def _change(
    session: Session, target: Target, changes: Sequence[Change], how: Literal["tagsAdd", "tagsRemove"]
) -> list[RowResult]:
    results = [
        RowResult(change.address, False, "invalid_id", "Shopify's ids are numbers")
        for change in changes
        if not change.address.isdecimal()
    ]
    known = [change for change in changes if change.address.isdecimal()]
    if not known:
        return results
    each = " ".join(
        f'c{number}: {how}(id: "gid://shopify/Customer/{change.address}", tags: $tags) '
        "{ userErrors { field message } }"
        for number, change in enumerate(known)
    )
    body = {"query": f"mutation ($tags: [String!]!) {{ {each} }}", "variables": {"tags": [target.name]}}
    try:
        answer = await write(session, "POST", PATH, body, label=how, decode=partial(_decoded, session, how))
    except CallRefused as error:
        if error.status != 200:
            raise
        # GraphQL refuses a document as a whole; one that costs too much is halved just as well.
        raise BatchRejected("graphql_error", error.what, error.request_id) from None
    for number, change in enumerate(known):
        errors: list[dict[str, Any]] = answer.value[f"c{number}"]["userErrors"]
        is_gone = how == "tagsRemove" and any(error.get("field") == ["id"] for error in errors)
        if not errors or is_gone:
            results.append(RowResult(change.address, True, request_id=answer.request_id))
        else:
            told = "; ".join(str(error.get("message")) for error in errors)
            code = "/".join(errors[0].get("field") or ["user_error"])
            results.append(RowResult(change.address, False, code, told, answer.request_id))
    return results


def _decoded(session: Session, label: str, data: bytes) -> dict[str, Any]:
    """What the answer holds, where it tells of no trouble."""
    checked(session, label, data)
    found: dict[str, Any] = msgspec.json.decode(data)["data"]
    return found


DESTINATION = Destination(
    name="shopify_tag",
    title="Shopify customer tags",
    connection="shopify",
    key="shopify_customer_id",
    batch=100,
    target="tag",
    prepare=check_tag,
    enter=add_tag,
    leave=remove_tag,
    read_back=read_tagged,
    modes=("mirror", "upsert", "add_only"),
)
