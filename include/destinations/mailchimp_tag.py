"""Mailchimp tags: people on the list carry the tag, 500 a call; nobody's subscription is ever touched."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from include.activate.calls import write
from include.activate.destination import Change, Destination, RowResult, Target
from include.connect.errors import FixSettings

if TYPE_CHECKING:
    from include.connect.http import Answer, Session
    from include.connect.source import Scalar

PAGE = 1000


async def find_or_create_tag(session: Session, target: Target) -> Target:
    """The tag's static segment; a tag is one, and is made once."""
    container = target.container or await only_list(session)
    found = await _find_tag(session, container, target.name)
    if found is None:
        body = {"name": target.name, "static_segment": []}
        answer = await write(session, "POST", f"/lists/{quote(container)}/segments", body, label="create tag")
        found = str(answer.value["id"])
    return replace(target, container=container, handle=found)


async def add_members(session: Session, target: Target, changes: Sequence[Change]) -> list[RowResult]:
    """Add the tag; whoever is not a contact of the audience comes back as an error inside HTTP 200."""
    answer = await _change(session, target, {"members_to_add": [change.address for change in changes]})
    refused = _errors(answer)
    return [_result(change, refused.get(change.address.lower()), answer.request_id) for change in changes]


async def remove_members(session: Session, target: Target, changes: Sequence[Change]) -> list[RowResult]:
    """Remove the tag; a refusal counts only while the contact still carries it."""
    answer = await _change(session, target, {"members_to_remove": [change.address for change in changes]})
    refused = _errors(answer)
    results = []
    for change in changes:
        error = refused.get(change.address.lower())
        if error is not None and not await _carries(session, target, change.address):
            error = None  # archived, deleted, or the tag removed by hand: there is nothing left to remove
        results.append(_result(change, error, answer.request_id))
    return results


async def read_members(session: Session, target: Target) -> set[str]:
    """Addresses that carry the tag now."""
    container = target.container or await only_list(session)
    handle = target.handle or await _find_tag(session, container, target.name)
    found: set[str] = set()
    while handle is not None:
        params = {"count": PAGE, "offset": len(found)}
        page = await session.get_json(
            f"/lists/{quote(container)}/segments/{handle}/members", params, label="tag members"
        )
        found.update(member["email_address"].lower() for member in page["members"])
        if len(page["members"]) < PAGE:
            break
    return found


async def only_list(session: Session) -> str:
    """The one audience of an account, where the list names none."""
    answer = await session.get_json("/lists", {"count": 2, "fields": "lists.id,total_items"}, label="lists")
    if len(answer["lists"]) != 1:
        raise FixSettings(
            f"the account has {answer.get('total_items', len(answer['lists']))} audiences and none is chosen",
            where=f"connection {session.connection.id}",
            fix='Name the audience in the connection\'s extra: {"list_id": "..."}.',
        )
    return str(answer["lists"][0]["id"])


async def _find_tag(session: Session, container: str, name: str) -> str | None:
    offset = 0
    while True:
        params: dict[str, Scalar] = {
            "type": "static",
            "count": PAGE,
            "offset": offset,
            "fields": "segments.id,segments.name,total_items",
        }
        page = await session.get_json(f"/lists/{quote(container)}/segments", params, label="tags")
        for segment in page["segments"]:
            if segment["name"] == name:
                return str(segment["id"])
        offset += len(page["segments"])
        if not page["segments"] or offset >= page["total_items"]:
            return None


async def _change(session: Session, target: Target, body: dict[str, Any]) -> Answer:
    return await write(
        session,
        "POST",
        f"/lists/{quote(target.container)}/segments/{target.handle}",
        body,
        label="change tag members",
    )


async def _carries(session: Session, target: Target, address: str) -> bool:
    member = hashlib.md5(address.lower().encode(), usedforsecurity=False).hexdigest()
    path = f"/lists/{quote(target.container)}/members/{member}"
    params = {"fields": "tags"}
    answer = await session.send("GET", path, params=params, accept=(404,), label="member", decode=msgspec.json.decode)
    if answer.status == 404:
        return False
    return any(str(tag["id"]) == target.handle or tag["name"] == target.name for tag in answer.value.get("tags", ()))


def _errors(answer: Answer) -> dict[str, str]:
    """What went wrong, by lower-cased address."""
    return {
        str(address).lower(): str(error.get("error", ""))
        for error in answer.value.get("errors", ())
        for address in error.get("email_addresses", ())
    }


def _result(change: Change, error: str | None, request_id: str | None) -> RowResult:
    if error is None:
        return RowResult(change.address, True, request_id=request_id)
    return RowResult(change.address, False, "refused_by_mailchimp", error, request_id)


DESTINATION = Destination(
    name="mailchimp_tag",
    title="Mailchimp tags",
    connection="mailchimp",
    key="email_marketing_address",
    batch=500,
    target="tag",
    prepare=find_or_create_tag,
    enter=add_members,
    leave=remove_members,
    read_back=read_members,
    container="mailchimp_list_id",
    default_container="list_id",
    requires="mailchimp_member_id",
    consent="email_marketing",
    modes=("mirror", "upsert", "add_only"),
)
