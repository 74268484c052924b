"""SendGrid lists: people on the list are members of it, 30,000 a call; suppressions are never touched.

A person who is no contact yet becomes one, since membership is of contacts. Whether mail may be sent is decided by
SendGrid's suppression lists, which membership does not change, and before that by consent.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from include.activate.calls import write
from include.activate.destination import BatchRejected, Change, Destination, RowResult, Target
from include.connect.download import download
from include.connect.errors import RetryLater

if TYPE_CHECKING:
    from include.connect.http import Answer, Session

CONTACTS, LISTS = "/marketing/contacts", "/marketing/lists"
LOOKED_UP = 100
MOST_TOLD = 20
"""Invalid addresses taken out of a batch one by one; past them it is halved."""
FIRST_LOOK_SECONDS, LONGEST_PAUSE_SECONDS, JOB_SECONDS = 0.2, 15.0, 1800.0
INVALID = re.compile(r"contacts\[(\d+)\]")


async def find_or_create_list(session: Session, target: Target) -> Target:
    """The id of the list of that name."""
    found = await _find_list(session, target.name)
    if found is None:
        answer = await write(session, "POST", LISTS, {"name": target.name}, label="create list")
        found = str(answer.value["id"])
    return replace(target, handle=found)


async def add_contacts(session: Session, target: Target, changes: Sequence[Change]) -> list[RowResult]:
    """Put contacts on the list; the call queues a job, whose errors are read row by row."""
    left, results = list(changes), list[RowResult]()
    while left:
        body = {"list_ids": [target.handle], "contacts": [{"email": change.address} for change in left]}
        try:
            answer = await write(session, "PUT", CONTACTS, body, label="put contacts")
        except BatchRejected as error:
            # One invalid address refuses all 30,000; where the refusal says which, the others go at once.
            number = INVALID.match(error.code)
            if number is None or int(number[1]) >= len(left) or len(results) == MOST_TOLD:
                raise
            bad = left.pop(int(number[1]))
            results.append(RowResult(bad.address, False, "invalid_contact", error.message, error.request_id))
            continue
        refused = await _refused(session, answer, left)
        for change in left:
            message = refused.get(change.address)
            code = "" if message is None else "refused_by_sendgrid"
            results.append(RowResult(change.address, message is None, code, message or "", answer.request_id))
        break
    return results


async def _refused(session: Session, answer: Answer, changes: Sequence[Change]) -> dict[str, str]:
    """Who could not be added and why, once the job has ended.

    Raises:
        BatchRejected: there were errors and nobody says whose; adding the others again changes nothing.
    """
    job = await _ended(session, f"{CONTACTS}/imports/{answer.value['job_id']}", "import")
    counts = job.get("results") or {}
    refused: dict[str, str] = {}
    if counts.get("errored_count"):
        if counts.get("errors_url"):
            refused = _named(await download(session, counts["errors_url"], "import errors"), changes)
        if len(refused) < int(counts["errored_count"]):
            raise BatchRejected("job_errors", "the job had errors and did not say whose", answer.request_id)
    return refused


async def remove_contacts(session: Session, target: Target, changes: Sequence[Change]) -> list[RowResult]:
    """Take contacts off the list; they stay contacts. Who is none any more is on no list."""
    results: list[RowResult] = []
    for at in range(0, len(changes), LOOKED_UP):
        some = changes[at : at + LOOKED_UP]
        asked = {"emails": [change.address for change in some]}
        # 404 where none of them is a contact, and then there is nothing to read.
        said = await session.post_json(
            f"{CONTACTS}/search/emails", asked, reads=True, accept=(404,), label="find contacts"
        )
        found = {
            email.lower(): row["contact"]["id"]
            for email, row in ((said or {}).get("result") or {}).items()
            if "contact" in row
        }
        ids = [found[change.address.lower()] for change in some if change.address.lower() in found]
        request_id = None
        if ids:
            path = f"{LISTS}/{quote(target.handle)}/contacts?contact_ids={','.join(map(quote, ids))}"
            request_id = (await write(session, "DELETE", path, label="remove from list")).request_id
        results += [RowResult(change.address, True, request_id=request_id) for change in some]
    return results


async def read_members(session: Session, target: Target) -> set[str]:
    """Addresses on the list now, by an export of it."""
    handle = target.handle or await _find_list(session, target.name)
    if handle is None:
        return set()
    asked = {"list_ids": [handle], "file_type": "csv"}
    export = await session.post_json(f"{CONTACTS}/exports", asked, reads=True, label="export list")
    job = await _ended(session, f"{CONTACTS}/exports/{export['id']}", "export list")
    found: set[str] = set()
    for url in job.get("urls") or ():
        text = (await download(session, str(url), "export list")).decode("utf-8-sig")
        found.update(row["EMAIL"].lower() for row in csv.DictReader(StringIO(text)))
    return found


async def _find_list(session: Session, name: str) -> str | None:
    page = await session.get_json(LISTS, {"page_size": 1000}, label="lists")
    while True:
        for one in page["result"]:
            if one["name"] == name:
                return str(one["id"])
        following = (page.get("_metadata") or {}).get("next")
        if not following or not page["result"]:
            return None
        page = await session.get_json(following, label="lists")


async def _ended(session: Session, path: str, label: str) -> dict[str, Any]:
    """The job once it has ended; whole jobs that fail pass for a fault of SendGrid's."""
    pause, until = FIRST_LOOK_SECONDS, session.clock.now() + JOB_SECONDS
    while True:
        job: dict[str, Any] = await session.get_json(path, label=label)
        if job["status"] in ("failed", "failure"):
            raise RetryLater("a job failed", where=f"{session.where} {label}")
        if job["status"] != "pending":
            return job
        if session.clock.now() > until:
            raise RetryLater("a job did not end in time", where=f"{session.where} {label}")
        await session.clock.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)


def _named(file: bytes, changes: Sequence[Change]) -> dict[str, str]:
    """Who an error file is about, and what it says of them; its columns are not documented."""
    known = {change.address.lower(): change.address for change in changes}
    found: dict[str, str] = {}
    for row in csv.reader(StringIO(file.decode("utf-8-sig"))):
        for cell in row:
            address = known.get(cell.strip().lower())
            if address is not None:
                found[address] = "; ".join(other for other in row if other != cell)
    return found


DESTINATION = Destination(
    name="sendgrid_contact",
    title="SendGrid lists",
    connection="sendgrid",
    key="email_marketing_address",
    batch=30_000,
    target="tag",
    prepare=find_or_create_list,
    enter=add_contacts,
    leave=remove_contacts,
    read_back=read_members,
    consent="email_marketing",
    modes=("mirror", "upsert", "add_only"),
    concurrency=1,
)
