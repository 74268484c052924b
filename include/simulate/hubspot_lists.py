"""HubSpot's lists v3: made by name, filled by contact ids; who is there already, or is nobody, changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

from include.simulate.hubspot_records import Problem
from include.simulate.vendor import Call, Route, read, write

if TYPE_CHECKING:
    from include.simulate.hubspot import HubSpot

API = "/crm/v3/lists"
PAGE, MOST = 100, 250


@dataclass(slots=True)
class ContactList:
    """One list and the ids of its contacts."""

    id: int
    name: str
    kind: str
    members: set[int] = field(default_factory=set)


class Lists:
    """The lists of one portal."""

    def __init__(self, vendor: HubSpot) -> None:
        self.lists: dict[int, ContactList] = {}
        self._made = 0
        self._vendor = vendor

    def routes(self) -> list[Route]:
        """Lists by name and id, and their members."""
        members = API + "/{id:int}/memberships"
        return [
            read(API + "/object-type-id/0-1/name/{name}", self._by_name),
            write("POST", API, self._create),
            write("DELETE", API + "/{id:int}", self._delete),
            read(members, self._members),
            write("PUT", members + "/add", self._add),
            write("PUT", members + "/remove", self._remove),
        ]

    def _shown(self, one: ContactList) -> dict[str, Any]:
        shown = {"listId": str(one.id), "name": one.name, "objectTypeId": "0-1", "processingType": one.kind}
        return {"list": {**shown, "processingStatus": "COMPLETE", "listVersion": 1}}

    def _named(self, name: str) -> ContactList | None:
        return next((one for one in self.lists.values() if one.name == name), None)

    def _list(self, call: Call) -> ContactList:
        found = self.lists.get(int(call.params["id"]))
        if found is None:
            raise self._vendor.refusal(Problem("OBJECT_NOT_FOUND", "List does not exist.", status=404))
        return found

    def _by_name(self, call: Call) -> Response:
        found = self._named(call.params["name"])
        if found is None:
            raise self._vendor.refusal(Problem("OBJECT_NOT_FOUND", "List does not exist with that name.", status=404))
        return self._vendor.reply(self._shown(found))

    def _create(self, call: Call) -> Response:
        given = self._vendor.json(call)
        if not given.get("name") or given.get("objectTypeId") != "0-1" or not given.get("processingType"):
            raise self._vendor.refusal(Problem("VALIDATION_ERROR", "name, objectTypeId and processingType are needed"))
        if self._named(given["name"]):
            raise self._vendor.refusal(Problem("VALIDATION_ERROR", "A list of that name exists already"))
        self._made += 1
        made = ContactList(self._made, given["name"], given["processingType"])
        self.lists[made.id] = made
        return self._vendor.reply(self._shown(made))

    def _delete(self, call: Call) -> Response:
        del self.lists[self._list(call).id]
        return Response(None, 204)

    def _members(self, call: Call) -> Response:
        one, limit, after = self._list(call), call.int_query("limit", PAGE), call.int_query("after", 0)
        if limit is None or not 1 <= limit <= MOST or after is None:
            raise self._vendor.refusal(Problem("VALIDATION_ERROR", f"limit must be 1 to {MOST}"))
        found = sorted(number for number in one.members if number > after)
        body: dict[str, Any] = {"results": [{"recordId": str(number)} for number in found[:limit]]}
        if len(found) > limit:
            body["paging"] = {"next": {"after": str(found[limit - 1])}}
        return self._vendor.reply(body)

    def _asked(self, call: Call, *, unwanted: bool = False) -> tuple[ContactList, dict[str, int], list[str]]:
        """The list, who of the ids given is a contact, and which are nobody's, or `unwanted` by a fault."""
        one = self._list(call)
        if one.kind == "DYNAMIC":
            raise self._vendor.refusal(Problem("VALIDATION_ERROR", "Members of this list are found by its filters"))
        try:
            ids = msgspec.json.decode(call.body, type=list[str])
        except msgspec.MsgspecError:
            raise self._vendor.refusal(Problem("VALIDATION_ERROR", "Invalid input JSON")) from None
        shelf, known = self._vendor.contacts, {}
        for number in ids:
            record = shelf.find(number, None)
            if record is not None and not (unwanted and self._vendor.rejects(record.properties.get("email"))):
                known[number] = record.id
        return one, known, [number for number in ids if number not in known]

    def _add(self, call: Call) -> Response:
        one, known, missing = self._asked(call, unwanted=True)
        added = [number for number, contact in known.items() if contact not in one.members]
        one.members.update(known.values())
        return self._changed(added, [], missing)

    def _remove(self, call: Call) -> Response:
        one, known, missing = self._asked(call)
        removed = [number for number, contact in known.items() if contact in one.members]
        one.members.difference_update(known.values())
        return self._changed([], removed, missing)

    def _changed(self, added: list[str], removed: list[str], missing: list[str]) -> Response:
        # The odd name is HubSpot's.
        said = {"recordsIdsAdded": added, "recordIdsRemoved": removed, "recordIdsMissing": missing}
        return self._vendor.reply(said)
