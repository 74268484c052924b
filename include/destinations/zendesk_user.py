"""Zendesk user fields: a checkbox per list, and any mapped field, in jobs of 100 users."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from include.activate.calls import write
from include.activate.destination import Change, Destination, FieldKind, RowResult, Target
from include.connect.errors import RetryLater

if TYPE_CHECKING:
    from include.connect.http import Session

TYPES: dict[FieldKind, str] = {"bool": "checkbox", "number": "decimal", "text": "text"}
FIRST_LOOK_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
JOB_SECONDS = 600.0


async def find_or_create_fields(session: Session, target: Target) -> Target:
    """Make the user fields that the account does not have yet."""
    have: set[str] = set()
    page = await session.get_json("/user_fields", {"page[size]": 100}, label="user fields")
    while True:
        have.update(field["key"] for field in page["user_fields"])
        following = (page.get("links") or {}).get("next") or page.get("next_page")
        if not following or (page.get("meta") or {}).get("has_more") is False:
            break
        page = await session.get_json(following, label="user fields")
    for name, kind in target.fields.items():
        if name not in have:
            body = {"user_field": {"key": name, "type": TYPES[kind], "title": name.replace("_", " ").capitalize()}}
            await write(session, "POST", "/user_fields", body, label="create user field")
    return replace(target, handle=target.name)


async def update_users(session: Session, target: Target, changes: Sequence[Change]) -> list[RowResult]:
    """Set fields of users by id: the call queues a job, and the job's results are read row by row."""
    users = [{"id": int(change.address), "user_fields": dict(change.fields)} for change in _numbered(changes)]
    results = [
        RowResult(change.address, False, "InvalidId", "a Zendesk user id is a number")
        for change in changes
        if not change.address.isdigit()
    ]
    if not users:
        return results
    answer = await write(session, "PUT", "/users/update_many", {"users": users}, label="update users")
    job = await _ended(session, answer.value["job_status"])
    return results + _read(job, _numbered(changes), answer.request_id)


async def read_flagged(session: Session, target: Target) -> set[str]:
    """Ids of the users whose checkbox is ticked."""
    found: set[str] = set()
    if not target.name:
        return found
    page = await session.get_json("/users", {"page[size]": 100}, label="users")
    while True:
        found.update(
            str(user["id"]) for user in page["users"] if (user.get("user_fields") or {}).get(target.name) is True
        )
        following = (page.get("links") or {}).get("next") or page.get("next_page")
        if not following or (page.get("meta") or {}).get("has_more") is False:
            return found
        page = await session.get_json(following, label="users")


async def _ended(session: Session, job: dict[str, Any]) -> dict[str, Any]:
    """The job once it has ended, however it ended."""
    pause, began = FIRST_LOOK_SECONDS, time.monotonic()
    while job["status"] in ("queued", "working"):
        if time.monotonic() - began > JOB_SECONDS:
            raise RetryLater(
                "a job did not end in time", where=f"{session.where} update users", request_id=str(job["id"])
            )
        await session.clock.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
        job = (await session.get_json(f"/job_statuses/{job['id']}", label="job status"))["job_status"]
    return job


def _read(job: dict[str, Any], changes: Sequence[Change], request_id: str | None) -> list[RowResult]:
    """A job may be completed and still hold failures, each with an index or an id."""
    listed = job.get("results")
    if job["status"] != "completed" or not isinstance(listed, list):
        said = str(job.get("message") or "the job gave no results")
        return [RowResult(change.address, False, f"job_{job['status']}", said, request_id) for change in changes]
    known = {change.address for change in changes}
    results: dict[str, RowResult] = {}
    for number, row in enumerate(listed):
        index = row.get("index", number)
        address = str(row["id"]) if str(row.get("id")) in known else None
        if address is None and isinstance(index, int) and 0 <= index < len(changes):
            address = changes[index].address
        if address is None:
            continue
        error = row.get("error") or (None if row.get("success", True) else row.get("status") or "failed")
        message = str(row.get("details") or row.get("errors") or "")
        results[address] = RowResult(address, error is None, str(error or ""), message, request_id)
    return list(results.values())


def _numbered(changes: Sequence[Change]) -> list[Change]:
    return [change for change in changes if change.address.isdigit()]


DESTINATION = Destination(
    name="zendesk_user",
    title="Zendesk user fields",
    connection="zendesk",
    key="zendesk_user_id",
    batch=100,
    target="field",
    prepare=find_or_create_fields,
    enter=update_users,
    leave=update_users,
    read_back=read_flagged,
    takes_fields=True,
)
