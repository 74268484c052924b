"""Mailchimp merge fields: a field per list, and any mapped one, 500 members a call; no status is ever sent.

Without a status Mailchimp changes members as they are, unsubscribed ones too, and refuses who is no member: nobody
is subscribed, and nobody again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from include.activate.calls import write
from include.activate.destination import Change, Destination, FieldKind, RowResult, Target
from include.destinations.mailchimp_tag import PAGE, only_list

if TYPE_CHECKING:
    from include.connect.http import Session
    from include.connect.source import Scalar

TYPES: dict[FieldKind, str] = {"bool": "text", "number": "number", "text": "text"}
"""There is no type for a flag: it is the text `true` or `false`."""


async def find_or_create_fields(session: Session, target: Target) -> Target:
    """The tag of each field, by the field's name; fields the audience does not have yet are made, unseen in forms."""
    container = target.container or await only_list(session)
    tags = await _tags(session, container)
    for name, kind in target.fields.items():
        if name.lower() not in tags:
            body = {"name": name, "type": TYPES[kind], "public": False}
            answer = await write(
                session, "POST", f"/lists/{quote(container)}/merge-fields", body, label="create merge field"
            )
            tags[name.lower()] = str(answer.value["tag"])
    return replace(target, container=container, extra={**target.extra, "merge_tags": tags})


async def update_members(session: Session, target: Target, changes: Sequence[Change]) -> list[RowResult]:
    """Set merge fields; a member that cannot be changed comes back as an error inside HTTP 200."""
    tags = target.extra["merge_tags"]
    members = [
        {
            "email_address": change.address,
            "merge_fields": {tags[name.lower()]: _value(value) for name, value in change.fields.items()},
        }
        for change in changes
    ]
    # Other fields the audience asks for in its forms are not ours to fill.
    path = f"/lists/{quote(target.container)}?skip_merge_validation=true"
    body = {"members": members, "update_existing": True, "sync_tags": False}
    answer = await write(session, "POST", path, body, label="update members")
    refused = {str(error["email_address"]).lower(): error for error in answer.value.get("errors", ())}
    results = []
    for change in changes:
        error = refused.get(change.address.lower())
        if error is None or (change.operation == "leave" and not await _is_member(session, target, change.address)):
            results.append(RowResult(change.address, True, request_id=answer.request_id))
        else:
            code, message = str(error.get("error_code") or "refused_by_mailchimp"), str(error.get("error", ""))
            results.append(RowResult(change.address, False, code, message, answer.request_id))
    return results


async def read_flagged(session: Session, target: Target) -> set[str]:
    """Addresses whose field is `true`."""
    container = target.container or await only_list(session)
    tag = (await _tags(session, container)).get(target.name.lower())
    found: set[str] = set()
    offset = 0
    while tag is not None:
        params: dict[str, Scalar] = {
            "count": PAGE,
            "offset": offset,
            "fields": "members.email_address,members.merge_fields",
        }
        page = await session.get_json(f"/lists/{quote(container)}/members", params, label="members")
        found.update(one["email_address"].lower() for one in page["members"] if one["merge_fields"].get(tag) == "true")
        offset += len(page["members"])
        if len(page["members"]) < PAGE:
            break
    return found


async def _tags(session: Session, container: str) -> dict[str, str]:
    """Tags of the audience's merge fields by their names and by themselves, in lower case."""
    params: dict[str, Scalar] = {"count": PAGE, "fields": "merge_fields.name,merge_fields.tag"}
    said = await session.get_json(f"/lists/{quote(container)}/merge-fields", params, label="merge fields")
    tags = {str(one["tag"]).lower(): str(one["tag"]) for one in said["merge_fields"]}
    return tags | {str(one["name"]).lower(): str(one["tag"]) for one in said["merge_fields"]}


async def _is_member(session: Session, target: Target, address: str) -> bool:
    member = hashlib.md5(address.lower().encode(), usedforsecurity=False).hexdigest()
    path = f"/lists/{quote(target.container)}/members/{member}"
    return (await session.send("GET", path, params={"fields": "id"}, accept=(404,), label="member")).status != 404


def _value(value: Any) -> Any:
    """A value as a merge field takes it: nothing is an empty text."""
    if value is None:
        return ""
    return ("true" if value else "false") if isinstance(value, bool) else value


DESTINATION = Destination(
    name="mailchimp_member",
    title="Mailchimp merge fields",
    connection="mailchimp",
    key="email_marketing_address",
    batch=500,
    target="field",
    prepare=find_or_create_fields,
    enter=update_members,
    leave=update_members,
    read_back=read_flagged,
    container="mailchimp_list_id",
    default_container="list_id",
    requires="mailchimp_member_id",
    consent="email_marketing",
    takes_fields=True,
)
