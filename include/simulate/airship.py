"""Airship: channels of apps, browsers and mail, and the named users they belong to at the moment."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar

from starlette.responses import Response

from include.simulate.limits import Clock, SlidingWindow
from include.simulate.names import random_uuid
from include.simulate.people import Person, Population
from include.simulate.vendor import Call, Refused, Route, Vendor, new_id, read, write

KEY, SECRET = "demoAppKey000000000000", "demoMasterSecret000000"
PER_SECOND = 100
NAMED_USERS_A_PAGE, NAMED_USERS_A_CALL = 100, 1000
TAG_GROUPS = ("crm", "stitchline")
PHONES = ("ios", "android")
MEDIA_TYPE = "application/vnd.urbanairship+json; version=3"


@dataclass(slots=True)
class AirshipChannel:
    """An app on a phone, a browser or an address; `person_id` is whose it is, None for a family's tablet."""

    person_id: int | None
    id: str
    device_type: str
    named_user_id: str | None
    is_installed: bool
    has_opted_in: bool
    created_at: datetime
    registered_at: datetime


def make_channels(population: Population, now: datetime) -> dict[str, AirshipChannel]:
    """Channels by id as they are at `now`; the same population gives the same ones."""
    rng = random.Random(f"{population.seed}/airship")
    made: list[AirshipChannel] = []
    families: dict[int, list[Person]] = {}
    for person in population.people:
        if person.household is not None:
            families.setdefault(person.household, []).append(person)
        if rng.random() < 0.3:
            kinds = [
                rng.choice(PHONES),
                *(["web"] if rng.random() < 0.2 else []),
                *(["email"] if person.user_id else []),
            ]
            made += [_channel(rng, person.person_id, kind, person.user_id, now) for kind in kinds]
    for members in families.values():
        # The tablet's app belongs to whoever of the family signed in last.
        named = [person.user_id for person in members if person.user_id]
        if named:
            made.append(_channel(rng, None, "ios", rng.choice(named), now))
    return {channel.id: channel for channel in sorted(made, key=lambda channel: channel.id)}


def _channel(rng: random.Random, who: int | None, kind: str, user_id: str | None, now: datetime) -> AirshipChannel:
    created = now - timedelta(seconds=round(rng.uniform(40, 300) * 86_400))
    registered = created + timedelta(seconds=round((now - created).total_seconds() * rng.uniform(0, 0.99)))
    # Mail is sent to those who signed in only; an app is also used without.
    named = user_id if kind == "email" or rng.random() < 0.75 else None
    return AirshipChannel(
        who, random_uuid(rng), kind, named, rng.random() < 0.9, rng.random() < 0.7, created, registered
    )


class Airship(Vendor):
    """One project."""

    name = "airship"
    media_type = MEDIA_TYPE
    retyped_fields: ClassVar[Mapping[str, str]] = {"channel": "device_type", "named_user": "created"}

    def __init__(self, population: Population, clock: Clock, *, unlimited: bool = False) -> None:
        super().__init__(population, clock, unlimited=unlimited)
        self._began = population.now
        self._tags: dict[str, dict[str, set[str]]] = {}
        self._second = SlidingWindow(PER_SECOND, 1, clock)

    @cached_property
    def channels(self) -> dict[str, AirshipChannel]:
        """Channels by id, with true owners."""
        return make_channels(self.population, self._began)

    def routes(self) -> list[Route]:
        """The two lists, and who a channel belongs to."""
        return [
            read("/api/channels", self._list_channels),
            read("/api/channels/{id}", self._get_channel),
            read("/api/named_users", self._list_named_users),
            write("POST", "/api/named_users/associate", self._associate),
            write("POST", "/api/named_users/tags", self._change_tags),
            write("POST", "/api/named_users/disassociate", self._associate),
        ]

    def normalised(self, path: str) -> str:
        """With and without a slash at the end."""
        return path.rstrip("/")

    def accepts(self, call: Call) -> bool:
        """App key and master secret."""
        return call.basic() == (KEY, SECRET)

    def refuse(self, call: Call) -> Response:
        """401."""
        return self._error(401, 40101, "Unauthorized")

    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """429."""
        response = self._error(429, 42901, "Rate limit exceeded")
        response.headers["Retry-After"] = str(retry_after if retry_after is not None else 1)
        return response

    def broken(self, call: Call) -> Response:
        """500."""
        return self._error(500, 50001, "Internal server error")

    def missing(self, call: Call) -> Response:
        """404."""
        return self._error(404, 40401, "Not found")

    def malformed(self, call: Call) -> Response:
        """400."""
        return self._error(400, 40000, "Could not parse request body")

    def limit(self, call: Call, in_flight: int) -> Response | None:
        """No limit is published; this one is far above what one client needs."""
        return None if self._second.take().allowed else self.too_many(call, None)

    def continues(self, call: Call) -> bool:
        """A list that starts somewhere."""
        return "start" in call.query

    def grow(self, recovered: Sequence[int]) -> None:
        """A tablet's app is signed in by another member of the family; none of its dates changes."""
        if "channels" not in vars(self):
            return  # nobody has looked yet
        homes: dict[str, list[str]] = {}
        for person in self.population.people:
            if person.household is not None and person.user_id:
                homes.setdefault(person.devices[-1], []).append(person.user_id)
        following = {
            one: other
            for members in homes.values()
            for one, other in zip(members, [*members[1:], members[0]], strict=True)
            if one != other
        }
        for channel in self.channels.values():
            if channel.person_id is None and channel.named_user_id in following:
                channel.named_user_id = following[channel.named_user_id]

    def lose(self, stream: str, key: str) -> Callable[[], None]:
        """A named user; the channels stay."""
        held = [one for one in self.channels.values() if stream == "named_users" and one.named_user_id == key]
        if not held:
            raise KeyError(key)

        def name(user: str | None) -> None:
            for channel in held:
                channel.named_user_id = user

        name(None)
        return lambda: name(key)

    def _list_channels(self, call: Call) -> Response:
        size = call.int_query("limit", 1000)
        if size is None or not 1 <= size <= 1000:
            raise Refused(self._error(400, 40001, "limit must be 1 to 1000"))
        found = list(self.channels)
        at = bisect_right(found, call.query["start"]) if "start" in call.query else 0
        page = [self._shown(self.channels[number]) for number in found[at : at + size]]
        return self._page(call, "channels", page, found[at : at + size], at + size < len(found), f"&limit={size}")

    def _list_named_users(self, call: Call) -> Response:
        held: dict[str, list[AirshipChannel]] = {}
        for channel in self.channels.values():
            if channel.named_user_id is not None:
                held.setdefault(channel.named_user_id, []).append(channel)
        if "id" in call.query:
            if call.query["id"] not in held:
                raise Refused(self.missing(call))
            return self.reply({"ok": True, "named_user": self._named_user(call.query["id"], held)})
        found = sorted(held)
        at = bisect_right(found, call.query["start"]) if "start" in call.query else 0
        names = found[at : at + NAMED_USERS_A_PAGE]
        page = [self._named_user(name, held) for name in names]
        return self._page(call, "named_users", page, names, at + len(names) < len(found), "")

    def _page(self, call: Call, what: str, page: list[Any], keys: list[str], has_more: bool, more: str) -> Response:
        address = {"next_page": f"{call.base}{call.path}?start={keys[-1]}{more}"} if has_more else {}
        return self.reply({"ok": True, what: page, **address})

    def _get_channel(self, call: Call) -> Response:
        channel = self.channels.get(call.params["id"])
        if channel is None:
            raise Refused(self.missing(call))
        return self.reply({"ok": True, "channel": self._shown(channel)})

    def _associate(self, call: Call) -> Response:
        asked = self.json(call)
        channel = self.channels.get(str(asked.get("channel_id")))
        if channel is None:
            raise Refused(self._error(400, 40001, "channel_id does not exist"))
        channel.named_user_id = None if call.path.endswith("/disassociate") else str(asked.get("named_user_id"))
        return self.reply({"ok": True})

    def _tags_of(self, name: str) -> dict[str, set[str]]:
        return {"crm": {"customer"}, **self._tags.get(name, {})}

    @cached_property
    def _emails(self) -> dict[str, str]:
        return {person.user_id: person.emails[0] for person in self.population.people if person.user_id}

    def _change_tags(self, call: Call) -> Response:
        asked = self.json(call)
        names = (asked.get("audience") or {}).get("named_user_id") or []
        if not 1 <= len(names) <= NAMED_USERS_A_CALL or not asked.keys() & {"add", "remove"}:
            raise Refused(self._error(400, 40001, f"an audience has 1 to {NAMED_USERS_A_CALL} named users"))
        if any(self.rejects(self._emails.get(name)) for name in names):
            raise Refused(self._error(400, 40001, "a named user is not valid"))
        unknown = [group for how in ("add", "remove") for group in asked.get(how, {}) if group not in TAG_GROUPS]
        if unknown:
            return self.reply({"ok": True, "warnings": [f"The following tag groups do not exist: {unknown[0]}"]})
        for name in names:
            held = self._tags.setdefault(name, {})
            for group, tags in asked.get("add", {}).items():
                held.setdefault(group, set()).update(tags)
            for group, tags in asked.get("remove", {}).items():
                held.setdefault(group, set()).difference_update(tags)
        return self.reply({"ok": True})

    def _named_user(self, name: str, held: Mapping[str, list[AirshipChannel]]) -> dict[str, Any]:
        channels = held[name]
        return self.drifted(
            "named_user",
            {
                "named_user_id": name,
                "created": _stamp(min(channel.created_at for channel in channels)),
                "last_modified": _stamp(max(channel.registered_at for channel in channels)),
                "tags": {group: sorted(tags) for group, tags in self._tags_of(name).items()},
                "attributes": {},
                "channels": [_record(channel) for channel in channels],
            },
        )

    def _shown(self, channel: AirshipChannel) -> dict[str, Any]:
        return self.drifted("channel", {**_record(channel), "named_user_id": channel.named_user_id})

    def _error(self, status: int, code: int, message: str) -> Response:
        body = {"ok": False, "error": message, "error_code": code, "operation_id": new_id(), "details": {}}
        return self.reply(body, status)


def _record(channel: AirshipChannel) -> dict[str, Any]:
    return {
        "channel_id": channel.id,
        "device_type": channel.device_type,
        "installed": channel.is_installed,
        "opt_in": channel.has_opted_in,
        "background": channel.device_type == "ios",
        "push_address": None,
        "created": _stamp(channel.created_at),
        "last_registration": _stamp(channel.registered_at),
        "alias": None,
        "tags": [],
        "tag_groups": {},
    }


def _stamp(at: datetime) -> str:
    """UTC without saying so."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
