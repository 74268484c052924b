"""The simulated vendors as their own people see them: who is there, who carries a flag, what went wrong."""

from __future__ import annotations

import json
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from include.simulate.people import Population
from include.simulate.server import connections

MAILCHIMP = {"Authorization": "Basic " + b64encode(b"any:demo-us1").decode()}
ZENDESK = {"Authorization": "Basic " + b64encode(b"agent@acme.example/token:zd-demo").decode()}
HUBSPOT = {"Authorization": "Bearer pat-demo"}


PEOPLE, SEED = 1200, 7
NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Simulator:
    """The simulator's process."""

    port: int
    folder: Path

    @cached_property
    def population(self) -> Population:
        """The same people as in the process: the same number, seed and time give the same world."""
        return Population.generate(PEOPLE, SEED, NOW)

    def call(self, method: str, path: str, headers: dict[str, str] | None = None, body: Any = None) -> Any:
        url = path if path.startswith("http") else f"http://127.0.0.1:{self.port}{path}"
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **(headers or {})}
        request = urllib.request.Request(url, data, sent, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            raw = answer.read()
        return json.loads(raw) if raw else None

    def stats(self, vendor: str) -> dict[str, int]:
        found: dict[str, int] = self.call("GET", "/_control/stats")[vendor]
        return found

    def reset_stats(self) -> None:
        self.call("POST", "/_control/reset_stats")

    def faults(self, vendor: str, **faults: Any) -> None:
        self.call("POST", "/_control/faults", body={vendor: faults})

    def no_faults(self) -> None:
        self.call("DELETE", "/_control/faults")

    def connections(self) -> dict[str, str]:
        return connections(self.port, self.folder)


@dataclass(frozen=True)
class Seen:
    """One destination, looked at from the vendor's side.

    Args:
        option: what the header names, with `{}` for the tag or field of a test.
        people: rows of `marts.customers` for people whom the vendor knows, each with the vendor's own address.
        flagged: the addresses that carry a tag or field now.
        flag_by_hand: what somebody does in the vendor's own screens.
        makes: calls that make the tag or field.
        batch: a smaller batch than the vendor's, where the population does not fill two of those.
        most: people enough for what needs several calls.
        make_by_hand: makes the field where only the vendor's own screens can.
    """

    option: str
    people: Callable[[Simulator], list[dict[str, Any]]]
    flagged: Callable[[Simulator, str], set[str]]
    flag_by_hand: Callable[[Simulator, str, str], None]
    makes: int = 1
    batch: int | None = None
    most: int = 250
    make_by_hand: Callable[[Simulator, str], None] | None = None


def mailchimp_members(simulator: Simulator) -> Iterator[dict[str, Any]]:
    number = audience(simulator)
    offset = 0
    while True:
        path = f"/mailchimp/3.0/lists/{number}/members?count=1000&offset={offset}"
        page = simulator.call("GET", path, MAILCHIMP)["members"]
        yield from page
        offset += len(page)
        if len(page) < 1000:
            return


def audience(simulator: Simulator) -> str:
    return str(simulator.call("GET", "/mailchimp/3.0/lists", MAILCHIMP)["lists"][0]["id"])


def _mailchimp_people(simulator: Simulator) -> list[dict[str, Any]]:
    return [
        {
            "email_marketing_address": member["email_address"].lower(),
            "mailchimp_member_id": member["id"],
            "mailchimp_list_id": member["list_id"],
            "has_email_marketing_consent": True,
            "email": member["email_address"].lower(),
        }
        for member in mailchimp_members(simulator)
        if member["status"] == "subscribed"
    ]


def mailchimp_tag(simulator: Simulator, name: str) -> str | None:
    path = f"/mailchimp/3.0/lists/{audience(simulator)}/segments"
    found = simulator.call("GET", f"{path}?count=1000", MAILCHIMP)["segments"]
    return next((f"{path}/{segment['id']}" for segment in found if segment["name"] == name), None)


def _mailchimp_flagged(simulator: Simulator, name: str) -> set[str]:
    path = mailchimp_tag(simulator, name)
    if path is None:
        return set()
    found: set[str] = set()
    offset = 0
    while True:
        page = simulator.call("GET", f"{path}/members?count=1000&offset={offset}", MAILCHIMP)["members"]
        found |= {member["email_address"].lower() for member in page}
        if len(page) < 1000:
            return found
        offset += 1000


def _mailchimp_by_hand(simulator: Simulator, name: str, address: str) -> None:
    path = mailchimp_tag(simulator, name)
    if path is None:
        body = {"name": name, "static_segment": [address]}
        simulator.call("POST", f"/mailchimp/3.0/lists/{audience(simulator)}/segments", MAILCHIMP, body)
    else:
        simulator.call("POST", path, MAILCHIMP, {"members_to_add": [address]})


def _zendesk_users(simulator: Simulator) -> Iterator[dict[str, Any]]:
    path: str | None = "/zendesk/api/v2/users?page[size]=100"
    while path:
        page = simulator.call("GET", path, ZENDESK)
        yield from page["users"]
        path = page["links"]["next"]


def _zendesk_people(simulator: Simulator) -> list[dict[str, Any]]:
    return [
        {"zendesk_user_id": str(user["id"]), "email": user["email"]}
        for user in _zendesk_users(simulator)
        if user["role"] == "end-user" and user["email"]
    ]


def _zendesk_flagged(simulator: Simulator, name: str) -> set[str]:
    return {str(user["id"]) for user in _zendesk_users(simulator) if user["user_fields"].get(name) is True}


def _zendesk_by_hand(simulator: Simulator, name: str, address: str) -> None:
    body = {"user": {"user_fields": {name: True}}}
    simulator.call("PUT", f"/zendesk/api/v2/users/{address}", ZENDESK, body)


def _hubspot_contacts(simulator: Simulator, name: str = "email") -> Iterator[dict[str, Any]]:
    path: str | None = f"/hubspot/crm/v3/objects/contacts?limit=100&properties=email,{name}"
    while path:
        page = simulator.call("GET", path, HUBSPOT)
        yield from page["results"]
        after = page.get("paging", {}).get("next", {}).get("after")
        base = f"/hubspot/crm/v3/objects/contacts?limit=100&properties=email,{name}"
        path = f"{base}&after={after}" if after else None


def _hubspot_people(simulator: Simulator) -> list[dict[str, Any]]:
    return [
        {"hubspot_contact_id": contact["id"], "email": contact["properties"]["email"]}
        for contact in _hubspot_contacts(simulator)
        if contact["properties"]["email"]
    ]


def _hubspot_flagged(simulator: Simulator, name: str) -> set[str]:
    found = _hubspot_contacts(simulator, name)
    return {contact["id"] for contact in found if contact["properties"].get(name) == "true"}


def _hubspot_by_hand(simulator: Simulator, name: str, address: str) -> None:
    body = {"properties": {name: "true"}}
    simulator.call("PATCH", f"/hubspot/crm/v3/objects/contacts/{address}", HUBSPOT, body)


FIRST = {
    "mailchimp_tag": Seen("tag: {}", _mailchimp_people, _mailchimp_flagged, _mailchimp_by_hand),
    "zendesk_user": Seen("field: {}", _zendesk_people, _zendesk_flagged, _zendesk_by_hand),
    "hubspot_contact": Seen("field: {}", _hubspot_people, _hubspot_flagged, _hubspot_by_hand),
}
