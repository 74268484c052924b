"""HubSpot contact properties: a flag per list, and any mapped field, 100 contacts a call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from include.activate.calls import write
from include.activate.destination import Change, Destination, FieldKind, RowResult, Target

if TYPE_CHECKING:
    from include.connect.http import Session

PROPERTIES = "/crm/v3/properties/contacts"
CONTACTS = "/crm/v3/objects/contacts"
SEARCH_CAP = 10_000
"""A search answers no further than this; the next one starts behind the greatest id."""


async def find_or_create_properties(session: Session, target: Target) -> Target:
    """Make the properties that the portal does not have yet."""
    answer = await session.get_json(PROPERTIES, label="properties")
    have = {found["name"] for found in answer["results"]}
    for name, kind in target.fields.items():
        if name not in have:
            await write(session, "POST", PROPERTIES, _property(name, kind), label="create property")
    return replace(target, handle=target.name)


async def update_contacts(session: Session, target: Target, changes: Sequence[Change]) -> list[RowResult]:
    """Set properties of contacts by id; HTTP 207 holds refused rows among accepted ones."""
    # The trace id is echoed per row: neither results nor errors come in the order of the inputs.
    inputs = [
        {
            "id": change.address,
            "objectWriteTraceId": str(number),
            "properties": {name: _text(value) for name, value in change.fields.items()},
        }
        for number, change in enumerate(changes)
    ]
    answer = await write(session, "POST", f"{CONTACTS}/batch/update", {"inputs": inputs}, label="update contacts")
    request_id, said = answer.request_id, answer.value
    refused: dict[str, tuple[str, str]] = {}
    for error in said.get("errors", ()):
        for address in _named(error.get("context") or {}, changes):
            refused[address] = (str(error.get("category", "")), str(error.get("message", "")))
    accepted = {str(result["id"]) for result in said["results"]}
    for result in said["results"]:
        # A contact merged at HubSpot answers under the surviving id; the trace id still is ours.
        number = str(result.get("objectWriteTraceId", ""))
        if number.isdigit() and int(number) < len(changes):
            accepted.add(changes[int(number)].address)
    results = []
    for change in changes:
        if change.address in refused:
            results.append(RowResult(change.address, False, *refused[change.address], request_id))
        elif change.address in accepted:
            results.append(RowResult(change.address, True, request_id=request_id))
    return results


async def read_flagged(session: Session, target: Target) -> set[str]:
    """Ids of the contacts whose flag is set."""
    if not target.name:
        return set()
    answer = await session.get_json(PROPERTIES, label="properties")
    if target.name not in {found["name"] for found in answer["results"]}:
        return set()
    found: set[str] = set()
    last, after = 0, 0
    while True:
        rules = [
            {"propertyName": target.name, "operator": "EQ", "value": "true"},
            {"propertyName": "hs_object_id", "operator": "GT", "value": str(last)},
        ]
        body = {
            "filterGroups": [{"filters": rules}],
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "properties": ["hs_object_id"],
            "limit": 100,
            "after": str(after),
        }
        page = await session.post_json(f"{CONTACTS}/search", body, reads=True, label="search contacts")
        ids = [str(result["id"]) for result in page["results"]]
        found.update(ids)
        token = ((page.get("paging") or {}).get("next") or {}).get("after")
        if token is None:
            return found
        after = int(token)
        if after + 100 > SEARCH_CAP:
            last, after = int(ids[-1]), 0


def _named(context: dict[str, Any], changes: Sequence[Change]) -> list[str]:
    """Which rows an error is about."""
    traces = [int(number) for number in context.get("objectWriteTraceId", ()) if str(number).isdigit()]
    named = [changes[number].address for number in traces if number < len(changes)]
    return named or [str(address) for address in (*context.get("ids", ()), *context.get("id", ()))]


def _property(name: str, kind: FieldKind) -> dict[str, Any]:
    label = name.replace("_", " ").capitalize()
    made: dict[str, Any] = {"name": name, "label": label, "groupName": "contactinformation"}
    if kind == "bool":
        options = [
            {"label": "Yes", "value": "true", "displayOrder": 0, "hidden": False},
            {"label": "No", "value": "false", "displayOrder": 1, "hidden": False},
        ]
        return made | {"type": "bool", "fieldType": "booleancheckbox", "options": options}
    return made | (
        {"type": "number", "fieldType": "number"} if kind == "number" else {"type": "string", "fieldType": "text"}
    )


def _text(value: Any) -> str:
    """A value as HubSpot takes it: every property is a string, an empty one clears."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


DESTINATION = Destination(
    name="hubspot_contact",
    title="HubSpot contact properties",
    connection="hubspot",
    key="hubspot_contact_id",
    batch=100,
    target="field",
    prepare=find_or_create_properties,
    enter=update_contacts,
    leave=update_contacts,
    read_back=read_flagged,
    takes_fields=True,
)
