"""HubSpot static lists: people on the list are its members; who was added by hand is left alone.

Members are contacts by id, as identity found them for a person's addresses; who is no contact yet is not sent.
HubSpot names no limit for a call. One that somebody filled by rules, or made of companies, is not touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import msgspec

from include.activate.calls import write
from include.activate.destination import BatchRejected, Change, Destination, RowResult, Target
from include.connect.errors import FixSettings, RetryLater

if TYPE_CHECKING:
    from include.connect.http import Session

LISTS = "/crm/v3/lists"
CONTACTS = "0-1"
PAGE = 250
FILLED_BY_HAND = ("MANUAL", "SNAPSHOT")


async def find_or_create_list(session: Session, target: Target) -> Target:
    """The id of the static list of that name."""
    found = await _find_list(session, target.name)
    if found is None:
        made = {"name": target.name, "objectTypeId": CONTACTS, "processingType": "MANUAL"}
        try:
            found = (await write(session, "POST", LISTS, made, label="create list")).value["list"]
        except BatchRejected:
            # A call that was repeated finds the name taken, by itself.
            found = await _find_list(session, target.name)
            if found is None:
                raise
    if found["processingType"] not in FILLED_BY_HAND:
        raise FixSettings(
            "HubSpot fills the list of that name by rules of its own, so nobody can be added",
            where=f"destination {DESTINATION.name}",
            fix="Give the sync another `tag:`, or make the list a static one.",
        )
    return replace(target, handle=str(found["listId"]))


async def add_members(session: Session, target: Target, changes: Sequence[Change]) -> list[RowResult]:
    """Add contacts; who is a member already stays one, ids of nobody come back as missing."""
    return await _change(session, target, changes, "add")


async def remove_members(session: Session, target: Target, changes: Sequence[Change]) -> list[RowResult]:
    """Remove contacts; who is no member, or no contact any more, has left."""
    return await _change(session, target, changes, "remove")


async def read_members(session: Session, target: Target) -> set[str]:
    """Ids of the contacts on the list now."""
    handle = target.handle
    if not handle:
        listed = await _find_list(session, target.name)
        if listed is None:
            return set()
        handle = str(listed["listId"])
    found: set[str] = set()
    params: dict[str, Any] = {"limit": PAGE}
    while True:
        page = await session.get_json(f"{LISTS}/{quote(handle)}/memberships", params, label="list members")
        found.update(str(one["recordId"]) for one in page["results"])
        after = ((page.get("paging") or {}).get("next") or {}).get("after")
        if after is None:
            return found
        params["after"] = str(after)


async def _find_list(session: Session, name: str) -> dict[str, Any] | None:
    path = f"{LISTS}/object-type-id/{CONTACTS}/name/{quote(name, safe='')}"
    answer = await session.send("GET", path, accept=(404,), label="list", decode=msgspec.json.decode)
    return None if answer.status == 404 else answer.value["list"]


async def _change(
    session: Session, target: Target, changes: Sequence[Change], how: Literal["add", "remove"]
) -> list[RowResult]:
    path, ids = f"{LISTS}/{quote(target.handle)}/memberships/{how}", [change.address for change in changes]
    try:
        answer = await write(session, "PUT", path, ids, label=f"{how} members")
    except BatchRejected as error:
        if error.code == "OBJECT_NOT_FOUND":
            # Found a moment ago: the next try finds or makes it again, and then sees that it is another one.
            what, where = "the list was deleted while it was being changed", f"{session.where} {how} members"
            raise RetryLater(what, where=where, request_id=error.request_id) from None
        raise
    missing = set(map(str, answer.value["recordIdsMissing"])) if how == "add" else set()
    told = "HubSpot has no contact of this id, or not any more"
    return [
        RowResult(change.address, False, "no_such_contact", told, answer.request_id)
        if change.address in missing
        else RowResult(change.address, True, request_id=answer.request_id)
        for change in changes
    ]


DESTINATION = Destination(
    name="hubspot_list",
    title="HubSpot static lists",
    connection="hubspot",
    key="hubspot_contact_id",
    batch=10_000,
    target="tag",
    prepare=find_or_create_list,
    enter=add_members,
    leave=remove_members,
    read_back=read_members,
    modes=("mirror", "upsert", "add_only"),
)
