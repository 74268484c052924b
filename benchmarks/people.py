"""How right an answer to "who is who" is: an invented company's events as one CSV, stitched in five ways.

The world comes from `include/simulate` with the rates it has there: families on one tablet, public kiosks, teams'
inboxes, placeholders typed into forms, devices that never say whose they are. Its truth scores pairs of events.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import duckdb

from include.settings import ROOT
from include.simulate.people import Population
from include.simulate.truth import Score, score
from include.warehouse.duckdb import DuckDBEngine
from include.warehouse.identity.components import components
from include.warehouse.identity.kinds import kind_of_column
from include.warehouse.identity.normalize import normalized

NOW = datetime(2026, 6, 1, tzinfo=UTC)
VISIT = timedelta(minutes=30)
"""A silence after which somebody else may stand at a kiosk."""
KINDS = (
    "anonymous_id",
    "user_id",
    "email",
    "email_sha256",
    "phone",
    "hubspot_contact_id",
    "mailchimp_member_id",
    "zendesk_user_id",
    "stripe_customer_id",
    "calendly_invitee",
)
HEADER = ("event_id", "ts", *KINDS, "first_name", "last_name")
IN_LINKS = {"email": "email", "utm_email": "email", "eh": "email_sha256"}
Assignment = dict[str, str | None]


@dataclass(frozen=True)
class Result:
    """One way's answer.

    Attributes:
        way: which.
        score: against the truth.
        took: from the CSV to an answer for every event, in words.
        strangers: most visits of different people, none of whom said who they are, put into one invented person.
    """

    way: str
    score: Score
    took: str
    strangers: int

    def __str__(self) -> str:
        found = self.score
        best = 2 * found.oracle_recall / (1 + found.oracle_recall)
        return (
            f"{self.way}: precision {found.precision:.4f}, recall {found.recall:.4f}, F1 {found.f1:.4f}, "
            f"{found.f1 / best:.3f} of the oracle's {best:.4f}, {len(found.wrong_merges):,} wrong merges, "
            f"at most {found.most_people_per_person:,} people in one, "
            f"{self.strangers} strangers' visits pooled, {self.took}"
        )


def measure(people: int, seed: int, ways: list[str], folder: Path, tell: Callable[[str], None]) -> list[Result]:
    """Some ways on the world of one seed."""
    population = Population.generate(people, seed, NOW)
    file = folder / "events.csv"
    rows = write(population, file)
    tell(f"seed {seed}: {rows:,} rows of {people:,} people, {file.stat().st_size / 1e6:.0f} MB")
    results = []
    for way in ways:
        began = time.perf_counter()
        assignment, said = WAYS[way](file)
        took = said or f"{time.perf_counter() - began:.1f} s"
        results.append(Result(way, score(population, assignment), took, _strangers(population, assignment)))
        tell(str(results[-1]))
    return results


def write(population: Population, file: Path) -> int:
    """Write every record and event as a line with the identifiers it carries; returns how many lines."""
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(HEADER)
        lines = 0
        for event_id, at, carried, name in _lines(population):
            first, _, last = name.partition(" ")
            writer.writerow([event_id, at.isoformat(), *(carried.get(kind, "") for kind in KINDS), first, last])
            lines += 1
    return lines


def _lines(population: Population) -> Iterator[tuple[str, datetime, dict[str, str | None], str]]:
    for member in population.mailchimp_members:
        own = {"mailchimp_member_id": member.email.lower(), "email": member.email, "phone": member.phone}
        yield f"record/m{member.email}", member.changed_at, own, f"{member.first_name} {member.last_name}"
    for contact in population.hubspot_contacts:
        name = f"{contact.firstname} {contact.lastname}"
        for number, email in enumerate((contact.email, *contact.additional_emails)):
            own = {"hubspot_contact_id": str(contact.id), "email": email, "phone": contact.phone}
            yield f"record/h{contact.id}-{number}", contact.updated_at, own, name
    for user in population.zendesk_users:
        own = {"zendesk_user_id": str(user.id), "email": user.email, "phone": user.phone, "user_id": user.external_id}
        yield f"record/z{user.id}", user.updated_at, own, user.name
    for customer in population.stripe_customers:
        own = {
            "stripe_customer_id": customer.id,
            "email": customer.email,
            "phone": customer.phone,
            "user_id": customer.metadata.get("user_id"),
        }
        yield f"record/s{customer.id}", customer.created_at, own, customer.name
    for booking in population.calendly_bookings:
        own = {
            "calendly_invitee": booking.invitee_uuid,
            "email": booking.email,
            "phone": booking.phone,
            "anonymous_id": booking.utm_term,
        }
        yield f"calendly/{booking.invitee_uuid}", booking.created_at, own, booking.name
    for charge in population.stripe_charges:
        yield f"stripe/{charge.id}", charge.created_at, {"stripe_customer_id": charge.customer_id}, ""
    for ticket in population.zendesk_tickets:
        yield f"zendesk/{ticket.id}", ticket.created_at, {"zendesk_user_id": str(ticket.requester_id)}, ""
    for event in population.web_events:
        seen: dict[str, str | None] = {"anonymous_id": event.anonymous_id, "user_id": event.user_id}
        if event.kind == "identify":
            seen |= {kind: event.properties.get(kind) for kind in ("email", "phone")}
        if event.url is not None and "?" in event.url:
            seen |= {IN_LINKS[key]: text for key, text in parse_qsl(urlsplit(event.url).query) if key in IN_LINKS}
        yield f"segment/{event.event_id}", event.ts, seen, event.properties.get("name", "")


def _ours(file: Path) -> tuple[Assignment, str]:
    """`stitchline identity stitch EVENTS.csv --out MAP.csv`, in a process of its own."""
    answer = file.with_name("map.csv")
    program = "from include.cli import app; import sys; app(sys.argv[1:], standalone_mode=False)"
    command = [sys.executable, "-c", _watched(program), "identity", "stitch", str(file), "--out", str(answer)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    rows = duckdb.execute(f"SELECT event_id, customer_id FROM read_csv('{answer}', all_varchar = true)").fetchall()
    return dict(rows), done.stderr.splitlines()[-1]


def _watched(program: str) -> str:
    """The program, then what it took as the last line on stderr."""
    peak = """seconds, busy = time.perf_counter() - began, time.process_time()
gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(f"{seconds:.1f} s, {busy:.1f} s of processor, {gigabytes:.2f} GB", file=sys.stderr)"""
    return f"import resource, sys, time\nbegan = time.perf_counter()\n{program}\n{peak}"


def _raw_components(file: Path) -> tuple[Assignment, str]:
    """Everything that was ever seen together is one person, whatever it is."""
    connection = _read(file)
    engine = DuckDBEngine(connection, None)
    listed = " UNION ALL ".join(
        f"SELECT line, '{kind}:' || {kind} AS value FROM e WHERE {kind} <> ''" for kind in KINDS
    )
    connection.execute(f"CREATE TABLE carried AS {listed}")
    connection.execute(
        "CREATE TABLE numbered AS SELECT value, ROW_NUMBER() OVER () AS node FROM carried GROUP BY value"
    )
    connection.execute("""CREATE TEMP VIEW scratch__seen AS
        SELECT MIN(n.node) OVER (PARTITION BY c.line) AS a, n.node AS b
        FROM memory.carried AS c JOIN memory.numbered AS n USING (value)""")
    components(engine, "scratch.seen", "scratch.found")
    return _answer(
        connection,
        """SELECT e.event_id, MIN(COALESCE(f.label, n.node)) AS who
        FROM e LEFT JOIN carried AS c USING (line) LEFT JOIN numbered AS n USING (value)
        LEFT JOIN temp.main.scratch__found AS f ON f.node = n.node
        GROUP BY e.event_id""",
    )


def _last_value(file: Path) -> tuple[Assignment, str]:
    """A device is whoever was last known on it; an account and a tool's record are the address last seen with them."""
    connection = _read(file)
    records = ("user_id", "hubspot_contact_id", "mailchimp_member_id", "zendesk_user_id", "stripe_customer_id")
    last = ", ".join(
        f"LAST_VALUE(address IGNORE NULLS) OVER (PARTITION BY {kind} ORDER BY ts, event_id {WHOLE}) AS by_{kind}"
        for kind in records
    )
    own = ", ".join(f"CASE WHEN {kind} <> '' THEN COALESCE(by_{kind}, {kind}) END" for kind in records)
    return _answer(
        connection,
        f"""SELECT event_id, COALESCE(
            who,
            CASE WHEN anonymous_id <> '' THEN
              LAST_VALUE(who IGNORE NULLS) OVER (PARTITION BY anonymous_id ORDER BY ts, event_id {WHOLE}) END,
            NULLIF(anonymous_id, ''), event_id) AS who
        FROM (
          SELECT event_id, ts, anonymous_id, COALESCE(address, {own}, NULLIF(phone, '')) AS who
          FROM (SELECT *, {last} FROM (SELECT *, NULLIF(email, '') AS address FROM e))
        )""",
    )


def _user_mapping(file: Path) -> tuple[Assignment, str]:
    """Snowplow's user mapping: a device is the account last signed in on it, for all time; nothing else is joined."""
    connection = _read(file)
    return _answer(
        connection,
        f"""SELECT event_id, COALESCE(
            CASE WHEN anonymous_id <> '' THEN LAST_VALUE(NULLIF(user_id, '') IGNORE NULLS)
              OVER (PARTITION BY anonymous_id ORDER BY ts, event_id {WHOLE}) END,
            NULLIF(anonymous_id, ''), NULLIF(user_id, ''), NULLIF(email, ''),
            NULLIF(stripe_customer_id, ''), NULLIF(zendesk_user_id, ''), event_id) AS who
        FROM e""",
    )


WHOLE = "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"
WAYS: dict[str, Callable[[Path], tuple[Assignment, str]]] = {
    "ours": _ours,
    "last_value": _last_value,
    "user mapping": _user_mapping,
    "raw components": _raw_components,
}


def _read(file: Path) -> duckdb.DuckDBPyConnection:
    """The CSV as table `e`, identifiers normalized as ours are: what is compared is the joining."""
    connection = duckdb.connect(":memory:", config={"autoinstall_known_extensions": False})
    connection.execute(f"CREATE TABLE lines AS SELECT * FROM read_csv('{file}', all_varchar = true)")
    connection.execute("CREATE TEMP VIEW scratch__lines AS SELECT * FROM memory.lines")
    tidy = ", ".join(f"COALESCE({normalized(repr(kind_of_column(kind)), kind)}, '') AS {kind}" for kind in KINDS)
    DuckDBEngine(connection, None).execute(
        f"CREATE OR REPLACE TABLE scratch.tidy AS SELECT event_id, ts, {tidy} FROM scratch.lines AS l"
    )
    connection.execute("CREATE TABLE e AS SELECT ROW_NUMBER() OVER () AS line, * FROM temp.main.scratch__tidy")
    return connection


def _answer(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[Assignment, str]:
    found = {str(event): None if who is None else str(who) for event, who in connection.execute(sql).fetchall()}
    connection.close()
    return found, ""


def _strangers(population: Population, assignment: Assignment) -> int:
    """Most visits to a public device, of people who never said who they are, in a customer of nobody known."""
    known = {
        assignment.get(f"segment/{event.event_id}") for event in population.web_events if event.person_id is not None
    }
    visits: defaultdict[tuple[str, str], list[datetime]] = defaultdict(list)
    for event in population.web_events:
        customer = assignment.get(f"segment/{event.event_id}")
        if event.person_id is None and customer is not None and customer not in known:
            visits[customer, event.anonymous_id].append(event.ts)
    most = 0
    for moments in visits.values():
        moments.sort()
        most = max(most, 1 + sum(later - earlier > VISIT for earlier, later in pairwise(moments)))
    return most
