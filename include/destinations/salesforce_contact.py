"""Salesforce contact fields: a checkbox per list, and any mapped field, 200 contacts a call.

Fields are made by hand (Setup > Object Manager > Contact > Fields), since only an administrator can say who may see
them. A header may write `is_at_risk` for the field `Is_At_Risk__c`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from include.activate.calls import write
from include.activate.destination import Change, Destination, RowResult, Target
from include.connect.errors import FixSettings
from include.sources.salesforce import API

if TYPE_CHECKING:
    from include.connect.http import Session

LOCKED = "UNABLE_TO_LOCK_ROW"
GONE = frozenset({"ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY", "NOT_FOUND"})
TRIES = 4


async def find_fields(session: Session, target: Target) -> Target:
    """The fields by the names the header uses.

    Raises:
        FixSettings: the contact has no such field, or we may not change it.
    """
    said = await session.get_json("/sobjects/Contact/describe", label="describe Contact")
    known = {field["name"].lower(): field for field in said["fields"]}
    names: dict[str, str] = {}
    for name in target.fields:
        found = known.get(name.lower()) or known.get(f"{name.lower()}__c")
        if found is None or found.get("updateable") is False:
            raise FixSettings(
                f"contacts have no field {name} that may be changed",
                where=f"connection {session.connection.id}",
                fix="Make it under Setup > Object Manager > Contact > Fields, and let the integration user edit it.",
            )
        names[name] = str(found["name"])
    return replace(target, handle=names.get(target.name, ""), extra={**target.extra, "field_names": names})


async def update_contacts(session: Session, target: Target, changes: Sequence[Change]) -> list[RowResult]:
    """Set fields of contacts by id; each row succeeds or fails by itself, locked ones are tried again."""
    names = target.extra["field_names"]
    results: list[RowResult] = []
    left, attempt = list(changes), 0
    while left:
        records = [
            {
                "attributes": {"type": "Contact"},
                "id": change.address,
                **{names[name]: value for name, value in change.fields.items()},
            }
            for change in left
        ]
        body = {"allOrNone": False, "records": records}
        answer = await write(session, "PATCH", "/composite/sobjects", body, label="update contacts")
        attempt += 1
        told = [_result(change, row, answer.request_id) for change, row in zip(left, answer.value, strict=True)]
        locked = {one.address for one in told if one.code == LOCKED} if attempt < TRIES else set()
        results += [one for one in told if one.address not in locked]
        left = [change for change in left if change.address in locked]
        if left:
            await session.back_off(attempt, "records were locked", "update contacts")
    return results


async def read_flagged(session: Session, target: Target) -> set[str]:
    """Ids of the contacts whose checkbox is ticked."""
    if not target.name:
        return set()
    field = target.handle or (await find_fields(session, replace(target, fields={target.name: "bool"}))).handle
    query = f"SELECT Id FROM Contact WHERE {field} = true"
    page: dict[str, Any] = await session.get_json("/query", {"q": query}, label="find contacts")
    found = {str(record["Id"]) for record in page["records"]}
    while not page["done"]:
        page = await session.get_json(page["nextRecordsUrl"].removeprefix(API), label="find contacts")
        found.update(str(record["Id"]) for record in page["records"])
    return found


def _result(change: Change, row: dict[str, Any], request_id: str | None) -> RowResult:
    if row["success"]:
        return RowResult(change.address, True, request_id=request_id)
    error = (row.get("errors") or [{}])[0]
    code = str(error.get("statusCode") or "rejected")
    if change.operation == "leave" and code in GONE:
        # Deleted, or merged into another contact: nothing is left to lower.
        return RowResult(change.address, True, request_id=request_id)
    return RowResult(change.address, False, code, str(error.get("message", "")), request_id)


DESTINATION = Destination(
    name="salesforce_contact",
    title="Salesforce contact fields",
    connection="salesforce",
    key="salesforce_contact_id",
    batch=200,
    target="field",
    prepare=find_fields,
    enter=update_contacts,
    leave=update_contacts,
    read_back=read_flagged,
    takes_fields=True,
)
