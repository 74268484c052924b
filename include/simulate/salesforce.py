"""Salesforce REST v62.0: sign-in, describe, queries in batches, query jobs, and changes to single records."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import parse_qs

import jwt
from starlette.responses import Response

from include.simulate.limits import Clock
from include.simulate.people import Population
from include.simulate.salesforce_records import SCHEMA, Org, make_org, stamp
from include.simulate.salesforce_writes import Writes
from include.simulate.vendor import Call, Refused, Route, Vendor, new_id, read, take, write

CLIENT_ID, CLIENT_SECRET, USERNAME = "sf-demo-app", "sf-demo-secret", "sync@acme.example"
TOKEN = "00D5g0000000000!demo"
API = "/services/data/v62.0"
PER_DAY = 100_000
BATCH, SMALLEST_BATCH = 2000, 200
QUERY_KEPT = timedelta(days=2)
POLLS = 2
"""How often a query job is seen in progress before it is complete."""
SOQL = re.compile(
    r"SELECT\s+(.+?)\s+FROM\s+(\w+)(?:\s+WHERE\s+(.+?))?(?:\s+ORDER\s+BY\s+\w+)?(?:\s+LIMIT\s+(\d+))?", re.I
)
CONDITION = re.compile(r"(\w+)\s*(>=|<=|!=|=|<|>)\s*('[^']*'|\S+)")
COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda left, right: bool(left == right),
    "!=": lambda left, right: bool(left != right),
    "<": lambda left, right: bool(left < right),
    "<=": lambda left, right: bool(left <= right),
    ">": lambda left, right: bool(left > right),
    ">=": lambda left, right: bool(left >= right),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, read; `count` asks for the number only."""

    kind: str
    fields: tuple[str, ...]
    count: bool
    found: list[dict[str, Any]]


@dataclass(slots=True)
class Job:
    """A query job and how often somebody asked after it."""

    asked: Asked
    operation: str
    made_at: datetime
    polls: int = 0


class Salesforce(Vendor):
    """One org."""

    name = "salesforce"
    media_type = "application/json;charset=UTF-8"
    is_chunked = True
    retyped_fields: ClassVar[Mapping[str, str]] = {
        **{"Account": "Type", "Contact": "LeadSource", "Lead": "Status", "Campaign": "Status"},
        **{"CampaignMember": "Status", "Opportunity": "StageName", "Task": "Status", "Event": "Subject"},
    }

    def __init__(self, population: Population, clock: Clock, *, unlimited: bool = False) -> None:
        super().__init__(population, clock, unlimited=unlimited)
        self._began = population.now
        self._calls = 0
        self.schema = {kind: dict(fields) for kind, fields in SCHEMA.items()}
        self.writes = Writes(self, API)
        self._queries: dict[str, tuple[Asked, datetime]] = {}
        self._jobs: dict[str, Job] = {}

    @cached_property
    def org(self) -> Org:
        """Every record, made when first asked for."""
        return make_org(self.population, self._began)

    def routes(self) -> list[Route]:
        """Sign-in, and everything under the API's version; paths may end in a slash."""
        one, job = API + "/sobjects/{kind}/{id}", API + "/jobs/query/{id}"
        return [
            read("/services/oauth2/token", self._sign_in, "POST"),
            read(API + "/limits", self._limits),
            read(API + "/query", lambda call: self._query(call, with_deleted=False)),
            read(API + "/queryAll", lambda call: self._query(call, with_deleted=True)),
            read(API + "/query/{locator}", self._more),
            read(API + "/sobjects/{kind}/describe", self._describe),
            read(one, lambda call: self.reply(self._shown(call.params["kind"], self._record(call), None))),
            write("PATCH", one, self._update),
            write("DELETE", one, self._delete),
            *self.writes.routes(),
            read(API + "/jobs/query", self._create_job, "POST"),
            read(job, self._get_job),
            read(job + "/results", self._results),
        ]

    def normalised(self, path: str) -> str:
        """A trailing slash makes no difference."""
        return path.rstrip("/")

    def list_of(self, call: Call) -> str:
        """The batches of a query differ in the last part of their path."""
        return re.sub(r"-\d+$", "", super().list_of(call))

    def continues(self, call: Call) -> bool:
        """A later batch of a query or of a job's result."""
        return call.path.startswith(API + "/query/") or "locator" in call.query

    def accepts(self, call: Call) -> bool:
        """The one session id; the token endpoint judges for itself."""
        return call.path == "/services/oauth2/token" or call.bearer() == TOKEN

    def refuse(self, call: Call) -> Response:
        """401."""
        return self._error(401, "INVALID_SESSION_ID", "Session expired or invalid")

    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """429, which only the edge in front of the API gives."""
        headers = {"Retry-After": str(retry_after)} if retry_after is not None else None
        return self.reply([{"errorCode": "TOO_MANY_REQUESTS", "message": "Too many requests"}], 429, headers)

    def broken(self, call: Call) -> Response:
        """500."""
        return self._error(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred.")

    def missing(self, call: Call) -> Response:
        """404."""
        return self._error(404, "NOT_FOUND", "The requested resource does not exist")

    def limit(self, call: Call, in_flight: int) -> Response | None:
        """A hundred thousand calls a day."""
        if self._calls >= PER_DAY:
            return self._error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        return None

    def stamp(self, call: Call, response: Response) -> None:
        """How many calls of the day are used."""
        self._calls += 1
        response.headers["Sforce-Limit-Info"] = f"api-usage={self._calls}/{PER_DAY}"
        response.headers["X-SFDC-Request-Id"] = new_id()

    def _error(self, status: int, code: str, message: str) -> Response:
        return self.reply([{"errorCode": code, "message": message}], status)

    def _refused(self, status: int, code: str, message: str) -> Refused:
        return Refused(self._error(status, code, message))

    # -- sign-in

    def _sign_in(self, call: Call) -> Response:
        form = {name: values[0] for name, values in parse_qs(call.body.decode()).items()}
        grant = form.get("grant_type", "")
        if grant == "client_credentials":
            shown = call.basic() or (form.get("client_id"), form.get("client_secret"))
            if shown != (CLIENT_ID, CLIENT_SECRET):
                return self.reply({"error": "invalid_client", "error_description": "invalid client credentials"}, 400)
        elif grant == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            problem = self._wrong_assertion(form.get("assertion", ""))
            if problem:
                return self.reply({"error": "invalid_grant", "error_description": problem}, 400)
        else:
            text = "grant type not supported"
            return self.reply({"error": "unsupported_grant_type", "error_description": text}, 400)
        issued = str(int(self.clock.now().timestamp() * 1000))
        signed_in = {"access_token": TOKEN, "instance_url": call.base, "token_type": "Bearer", "issued_at": issued}
        return self.reply({**signed_in, "id": f"{call.base}/id/00D/005", "scope": "api"})

    def _wrong_assertion(self, assertion: str) -> str | None:
        # No certificate is on file here, so whose key signed it is not asked.
        try:
            claims = jwt.decode(assertion, options={"verify_signature": False})
            is_signed = jwt.get_unverified_header(assertion).get("alg") == "RS256"
        except jwt.PyJWTError:
            return "invalid assertion"
        if not is_signed or claims.get("iss") != CLIENT_ID:
            return "invalid assertion"
        if claims.get("aud") not in ("https://login.salesforce.com", "https://test.salesforce.com"):
            return "invalid audience"
        return None if claims.get("sub") == USERNAME else "user hasn't approved this consumer"

    # -- reading

    def lose(self, stream: str, key: str) -> Callable[[], None]:
        """A record of any object, past the recycle bin."""
        held = next(records for records in self.org.records.values() if key in records)
        return take(held, key)

    def _limits(self, call: Call) -> Response:
        return self.reply({"DailyApiRequests": {"Max": PER_DAY, "Remaining": PER_DAY - self._calls}})

    def _objects(self, kind: str) -> dict[str, dict[str, Any]]:
        if kind not in self.schema:
            raise self._refused(404, "NOT_FOUND", "The requested resource does not exist")
        return self.org.records[kind]

    def _record(self, call: Call) -> dict[str, Any]:
        found = self._objects(call.params["kind"]).get(call.params["id"])
        if found is None or found["IsDeleted"]:
            raise self._refused(404, "ENTITY_IS_DELETED" if found else "NOT_FOUND", "entity is deleted")
        return found

    def _describe(self, call: Call) -> Response:
        kind = call.params["kind"]
        self._objects(kind)
        fields = [
            {"name": name, "type": type_, "custom": name.endswith("__c"), "updateable": type_ != "id"}
            for name, type_ in self.schema[kind].items()
        ]
        return self.reply({"name": kind, "queryable": True, "custom": False, "fields": fields})

    def _shown(self, kind: str, record: Mapping[str, Any], fields: tuple[str, ...] | None) -> dict[str, Any]:
        about = {"type": kind, "url": f"{API}/sobjects/{kind}/{record['Id']}"}
        shown = {"attributes": about, **{name: record[name] for name in fields or record}}
        return self.drifted(kind, shown) if self.retyped_fields[kind] in shown else shown

    def _query(self, call: Call, *, with_deleted: bool) -> Response:
        asked = self._asked(call.query.get("q", ""), with_deleted)
        if asked.count:
            return self.reply({"totalSize": len(asked.found), "done": True, "records": []})
        number = f"01g5g{len(self._queries):013d}"
        self._queries[number] = asked, self.clock.now()
        return self._batch(call, number, 0)

    def _more(self, call: Call) -> Response:
        number, _, start = call.params["locator"].partition("-")
        kept = self._queries.get(number)
        if kept is None or not start.isdecimal() or self.clock.now() - kept[1] > QUERY_KEPT:
            raise self._refused(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._batch(call, number, int(start))

    def _batch(self, call: Call, number: str, start: int) -> Response:
        asked, _ = self._queries[number]
        wanted = re.search(r"batchSize=(\d+)", call.headers.get("sforce-query-options", ""))
        # Small batches are for load tests only; the real API gives two hundred.
        least = 1 if self.unlimited else SMALLEST_BATCH
        end = start + max(least, min(BATCH, int(wanted[1]) if wanted else BATCH))
        body: dict[str, Any] = {"totalSize": len(asked.found), "done": end >= len(asked.found)}
        if not body["done"]:
            body["nextRecordsUrl"] = f"{API}/query/{number}-{end}"
        body["records"] = [self._shown(asked.kind, one, asked.fields) for one in asked.found[start:end]]
        return self.reply(body)

    def _asked(self, soql: str, with_deleted: bool) -> Asked:
        match = SOQL.fullmatch(soql.strip())
        if match is None:
            raise self._refused(400, "MALFORMED_QUERY", "unexpected token")
        listed, kind, where, limit = match.groups()
        if kind not in self.schema:
            raise self._refused(400, "INVALID_TYPE", f"sObject type '{kind}' is not supported.")
        count = listed.lower() == "count()"
        fields = () if count else tuple(name.strip() for name in listed.split(","))
        conditions = CONDITION.findall(where or "")
        if where and re.sub(CONDITION, "", where).upper().split() != ["AND"] * (len(conditions) - 1):
            raise self._refused(400, "MALFORMED_QUERY", "unexpected condition")
        for name in (*fields, *(name for name, _, _ in conditions)):
            if name not in self.schema[kind]:
                raise self._refused(400, "INVALID_FIELD", f"No such column '{name}' on entity '{kind}'.")
        found = [
            record
            for record in self.org.records[kind].values()
            if (with_deleted or not record["IsDeleted"])
            and all(_meets(record[name], how, literal) for name, how, literal in conditions)
        ]
        return Asked(kind, fields, count, found[: int(limit)] if limit else found)

    # -- query jobs

    def _create_job(self, call: Call) -> Response:
        body = self.json(call)
        operation = body.get("operation")
        if operation not in ("query", "queryAll"):
            raise self._refused(400, "INVALIDJOB", "operation must be query or queryAll")
        asked = self._asked(str(body.get("query", "")), operation == "queryAll")
        number = f"7505g{len(self._jobs):013d}"
        self._jobs[number] = Job(asked, operation, self.clock.now())
        return self.reply(self._job_shown(number, "UploadComplete"))

    def _job_of(self, call: Call) -> Job:
        job = self._jobs.get(call.params["id"])
        if job is None:
            raise self._refused(404, "NOT_FOUND", "The requested resource does not exist")
        return job

    def _job_shown(self, number: str, state: str) -> dict[str, Any]:
        job = self._jobs[number]
        at = stamp(job.made_at)
        return {
            **{"id": number, "operation": job.operation, "object": job.asked.kind, "createdDate": at, "state": state},
            **{"systemModstamp": at, "concurrencyMode": "Parallel", "contentType": "CSV", "apiVersion": 62.0},
            **{"lineEnding": "LF", "columnDelimiter": "COMMA"},
        }

    def _get_job(self, call: Call) -> Response:
        job = self._job_of(call)
        job.polls += 1
        shown = self._job_shown(call.params["id"], "JobComplete" if job.polls > POLLS else "InProgress")
        done = len(job.asked.found) if job.polls > POLLS else 0
        return self.reply({**shown, "numberRecordsProcessed": done, "retries": 0, "totalProcessingTime": 412})

    def _results(self, call: Call) -> Response:
        job = self._job_of(call)
        if job.polls <= POLLS:
            raise self._refused(400, "INVALIDJOBSTATE", "the job is not complete")
        start, most = call.int_query("locator", 0), call.int_query("maxRecords", 50_000)
        if start is None or most is None or most < 1:
            raise self._refused(400, "INVALIDLOCATOR", "invalid locator")
        rows = job.asked.found[start : start + most]
        text = io.StringIO()
        lines = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        lines.writerow(job.asked.fields)
        lines.writerows([_written(row[name]) for name in job.asked.fields] for row in rows)
        is_last = start + most >= len(job.asked.found)
        headers = {
            "Sforce-Locator": "null" if is_last else str(start + most),
            "Sforce-NumberOfRecords": str(len(rows)),
        }
        return Response(text.getvalue(), 200, headers, "text/csv")

    # -- changing

    def _update(self, call: Call) -> Response:
        record, kind = self._record(call), call.params["kind"]
        changes = self.json(call)
        unknown = sorted(changes.keys() - self.schema[kind].keys())
        if unknown:
            raise self._refused(400, "INVALID_FIELD", f"No such column '{unknown[0]}' on sobject of type {kind}")
        if record.get("IsConverted"):
            raise self._refused(400, "CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
        if self.rejects(changes.get("Email")):
            raise self._refused(400, "INVALID_EMAIL_ADDRESS", "Email: invalid email address")
        self.touch(record, changes)
        return Response(status_code=204)

    def _delete(self, call: Call) -> Response:
        self.touch(self._record(call), {"IsDeleted": True})
        return Response(status_code=204)

    def touch(self, record: dict[str, Any], changes: Mapping[str, Any]) -> None:
        """Change a record, and say when."""
        now = stamp(self.clock.now())
        record.update({**changes, "LastModifiedDate": now, "SystemModstamp": now})


def _meets(value: Any, how: str, literal: str) -> bool:
    """Whether a field's value fulfils a condition; nothing is compared with null but by equality."""
    wanted: Any = literal.strip("'")
    if literal.lower() in ("true", "false"):
        wanted = literal.lower() == "true"
    elif literal.lower() == "null":
        wanted = None
    elif isinstance(value, str) and not literal.startswith("'") and "T" in literal:
        value, wanted = datetime.fromisoformat(value), datetime.fromisoformat(literal)
    if value is None or wanted is None:
        return COMPARED[how](value, wanted) if how in ("=", "!=") else False
    return COMPARED[how](value, wanted)


def _written(value: Any) -> str:
    """A value as a query job writes it: times end in Z, and nothing is an empty field."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).replace(".000+0000", ".000Z")
