"""Stripe customer metadata: a key per list, and any mapped field; one customer a call, as Stripe has no batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from include.activate.calls import write
from include.activate.destination import BatchRejected, Change, Destination, RowResult, Target
from include.connect.errors import FixSettings

if TYPE_CHECKING:
    from include.connect.http import Session
    from include.connect.source import Scalar

LONGEST_KEY, LONGEST_VALUE = 40, 500
FOUND_A_PAGE = 100


async def check_keys(session: Session, target: Target) -> Target:
    """A key exists once a customer has it; only its length can be wrong. Calls nothing."""
    for name in target.fields:
        if len(name) > LONGEST_KEY:
            raise FixSettings(
                f"{name} is too long for a metadata key",
                where=f"destination {DESTINATION.name}",
                fix=f"Take a name of at most {LONGEST_KEY} characters.",
            )
    return target


async def update_customers(session: Session, target: Target, changes: Sequence[Change]) -> list[RowResult]:
    """Merge metadata into customers; an empty value removes a key."""
    return [await _update(session, change) for change in changes]


async def _update(session: Session, change: Change) -> RowResult:
    form = {f"metadata[{name}]": _text(value) for name, value in change.fields.items()}
    path = f"/customers/{quote(change.address, safe='')}"
    try:
        answer = await write(session, "POST", path, form=form, label="update customer")
    except BatchRejected as error:
        if change.operation == "leave" and error.code == "resource_missing":
            # Deleted there: nothing is left to lower.
            return RowResult(change.address, True, request_id=error.request_id)
        return RowResult(change.address, False, error.code, error.message, error.request_id)
    return RowResult(change.address, True, request_id=answer.request_id)


async def read_flagged(session: Session, target: Target) -> set[str]:
    """Ids of the customers whose metadata has the flag set; the search is a minute behind."""
    found: set[str] = set()
    if not target.name:
        return found
    params: dict[str, Scalar] = {"query": f"metadata['{target.name}']:'true'", "limit": FOUND_A_PAGE}
    while True:
        page: dict[str, Any] = await session.get_json("/customers/search", params, label="search customers")
        found.update(str(customer["id"]) for customer in page["data"])
        if not page.get("next_page"):
            return found
        params["page"] = str(page["next_page"])


def _text(value: Any) -> str:
    """A value as metadata holds it; a flag that is lowered stays as `false`, nothing at all removes the key."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)[:LONGEST_VALUE]


DESTINATION = Destination(
    name="stripe_customer",
    title="Stripe customer metadata",
    connection="stripe",
    key="stripe_customer_id",
    batch=1,
    target="field",
    prepare=check_keys,
    enter=update_customers,
    leave=update_customers,
    read_back=read_flagged,
    takes_fields=True,
    concurrency=8,
)
