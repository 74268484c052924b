"""Google Customer Match: hashed people for ads, by the Data Manager API, 10,000 a call.

Nothing but SHA-256 of normalised values leaves the house, region and postal code apart. People are matched by their
address, and better with mapped fields: `fields: {phone: phone, given_name: first_name, family_name: last_name,
region_code: country, postal_code: zip}`; a name counts only with region and postal code. Audiences are made in Google
Ads, where the terms of Customer Match are accepted too, and their ids written into the connection's extra:
`{"audiences": {"at-risk": "1234567890"}}`. Consent to mails is not consent to ads: Google is told of that
only where the extra says `"ad_consent": true`, because everybody on these lists gave it.

A call is a request that Google works on later; what became of each person is read back. Google shows nobody in an
audience, so there is no other reading back.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from include.activate.calls import write
from include.activate.destination import BatchRejected, Change, Destination, RowResult, Target
from include.connect.errors import FixSettings, RetryLater
from include.connect.oauth import OAuth2, RefreshToken, ServiceAccount
from include.connect.source import Rate, Source

if TYPE_CHECKING:
    from include.connect.http import Session

TOKENS = "https://oauth2.googleapis.com/token"
FIELDS = ("phone", "given_name", "family_name", "region_code", "postal_code")
DOTLESS = ("gmail.com", "googlemail.com")
FIRST_LOOK_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 60.0
REQUEST_SECONDS = 7200.0
"""How long the outcome of a request is waited for; `request_seconds` in the extra replaces it."""
Identifier = dict[str, Any]


async def find_audience(session: Session, target: Target) -> Target:
    """The id of the audience, from the connection; calls nothing."""
    unknown = [name for name in target.fields if name not in FIELDS]
    if unknown:
        raise FixSettings(
            f"Google matches nobody by {unknown[0]}",
            where=f"destination {DESTINATION.name}",
            fix=f"Map one of: {', '.join(FIELDS)}.",
        )
    session.connection.fill("{customer_id}")
    audiences = target.extra.get("audiences")
    found = audiences.get(target.name) if isinstance(audiences, Mapping) else None
    if not re.fullmatch(r"\d+", str(found)):
        raise FixSettings(
            f"nobody says which audience {target.name!r} is",
            where=f"connection {session.connection.id}",
            fix=f'Make it in Google Ads and write its id into the extra: {{"audiences": {{"{target.name}": "..."}}}}.',
        )
    return replace(target, handle=str(found))


async def add_people(session: Session, target: Target, changes: Sequence[Change]) -> list[RowResult]:
    """Add people; adding somebody again changes nothing."""
    members = [identifiers(change.address, change.fields) for change in changes]
    return await _change(session, target, changes, members, "ingest")


async def update_people(session: Session, target: Target, changes: Sequence[Change]) -> list[RowResult]:
    """Add people by what is known of them now, after removing them by what is not theirs any more."""
    latest = {change.address: identifiers(change.address, {**change.previous, **change.fields}) for change in changes}
    outdated = {
        change.address: [
            one for one in identifiers(change.address, change.previous) if one not in latest[change.address]
        ]
        for change in changes
    }
    leaving = [change for change in changes if outdated[change.address]]
    removed: list[RowResult] = []
    if leaving:
        members = [outdated[change.address] for change in leaving]
        removed = await _change(session, target, leaving, members, "remove")
    kept = {result.address: result for result in removed if not result.accepted}
    staying = [change for change in changes if change.address not in kept]
    added = await _change(session, target, staying, [latest[change.address] for change in staying], "ingest")
    return [*kept.values(), *added]


async def remove_people(session: Session, target: Target, changes: Sequence[Change]) -> list[RowResult]:
    """Remove people by everything they were added by."""
    members = [identifiers(change.address, change.previous) for change in changes]
    return await _change(session, target, changes, members, "remove")


async def _change(
    session: Session,
    target: Target,
    changes: Sequence[Change],
    members: Sequence[list[Identifier]],
    how: Literal["ingest", "remove"],
) -> list[RowResult]:
    if not changes:
        return []
    body = request_of(target, members, how)
    answer = await write(session, "POST", f"/audienceMembers:{how}", body, label=f"{how} people")
    request_id = str(answer.value["requestId"])
    reasons = await _refused(session, request_id, len(changes), _patience(target))
    return [
        RowResult(change.address, False, reasons[number], "Google could not use the person's identifiers", request_id)
        if number in reasons
        else RowResult(change.address, True, request_id=request_id)
        for number, change in enumerate(changes)
    ]


def request_of(target: Target, members: Sequence[list[Identifier]], how: Literal["ingest", "remove"]) -> dict[str, Any]:
    """The body of a call that adds or removes people."""
    body: dict[str, Any] = {
        "destinations": [_destination(target)],
        "audienceMembers": [{"userData": {"userIdentifiers": member}} for member in members],
        "encoding": "HEX",
    }
    if how == "ingest":
        body["termsOfService"] = {"customerMatchTermsOfServiceStatus": "ACCEPTED"}
        if target.extra.get("ad_consent") is True:
            body["consent"] = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
    return body


async def _refused(session: Session, request_id: str, size: int, patience: float) -> dict[int, str]:
    """Which rows of a request failed and why, once Google has worked on it.

    Raises:
        BatchRejected: there were errors and Google does not say in which rows; sending the others again is harmless.
        RetryLater: Google took too long, and the rows are sent again later.
    """
    pause, until = FIRST_LOOK_SECONDS, session.clock.now() + patience
    while True:
        path = "/requestStatus:retrieve"
        found = await session.get_json(path, {"requestId": request_id}, label="request status")
        (one,) = found["requestStatusPerDestination"]
        if one["requestStatus"] in ("SUCCESS", "PARTIAL_SUCCESS", "FAILED"):
            break
        if session.clock.now() > until:
            what = "a request was not worked on in time"
            raise RetryLater(what, where=f"{session.where} request status", request_id=request_id)
        await session.clock.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
    counts = (one.get("errorInfo") or {}).get("errorCounts") or []
    reasons = {int(row): _code(count) for count in counts for row in count.get("recordIndices") or ()}
    told = sum(int(count.get("recordCount") or 0) for count in counts)
    is_whole = one["requestStatus"] == "FAILED" and len(reasons) < size
    if is_whole or len(reasons) < told:
        code = _code(counts[0]) if counts else "request_failed"
        raise BatchRejected(code, "the request failed, and Google does not say for whom", request_id)
    return reasons


def _code(count: Mapping[str, Any]) -> str:
    return str(count.get("reason") or "unknown").removeprefix("PROCESSING_ERROR_REASON_").lower()


def _destination(target: Target) -> dict[str, Any]:
    """The audience, in the account that owns it."""

    def account(name: str) -> dict[str, str]:
        return {"accountType": "GOOGLE_ADS", "accountId": re.sub(r"\D", "", str(target.extra[name]))}

    found: dict[str, Any] = {"operatingAccount": account("customer_id"), "productDestinationId": target.handle}
    if target.extra.get("login_customer_id"):
        found["loginAccount"] = account("login_customer_id")
    return found


def _patience(target: Target) -> float:
    return float(target.extra.get("request_seconds") or REQUEST_SECONDS)


def identifiers(address: str, fields: Mapping[str, Any]) -> list[Identifier]:
    """Everything Google may match a person by, hashed."""
    values = {name: "" if fields.get(name) is None else str(fields[name]) for name in FIELDS}
    found: list[Identifier] = [{"emailAddress": _hashed(normalised_email(address))}]
    phone = normalised_phone(values["phone"])
    if phone:
        found.append({"phoneNumber": _hashed(phone)})
    given, family = normalised_name(values["given_name"]), normalised_name(values["family_name"])
    region, postal = values["region_code"].strip().upper(), re.sub(r"\s", "", values["postal_code"]).upper()
    if given and family and re.fullmatch("[A-Z]{2}", region) and postal:
        names = {"givenName": _hashed(given), "familyName": _hashed(family)}
        found.append({"address": {**names, "regionCode": region, "postalCode": postal}})
    return found


def normalised_email(value: str) -> str:
    """An address as Google wants it: lower case, no blanks, and at Gmail no dots before the @."""
    name, at, domain = re.sub(r"\s", "", unicodedata.normalize("NFC", value)).lower().rpartition("@")
    return f"{name.replace('.', '') if domain in DOTLESS else name}{at}{domain}"


def normalised_phone(value: str) -> str:
    """A number in E.164; empty where the country is not said."""
    text = re.sub(r"\(0\)", "", value).strip()
    digits = re.sub(r"\D", "", text)
    if text.startswith("00"):
        text, digits = "+", digits[2:]
    return f"+{digits}" if text.startswith("+") and re.fullmatch(r"[1-9]\d{6,14}", digits) else ""


def normalised_name(value: str) -> str:
    """A name in lower case, without punctuation and blanks around it."""
    text = unicodedata.normalize("NFC", value).lower()
    return " ".join("".join(letter for letter in text if letter.isalnum() or letter.isspace()).split())


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


API = Source(
    name="google",
    title="Google Data Manager API",
    base_url="https://datamanager.googleapis.com/v1",
    auth=OAuth2(TOKENS, (ServiceAccount(TOKENS, "https://www.googleapis.com/auth/datamanager"), RefreshToken())),
    budget=Rate(5),  # requests a minute differ from project to project: rate_limit in the extra
    docs_url="https://developers.google.com/data-manager/api",
)
DESTINATION = Destination(
    name="google_audience",
    title="Google Customer Match audiences",
    connection="google",
    key="email_marketing_address",
    batch=10_000,
    target="tag",
    prepare=find_audience,
    enter=add_people,
    update=update_people,
    leave=remove_people,
    consent="email_marketing",
    takes_fields=True,
    api=API,
)
