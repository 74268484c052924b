"""Salesforce: people, companies, campaigns, opportunities and activities, deleted and merged ones included."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import msgspec

from include.connect.connection import Connection
from include.connect.cursor import instant, written
from include.connect.errors import RetryLater
from include.connect.http import CallRefused, Session
from include.connect.oauth import ClientCredentials, JwtBearer, OAuth2
from include.connect.pages import Listing, Step
from include.connect.records import Body, Lifter
from include.connect.source import Connections, Page, Source, Stream, Sweep, Window

log = logging.getLogger(__name__)

API = "/services/data/v62.0"
BATCH = 2000
BULK_FROM = 10_000
"""From this many records on, a query job costs fewer calls than pages do; `bulk_from` in the extra replaces it."""
BULK_BATCH = 10_000
JOB_SECONDS = 7200.0
"""How long a query job is waited for before the task tries again later."""
SYSTEM = ("Id", "IsDeleted", "OwnerId", "CreatedDate", "LastModifiedDate", "SystemModstamp")
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")


@dataclass(frozen=True, slots=True)
class Batches:
    """Paging by the path of the next batch; Salesforce keeps a query's result for two days."""

    place: Literal["path"] = "path"

    def ask(self, token: str | None) -> Mapping[str, Any]:
        """Nothing: the path says all."""
        return {}

    def after(self, token: str | None, body: Body, key_of: Callable[[Any], str | None]) -> Step:
        """The next path, below the API's own."""
        path = body.at("nextRecordsUrl")
        return Step(path.removeprefix(API) if isinstance(path, str) else None)


@dataclass(frozen=True, slots=True)
class Objects:
    """How one type of object is read: by pages of a query, or past `BULK_FROM` records by a query job.

    `queryAll` shows deleted records for 15 days, and merged ones with the record that took their place.
    """

    kind: str
    fields: tuple[str, ...]

    async def read(self, session: Session, window: Window) -> AsyncIterator[Page]:
        """All pages; `resume` is the path of the next batch, or job and place in its result."""
        way, _, place = (window.resume or "").partition(":")
        types = {} if way == "batch" else await self._types(session, window)
        if way == "job":
            job, _, locator = place.partition(":")
            async for page in self._results(session, job, locator, types):
                yield page
            return
        query = self._query(types, window)
        size = min(int(session.connection.extra.get("page_size") or BATCH), BATCH)
        listing = Listing(
            session,
            "/queryAll",
            "records",
            Batches(),
            lambda record: _lifter.lift(record).key,
            params={"q": query},
            headers={"Sforce-Query-Options": f"batchSize={size}"},
            label=self.kind,
        )
        may_be_job = way == ""
        async for body, following in listing.pages(place or None):
            if may_be_job and int(body.at("totalSize") or 0) > _bulk_from(session.connection):
                started = await self._job(session, query)
                if started is not None:
                    async for page in self._results(session, started, "", types):
                        yield page
                    return
            may_be_job = False
            yield Page(body.records, f"batch:{following}" if following else None, rejected=body.rejected)

    async def _types(self, session: Session, window: Window) -> dict[str, str]:
        """Type of each field that the object has and this user may see: a query that names another one is refused."""
        if window.kind == "sweep":
            return {"Id": "id"}
        described = await session.get_json(f"/sobjects/{self.kind}/describe", label=self.kind)
        seen = {field["name"]: field["type"] for field in described["fields"]}
        return {name: seen[name] for name in (*SYSTEM, *self.fields) if name in seen}

    def _query(self, types: Mapping[str, str], window: Window) -> str:
        limits = []
        if (since := instant(window.since)) is not None:
            limits.append(f"SystemModstamp >= {written(since)[:19]}Z")
        if window.end is not None:
            limits.append(f"SystemModstamp < {written(window.end)[:19]}Z")
        where = f" WHERE {' AND '.join(limits)}" if limits else ""
        return f"SELECT {', '.join(types)} FROM {self.kind}{where}"

    async def _job(self, session: Session, query: str) -> str | None:
        """Start a query job and wait for it; None where Salesforce has none for this object."""
        asked = {"operation": "queryAll", "query": query}
        try:
            job = (await session.post_json("/jobs/query", asked, reads=True, label=self.kind))["id"]
        except CallRefused as refusal:
            log.warning("no query job where=%s stream=%s status=%d", session.where, self.kind, refusal.status)
            return None
        deadline, pause = session.clock.now() + JOB_SECONDS, 1.0
        while True:
            state = (await session.get_json(f"/jobs/query/{job}", label=self.kind))["state"]
            if state == "JobComplete":
                return str(job)
            where = f"{session.where} {self.kind}"
            if state in ("Failed", "Aborted"):
                raise RetryLater(f"the query job ended as {state}", where=where)
            if session.clock.now() + pause > deadline:
                raise RetryLater(f"the query job is still {state}", where=where, after=600)
            await session.clock.sleep(pause)
            pause = min(30.0, pause * 1.5)

    async def _results(self, session: Session, job: str, locator: str, types: Mapping[str, str]) -> AsyncIterator[Page]:
        size = min(int(session.connection.extra.get("page_size") or BULK_BATCH), BULK_BATCH)
        seen, broken = b"", 0
        while True:
            params: dict[str, str | int] = {"maxRecords": size, **({"locator": locator} if locator else {})}
            answer = await session.send(
                "GET",
                f"/jobs/query/{job}/results",
                params=params,
                headers={"Accept": "text/csv"},
                label=self.kind,
            )
            records = self._records(answer.body, types)
            following = answer.headers.get("sforce-locator", "")
            is_whole = answer.headers.get("sforce-numberofrecords") == str(len(records))
            if not is_whole or answer.body == seen or following == locator:
                broken += 1
                await session.back_off(broken, "the vendor sent a part of the result that does not fit", self.kind)
                continue
            seen, broken = answer.body, 0
            is_last = following in ("", "null")
            yield Page(records, None if is_last else f"job:{job}:{following}")
            if is_last:
                return
            locator = following

    def _records(self, body: bytes, types: Mapping[str, str]) -> list[bytes]:
        """Rows of a result in the form in which a query shows records; none where the last row is cut."""
        if not body.endswith(b"\n"):
            return []
        rows = csv.reader(io.StringIO(body.decode("utf-8", "replace"), newline=""))
        names = next(rows, [])
        return [
            msgspec.json.encode(
                {
                    "attributes": {"type": self.kind},
                    **{name: _typed(value, types.get(name, "")) for name, value in zip(names, row, strict=False)},
                }
            )
            for row in rows
        ]

    def stream(self, name: str, description: str) -> Stream:
        """The stream of these objects; a transaction may show its changes minutes after their stamp."""
        return Stream(
            name,
            read=self.read,
            key=("Id",),
            cursor="SystemModstamp",
            lookback=timedelta(minutes=15),
            deletes=Sweep(),  # queryAll shows deleted ones until the recycle bin is emptied, some not at all
            description=description,
        )


_lifter = Lifter(("Id",))


def _typed(value: str, kind: str) -> Any:
    if value == "":
        return None
    if kind == "boolean":
        return value == "true"
    if kind in ("double", "currency", "percent", "int") and NUMBER.fullmatch(value):
        return msgspec.Raw(value.encode())
    return value


def _bulk_from(connection: Connection) -> int:
    return int(connection.extra.get("bulk_from") or BULK_FROM)


def is_daily_quota(headers: Mapping[str, str], body: bytes) -> bool:
    """The calls of the last 24 hours are used up; Salesforce says so with 403."""
    return b"REQUEST_LIMIT_EXCEEDED" in body


PERSON = (
    *("FirstName", "LastName", "Name", "Title", "Email", "Phone", "MobilePhone", "LeadSource"),
    *("HasOptedOutOfEmail", "DoNotCall", "EmailBouncedDate", "MasterRecordId"),
)

SOURCE = Source(
    name="salesforce",
    title="Salesforce",
    base_url="https://{my_domain}.my.salesforce.com" + API,
    auth=OAuth2("/services/oauth2/token", (JwtBearer("https://login.salesforce.com"), ClientCredentials())),
    budget=Connections(5),  # calls are limited per day, and to 25 that last longer than 20 s at a time
    is_quota_used_up=is_daily_quota,
    docs_url="https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/",
    not_covered="Custom objects, cases and files.",
    streams=(
        Objects(
            "Account", ("Name", "Type", "Industry", "Website", "Phone", "NumberOfEmployees", "MasterRecordId")
        ).stream("accounts", "Companies, deleted and merged ones marked"),
        Objects("Contact", (*PERSON, "AccountId", "HomePhone", "Department")).stream(
            "contacts", "Contacts, deleted and merged ones marked"
        ),
        Objects(
            "Lead",
            (
                *(*PERSON, "Company", "Status", "Rating", "Industry"),
                *("IsConverted", "ConvertedDate", "ConvertedContactId", "ConvertedAccountId", "ConvertedOpportunityId"),
            ),
        ).stream("leads", "Leads, with the contact they became"),
        Objects("Campaign", ("Name", "Type", "Status", "StartDate", "EndDate", "IsActive", "ParentId")).stream(
            "campaigns", "Campaigns"
        ),
        Objects(
            "CampaignMember", ("CampaignId", "LeadId", "ContactId", "Status", "HasResponded", "FirstRespondedDate")
        ).stream("campaign_members", "Leads and contacts in campaigns, and whether they responded"),
        Objects(
            "Opportunity",
            (
                *("Name", "AccountId", "ContactId", "CampaignId", "Amount", "CurrencyIsoCode", "StageName", "Type"),
                *("LeadSource", "CloseDate", "IsClosed", "IsWon"),
            ),
        ).stream("opportunities", "Opportunities with their stage and amount"),
        Objects(
            "Task",
            (
                *("WhoId", "WhatId", "AccountId", "Subject", "Status", "TaskSubtype", "ActivityDate", "IsClosed"),
                *("CompletedDateTime", "CallType", "CallDurationInSeconds"),
            ),
        ).stream("tasks", "Calls, emails and other tasks, archived ones too"),
        Objects(
            "Event",
            (
                *("WhoId", "WhatId", "AccountId", "Subject", "EventSubtype", "StartDateTime", "EndDateTime"),
                *("DurationInMinutes", "IsAllDayEvent"),
            ),
        ).stream("events", "Meetings, archived ones too"),
    ),
)
