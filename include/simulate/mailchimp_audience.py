"""What Mailchimp's simulator stores: the members of one audience and its static segments."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from include.simulate.people import AUDIENCE_ID, AUDIENCE_NAME, Population
from include.simulate.vendor import Order

STATUSES = frozenset({"subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived"})
ALL = ""
"""The order over every status but archived, which is what a list shows unless asked otherwise."""
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


def hash_of(email: str) -> str:
    """A member's id: MD5 of the lower-cased address."""
    return hashlib.md5(email.strip().lower().encode(), usedforsecurity=False).hexdigest()


def stamp(moment: datetime | None) -> str:
    """A moment as Mailchimp writes it; an unset one is an empty string."""
    return "" if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")


class Problem(Exception):
    """Why Mailchimp refuses a row: title and detail of the problem document, and its other fields."""

    def __init__(self, detail: str, title: str = "Invalid Resource", **more: Any) -> None:
        self.title, self.detail, self.more = title, detail, more
        super().__init__(title, detail)


@dataclass(slots=True)
class Member:
    """One member of the audience."""

    email: str
    status: str
    merge_fields: dict[str, Any]
    changed: datetime
    opted: datetime | None
    language: str = ""
    vip: bool = False
    source: str = "API - Generic"
    tags: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class Segment:
    """A static segment, which is what a tag is."""

    id: int
    name: str
    created: datetime
    updated: datetime
    members: dict[str, None] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        """The segment as the API shows it, without its links."""
        times = {"created_at": stamp(self.created), "updated_at": stamp(self.updated)}
        body = {"id": self.id, "name": self.name, "member_count": len(self.members), "type": "static"}
        return {**body, **times, "list_id": AUDIENCE_ID}


class Audience:
    """The members and segments, and what may be done to them."""

    def __init__(self, population: Population) -> None:
        self.merge_fields = {"FNAME": "text", "LNAME": "text", "ADDRESS": "address", "PHONE": "phone"}
        self.merge_names: dict[str, str] = {}
        self.members: dict[str, Member] = {}
        self.segments: dict[int, Segment] = {}
        self._segment_id = 500_000
        self.forgotten: set[str] = set()
        for one in population.mailchimp_members:
            fields = {"FNAME": one.first_name, "LNAME": one.last_name, "ADDRESS": "", "PHONE": one.phone or ""}
            changed = one.changed_at.replace(microsecond=0)
            member = Member(one.email.strip(), one.status, fields, changed, one.opted_at, source="Signup form")
            self.members[hash_of(one.email)] = member
            for tag in one.tags:
                segment = self.named(tag) or self.add_segment(tag, one.opted_at)
                segment.members[hash_of(one.email)] = None
                member.tags[segment.id] = tag
        self.orders = {
            status: Order({key: m.changed for key, m in self.members.items() if _is_listed(m, status)})
            for status in (ALL, *STATUSES)
        }
        # A list without a sort keeps the order in which members joined.
        self.joined: list[str] = [key for key in self.members if key in self.orders[ALL]]

    def find(self, key: str) -> tuple[str, Member] | None:
        """A member by its hash, or by the address itself."""
        key = hash_of(key) if "@" in key else key.lower()
        return (key, self.members[key]) if key in self.members else None

    def page(self, query: Mapping[str, str], offset: int, count: int) -> tuple[list[str], int]:
        """Hashes of one page, and how many there are in all.

        Raises:
            Problem: a filter Mailchimp would not understand.
        """
        status = query.get("status", ALL)
        if status not in self.orders:
            raise Problem(f"'{status}' is not a member status.")
        order = self.orders[status]
        since, before = (_moment(query.get(name)) for name in ("since_last_changed", "before_last_changed"))
        if status == ALL and since is None and before is None and query.get("sort_field") != "last_changed":
            return self.joined[offset : offset + count], len(self.joined)
        low, high = order.at(since) if since else 0, order.at(before) if before else len(order)
        total = max(0, high - low)
        if query.get("sort_dir", "ASC").upper() == "DESC":
            return order.ids(max(low, high - offset - count), max(low, high - offset))[::-1], total
        return order.ids(low + offset, min(high, low + offset + count)), total

    def touch(self, key: str, now: datetime) -> None:
        """Note a change: the member moves to the end of every order it belongs to."""
        member = self.members[key]
        member.changed = now.replace(microsecond=0)
        for status, order in self.orders.items():
            if _is_listed(member, status):
                if status == ALL and key not in order:
                    self.joined.append(key)
                order.put(key, member.changed)
            elif key in order:
                self._leave(key, status)

    def become(self, keys: Iterable[str], status: str, now: datetime) -> None:
        """Give members another status."""
        for key in keys:
            self.members[key].status = status
            self.touch(key, now)

    def _leave(self, key: str, status: str) -> None:
        self.orders[status].drop(key)
        if status == ALL:
            self.joined.remove(key)

    def save(self, given: Mapping[str, Any], now: datetime, key: str | None = None) -> Member:
        """Create a member, or change the one under `key`.

        Raises:
            Problem: the address, a merge field or the status is one Mailchimp would not take.
        """
        member = self.members.get(key) if key else None
        email = str(given.get("email_address") or (member.email if member else "")).strip()
        if not EMAIL.fullmatch(email):
            raise Problem("Please provide a valid email address.")
        new_key = hash_of(email)
        if new_key in self.forgotten:
            raise Problem(
                f"{email} was permanently deleted and cannot be re-imported.", "Forgotten Email Not Subscribed"
            )
        if new_key != key and new_key in self.members:
            text = f"{email} is already a list member. Use PUT to insert or update list members."
            raise Problem(text, "Member Exists")
        status = given.get("status") or (member.status if member else given.get("status_if_new"))
        if status not in STATUSES:
            raise Problem("A status, or status_if_new for a new member, is needed.")
        if member and status == "subscribed" and member.status in ("unsubscribed", "cleaned"):
            text = f"{email} is in a compliance state due to unsubscribe or bounce and cannot be subscribed."
            raise Problem(text, "Member In Compliance State")
        fields = self._checked(given.get("merge_fields") or {})
        if member is None:
            empty = dict.fromkeys(self.merge_fields, "")
            member = Member(email, status, empty, now, now if status == "subscribed" else None)
        elif key is not None and new_key != key:
            self._move(key, new_key)
        before = (member.email, member.status, dict(member.merge_fields), member.language, member.vip)
        member.email, member.status = email, status
        member.merge_fields.update(fields)
        member.language, member.vip = str(given.get("language", member.language)), bool(given.get("vip", member.vip))
        after = (member.email, member.status, member.merge_fields, member.language, member.vip)
        if self.members.get(new_key) is not member or before != after:
            self.members[new_key] = member
            self.touch(new_key, now)
        for tag in given.get("tags") or ():
            self.tag(new_key, tag if isinstance(tag, str) else str(tag.get("name")), now)
        return member

    def _move(self, old: str, new: str) -> None:
        member = self.members.pop(old)
        for status in [status for status, order in self.orders.items() if old in order]:
            self._leave(old, status)
        for number in member.tags:
            del self.segments[number].members[old]
            self.segments[number].members[new] = None

    def _checked(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The merge fields that exist; the others are ignored, as Mailchimp does."""
        known = {tag: value for tag, value in fields.items() if tag in self.merge_fields}
        for tag, value in known.items():
            if self.merge_fields[tag] == "number" and value != "" and not re.fullmatch(r"-?\d+(\.\d+)?", str(value)):
                errors = [{"field": tag, "message": "Please enter a number"}]
                raise Problem("Your merge fields were invalid.", errors=errors)
        return known

    def merge_field(self, tag: str) -> dict[str, Any]:
        """A merge field as the API shows it."""
        number, type_ = list(self.merge_fields).index(tag) + 1, self.merge_fields[tag]
        body = {
            "merge_id": number,
            "tag": tag,
            "name": self.merge_names.get(tag, tag),
            "type": type_,
            "required": False,
            "default_value": "",
        }
        rest = {"public": False, "display_order": number, "options": {}, "help_text": ""}
        return {**body, **rest, "list_id": AUDIENCE_ID}

    def forget(self, key: str) -> None:
        """Delete for good: the address can never be imported again."""
        member = self.members.pop(key)
        self.forgotten.add(key)
        for status in [status for status, order in self.orders.items() if key in order]:
            self._leave(key, status)
        for number in member.tags:
            self.segments[number].members.pop(key, None)

    def lose(self, key: str) -> Callable[[], None]:
        """Delete a member for good; returns what brings it back."""
        member = self.members[key]
        self.forget(key)

        def back() -> None:
            self.forgotten.discard(key)
            self.members[key] = member
            self.touch(key, member.changed)
            for number in member.tags:
                self.segments[number].members[key] = None

        return back

    def named(self, name: str) -> Segment | None:
        """The segment of that name, whatever its case."""
        return next((one for one in self.segments.values() if one.name.lower() == name.lower()), None)

    def add_segment(self, name: str, now: datetime) -> Segment:
        """A new, empty segment."""
        self._segment_id += 1  # never the id of one that was deleted
        segment = Segment(self._segment_id, name, now, now)
        self.segments[segment.id] = segment
        return segment

    def drop_segment(self, segment: Segment) -> None:
        """Delete a segment; nobody carries the tag afterwards."""
        for key in segment.members:
            self.members[key].tags.pop(segment.id, None)
        del self.segments[segment.id]

    def tag(self, key: str, name: str, now: datetime) -> None:
        """Tag a member, creating the tag if need be."""
        self.join(key, self.named(name) or self.add_segment(name, now), now)

    def join(self, key: str, segment: Segment, now: datetime) -> bool:
        """Put a member into a segment; False if it was in already."""
        if key in segment.members:
            return False
        segment.members[key] = None
        segment.updated = now
        self.members[key].tags[segment.id] = segment.name
        self.touch(key, now)
        return True

    def part(self, key: str, segment: Segment, now: datetime) -> bool:
        """Take a member out of a segment; False if it was not in."""
        if key not in segment.members:
            return False
        del segment.members[key]
        segment.updated = now
        self.members[key].tags.pop(segment.id, None)
        self.touch(key, now)
        return True

    def summary(self) -> dict[str, Any]:
        """The audience as `/lists` shows it, without its links."""
        last = self.orders["subscribed"].pairs
        return {
            "id": AUDIENCE_ID,
            "web_id": 100001,
            "name": AUDIENCE_NAME,
            "permission_reminder": "You signed up on our website.",
            "use_archive_bar": True,
            "campaign_defaults": {"from_name": "Acme", "from_email": "a@acme.example", "subject": "", "language": "en"},
            "notify_on_subscribe": "",
            "notify_on_unsubscribe": "",
            "date_created": "2024-01-15T09:00:00+00:00",
            "list_rating": 3,
            "email_type_option": False,
            "beamer_address": "us1-demo@inbound.example",
            "visibility": "prv",
            "double_optin": False,
            "has_welcome": False,
            "marketing_permissions": False,
            "modules": [],
            "stats": {
                "member_count": len(self.orders["subscribed"]),
                "unsubscribe_count": len(self.orders["unsubscribed"]),
                "cleaned_count": len(self.orders["cleaned"]),
                "campaign_count": 0,
                "merge_field_count": len(self.merge_fields),
                "last_sub_date": stamp(last[-1][0]) if last else "",
                "last_unsub_date": "",
            },
        }


def numbers_of(key: str) -> tuple[int, str, str]:
    """The other ids Mailchimp gives a member: web_id, unique_email_id, contact_id."""
    return 400_000_000 + zlib.crc32(key.encode()) % 99_999_999, key[:10], hash_of(f"contact/{key}")


def projected(body: Mapping[str, Any], query: Mapping[str, str]) -> Mapping[str, Any]:
    """The body with only the `fields` asked for, or without the `exclude_fields`; both are dotted paths."""
    for name, is_kept in (("fields", True), ("exclude_fields", False)):
        if query.get(name):
            body = _cut(body, [path.split(".") for path in query[name].split(",")], is_kept)
    return body


def _cut(value: Any, paths: list[list[str]], is_kept: bool) -> Any:
    if isinstance(value, list):
        return [_cut(one, paths, is_kept) for one in value]
    if not isinstance(value, Mapping):
        return value
    cut: dict[str, Any] = {}
    for key, inner in value.items():
        below = [path[1:] for path in paths if path[0] == key]
        if [] in below or not below:
            if bool(below) == is_kept:
                cut[key] = inner
        else:
            cut[key] = _cut(inner, below, is_kept)
    return cut


def _is_listed(member: Member, status: str) -> bool:
    return member.status == status or (status == ALL and member.status != "archived")


def _moment(value: str | None) -> datetime | None:
    if not value:
        return None
    try:
        moment = datetime.fromisoformat(value.replace(" ", "+"))
    except ValueError:
        raise Problem(f"'{value}' is not an ISO 8601 time.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
