"""Airship tags: named users on the list carry the tag, 1,000 a call.

Tags live in a group that is made by hand (Settings > Tag groups): `stitchline`, or the `tag_group` of the
connection's extra. Airship takes a call whole or refuses it whole, and only warns where the group does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from include.activate.calls import write
from include.activate.destination import Change, Destination, RowResult, Target
from include.connect.errors import FixSettings

if TYPE_CHECKING:
    from include.connect.http import Session

GROUP = "stitchline"
LONGEST = 128


async def check_tag(session: Session, target: Target) -> Target:
    """A tag exists once somebody carries it; only its length can be wrong. Calls nothing."""
    if len(target.name) > LONGEST:
        raise FixSettings(
            f"a tag of {len(target.name)} characters is too long",
            where=f"destination {DESTINATION.name}",
            fix=f"Take one of at most {LONGEST} characters.",
        )
    return target


async def add_tag(session: Session, target: Target, changes: Sequence[Change]) -> list[RowResult]:
    """Add the tag to named users."""
    return await _change(session, target, changes, "add")


async def remove_tag(session: Session, target: Target, changes: Sequence[Change]) -> list[RowResult]:
    """Remove the tag from named users; who does not carry it stays as they are."""
    return await _change(session, target, changes, "remove")


async def read_tagged(session: Session, target: Target) -> set[str]:
    """Named users that carry the tag now."""
    found: set[str] = set()
    page = await session.get_json("/named_users", label="named users")
    while True:
        for one in page["named_users"]:
            if target.name in (one.get("tags") or {}).get(_group(target), ()):
                found.add(str(one["named_user_id"]))
        if not page.get("next_page"):
            return found
        page = await session.get_json(page["next_page"], label="named users")


async def _change(
    session: Session, target: Target, changes: Sequence[Change], how: Literal["add", "remove"]
) -> list[RowResult]:
    body = {
        "audience": {"named_user_id": [change.address for change in changes]},
        how: {_group(target): [target.name]},
    }
    answer = await write(session, "POST", "/named_users/tags", body, label=f"{how} tag")
    if answer.value.get("warnings"):
        raise FixSettings(
            f"Airship has no tag group {_group(target)!r}, so nobody was tagged",
            where=f"connection {session.connection.id}",
            fix='Make the group in Airship, or name another in the connection\'s extra: {"tag_group": "..."}.',
            request_id=answer.request_id,
        )
    return [RowResult(change.address, True, request_id=answer.request_id) for change in changes]


def _group(target: Target) -> str:
    return str(target.extra.get("tag_group") or GROUP)


DESTINATION = Destination(
    name="airship_tag",
    title="Airship named users' tags",
    connection="airship",
    key="user_id",
    batch=1000,
    target="tag",
    prepare=check_tag,
    enter=add_tag,
    leave=remove_tag,
    read_back=read_tagged,
    modes=("mirror", "upsert", "add_only"),
)
