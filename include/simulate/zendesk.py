"""Zendesk Support v2: incremental exports, users and their fields, and the jobs that change users in bulk."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode

from starlette.responses import PlainTextResponse, Response

from include.simulate.limits import Clock, FixedWindow, SlidingWindow
from include.simulate.people import Population
from include.simulate.vendor import Call, Refused, Route, Vendor, new_id, read, write
from include.simulate.zendesk_exports import BadExport, by_cursor, by_time, decoded, encoded
from include.simulate.zendesk_records import KINDS, Desk, Job, Problem

EMAIL, TOKEN = "agent@acme.example", "zd-demo"
PER_MINUTE = 700
EXPORTS_PER_MINUTE = 10
UPDATES_PER_USER_AND_MINUTE = 5
BATCH = 100
PAGE = 100
RUNNING_JOBS = 30


class Zendesk(Vendor):
    """One help desk."""

    name = "zendesk"
    media_type = "application/json; charset=UTF-8"
    is_chunked = True
    retyped_fields: ClassVar[Mapping[str, str]] = {"user": "name", "ticket": "subject", "organization": "created_at"}

    def __init__(self, population: Population, clock: Clock, *, unlimited: bool = False) -> None:
        super().__init__(population, clock, unlimited=unlimited)
        self.desk = Desk.of(population, clock)
        self._minute = FixedWindow(PER_MINUTE, 60, clock)
        self._exports = FixedWindow(EXPORTS_PER_MINUTE, 60, clock)
        self._updates: dict[str, SlidingWindow] = {}

    def routes(self) -> list[Route]:
        """Everything under /api/v2; each path also ends in `.json`."""
        users, user = "/api/v2/users", "/api/v2/users/{id:int}"
        kinds = "/api/v2/{kind}"
        return [
            read("/api/v2/incremental/{kind}/cursor", lambda call: self._export(call, by_cursor)),
            read("/api/v2/incremental/{kind}", lambda call: self._export(call, by_time)),
            read("/api/v2/job_statuses/{id}", self._get_job),
            read("/api/v2/user_fields", self._list_fields),
            write("POST", "/api/v2/user_fields", self._create_field),
            read(users + "/me", self._me),
            read(users + "/search", self._search),
            read(users + "/show_many", self._show_many),
            write("PUT", users + "/update_many", self._update_many),
            write("POST", users + "/create_or_update_many", self._create_or_update_many),
            write("POST", users + "/create_or_update", self._create_or_update),
            write("POST", users, self._create),
            write("PUT", user, self._update),
            write("DELETE", user, self._delete),
            read(user + "/identities", self._identities),
            read(user + "/tags", lambda call: self.reply({"tags": self._user(call)["tags"]})),
            write("PUT", user + "/tags", self._change_tags),
            write("POST", user + "/tags", self._change_tags),
            write("DELETE", user + "/tags", self._change_tags),
            read(kinds + "/{id:int}", self._get),
            read(kinds, self._list),
        ]

    def normalised(self, path: str) -> str:
        """Old paths end in .json, new ones do not; both are served."""
        return path.removesuffix(".json")

    def accepts(self, call: Call) -> bool:
        """An agent's address with /token, and an API token."""
        return call.basic() == (f"{EMAIL}/token", TOKEN)

    def refuse(self, call: Call) -> Response:
        """401."""
        return self.reply({"error": "Couldn't authenticate you"}, 401)

    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """429, always with Retry-After."""
        what = "incremental export API" if _is_export(call) else "API"
        text = f"Number of allowed {what} requests per minute exceeded"
        headers = {"Retry-After": str(retry_after if retry_after is not None else self._wait(call))}
        return self.reply({"error": "TooManyRequests", "description": text}, 429, headers)

    def _wait(self, call: Call) -> int:
        return math.ceil(call.verdict.resets_in) if call.verdict else 1

    def broken(self, call: Call) -> Response:
        """500."""
        return self.reply({"error": "InternalServerError", "description": "Internal server error"}, 500)

    def missing(self, call: Call) -> Response:
        """404 for a path nobody serves."""
        return self.reply({"error": "InvalidEndpoint", "description": "Not found"}, 404)

    def malformed(self, call: Call) -> Response:
        """400 for a body that is not a JSON object."""
        return self._bad("InvalidJson", "The request body is not a JSON object")

    def limit(self, call: Call, in_flight: int) -> Response | None:
        """700 requests a minute, of which 10 exports; one user takes 5 updates a minute."""
        call.verdict = self._minute.take()
        if call.verdict.allowed and _is_export(call):
            exports = self._exports.take()
            call.verdict = call.verdict if exports.allowed else exports
        if not call.verdict.allowed:
            return self.too_many(call, None)
        if call.method == "PUT" and re.fullmatch(r"/api/v2/users/\d+", call.path):
            window = self._updates.setdefault(call.path, SlidingWindow(UPDATES_PER_USER_AND_MINUTE, 60, self.clock))
            verdict = window.take()
            if not verdict.allowed:
                text = "You have exceeded the rate limit for updating a single unique user."
                return PlainTextResponse(text, 429, {"Retry-After": str(math.ceil(verdict.resets_in))})
        return None

    def stamp(self, call: Call, response: Response) -> None:
        """Version and rate headers, in the old spelling and the new one."""
        head = response.headers
        head["Server"] = "cloudflare"
        head["X-Zendesk-API-Version"] = "v2"
        head["X-Request-Id"] = new_id()
        if call.verdict is not None:
            head["X-Rate-Limit"] = head["ratelimit-limit"] = str(call.verdict.limit)
            head["X-Rate-Limit-Remaining"] = head["ratelimit-remaining"] = str(call.verdict.remaining)
            head["ratelimit-reset"] = str(math.ceil(call.verdict.resets_in))

    def continues(self, call: Call) -> bool:
        """An export with a cursor, or a list with a later page."""
        return any(name in call.query for name in ("cursor", "page[after]")) or call.query.get("page", "1") != "1"

    def grow(self, recovered: Sequence[int]) -> None:
        """An order elsewhere makes the system note something on the person's tickets."""
        for ticket in self.population.zendesk_tickets:
            if ticket.person_id in recovered:
                self.desk.touch("tickets", ticket.id)

    def _bad(self, error: str, description: str, status: int = 400) -> Response:
        return self.reply({"error": error, "description": description}, status)

    def _invalid(self, problem: Problem) -> Refused:
        details = {problem.name: [{"description": problem.description}]}
        body = {"error": "RecordInvalid", "description": "Record validation errors", "details": details}
        return Refused(self.reply(body, 422))

    def _not_found(self) -> Refused:
        return Refused(self._bad("RecordNotFound", "Not found", 404))

    # -- reading

    def _shown(self, call: Call, kind: str, record: Mapping[str, Any]) -> dict[str, Any]:
        body = {"id": record["id"], "url": f"{call.base}/api/v2/{kind}/{record['id']}.json", **record}
        if kind == "users":
            body["user_fields"] = self.desk.user_fields(record)
        return self.drifted(kind[:-1], body)

    def _kind(self, call: Call) -> str:
        if call.params["kind"] not in KINDS:
            raise Refused(self.missing(call))
        return call.params["kind"]

    def _get(self, call: Call) -> Response:
        kind = self._kind(call)
        record = self.desk.records[kind].get(int(call.params["id"]))
        if record is None:
            raise self._not_found()
        return self.reply({kind[:-1]: self._shown(call, kind, record)})

    def _me(self, call: Call) -> Response:
        agents = (user for user in self.desk.records["users"].values() if user["role"] != "end-user")
        me = next(agents, {"id": 1, "name": "Agent", "role": "agent", "user_fields": {}})
        return self.reply({"user": self._shown(call, "users", {**me, "email": EMAIL})})

    def _list(self, call: Call) -> Response:
        kind = self._kind(call)
        records = self.desk.records[kind]
        return self._listed(call, kind, self.desk.ids[kind], lambda number: self._shown(call, kind, records[number]))

    def _listed(self, call: Call, kind: str, ids: Sequence[int], show: Callable[[int], dict[str, Any]]) -> Response:
        """Cursor paging where `page[...]` asks for it, offset paging otherwise."""
        if "page[size]" not in call.query and "page[after]" not in call.query:
            return self._paged(call, kind, ids, show)
        size = call.int_query("page[size]", PAGE)
        after = decoded(call.query["page[after]"]) if "page[after]" in call.query else "0"
        if size is None or not 1 <= size <= PAGE or after is None or not after.isdigit():
            raise Refused(self._bad("InvalidPaginationParameter", f"page[size] is 1 to {PAGE}, page[after] a cursor"))
        start = bisect_right(ids, int(after))
        page, more = ids[start : start + size], start + size < len(ids)
        cursor = encoded(str(page[-1])) if page else None
        query = urlencode({"page[size]": size, "page[after]": cursor or ""})
        following = f"{call.base}{call.path}.json?{query}" if more else None
        meta = {"has_more": more, "after_cursor": cursor, "before_cursor": encoded(str(page[0])) if page else None}
        links = {"prev": None, "next": following}
        return self.reply({kind: [show(number) for number in page], "meta": meta, "links": links})

    def _paged(self, call: Call, kind: str, found: Sequence[Any], show: Callable[[Any], dict[str, Any]]) -> Response:
        """Offset paging, which ends after a hundred pages."""
        page, size = call.int_query("page", 1), call.int_query("per_page", PAGE)
        if page is None or size is None or not 1 <= size <= PAGE or not 1 <= page <= 100:
            raise Refused(self._bad("InvalidPaginationDepth", "Offset paging reaches 100 pages of 100 records"))
        others = [(key, value) for key, value in call.query.multi_items() if key != "page"]
        link = f"{call.base}{call.path}.json?"
        return self.reply(
            {
                kind: [show(one) for one in found[(page - 1) * size : page * size]],
                "next_page": link + urlencode([*others, ("page", page + 1)]) if page * size < len(found) else None,
                "previous_page": link + urlencode([*others, ("page", page - 1)]) if page > 1 else None,
                "count": len(found),
            }
        )

    def lose(self, stream: str, key: str) -> Callable[[], None]:
        """An organization; of others the export tells."""
        return {"organizations": self.desk.generated["organizations"]}[stream].take(int(key))

    def _export(self, call: Call, export: Callable[[Desk, str, Call], tuple[list[int], dict[str, Any]]]) -> Response:
        kind = self._kind(call)
        if kind == "organizations" and export is by_cursor:
            raise Refused(self.missing(call))
        try:
            numbers, rest = export(self.desk, kind, call)
        except BadExport as error:
            raise Refused(self._bad("InvalidValue", str(error), error.status)) from None
        records = [self.desk.records[kind][number] for number in numbers]
        if call.query.get("exclude_deleted") == "true":
            records = [record for record in records if record.get("status") != "deleted"]
        return self.reply({kind: [self._shown(call, kind, record) for record in records], **rest})

    def _search(self, call: Call) -> Response:
        text, external = call.query.get("query", ""), call.query.get("external_id")
        key, _, value = text.partition(":")
        value = value.strip('" ') if key in ("email", "external_id", "user") else text
        if external or key == "external_id":
            user = self.desk.user({"external_id": external or value})
            return self._found(call, [user])
        user = self.desk.user({"email": value}) if "@" in value else None
        every = self.desk.records["users"].values()
        named = [one for one in every if value and value.lower() in one["name"].lower()]
        return self._found(call, [user] if user else named)

    def _found(self, call: Call, users: Sequence[Mapping[str, Any] | None]) -> Response:
        return self._paged(call, "users", [one for one in users if one], lambda one: self._shown(call, "users", one))

    def _show_many(self, call: Call) -> Response:
        names = [("id", "ids"), ("external_id", "external_ids")]
        wanted = [(key, one) for key, name in names for one in call.query.get(name, "").split(",") if one]
        if len(wanted) > BATCH:
            raise Refused(self._too_many_values("shown"))
        return self._found(call, [self.desk.user({key: one}) for key, one in wanted])

    def _identities(self, call: Call) -> Response:
        user = self._user(call)
        url = f"{call.base}/api/v2/users/{user['id']}/identities/{user['id'] + 1}.json"
        one = {"url": url, "id": user["id"] + 1, "user_id": user["id"], "type": "email", "value": user["email"]}
        state = {"verified": True, "primary": True, "undeliverable_count": 0, "deliverable_state": "deliverable"}
        times = {key: user[key] for key in ("created_at", "updated_at")}
        identities = [{**one, **state, **times}] if user["email"] else []
        return self.reply(
            {"identities": identities, "next_page": None, "previous_page": None, "count": len(identities)}
        )

    # -- users

    def _user(self, call: Call) -> dict[str, Any]:
        user = self.desk.records["users"].get(int(call.params["id"]))
        if user is None:
            raise self._not_found()
        return user

    def _save(self, given: Mapping[str, Any], user: dict[str, Any] | None) -> dict[str, Any]:
        if self.rejects(given.get("email") or (user["email"] if user else None)):
            raise Problem("email", "Email: cannot be used for this user")
        return self.desk.save(given, user)

    def _saved(self, call: Call, user: dict[str, Any] | None) -> Response:
        given = self.json(call).get("user")
        if not isinstance(given, dict):
            raise Refused(self._bad("ParameterMissing", "Missing required parameter: user"))
        try:
            saved = self._save(given, user)
        except Problem as problem:
            raise self._invalid(problem) from None
        body = self._shown(call, "users", saved)
        return self.reply({"user": body}, 200 if user else 201, None if user else {"Location": body["url"]})

    def _create(self, call: Call) -> Response:
        return self._saved(call, None)

    def _update(self, call: Call) -> Response:
        return self._saved(call, self._user(call))

    def _create_or_update(self, call: Call) -> Response:
        given = self.json(call).get("user")
        return self._saved(call, self.desk.user(given) if isinstance(given, dict) else None)

    def _delete(self, call: Call) -> Response:
        user = self._user(call)
        self.desk.delete_user(user)
        return self.reply({"user": self._shown(call, "users", user)})

    def _change_tags(self, call: Call) -> Response:
        user, given = self._user(call), self.json(call).get("tags") or []
        kept = {"PUT": [*user["tags"], *given], "POST": given, "DELETE": [t for t in user["tags"] if t not in given]}
        self.desk.save({"tags": list(dict.fromkeys(kept[call.method]))}, user)
        return Response(None, 204) if call.method == "DELETE" else self.reply({"tags": user["tags"]})

    def _too_many_values(self, done: str) -> Response:
        return self._bad("TooManyValues", f"Maximum {BATCH} users may be {done} per call")

    def _job(self, call: Call, rows: Sequence[Any], act: Any, failure: str, done: str) -> Response:
        if len(rows) > BATCH:
            raise Refused(self._too_many_values(done))
        if sum(job.is_open(self.clock.seconds()) for job in self.desk.jobs.values()) >= RUNNING_JOBS:
            text = f"You have {RUNNING_JOBS} jobs queued or running; wait for one to finish"
            raise Refused(self.reply({"error": "TooManyJobs", "description": text}, 429, {"Retry-After": "1"}))
        return self._shown_job(call, self.desk.start_job(rows, act, failure))

    def _shown_job(self, call: Call, job: Job) -> Response:
        url = f"{call.base}/api/v2/job_statuses/{job.id}.json"
        return self.reply({"job_status": job.body(url, self.clock.seconds(), self.clock.now())})

    def _get_job(self, call: Call) -> Response:
        job = self.desk.jobs.get(call.params["id"])
        if job is None:
            raise self._not_found()
        return self._shown_job(call, job)

    def _rows(self, call: Call) -> list[Any]:
        rows = self.json(call).get("users")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise Refused(self._bad("ParameterMissing", "Missing required parameter: users"))
        return rows

    def _update_many(self, call: Call) -> Response:
        key, name = ("external_id", "external_ids") if "external_ids" in call.query else ("id", "ids")
        if name in call.query:
            shared = self.json(call).get("user") or {}
            rows = [{**shared, key: one} for one in call.query[name].split(",")]
        else:
            rows = self._rows(call)

        def update(row: dict[str, Any]) -> dict[str, Any]:
            user = self.desk.user(row)
            if user is None:
                raise Problem("id", "User not found")
            saved = self._save({name: value for name, value in row.items() if name != "id"}, user)
            return {"id": saved["id"], "action": "update", "status": "Updated", "success": True}

        return self._job(call, rows, update, "UserUpdateFailed", "updated")

    def _create_or_update_many(self, call: Call) -> Response:
        def upsert(row: dict[str, Any]) -> dict[str, Any]:
            user = self.desk.user(row)
            saved = self._save(row, user)
            names = {"email": saved["email"], "external_id": saved["external_id"]}
            return {"id": saved["id"], "status": "Updated" if user else "Created", **names}

        return self._job(call, self._rows(call), upsert, "UserCreateFailed", "created")

    def _list_fields(self, call: Call) -> Response:
        fields = {one["id"]: one for one in self.desk.fields.values()}
        return self._listed(call, "user_fields", sorted(fields), lambda key: self._shown_field(call, fields[key]))

    def _create_field(self, call: Call) -> Response:
        try:
            made = self.desk.add_field(self.json(call).get("user_field") or {})
        except Problem as problem:
            raise self._invalid(problem) from None
        return self.reply({"user_field": self._shown_field(call, made)}, 201)

    def _shown_field(self, call: Call, one: Mapping[str, Any]) -> dict[str, Any]:
        return {"url": f"{call.base}/api/v2/user_fields/{one['id']}.json", **one}


def _is_export(call: Call) -> bool:
    return call.path.startswith("/api/v2/incremental/")
