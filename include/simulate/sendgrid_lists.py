"""SendGrid's lists: members, the jobs that add contacts, and the file that names who could not be added."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from include.simulate.vendor import Call, Refused, Route, read, write

if TYPE_CHECKING:
    from include.simulate.sendgrid import SendGrid, SendgridContact

MOST = 30_000
MOST_BYTES = 6_000_000
SEARCHED = 100
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


@dataclass(slots=True)
class ContactList:
    """One list and the ids of its contacts."""

    id: str
    name: str
    members: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class Import:
    """A job that adds contacts, and how often somebody asked after it."""

    asked: int
    refused: list[str]
    polls: int = 0


class Lists:
    """What one account's lists hold."""

    def __init__(self, vendor: SendGrid) -> None:
        self.lists: dict[str, ContactList] = {}
        self._vendor = vendor
        self._imports: dict[str, Import] = {}

    def routes(self) -> list[Route]:
        """Lists, the call that fills them, and its jobs."""
        contacts, lists = "/v3/marketing/contacts", "/v3/marketing/lists"
        return [
            write("PUT", contacts, self._put),
            read(contacts + "/imports/{id}", self._import),
            read("/storage/errors/{id}.csv", self._errors),
            read(contacts + "/search/emails", self._search, "POST"),
            read(lists, lambda call: self._vendor.reply({"result": [_shown(one) for one in self.lists.values()]})),
            write("POST", lists, self._create),
            write("DELETE", lists + "/{id}/contacts", self._remove),
        ]

    def members(self, ids: list[str]) -> set[str]:
        """Ids of the contacts on any of these lists."""
        return {member for number in ids if number in self.lists for member in self.lists[number].members}

    def _refused(self, status: int, message: str, field_name: str | None = None) -> Refused:
        body = {"errors": [{"field": field_name, "message": message}]}
        return Refused(self._vendor.reply(body, status))

    def _create(self, call: Call) -> Response:
        name = str(self._vendor.json(call).get("name") or "")
        if not name or any(one.name == name for one in self.lists.values()):
            raise self._refused(400, "name must be given and not taken", "name")
        made = ContactList(_number(f"list/{name}"), name)
        self.lists[made.id] = made
        return self._vendor.reply(_shown(made), 201)

    def _put(self, call: Call) -> Response:
        given = self._vendor.json(call)
        rows, wanted = given.get("contacts") or [], given.get("list_ids") or []
        if not 1 <= len(rows) <= MOST or len(call.body) > MOST_BYTES:
            raise self._refused(400, f"contacts must be 1 to {MOST}", "contacts")
        if any(number not in self.lists for number in wanted):
            raise self._refused(404, "list not found", "list_ids")
        emails = [str(row.get("email", "")).lower() for row in rows]
        for place, email in enumerate(emails):
            if not EMAIL.fullmatch(email):
                raise self._refused(400, f"email '{email}' is not valid", f"contacts[{place}].email")
        known = {contact.email.lower(): contact for contact in self._vendor.contacts}
        job = Import(len(emails), [])
        for email in emails:
            if self._vendor.rejects(email):
                job.refused.append(email)
                continue
            contact = known.get(email) or self._add(email)
            for number in wanted:
                self.lists[number].members[contact.id] = None
        number = _number(f"import/{len(self._imports)}")
        self._imports[number] = job
        return self._vendor.reply({"job_id": number}, 202)

    def _add(self, email: str) -> SendgridContact:
        from include.simulate.sendgrid import SendgridContact

        now = self._vendor.clock.now()
        made = SendgridContact(None, _number(f"contact/{email}"), email, "", "", (), None, None, None, now, now, {})
        self._vendor.contacts.append(made)
        return made

    def _job(self, call: Call) -> Import:
        job = self._imports.get(call.params["id"])
        if job is None:
            raise Refused(self._vendor.missing(call))
        return job

    def _import(self, call: Call) -> Response:
        job = self._job(call)
        job.polls += 1
        number = call.params["id"]
        if job.polls == 1:
            return self._vendor.reply({"id": number, "job_type": "upsert", "status": "pending", "results": {}})
        results: dict[str, Any] = {"requested_count": job.asked, "errored_count": len(job.refused)}
        results |= {"created_count": 0, "updated_count": job.asked - len(job.refused), "deleted_count": 0}
        if job.refused:
            results["errors_url"] = f"{call.base}/storage/errors/{number}.csv?X-Amz-Signature=demo-signature"
        status = "errored" if job.refused else "completed"
        return self._vendor.reply({"id": number, "job_type": "upsert", "status": status, "results": results})

    def _errors(self, call: Call) -> Response:
        lines = ["EMAIL,ERROR", *(f"{email},address cannot be added" for email in self._job(call).refused)]
        return Response("\n".join(lines) + "\n", media_type="text/csv")

    def _search(self, call: Call) -> Response:
        emails = [str(email).lower() for email in self._vendor.json(call).get("emails") or ()]
        if not 1 <= len(emails) <= SEARCHED:
            raise self._refused(400, f"emails must be 1 to {SEARCHED}", "emails")
        wanted = set(emails)
        found = {
            one.email.lower(): {"contact": {"id": one.id, "email": one.email}}
            for one in self._vendor.contacts
            if one.email.lower() in wanted
        }
        if not found:
            raise self._refused(404, "no contacts found")
        missing = {email: {"error": "contact not found"} for email in emails if email not in found}
        return self._vendor.reply({"result": {**found, **missing}})

    def _remove(self, call: Call) -> Response:
        one = self.lists.get(call.params["id"])
        ids = call.query.get("contact_ids", "").split(",")
        if one is None or not {contact.id for contact in self._vendor.contacts}.issuperset(ids):
            raise self._refused(404, "list or contact not found")
        for number in ids:
            one.members.pop(number, None)
        return self._vendor.reply({"job_id": _number(f"removal/{call.query}")}, 202)


def _shown(one: ContactList) -> dict[str, Any]:
    return {"id": one.id, "name": one.name, "contact_count": len(one.members), "_metadata": {}}


def _number(name: str) -> str:
    digits = hashlib.sha256(name.encode()).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}"
