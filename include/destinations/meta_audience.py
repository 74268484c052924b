"""Meta custom audiences: hashed people for ads on Facebook and Instagram, 10,000 a call.

Nothing but SHA-256 of normalised values leaves the house. People are matched by their address, and better with mapped
fields: `fields: {phone: phone, fn: first_name, ln: last_name}`; also ct, st, zip and country. Meta shows nobody in an
audience, so there is no reading back; changes take up to a day.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import msgspec

from include.activate.calls import REFUSALS, refusal, write
from include.activate.destination import BatchRejected, Change, Destination, RowResult, Target
from include.connect.auth import BearerAuth
from include.connect.errors import FixCredentials, FixSettings, RetryLater
from include.connect.source import Rate, Source

if TYPE_CHECKING:
    from include.connect.http import Answer, Session
    from include.connect.source import Scalar

KEYS = ("PHONE", "FN", "LN", "CT", "ST", "ZIP", "COUNTRY")
THROTTLED = frozenset({"4", "17", "32", "613", "80003"})
UNTRUSTED = frozenset({"10", "102", "190", "200"})
PAUSE_SECONDS = 900.0


async def find_or_create_audience(session: Session, target: Target) -> Target:
    """The id of the audience of that name."""
    unknown = [name for name in target.fields if name.upper() not in KEYS]
    if unknown:
        raise FixSettings(
            f"Meta matches nobody by {unknown[0]}",
            where=f"destination {DESTINATION.name}",
            fix=f"Map one of: {', '.join(key.lower() for key in KEYS)}.",
        )
    path = session.connection.fill("/act_{ad_account_id}/customaudiences")
    params: dict[str, Scalar] = {"fields": "id,name", "limit": 100}
    while True:
        page = (await _read(session, path, params, "audiences")).value
        for one in page["data"]:
            if one["name"] == target.name:
                return replace(target, handle=str(one["id"]))
        paging = page.get("paging") or {}
        if not paging.get("next"):
            break
        params["after"] = str(paging["cursors"]["after"])
    made = {"name": target.name, "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    answer = await _called(session, "POST", path, made, "create audience")
    return replace(target, handle=str(answer.value["id"]))


async def add_people(session: Session, target: Target, changes: Sequence[Change]) -> list[RowResult]:
    """Add people; adding somebody again changes nothing."""
    return await _change(session, target, changes, "POST")


async def remove_people(session: Session, target: Target, changes: Sequence[Change]) -> list[RowResult]:
    """Remove people by their address."""
    return await _change(session, target, changes, "DELETE")


async def _change(
    session: Session, target: Target, changes: Sequence[Change], method: Literal["POST", "DELETE"]
) -> list[RowResult]:
    given = {name.upper() for change in changes for name in change.fields} if method == "POST" else set()
    keys = [key for key in KEYS if key in given]
    rows = []
    for change in changes:
        values = {name.upper(): value for name, value in change.fields.items()}
        rows.append([hashed("EMAIL", change.address), *(hashed(key, values.get(key)) for key in keys)])
    body = {"payload": {"schema": ["EMAIL", *keys], "data": rows}}
    answer = await _called(session, method, f"/{quote(target.handle)}/users", body, "change audience")
    if answer.value.get("num_invalid_entries"):
        # Meta counts them and does not say which: the sender halves the batch until each is alone.
        raise BatchRejected("invalid_entry", "Meta could not read the hashed person", answer.request_id)
    return [RowResult(change.address, True, request_id=answer.request_id) for change in changes]


async def _read(session: Session, path: str, params: Mapping[str, Scalar], label: str) -> Answer:
    answer = await session.send("GET", path, params=params, accept=REFUSALS, label=label, decode=msgspec.json.decode)
    if answer.status in REFUSALS:
        error = BatchRejected(*refusal(answer), answer.request_id)
        _sort(session, error, label)
        raise FixSettings(
            f"Meta refused to list audiences (code {error.code})",
            where=f"connection {session.connection.id}",
            fix='Check "ad_account_id" in its extra: the number without act_.',
            request_id=error.request_id,
        )
    return answer


async def _called(session: Session, method: str, path: str, body: Any, label: str) -> Answer:
    """A write, with the codes Graph hides behind HTTP 400 told apart."""
    try:
        return await write(session, method, path, body, label=label)
    except BatchRejected as error:
        _sort(session, error, label)
        raise


def _sort(session: Session, error: BatchRejected, label: str) -> None:
    """Raise what a code really means, where it is not about the content of the call."""
    where = f"{session.where} {label}"
    if error.code in THROTTLED:
        what = "the vendor said: too many calls"
        raise RetryLater(what, where=where, request_id=error.request_id, after=PAUSE_SECONDS) from None
    if error.code in UNTRUSTED:
        raise FixCredentials(
            f"Meta refused the access token or its permissions (code {error.code})",
            where=f"connection {session.connection.id}, {where}",
            fix="Renew the token of a system user with ads_management on the ad account.",
            request_id=error.request_id,
        ) from None


def hashed(key: str, value: Any) -> str:
    """SHA-256 of a value as Meta normalises it; an empty text where there is none."""
    text = normalised(key, "" if value is None else str(value))
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def normalised(key: str, value: str) -> str:
    """A value as Meta wants it before hashing: lower case, and only what counts for its kind."""
    text = unicodedata.normalize("NFC", value).strip().lower()
    if key == "EMAIL":
        return text
    if key == "PHONE":
        return re.sub(r"\D", "", text).lstrip("0")
    if key == "ZIP":
        return re.sub(r"\s", "", text.partition("-")[0])
    if key == "COUNTRY":
        return text if re.fullmatch("[a-z]{2}", text) else ""
    # Letters of any alphabet stay: names are matched in UTF-8.
    return "".join(letter for letter in text if letter.isalpha())


API = Source(
    name="meta",
    title="Meta Marketing API",
    base_url="https://graph.facebook.com/v26.0",
    auth=BearerAuth("{password}"),
    budget=Rate(5),  # the vendor counts by the size of the account: rate_limit in the extra
    docs_url="https://developers.facebook.com/docs/marketing-api/audiences/guides/custom-audiences/",
)
DESTINATION = Destination(
    name="meta_audience",
    title="Meta custom audiences",
    connection="meta",
    key="email_marketing_address",
    batch=10_000,
    target="tag",
    prepare=find_or_create_audience,
    enter=add_people,
    leave=remove_people,
    consent="email_marketing",
    takes_fields=True,
    api=API,
)
