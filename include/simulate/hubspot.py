"""HubSpot CRM v3: contacts, companies and deals, their search, batches and properties."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from starlette.responses import Response

from include.simulate.hubspot_lists import Lists
from include.simulate.hubspot_records import (
    OPERATORS,
    TYPES,
    Problem,
    Record,
    Shelf,
    definition,
    iso,
    milliseconds,
    shelves,
)
from include.simulate.hubspot_synthetic import SyntheticShelf
from include.simulate.limits import Clock, SlidingWindow
from include.simulate.people import Population
from include.simulate.vendor import Call, Refused, Route, Vendor, new_id, read, write

TOKEN = "pat-demo"
SEARCH_CAP = 10_000
DAILY = 650_000


class HubSpot(Vendor):
    """One portal."""

    name = "hubspot"
    media_type = "application/json;charset=utf-8"
    is_chunked = True
    retyped_fields: ClassVar[Mapping[str, str]] = dict.fromkeys(TYPES, "createdAt")

    def __init__(
        self, population: Population, clock: Clock, *, unlimited: bool = False, synthetic_contacts: int = 0
    ) -> None:
        super().__init__(population, clock, unlimited=unlimited)
        self._shelves = shelves(population)
        if synthetic_contacts:
            self._shelves["contacts"] = SyntheticShelf(synthetic_contacts, population.now)
        self._burst = SlidingWindow(190, 10, clock)
        self._second = SlidingWindow(19, 1, clock)
        self._searches = SlidingWindow(5, 1, clock)
        self._today = 0
        self._lists = Lists(self)

    def routes(self) -> list[Route]:
        """Objects, batches, search and properties; `{type}` in any of HubSpot's spellings."""
        objects, properties = "/crm/v3/objects/{type}", "/crm/v3/properties/{type}"
        return [
            read(objects, self._list),
            write("POST", objects, self._create),
            read(objects + "/search", self._search, "POST"),
            read(objects + "/batch/read", self._batch_read, "POST"),
            write("POST", objects + "/batch/create", self._batch_create),
            write("POST", objects + "/batch/update", self._batch_update),
            write("POST", objects + "/batch/upsert", self._batch_upsert),
            write("POST", objects + "/batch/archive", self._batch_archive),
            read(objects + "/{id}", self._get),
            write("PATCH", objects + "/{id}", self._patch),
            write("DELETE", objects + "/{id}", self._delete),
            read(properties, self._properties),
            write("POST", properties, self._create_property),
            read(properties + "/{name}", self._property),
            *self._lists.routes(),
        ]

    @property
    def contacts(self) -> Shelf:
        """Everybody in the portal."""
        return self._shelves["contacts"]

    def accepts(self, call: Call) -> bool:
        """A private app's token."""
        return call.bearer() == TOKEN

    def refuse(self, call: Call) -> Response:
        """401."""
        return self._error("INVALID_AUTHENTICATION", "The token is missing, expired or not a private app's.", 401)

    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """429; HubSpot gives no Retry-After unless a test asks for one."""
        stretch = "secondly" if _is_search(call) else "ten_secondly_rolling"
        response = self._error("RATE_LIMITS", f"You have reached your {stretch} limit.", 429)
        if retry_after is not None:
            response.headers["Retry-After"] = str(retry_after)
        return response

    def broken(self, call: Call) -> Response:
        """500."""
        return self._error("INTERNAL_ERROR", "internal error", 500)

    def missing(self, call: Call) -> Response:
        """404 for a path nobody serves."""
        return self._error("OBJECT_NOT_FOUND", "resource not found", 404)

    def malformed(self, call: Call) -> Response:
        """400 for a body that is not a JSON object."""
        return self._error("VALIDATION_ERROR", "Invalid input JSON", 400)

    def limit(self, call: Call, in_flight: int) -> Response | None:
        """190 requests in 10 s; searches have 5 a second of their own."""
        call.verdict = self._searches.take() if _is_search(call) else self._burst.take()
        self._today += call.verdict.allowed
        return None if call.verdict.allowed else self.too_many(call, None)

    def stamp(self, call: Call, response: Response) -> None:
        """Rate headers, which search answers lack but for the daily ones."""
        head = response.headers
        head["Server"] = "cloudflare"
        head["X-HubSpot-Correlation-Id"] = new_id()
        head["X-HubSpot-RateLimit-Daily"] = str(DAILY)
        head["X-HubSpot-RateLimit-Daily-Remaining"] = str(max(0, DAILY - self._today))
        if call.verdict is not None and not _is_search(call):
            head["X-HubSpot-RateLimit-Interval-Milliseconds"] = "10000"
            for suffix, verdict in (("", call.verdict), ("Secondly", self._second.take())):
                head[f"X-HubSpot-RateLimit-{suffix or 'Max'}"] = str(verdict.limit)
                head["-".join(filter(None, ("X-HubSpot-RateLimit", suffix, "Remaining")))] = str(verdict.remaining)

    def continues(self, call: Call) -> bool:
        """A list or search with `after`."""
        return "after" in call.query or (_is_search(call) and bool(self.json(call).get("after")))

    def grow(self, recovered: Sequence[int]) -> None:
        """Whoever placed an order was active: their contacts count as modified."""
        for contact in self.population.hubspot_contacts:
            record = self._shelves["contacts"].get(contact.id)
            if record is not None and contact.person_id in recovered:
                self._shelves["contacts"].touch(record, self._now())

    def lose(self, stream: str, key: str) -> Callable[[], None]:
        """An object, deleted for privacy."""
        return self._shelves[stream].lose(int(key))

    def _error(self, category: str, message: str, status: int, **more: Any) -> Response:
        body = {"status": "error", "message": message, "correlationId": new_id(), "category": category}
        return self.reply({**body, **more}, status)

    def refusal(self, problem: Problem) -> Refused:
        """HubSpot's error envelope for a problem, to be raised."""
        more: dict[str, Any] = {}
        if problem.code:
            more["errors"] = [{"message": problem.message, "code": problem.code, "context": problem.context}]
        elif problem.context:
            more["context"] = problem.context
        return Refused(self._error(problem.category, problem.message, problem.status, **more))

    def _invalid(self, message: str) -> Refused:
        return self.refusal(Problem("VALIDATION_ERROR", message))

    def _now(self) -> int:
        return milliseconds(self.clock.now())

    def _shelf(self, call: Call) -> Shelf:
        asked = call.params["type"].lower()
        for name, spellings in TYPES.items():
            if asked in spellings:
                return self._shelves[name]
        raise self._invalid(f"Unable to infer object type from: {call.params['type']}")

    def _render(
        self, shelf: Shelf, record: Record, wanted: Sequence[str] | None, linked: Sequence[str] = ()
    ) -> dict[str, Any]:
        always = ("createdate", "hs_object_id", shelf.modified_name)
        names = {*always, *(shelf.defaults if not wanted else (n for n in wanted if n in shelf.definitions))}
        body: dict[str, Any] = {
            "id": str(record.id),
            "properties": {name: shelf.value(record, name) for name in sorted(names)},
            "createdAt": iso(record.created),
            "updatedAt": iso(record.updated),
            "archived": record.archived_at is not None,
        }
        if record.archived_at is not None:
            body["archivedAt"] = iso(record.archived_at)
        if record.contact_ids and {"contacts", "contact", "0-1"} & {name.lower() for name in linked}:
            links = [{"id": str(number), "type": "deal_to_contact"} for number in record.contact_ids]
            body["associations"] = {"contacts": {"results": links}}
        return self.drifted(shelf.name, body)

    def _list(self, call: Call) -> Response:
        shelf = self._shelf(call)
        limit, after = call.int_query("limit", 10), call.int_query("after", 0)
        if limit is None or not 1 <= limit <= 100 or after is None:
            raise self._invalid("limit must be 1 to 100, after a cursor of an earlier page")
        records, more = shelf.page(after, limit, archived=call.query.get("archived") == "true")
        wanted, linked = _names(call, "properties"), _names(call, "associations")
        body: dict[str, Any] = {"results": [self._render(shelf, record, wanted, linked) for record in records]}
        if more:
            last = str(records[-1].id)
            body["paging"] = {"next": {"after": last, "link": f"{call.base}{call.path}?after={last}&limit={limit}"}}
        return self.reply(body)

    def _found(self, call: Call, shelf: Shelf) -> Record:
        record = shelf.find(call.params["id"], call.query.get("idProperty"))
        if record is None and call.query.get("archived") == "true" and call.params["id"].isdigit():
            record = shelf.archived.get(int(call.params["id"]))
        if record is None:
            raise self.refusal(Problem("OBJECT_NOT_FOUND", "resource not found", status=404))
        return record

    def _get(self, call: Call) -> Response:
        shelf = self._shelf(call)
        record = self._found(call, shelf)
        return self.reply(self._render(shelf, record, _names(call, "properties"), _names(call, "associations")))

    def _search(self, call: Call) -> Response:
        shelf, body = self._shelf(call), self.json(call)
        groups, limit, after = body.get("filterGroups") or [], int(body.get("limit") or 10), str(body.get("after") or 0)
        counts = [len(group.get("filters", [])) for group in groups]
        if not after.isdigit() or not 1 <= limit <= 200:
            raise self._invalid("limit must be 1 to 200, after a number of records")
        if int(after) + limit > SEARCH_CAP:
            raise self._invalid(f"A search answers its first {SEARCH_CAP} matches only")
        if len(counts) > 5 or sum(counts) > 18 or max(counts, default=0) > 6:
            raise self._invalid("At most 5 filter groups, 6 filters in each, 18 in all")
        for rule in (rule for group in groups for rule in group.get("filters", [])):
            if rule.get("operator") not in OPERATORS or rule.get("propertyName") not in shelf.definitions:
                raise self._invalid(f"There was a problem with the filter {rule}")
        sort = (body.get("sorts") or ["hs_object_id"])[0]
        sort = {"propertyName": sort} if isinstance(sort, str) else sort
        order = (str(sort["propertyName"]), str(sort.get("direction", "ASCENDING")).upper() == "DESCENDING")
        records, total = shelf.search(groups, order, int(after), limit)
        wanted = body.get("properties")
        answer: dict[str, Any] = {"total": total, "results": [self._render(shelf, one, wanted) for one in records]}
        if int(after) + limit < total:
            answer["paging"] = {"next": {"after": str(int(after) + limit)}}
        return self.reply(answer)

    def _batch_read(self, call: Call) -> Response:
        shelf, body, began = self._shelf(call), self.json(call), self._now()
        rows = self._inputs(body)
        found = [shelf.find(str(row.get("id")), body.get("idProperty")) for row in rows]
        missing = [str(row.get("id")) for row, record in zip(rows, found, strict=True) if record is None]
        results = [self._render(shelf, record, body.get("properties")) for record in found if record is not None]
        return self._batched(results, [self._not_found(shelf, missing)] if missing else [], began, 200)

    def _inputs(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        rows = body.get("inputs")
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            raise self._invalid("inputs must be a list of objects")
        if len(rows) > 100:
            raise self._invalid(f"A batch holds at most 100 inputs; this one has {len(rows)}")
        ids = [str(row["id"]) for row in rows if "id" in row]
        if len(set(ids)) < len(ids):
            raise self._invalid("Duplicate IDs found in batch input; IDs must be unique")
        return rows

    def _not_found(self, shelf: Shelf, ids: Sequence[str]) -> Problem:
        message = f"Could not get some {shelf.label} objects; they may be deleted or never have existed"
        return Problem("OBJECT_NOT_FOUND", message, {"ids": list(ids)}, status=404)

    def _write(self, shelf: Shelf, record: Record | None, given: Any) -> dict[str, Any]:
        """Create or change one record; the answer shows what was written, as HubSpot's does."""
        values = shelf.values(given)
        self._check_new(shelf, values, record)
        is_new = record is None
        if record is None:
            record = shelf.add(values, self._now())
        else:
            shelf.change(record, values, self._now())
        shown = {*values, shelf.modified_name, *(["hs_email_domain"] if values.get("email") else [])}
        shown |= {"createdate", "hs_object_id"} if is_new else set()
        body = self._render(shelf, record, None)
        body["properties"] = {name: shelf.value(record, name) for name in sorted(shown)}
        return body

    def _check_new(self, shelf: Shelf, values: Mapping[str, str], record: Record | None = None) -> None:
        """Raise for an address the faults reject or another contact has."""
        if self.rejects(values.get("email", record.properties.get("email") if record else None)):
            raise Problem("VALIDATION_ERROR", "The record could not be saved", code="INVALID_RECORD")
        other = shelf.find(values["email"], "email") if values.get("email") and shelf.name == "contacts" else None
        if other is not None and other is not record:
            raise Problem("CONFLICT", f"Contact already exists. Existing ID: {other.id}", status=409)

    def _create(self, call: Call) -> Response:
        return self._single(lambda: self._write(self._shelf(call), None, self.json(call).get("properties")), 201)

    def _patch(self, call: Call) -> Response:
        shelf, record = self._shelf(call), self._found(call, self._shelf(call))
        return self._single(lambda: self._write(shelf, record, self.json(call).get("properties")), 200)

    def _single(self, act: Callable[[], dict[str, Any]], status: int) -> Response:
        try:
            return self.reply(act(), status)
        except Problem as problem:
            raise self.refusal(problem) from None

    def _delete(self, call: Call) -> Response:
        self._shelf(call).archive(self._found(call, self._shelf(call)), self._now())
        return Response(None, 204)

    def _batch_archive(self, call: Call) -> Response:
        shelf = self._shelf(call)
        for row in self._inputs(self.json(call)):
            record = shelf.find(str(row.get("id")))
            if record is not None:
                shelf.archive(record, self._now())
        return Response(None, 204)

    def _batch_create(self, call: Call) -> Response:
        shelf = self._shelf(call)
        return self._each(call, 201, lambda row: self._write(shelf, None, row.get("properties")))

    def _batch_update(self, call: Call) -> Response:
        shelf = self._shelf(call)

        def update(row: dict[str, Any]) -> dict[str, Any]:
            record = self._by_key(shelf, row)
            if record is None:
                raise self._not_found(shelf, [str(row.get("id"))])
            return self._write(shelf, record, row.get("properties"))

        return self._each(call, 200, update)

    def _batch_upsert(self, call: Call) -> Response:
        shelf = self._shelf(call)

        def upsert(row: dict[str, Any]) -> dict[str, Any]:
            record, by = self._by_key(shelf, row), row.get("idProperty")
            if by is None and record is None:
                raise self._not_found(shelf, [str(row.get("id"))])
            given = row.get("properties") or {}
            return {**self._write(shelf, record, {by: row["id"], **given} if by else given), "new": record is None}

        return self._each(call, 200, upsert)

    def _by_key(self, shelf: Shelf, row: Mapping[str, Any]) -> Record | None:
        by = row.get("idProperty")
        if by is not None and not shelf.definitions.get(by, {}).get("hasUniqueValue"):
            raise self._invalid(f"Unable to perform update/upsert by non-unique property {by}")
        return shelf.find(str(row.get("id")), by)

    def _each(self, call: Call, status: int, act: Callable[[dict[str, Any]], dict[str, Any]]) -> Response:
        rows, began, shelf = self._inputs(self.json(call)), self._now(), self._shelf(call)
        # With a write trace id on every input bad rows fail alone, otherwise they fail the batch.
        is_traced = all(row.get("objectWriteTraceId") for row in rows)
        try:
            for row in rows:
                self._check(shelf, row, is_traced=is_traced)
        except Problem as problem:
            raise self.refusal(problem) from None
        results, errors, lost = [], [], []
        for row in rows:
            trace = {"objectWriteTraceId": str(row["objectWriteTraceId"])} if row.get("objectWriteTraceId") else {}
            try:
                results.append({**act(row), **trace})
            except Problem as problem:
                if problem.category == "OBJECT_NOT_FOUND":
                    lost.append(str(row.get("id")))
                    continue
                ids = {"ids": [str(row["id"])]} if "id" in row else {}
                context = {**problem.context, **ids, **{name: [value] for name, value in trace.items()}}
                errors.append(Problem(problem.category, problem.message, context, problem.code, problem.status))
        if lost:
            errors.append(self._not_found(shelf, lost))
        # Neither list follows the order of the inputs: rows are told apart by id or trace id.
        return self._batched(results[::-1], errors, began, status)

    def _check(self, shelf: Shelf, row: Mapping[str, Any], *, is_traced: bool) -> None:
        """Raise what fails a batch as a whole: an unknown property always, any bad value without trace ids."""
        try:
            values = shelf.values(row.get("properties"))
        except Problem as problem:
            if problem.code == "PROPERTY_DOESNT_EXIST" or not is_traced:
                raise
            return
        if "id" not in row and not is_traced:
            self._check_new(shelf, values)

    def _batched(self, results: list[dict[str, Any]], errors: list[Problem], began: int, status: int) -> Response:
        body: dict[str, Any] = {"status": "COMPLETE", "results": results}
        if errors:
            body["numErrors"] = len(errors)
            body["errors"] = [
                {"status": "error", "category": p.category, "message": p.message, "context": p.context, "id": new_id()}
                for p in errors
            ]
        body |= {"startedAt": iso(began), "completedAt": iso(self._now())}
        return self.reply(body, 207 if errors else status)

    def _properties(self, call: Call) -> Response:
        return self.reply({"results": list(self._shelf(call).definitions.values())})

    def _property(self, call: Call) -> Response:
        name = call.params["name"]
        found = self._shelf(call).definitions.get(name)
        if found is None:
            raise self.refusal(Problem("OBJECT_NOT_FOUND", f'Property "{name}" does not exist', status=404))
        return self.reply(found)

    def _create_property(self, call: Call) -> Response:
        shelf, given = self._shelf(call), self.json(call)
        absent = [key for key in ("name", "label", "type", "fieldType", "groupName") if not given.get(key)]
        if absent:
            raise self._invalid(f"Required fields are missing: {', '.join(absent)}")
        if given["name"] in shelf.definitions:
            raise self.refusal(Problem("OBJECT_ALREADY_EXISTS", "A property of that name exists", status=409))
        shelf.definitions[given["name"]] = definition(given["name"], given["type"], built_in=False, given=given)
        return self.reply(shelf.definitions[given["name"]], 201)


def _is_search(call: Call) -> bool:
    return call.method == "POST" and call.path.endswith("/search")


def _names(call: Call, parameter: str) -> list[str]:
    return [name for value in call.query.getlist(parameter) for name in value.split(",") if name]
