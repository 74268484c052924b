"""Evidence for the identity tests: a few rows written by hand, or everything a simulated population leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from include.run import Run
from include.simulate.people import Population
from include.warehouse.duckdb import DuckDBEngine
from include.warehouse.engine import Engine
from include.warehouse.identity.evidence import CHANGED_EVENTS
from include.warehouse.identity.generation import lay_people
from include.warehouse.identity.kinds import DEFAULT, Limits
from include.warehouse.identity.nodes import fill
from include.warehouse.identity.normalize import normalized
from include.warehouse.identity.overrides import Overrides
from include.warehouse.identity.stitch import StitchSummary, stitch
from include.warehouse.identity.tables import TOUCHED

START = datetime(2026, 1, 1, tzinfo=UTC)
Identifier = tuple[str, str]
_IN_LINKS = {"email": "email", "utm_email": "email", "eh": "email_sha256"}

FACTS = {
    "rule": "STRING",
    "left_kind": "STRING",
    "left_value": "STRING",
    "right_kind": "STRING",
    "right_value": "STRING",
    "is_inferred": "BOOL",
    "seq": "INT64",
    "ts": "TIMESTAMP",
}
CARRIED = {"event_id": "STRING", "ts": "TIMESTAMP", "seq": "INT64", "kind": "STRING", "value": "STRING"}
NAMES = {"kind": "STRING", "value": "STRING", "first_name": "STRING", "last_name": "STRING"}


@dataclass
class World:
    """What a test knows of the world; `stitch` writes it into a fresh generation and stitches it."""

    facts: list[dict[str, Any]] = field(default_factory=list)
    occurrences: list[dict[str, Any]] = field(default_factory=list)
    names: list[dict[str, Any]] = field(default_factory=list)
    overrides: Overrides = field(default_factory=Overrides)
    engine: DuckDBEngine = field(default_factory=DuckDBEngine.in_memory)
    clock: int = 0
    runs: int = 0

    def see(
        self, *identifiers: Identifier, seq: int | None = None, inferred: bool = False, rule: str = "record"
    ) -> None:
        """One record that carries all of the identifiers, in a load of its own."""
        self.clock += 1
        at = START + timedelta(minutes=self.clock)
        self._facts(identifiers, seq or self.clock, at, inferred, rule)

    def event(
        self, event_id: str, *identifiers: Identifier, minute: float | None = None, seq: int | None = None
    ) -> None:
        """One event on the website that carries all of the identifiers."""
        self.clock += 1
        at = START + timedelta(minutes=self.clock if minute is None else minute)
        self._facts(identifiers, seq or self.clock, at, False, "same_event")
        self.occurrences += [
            {"event_id": event_id, "ts": at, "seq": seq or self.clock, "kind": k, "value": v} for k, v in identifiers
        ]

    def call(self, identifier: Identifier, first_name: str, last_name: str | None = None) -> None:
        """The name on a record."""
        self.names.append(
            {"kind": identifier[0], "value": identifier[1], "first_name": first_name, "last_name": last_name}
        )

    def _facts(self, identifiers: Iterable[Identifier], seq: int, at: datetime, inferred: bool, rule: str) -> None:
        listed = list(identifiers)
        pairs = [(left, right) for number, left in enumerate(listed) for right in listed[number + 1 :]]
        for left, right in pairs or [(listed[0], (None, None))]:
            self.facts.append(
                {
                    "rule": rule,
                    "left_kind": left[0],
                    "left_value": left[1],
                    "right_kind": right[0],
                    "right_value": right[1],
                    "is_inferred": inferred,
                    "seq": seq,
                    "ts": at,
                }
            )

    def stitch(
        self, previous: str | None = None, limits: Limits = DEFAULT, upto: int | None = None, space: str = ""
    ) -> tuple[Engine, StitchSummary]:
        """Stitch what was seen (`upto` a load) into a new generation."""
        run, engine = self._next()
        evidence, occurrences = self._write(engine, space, 0, upto)
        engine.execute(f"CREATE OR REPLACE TABLE identity.evidence AS {evidence}")
        engine.execute(f"CREATE OR REPLACE TABLE identity.occurrences AS {occurrences}")
        engine.ensure([TOUCHED, CHANGED_EVENTS])
        return engine, stitch(engine, run, previous, self.overrides, limits, space)

    def lay(
        self, previous: str, base: str, since: int, limits: Limits = DEFAULT, upto: int | None = None, space: str = ""
    ) -> Engine | None:
        """Lay what was seen after load `since` on an earlier generation; None where a whole one is asked for."""
        run, engine = self._next()
        evidence, occurrences = self._write(engine, space, since, upto)
        self.engine.execute(f"CREATE OR REPLACE TABLE scratch.new_evidence AS {evidence}")
        self.engine.execute(f"CREATE OR REPLACE TABLE scratch.new_occurrences AS {occurrences}")
        self.engine.execute(
            "CREATE OR REPLACE TABLE scratch.changed_events AS "
            "SELECT DISTINCT event_id FROM scratch.new_occurrences AS o"
        )
        self.engine.execute(
            "CREATE OR REPLACE TABLE scratch.unsettled AS SELECT kind, value FROM scratch.new_occurrences WHERE FALSE"
        )
        stack = 1 + self.runs % 3
        laid = lay_people(
            self.engine, run, previous, base, self.overrides, limits, space, most_touched=99, most_layers=stack
        )
        return engine if laid else None

    def _next(self) -> tuple[Run, Engine]:
        self.runs += 1
        run = Run(f"r{self.runs}", START + timedelta(days=400 + self.runs), "unify", f"r{self.runs}")
        return run, self.engine.at(run.run_id)

    def _write(self, engine: Engine, space: str, since: int, upto: int | None) -> tuple[str, str]:
        """SELECTs of the evidence and the occurrences of a window of loads; names are there from the start."""
        fill(engine, "scratch.given_facts", FACTS, self.facts)
        fill(engine, "scratch.given_occurrences", CARRIED, self.occurrences)
        fill(engine, "scratch.given_names", NAMES, self.names)
        value = normalized("kind", "value")
        engine.execute(
            f"""CREATE OR REPLACE TABLE identity.names AS
            SELECT kind, CONCAT(@space, {value}) AS value, first_name, last_name FROM scratch.given_names AS n""",
            {"space": space},
        )
        # Inferred evidence is asked for anew each time.
        evidence = f"""SELECT rule, left_kind, left_value, IF(right_value IS NULL, NULL, right_kind) AS right_kind,
              right_value, is_inferred,
              MIN(seq) AS first_seq, MIN(ts) AS first_seen_at, MAX(ts) AS last_seen_at, COUNT(*) AS occurrences,
              'test' AS source, 'key' AS record_key
            FROM (
              SELECT rule, left_kind, CONCAT('{space}', {normalized("left_kind", "left_value")}) AS left_value,
                right_kind, CONCAT('{space}', {normalized("right_kind", "right_value")}) AS right_value, is_inferred,
                seq, ts
              FROM scratch.given_facts AS f WHERE seq <= {upto or 10**9} AND (seq > {since} OR is_inferred)
            ) AS f
            WHERE left_value IS NOT NULL
            GROUP BY rule, left_kind, left_value, right_kind, right_value, is_inferred"""
        occurrences = f"""SELECT * FROM (
              SELECT event_id, ts, kind, CONCAT('{space}', {value}) AS value FROM scratch.given_occurrences AS o
              WHERE seq <= {upto or 10**9} AND seq > {since}
            ) AS o
            WHERE value IS NOT NULL"""
        return evidence, occurrences


class People:
    """The answer of a stitching, in the words of a test."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        rows = engine.query("SELECT kind, value, customer_id, is_inferred FROM identity.identifiers AS i")
        self.ids: dict[Identifier, str] = {(row["kind"], row["value"]): row["customer_id"] for row in rows}
        self.inferred = {(row["kind"], row["value"]) for row in rows if row["is_inferred"]}
        self.events: dict[str, str] = {
            row["event_id"]: row["customer_id"]
            for row in engine.query("SELECT event_id, customer_id FROM identity.events AS e")
        }
        self.blocked: dict[Identifier, str] = {
            (row["kind"], row["value"]): row["reason"]
            for row in engine.query("SELECT kind, value, reason FROM identity.blocked_values AS b")
        }

    def same(self, *identifiers: Identifier) -> bool:
        return len({self.ids[one] for one in identifiers}) == 1


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.engine.connection.close()


@pytest.fixture(scope="session")
def people_of() -> Callable[[Engine], People]:
    return People


@pytest.fixture(scope="session")
def new_world() -> Callable[[], World]:
    return World


@pytest.fixture(scope="session")
def world_of() -> Callable[[Population], World]:
    return record


def record(population: Population) -> World:
    """Write down what the tools' records and the website's events of a population show."""
    world = World()

    def see(rule: str, at: datetime, *pairs: tuple[str, str | None]) -> None:
        present = [(kind, value) for kind, value in pairs if value]
        for right in present[1:] or [None]:
            world._facts([present[0], right] if right else [present[0]], _seq(at), at, False, rule)

    def call(kind: str, value: str, name: str) -> None:
        first, _, last = name.partition(" ")
        if first:
            world.call((kind, value), first, last or None)

    for member in population.mailchimp_members:
        own = f"main/{member.email.lower()}"
        see("mailchimp_member", member.changed_at, ("mailchimp_member_id", own), ("email", member.email))
        call("mailchimp_member_id", own, f"{member.first_name} {member.last_name}")
    for contact in population.hubspot_contacts:
        own = f"main/{contact.id}"
        more = [("email", email) for email in contact.additional_emails]
        more += [("hubspot_contact_id", f"main/{merged}") for merged in contact.merged_ids]
        see(
            "hubspot_contact",
            contact.updated_at,
            ("hubspot_contact_id", own),
            ("email", contact.email),
            ("phone", contact.phone),
            *more,
        )
        call("hubspot_contact_id", own, f"{contact.firstname} {contact.lastname}")
    by_name: dict[str, list[str]] = {}
    for contact in population.hubspot_contacts:
        by_name.setdefault(f"{contact.firstname} {contact.lastname}".lower(), []).append(f"main/{contact.id}")
    for user in population.zendesk_users:
        own = f"main/{user.id}"
        see(
            "zendesk_user",
            user.updated_at,
            ("zendesk_user_id", own),
            ("email", user.email),
            ("phone", user.phone),
            ("user_id", user.external_id),
        )
        call("zendesk_user_id", own, user.name)
        if not user.email and not user.external_id:
            for other in by_name.get(user.name.lower(), []):
                world._facts(
                    [("zendesk_user_id", own), ("hubspot_contact_id", other)],
                    _seq(user.updated_at),
                    user.updated_at,
                    True,
                    "name",
                )
    for customer in population.stripe_customers:
        own, account = f"main/{customer.id}", customer.metadata.get("user_id")
        see(
            "stripe_customer",
            customer.created_at,
            ("stripe_customer_id", own),
            ("email", customer.email),
            ("phone", customer.phone),
            ("user_id", account),
        )
        call("stripe_customer_id", own, customer.name)
    occur = world.occurrences
    for booking in population.calendly_bookings:
        own, at = f"main/{booking.invitee_uuid}", booking.created_at
        carried = (
            ("calendly_invitee", own),
            ("email", booking.email),
            ("anonymous_id", booking.utm_term),
            ("phone", booking.phone),
        )
        see("calendly_invitee", at, *carried)
        call("calendly_invitee", own, booking.name)
        occur += [
            {"event_id": f"calendly/{booking.invitee_uuid}", "ts": at, "seq": _seq(at), "kind": kind, "value": value}
            for kind, value in carried[:3]
            if value
        ]
    for charge in population.stripe_charges:
        occur.append(
            {
                "event_id": f"stripe/{charge.id}",
                "ts": charge.created_at,
                "seq": _seq(charge.created_at),
                "kind": "stripe_customer_id",
                "value": f"main/{charge.customer_id}",
            }
        )
    for ticket in population.zendesk_tickets:
        occur.append(
            {
                "event_id": f"zendesk/{ticket.id}",
                "ts": ticket.created_at,
                "seq": _seq(ticket.created_at),
                "kind": "zendesk_user_id",
                "value": f"main/{ticket.requester_id}",
            }
        )
    for event in population.web_events:
        carried_here: list[tuple[str, str | None]] = [("anonymous_id", event.anonymous_id), ("user_id", event.user_id)]
        if event.kind == "identify":
            carried_here.append(("email", event.properties.get("email")))
            if event.properties.get("name"):
                for kind, value in carried_here[1:]:
                    if value:
                        call(kind, value, event.properties["name"])
        in_link = [
            (_IN_LINKS[name], value) for name, value in parse_qsl(urlsplit(event.url or "").query) if name in _IN_LINKS
        ]
        occur += [
            {
                "event_id": f"segment/{event.event_id}",
                "ts": event.ts,
                "seq": _seq(event.ts),
                "kind": kind,
                "value": value,
            }
            for kind, value in (*carried_here, *in_link)
            if value
        ]
        if event.kind == "identify" and event.user_id:
            see("segment_user_email", event.ts, ("user_id", event.user_id), ("email", event.properties.get("email")))
            see("segment_login", event.ts, ("user_id", event.user_id), ("anonymous_id", event.anonymous_id))
        else:
            see("segment_event", event.ts, *carried_here)
        for kind, value in in_link:
            see("link", event.ts, ("anonymous_id", event.anonymous_id), (kind, value))
    return world


def _seq(at: datetime) -> int:
    """A load a day."""
    return (at - datetime(2020, 1, 1, tzinfo=UTC)).days
