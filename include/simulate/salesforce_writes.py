"""Salesforce's collections: up to 200 records a call, each with a result of its own, and fields made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from include.simulate.vendor import Call, Route, read, write

if TYPE_CHECKING:
    from include.simulate.salesforce import Salesforce

MOST = 200
LOCKED_ONCE = "Locked once"
"""A contact of this title is being changed by somebody else when it is changed next."""
TYPES = {"Checkbox": "boolean", "Text": "string", "Number": "double", "Url": "url"}


class Writes:
    """What changes many records of one org."""

    def __init__(self, vendor: Salesforce, api: str) -> None:
        self._vendor = vendor
        self._api = api

    def routes(self) -> list[Route]:
        """Collections, and custom fields through the tooling API, which an administrator's screens use too."""
        return [
            write("PATCH", self._api + "/composite/sobjects", self._update),
            read(self._api + "/tooling/sobjects/CustomField", self._make_field, "POST"),
        ]

    def _make_field(self, call: Call) -> Response:
        given = self._vendor.json(call)
        kind, _, name = str(given.get("FullName", "")).partition(".")
        type_ = TYPES[given["Metadata"]["type"]]
        self._vendor.schema[kind][name] = type_
        for record in self._vendor.org.records[kind].values():
            record.setdefault(name, False if type_ == "boolean" else None)
        return self._vendor.reply({"id": "00N5g000000demo", "success": True, "errors": []}, 201)

    def _update(self, call: Call) -> Response:
        given = self._vendor.json(call)
        records = given.get("records") or []
        if not 1 <= len(records) <= MOST or given.get("allOrNone"):
            text = f"the limit is {MOST} records, each by itself"
            return self._vendor.reply([{"errorCode": "EXCEEDED_ID_LIMIT", "message": text}], 400)
        return self._vendor.reply([self._updated_one(record) for record in records])

    def _updated_one(self, given: dict[str, Any]) -> dict[str, Any]:
        kind = given["attributes"]["type"]
        changes = {name: value for name, value in given.items() if name not in ("id", "attributes")}
        record = self._vendor.org.records[kind].get(given["id"])
        unknown = sorted(changes.keys() - self._vendor.schema[kind].keys())
        if unknown:
            problem = "INVALID_FIELD", f"No such column '{unknown[0]}' on sobject of type {kind}"
        elif record is None:
            problem = "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id"
        elif record["IsDeleted"]:
            problem = "ENTITY_IS_DELETED", "entity is deleted"
        elif self._vendor.rejects(record.get("Email")):
            problem = "INVALID_EMAIL_ADDRESS", "Email: invalid email address"
        elif record["Title"] == LOCKED_ONCE:
            record["Title"] = None
            problem = "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record"
        else:
            self._vendor.touch(record, changes)
            return {"id": given["id"], "success": True, "errors": []}
        return {"success": False, "errors": [{"statusCode": problem[0], "message": problem[1], "fields": []}]}
