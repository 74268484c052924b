"""Mailchimp Marketing API 3.0: one audience, its members, and tags, which are static segments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

from starlette.responses import Response

from include.simulate.limits import Clock
from include.simulate.mailchimp_audience import (
    Audience,
    Member,
    Problem,
    Segment,
    hash_of,
    numbers_of,
    projected,
    stamp,
)
from include.simulate.mailchimp_campaigns import Campaign, make_campaigns, open_late, report, sent_since
from include.simulate.people import AUDIENCE_ID, Population
from include.simulate.vendor import Call, Refused, Route, Vendor, new_id, read, write

API_KEY = "demo-us1"
CONNECTIONS = 10
BATCH = 500


class Mailchimp(Vendor):
    """One account with one audience."""

    name = "mailchimp"
    error_media_type = "application/problem+json; charset=utf-8"
    retyped_fields: ClassVar[Mapping[str, str]] = {"member": "timestamp_opt", "activity": "email_address"}

    def __init__(self, population: Population, clock: Clock, *, unlimited: bool = False) -> None:
        super().__init__(population, clock, unlimited=unlimited)
        self.audience = Audience(population)
        self._began = population.now

    @cached_property
    def campaigns(self) -> dict[str, Campaign]:
        """What was mailed, made when first asked for."""
        return make_campaigns(self.audience, self.population.seed, self._began)

    def routes(self) -> list[Route]:
        """Everything under /3.0."""
        one = f"/3.0/lists/{AUDIENCE_ID}"
        member, segment = one + "/members/{member}", one + "/segments/{segment}"
        return [
            read("/3.0/ping", lambda call: self.reply({"health_status": "Everything's Chimpy!"})),
            read("/3.0/lists", self._lists),
            read("/3.0/campaigns", self._list_campaigns),
            read("/3.0/reports/{campaign}/email-activity", self._activity),
            read(one, lambda call: self.reply(self._render_list(call))),
            write("POST", one, self._batch_subscribe),
            read(one + "/merge-fields", self._merge_fields),
            write("POST", one + "/merge-fields", self._create_merge_field),
            read(one + "/tag-search", self._tag_search),
            read(one + "/members", self._list_members),
            write("POST", one + "/members", self._create_member),
            read(member, lambda call: self.reply(self._render_member(call, *self._member(call)))),
            write("PUT", member, self._put_member),
            write("PATCH", member, self._patch_member),
            write("DELETE", member, self._archive_member),
            write("POST", member + "/actions/delete-permanent", self._forget_member),
            read(member + "/tags", self._member_tags),
            write("POST", member + "/tags", self._set_member_tags),
            read(one + "/segments", self._list_segments),
            write("POST", one + "/segments", self._create_segment),
            read(segment, lambda call: self.reply(self._render_segment(call, self._segment(call)))),
            write("POST", segment, self._batch_segment),
            write("DELETE", segment, self._delete_segment),
            read(segment + "/members", self._segment_members),
        ]

    def accepts(self, call: Call) -> bool:
        """Basic with any user, or Bearer."""
        basic = call.basic()
        return (basic is not None and basic[1] == API_KEY) or call.bearer() == API_KEY

    def refuse(self, call: Call) -> Response:
        """401."""
        return self._problem(
            401, Problem("Your API key may be invalid, or for another data center.", "API Key Invalid")
        )

    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """429; Mailchimp gives no Retry-After unless a test asks for one."""
        text = f"You have exceeded the limit of {CONNECTIONS} simultaneous connections."
        response = self._problem(429, Problem(text, "Too Many Requests"))
        if retry_after is not None:
            response.headers["Retry-After"] = str(retry_after)
        return response

    def broken(self, call: Call) -> Response:
        """500."""
        return self._problem(500, Problem("An unexpected internal error has occurred.", "Internal Server Error"))

    def missing(self, call: Call) -> Response:
        """404."""
        return self._problem(404, Problem("The requested resource could not be found.", "Resource Not Found"))

    def malformed(self, call: Call) -> Response:
        """400 for a body that is not a JSON object."""
        return self._problem(400, Problem("The request body is not a JSON object.", "JSON Parse Error"))

    def limit(self, call: Call, in_flight: int) -> Response | None:
        """Ten requests at a time."""
        return self.too_many(call, None) if in_flight > CONNECTIONS else None

    def stamp(self, call: Call, response: Response) -> None:
        """A request id, and the schema link of JSON answers; no rate headers at all."""
        response.headers["Server"] = "openresty"
        response.headers["X-Request-Id"] = new_id()
        if response.status_code == 204:
            response.headers["Content-Type"] = self.media_type
        else:
            what = "Definitions/ProblemDetailDocument" if response.status_code >= 400 else "Lists/Instance"
            response.headers["Link"] = f'<{call.base}/schema/3.0/{what}.json>; rel="describedBy"'

    def continues(self, call: Call) -> bool:
        """A list with an offset."""
        return (call.int_query("offset", 0) or 0) > 0

    def grow(self, recovered: Sequence[int]) -> None:
        """Two members open the latest campaign late."""
        if "campaigns" in vars(self):
            open_late([*self.campaigns.values()][-1], self.population.now)

    def lose(self, stream: str, key: str) -> Callable[[], None]:
        """A member."""
        return self.audience.lose({"members": key}[stream].partition("|")[2])

    def unsubscribe(self, emails: Iterable[str]) -> int:
        """People leave through the footer of a mail: the world changes, nobody calls the API."""
        wanted = {hash_of(email) for email in emails} & self.audience.members.keys()
        self.audience.become(wanted, "unsubscribed", self.clock.now())
        self.population.mailchimp_members[:] = [
            replace(one, status="unsubscribed", changed_at=self.clock.now()) if hash_of(one.email) in wanted else one
            for one in self.population.mailchimp_members
        ]
        return len(wanted)

    def _problem(self, status: int, problem: Problem) -> Response:
        # A member that exists is the one problem that comes without a type.
        kind = {"type": "https://mailchimp.com/developer/marketing/docs/errors/"}
        body: dict[str, Any] = {} if problem.title == "Member Exists" else dict(kind)
        body |= {"title": problem.title, "status": status, "detail": problem.detail, "instance": new_id()}
        return self.reply({**body, **problem.more}, status)

    def _invalid(self, problem: Problem | str) -> Refused:
        return Refused(self._problem(400, Problem(problem) if isinstance(problem, str) else problem))

    def _window(self, call: Call) -> tuple[int, int]:
        offset, count = call.int_query("offset", 0), call.int_query("count", 10)
        if count is None or not 0 <= count <= 1000 or offset is None or offset < 0:
            raise self._invalid("count must be 0 to 1000 and offset not negative.")
        return offset, count

    def _links(self, call: Call, path: str) -> list[dict[str, str]]:
        return [{"rel": "self", "href": f"{call.base}/3.0{path}", "method": "GET"}]

    def _collection(self, call: Call, name: str, items: Sequence[Any], total: int) -> Response:
        links = self._links(call, call.path.removeprefix("/3.0"))
        body = {name: items, "list_id": AUDIENCE_ID, "total_items": total, "_links": links}
        return self.reply(projected(body, call.query))

    def _lists(self, call: Call) -> Response:
        offset, count = self._window(call)
        constraints = {"may_create": False, "max_instances": 1, "current_total_instances": 1}
        body = {"total_items": 1, "constraints": constraints, "_links": self._links(call, "/lists")}
        return self.reply(projected({"lists": [self._render_list(call)][offset : offset + count], **body}, call.query))

    def _render_list(self, call: Call) -> dict[str, Any]:
        urls = {"subscribe_url_short": f"{call.base}/subscribe", "subscribe_url_long": f"{call.base}/subscribe?u=demo"}
        return {**self.audience.summary(), **urls, "_links": self._links(call, f"/lists/{AUDIENCE_ID}")}

    def _merge_fields(self, call: Call) -> Response:
        offset, count = self._window(call)
        fields = [self.audience.merge_field(tag) for tag in self.audience.merge_fields]
        return self._collection(call, "merge_fields", fields[offset : offset + count], len(fields))

    def _create_merge_field(self, call: Call) -> Response:
        given = self.json(call)
        name, type_ = str(given.get("name") or ""), str(given.get("type") or "")
        # Without a tag Mailchimp makes one up.
        tag = str(given.get("tag") or f"MMERGE{len(self.audience.merge_fields) + 1}").upper()[:10]
        if not name or not type_ or tag in self.audience.merge_fields:
            raise self._invalid("A merge field needs a name and a type, and a tag that is not taken.")
        self.audience.merge_fields[tag] = type_
        self.audience.merge_names[tag] = name
        return self.reply(self.audience.merge_field(tag))

    def _list_campaigns(self, call: Call) -> Response:
        offset, count = self._window(call)
        shown = sent_since(self.campaigns.values(), call.query.get("since_send_time"))
        body = {"campaigns": shown[offset : offset + count], "total_items": len(shown), "_links": []}
        return self.reply(projected(body, call.query))

    def _activity(self, call: Call) -> Response:
        offset, count = self._window(call)
        number = call.params["campaign"]
        if number not in self.campaigns:
            raise Refused(self.missing(call))
        rows = report(self.campaigns[number], self.audience, call.query.get("since"))
        page = [self.drifted("activity", row) for row in rows[offset : offset + count]]
        return self.reply({"emails": page, "campaign_id": number, "total_items": len(rows)})

    # -- members

    def _member(self, call: Call) -> tuple[str, Member]:
        found = self.audience.find(call.params["member"])
        if found is None:
            raise Refused(self.missing(call))
        return found

    def _render_member(self, call: Call, key: str, member: Member) -> dict[str, Any]:
        web_id, unique_id, contact_id = numbers_of(key)
        fields = dict.fromkeys(self.audience.merge_fields, "") | member.merge_fields
        body = {
            "id": key,
            "email_address": member.email,
            "unique_email_id": unique_id,
            "contact_id": contact_id,
            "full_name": f"{fields['FNAME']} {fields['LNAME']}".strip(),
            "web_id": web_id,
            "email_type": "html",
            "status": member.status,
            "consents_to_one_to_one_messaging": True,
            "merge_fields": fields,
            "stats": {"avg_open_rate": 0, "avg_click_rate": 0},
            "ip_signup": "",
            "timestamp_signup": "",
            "ip_opt": "192.0.2.10",
            "timestamp_opt": stamp(member.opted),
            "member_rating": 2,
            "last_changed": stamp(member.changed),
            "language": member.language,
            "vip": member.vip,
            "email_client": "",
            "location": {"latitude": 0, "longitude": 0, "gmtoff": 0, "dstoff": 0, "country_code": "", "timezone": ""},
            "source": member.source,
            "tags_count": len(member.tags),
            "tags": [{"id": number, "name": name} for number, name in member.tags.items()],
            "list_id": AUDIENCE_ID,
            "_links": self._links(call, f"/lists/{AUDIENCE_ID}/members/{key}"),
        }
        return self.drifted("member", body)

    def _list_members(self, call: Call) -> Response:
        try:
            keys, total = self.audience.page(call.query, *self._window(call))
        except Problem as problem:
            raise self._invalid(problem) from None
        members = [self._render_member(call, key, self.audience.members[key]) for key in keys]
        return self._collection(call, "members", members, total)

    def _save(self, given: Mapping[str, Any], key: str | None = None) -> Member:
        """Create or change a member, or raise its Problem."""
        current = self.audience.members[key].email if key in self.audience.members else None
        if self.rejects(given.get("email_address") or current):
            raise Problem("The address looks fake or invalid, please enter a real email address.")
        return self.audience.save(given, self.clock.now(), key)

    def _saved(self, call: Call, given: Mapping[str, Any], key: str | None) -> Response:
        try:
            member = self._save(given, key)
        except Problem as problem:
            raise self._invalid(problem) from None
        return self.reply(self._render_member(call, hash_of(member.email), member))

    def _create_member(self, call: Call) -> Response:
        return self._saved(call, self.json(call), None)

    def _put_member(self, call: Call) -> Response:
        found, given = self.audience.find(call.params["member"]), self.json(call)
        return self._saved(call, given, found[0] if found else None)

    def _patch_member(self, call: Call) -> Response:
        return self._saved(call, self.json(call), self._member(call)[0])

    def _archive_member(self, call: Call) -> Response:
        key, member = self._member(call)
        if member.status in ("archived", "cleaned", "pending"):
            text = "This list member cannot be removed. Can not archive a contact that is bounced, pending or archived"
            response = self._problem(405, Problem(text, "Method Not Allowed"))
            response.headers["Allow"] = "GET, PUT"
            return response
        self.audience.become([key], "archived", self.clock.now())
        return Response(None, 204)

    def _forget_member(self, call: Call) -> Response:
        self.audience.forget(self._member(call)[0])
        return Response(None, 204)

    def _batch_subscribe(self, call: Call) -> Response:
        given = self.json(call)
        rows, is_update = given.get("members") or [], bool(given.get("update_existing"))
        if len(rows) > BATCH:
            raise self._invalid(f"Maximum allowed members exceeded, please provide at most {BATCH} items in members")
        created: list[Any] = []
        updated: list[Any] = []
        errors: list[Any] = []
        for row in rows:
            email = str(row.get("email_address", ""))
            found = self.audience.find(email) if email else None
            try:
                if found is not None and not is_update:
                    raise Problem(f"{email} is already a list member, do you want to update?", "Member Exists")
                member = self._save(row, found[0] if found else None)
            except Problem as problem:
                code = "ERROR_CONTACT_EXISTS" if problem.title == "Member Exists" else "ERROR_GENERIC"
                wrong = (problem.more.get("errors") or [{"field": "", "message": ""}])[0]
                error = {"email_address": email, "error": problem.detail, "error_code": code}
                errors.append({**error, "field": wrong["field"], "field_message": wrong["message"]})
                continue
            key = hash_of(member.email)
            if given.get("sync_tags"):
                for number in [n for n, name in member.tags.items() if name not in (row.get("tags") or ())]:
                    self.audience.part(key, self.audience.segments[number], self.clock.now())
            (updated if found else created).append(self._render_member(call, key, member))
        totals = {"total_created": len(created), "total_updated": len(updated), "error_count": len(errors)}
        return self.reply(
            {"new_members": created, "updated_members": updated, "errors": errors, **totals, "_links": []}
        )

    # -- tags and segments

    def _member_tags(self, call: Call) -> Response:
        _, member = self._member(call)
        added = stamp(member.changed)
        tags = [{"id": number, "name": name, "date_added": added} for number, name in member.tags.items()]
        offset, count = self._window(call)
        return self.reply({"tags": tags[offset : offset + count], "total_items": len(tags), "_links": []})

    def _set_member_tags(self, call: Call) -> Response:
        key, member = self._member(call)
        if self.rejects(member.email):
            raise self._invalid("The tags of this member cannot be changed.")
        for tag in self.json(call).get("tags") or ():
            segment = self.audience.named(str(tag.get("name")))
            if tag.get("status") == "active":
                self.audience.tag(key, str(tag["name"]), self.clock.now())
            elif segment is not None:
                self.audience.part(key, segment, self.clock.now())
        return Response(None, 204)

    def _tag_search(self, call: Call) -> Response:
        start = call.query.get("name", "").lower()
        tags = [
            {"id": s.id, "name": s.name} for s in self.audience.segments.values() if s.name.lower().startswith(start)
        ]
        return self.reply({"tags": tags, "total_items": len(tags), "_links": []})

    def _segment(self, call: Call) -> Segment:
        number = call.params["segment"]
        found = self.audience.segments.get(int(number)) if number.isdigit() else None
        if found is None:
            raise Refused(self.missing(call))
        return found

    def _render_segment(self, call: Call, segment: Segment) -> dict[str, Any]:
        return {**segment.shown(), "_links": self._links(call, f"/lists/{AUDIENCE_ID}/segments/{segment.id}")}

    def _list_segments(self, call: Call) -> Response:
        offset, count = self._window(call)
        every = list(self.audience.segments.values()) if call.query.get("type", "static") == "static" else []
        page = [self._render_segment(call, one) for one in every[offset : offset + count]]
        return self._collection(call, "segments", page, len(every))

    def _create_segment(self, call: Call) -> Response:
        given = self.json(call)
        name, emails = str(given.get("name") or "").strip(), given.get("static_segment")
        if not name or not isinstance(emails, list):
            raise self._invalid("A static segment needs a name and static_segment, a list of addresses.")
        if self.audience.named(name) is not None:
            raise self._invalid("Sorry, that tag already exists.")
        segment = self.audience.add_segment(name, self.clock.now())
        for key in (hash_of(str(email)) for email in emails):
            # Addresses that are not in the audience are ignored here, without a word.
            if key in self.audience.members:
                self.audience.join(key, segment, self.clock.now())
        return self.reply(self._render_segment(call, segment))

    def _batch_segment(self, call: Call) -> Response:
        segment, given, now = self._segment(call), self.json(call), self.clock.now()
        add, remove = given.get("members_to_add") or [], given.get("members_to_remove") or []
        if max(len(add), len(remove)) > BATCH:
            text = f"Maximum allowed member items exceeded, please provide at most {BATCH} items in "
            raise self._invalid(text + "members_to_add field or members_to_remove field")
        failed: dict[str, list[str]] = {}
        done: dict[str, list[Any]] = {"members_added": [], "members_removed": []}
        for name, emails, act in (("added", add, self.audience.join), ("removed", remove, self.audience.part)):
            for email in map(str, emails):
                key = hash_of(email)
                if self.rejects(email):
                    failed.setdefault("The email address cannot be processed", []).append(email)
                elif key not in self.audience.members:
                    failed.setdefault("Email address is not in the audience", []).append(email)
                elif act(key, segment, now):
                    done[f"members_{name}"].append(self._render_member(call, key, self.audience.members[key]))
        errors = [{"email_addresses": emails, "error": error} for error, emails in failed.items()]
        totals = {"total_added": len(done["members_added"]), "total_removed": len(done["members_removed"])}
        count = sum(len(emails) for emails in failed.values())
        return self.reply({**done, "errors": errors, **totals, "error_count": count, "_links": []})

    def _delete_segment(self, call: Call) -> Response:
        self.audience.drop_segment(self._segment(call))
        return Response(None, 204)

    def _segment_members(self, call: Call) -> Response:
        offset, count = self._window(call)
        segment = self._segment(call)
        keys = [key for key in segment.members if self.audience.members[key].status != "archived"]
        page = [self._render_member(call, key, self.audience.members[key]) for key in keys[offset : offset + count]]
        return self._collection(call, "members", page, len(keys))
