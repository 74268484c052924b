"""A list that changes while everything goes wrong: what happens to it, and what has to be true when it is over.

Two destinations are driven, run after run, by random changes of the list, of addresses and of consent; their vendors
throttle, fail, cut answers off and refuse rows; deliveries are killed; and people at the vendors add and remove members
by hand and unsubscribe. `run_chaos` takes its size, so that a benchmark can call it with another.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from seen import HUBSPOT, LISTS, SEEN, hubspot_list
from small_warehouse import NOW, SOURCES, SmallWarehouse, person
from vendors import MAILCHIMP, Simulator, mailchimp_members, mailchimp_tag

from include.activate.sync import SyncResult, sync
from include.connect.errors import StitchlineError
from include.destinations import get_destination
from include.settings import Settings

TESTS = Path(__file__).resolve().parents[1]
WORKER = TESTS / "destinations" / "sync_worker.py"
NAMES = ("mailchimp_tag", "hubspot_list")
TAG = "chaos"
GUARDS = "guards: {max_leaving_share: 1, max_entering_share: 1, max_entering: 1000000}"
HEADER = f"tag: {TAG}, first_run: approved, tolerance: 1, {GUARDS}"
EVERY_DAYS = 0.2
FAULTS: tuple[dict[str, Any], ...] = (
    {},
    {"throttle_every": 4},
    {"throttle_every": 3, "retry_after": 1},
    {"error_every": 3},
    {"reset_every": 3},
    {"truncate_every": 3},
    {"error_every": 4, "reset_every": 3},
    {"expire_token": True},
)
"""The last one ends a delivery at once: somebody has to mend the credentials."""


@dataclass
class Customer:
    """One person of the warehouse, with what the vendors know them by."""

    number: int
    is_listed: bool
    mailchimp_tag: str
    hubspot_list: str


@dataclass
class Report:
    """What happened, and what was not as it has to be."""

    members: int
    runs: int
    seconds: float = 0
    kills: int = 0
    failed: int = 0
    unsubscribed: int = 0
    by_hand: int = 0
    receipts: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class Chaos:
    """One list, two destinations, and a seed that decides everything."""

    def __init__(self, simulator: Simulator, folder: Path, members: int, runs: int, seed: int, batch: int) -> None:
        self.rng = random.Random(f"{seed}/chaos")
        self.simulator = simulator
        self.batch = batch
        self.report = Report(members, runs)
        settings = Settings(home=folder / "home", sources=SOURCES, warehouse_wait_seconds=60)
        self.warehouse = SmallWarehouse(settings, folder)
        self.days = 0.0
        contacts = {row["hubspot_contact_id"]: row["email"].lower() for row in SEEN["hubspot_list"].people(simulator)}
        tagged = {row["email_marketing_address"]: row for row in SEEN["mailchimp_tag"].people(simulator)}
        self.emails = {"mailchimp_tag": {address: address for address in tagged}, "hubspot_list": contacts}
        self.mailchimp = tagged
        self.statuses = {one["email_address"].lower(): one["status"] for one in mailchimp_members(simulator)}
        free = {name: self.rng.sample(sorted(emails), len(emails)) for name, emails in self.emails.items()}
        self.customers = [
            Customer(n, n < members, free["mailchimp_tag"].pop(), free["hubspot_list"].pop())
            for n in range(members + members // 3)
        ]
        # Whom the warehouse never hears of, and addresses that people may change to.
        self.strangers = {name: [free[name].pop() for _ in range(len(free[name]) // 2)] for name in NAMES}
        self.free = free
        self.redirects: dict[str, str] = {}
        self.unsubscribed: set[str] = set()
        self.by_hand: list[tuple[datetime, str, str, bool]] = []
        self.segment = self.warehouse.segment(
            "\n  - ".join(f"{{to: {name}, {HEADER}}}" for name in NAMES),
            "SELECT customer_id FROM marts.customers WHERE order_count > 0",
        )

    def publish(self) -> None:
        """Let the warehouse hear of everything and compute the list."""
        self.days += EVERY_DAYS
        rows = [
            person(
                one.number,
                order_count=int(one.is_listed),
                email_marketing_address=one.mailchimp_tag,
                mailchimp_member_id=self.mailchimp[one.mailchimp_tag]["mailchimp_member_id"],
                mailchimp_list_id=self.mailchimp[one.mailchimp_tag]["mailchimp_list_id"],
                hubspot_contact_id=one.hubspot_list,
                has_email_marketing_consent=one.mailchimp_tag not in self.unsubscribed,
            )
            for one in self.customers
        ]
        redirects = [{"old_customer_id": old, "customer_id": new} for old, new in self.redirects.items()]
        self.warehouse.publish(rows, days=self.days, identity_redirects=redirects)
        self.warehouse.compute(self.segment, self.days)

    def change(self) -> None:
        """Change the list, addresses, and who is who; somebody unsubscribes after the warehouse looked."""
        rng, people = self.rng, self.customers
        share = 0.3 if rng.random() < 0.1 else 0.05
        for one in rng.sample(people, rng.randint(1, int(share * len(people)))):
            one.is_listed = not one.is_listed
        for name in NAMES:
            for one in rng.sample(people, rng.randint(0, 3)):
                self.free[name].append(getattr(one, name))
                setattr(one, name, self.free[name].pop(rng.randrange(len(self.free[name]))))
        for _ in range(rng.randint(0, 2)):
            gone, kept = rng.sample(people, 2)
            self._take_out(gone)
            if rng.random() < 0.7:  # merged into somebody; otherwise erased
                old, new = f"c{gone.number:05d}", f"c{kept.number:05d}"
                self.redirects = {key: new if to == old else to for key, to in self.redirects.items()} | {old: new}

    def _take_out(self, gone: Customer) -> None:
        self.customers.remove(gone)
        for name in NAMES:
            self.free[name].append(getattr(gone, name))

    def meddle(self) -> None:
        """What people do at the vendors: unsubscribe, add members by hand, remove some."""
        rng = self.rng
        leaving = [one.mailchimp_tag for one in rng.sample(self.customers, rng.randint(0, 5))]
        self.simulator.call("POST", "/_control/advance", body={"unsubscribe": leaving})
        self.unsubscribed |= set(leaving)
        for name in NAMES:
            there = SEEN[name].flagged(self.simulator, TAG)
            known = [getattr(one, name) for one in rng.sample(self.customers, 2)]
            for address in [*rng.sample(self.strangers[name], 2), *known]:
                if address not in there:
                    SEEN[name].flag_by_hand(self.simulator, TAG, address)
                    self.by_hand.append((datetime.now(UTC), name, address, True))
            for address in rng.sample(sorted(there), min(3, len(there))):
                remove_by_hand(self.simulator, name, address)
                self.by_hand.append((datetime.now(UTC), name, address, False))

    def deliver(self, name: str) -> None:
        """Sync to a vendor in trouble; kill it now and then."""
        vendor, rng = get_destination(name).connection, self.rng
        faults = dict(rng.choice(FAULTS))
        if rng.random() < 0.4:
            emails = sorted(self.emails[name].values())
            faults["reject_emails"] = rng.sample(emails, len(emails) // 50)
        is_killed = rng.random() < 0.12
        if is_killed:
            faults = {"slow_seconds": 0.1, "reject_emails": faults.get("reject_emails", ())}
        self.simulator.faults(vendor, **faults)
        try:
            if is_killed:
                self._kill(name, vendor)
            else:
                self.send(name)
        except StitchlineError:
            self.report.failed += 1
        finally:
            self.simulator.no_faults()

    def send(self, name: str) -> SyncResult:
        """Sync to one destination."""
        destination = replace(get_destination(name), batch=self.batch)
        run = self.warehouse.run(self.days)
        return sync(self.segment, destination, self.warehouse.settings, run, self.warehouse.open)

    def _kill(self, name: str, vendor: str) -> None:
        before, after = self.simulator.stats(vendor)["writes"], self.rng.randint(1, 4)
        told = (self.warehouse.settings.home, self.segment.path, name, self.batch)
        with subprocess.Popen([sys.executable, str(WORKER), *map(str, told)], cwd=TESTS.parent) as process:
            while process.poll() is None and self.simulator.stats(vendor)["writes"] < before + after:
                time.sleep(0.02)
            self.report.kills += process.poll() is None
            process.kill()
        # What it had sent still arrives.
        while self.simulator.call("GET", "/_control/in_flight")[vendor]:
            time.sleep(0.02)

    def run(self) -> Report:
        """All runs, and two without trouble at the end."""
        started = time.monotonic()
        self.publish()
        for name in NAMES:
            self.send(name)
        for _ in range(self.report.runs):
            self.change()
            self.publish()
            self.meddle()
            for name in NAMES:
                if self.rng.random() < 0.7:  # now and then a sync does not run
                    self.deliver(name)
        self.days += 2
        self.publish()
        for name in NAMES:
            result = self.send(name)
            self.expect(result.rejected == 0, f"{name}: {result.rejected} rejected in the last clean run")
            again = self.send(name)
            self.expect((again.status, again.calls) == ("unchanged", 0), f"{name}: {again.calls} calls when unchanged")
        self.verify()
        self.report.by_hand = len(self.by_hand)
        self.report.unsubscribed = len(self.unsubscribed)
        self.report.seconds = time.monotonic() - started
        return self.report

    def expect(self, is_so: bool, problem: str) -> None:
        """Note what is not as it has to be."""
        if not is_so:
            self.report.problems.append(problem)

    def verify(self) -> None:
        """Compare the warehouse, the receipts and the vendors."""
        for name in NAMES:
            self._verify_destination(name)
        rows = self.warehouse.rows("SELECT status, COUNT(*) AS n FROM activation.receipts GROUP BY status")
        self.report.receipts = {row["status"]: row["n"] for row in rows}
        twice = self.warehouse.rows(
            "SELECT plan_id, position FROM activation.receipts WHERE status = 'accepted' "
            "GROUP BY plan_id, position HAVING COUNT(*) > 1"
        )
        self.expect(not twice, f"{len(twice)} rows of a plan were accepted twice")
        open_plans = self.warehouse.rows(
            "SELECT p.plan_id FROM activation.plans AS p LEFT JOIN (SELECT plan_id, COUNT(DISTINCT position) AS n "
            "FROM activation.receipts WHERE status IN ('accepted', 'rejected') GROUP BY plan_id) AS r "
            "ON r.plan_id = p.plan_id WHERE p.status = 'applied' "
            "AND p.enter + p.`update` + p.leave != COALESCE(r.n, 0)"
        )
        self.expect(not open_plans, f"{len(open_plans)} applied plans have rows without an answer")
        for one in mailchimp_members(self.simulator):
            address = one["email_address"].lower()
            before = "unsubscribed" if address in self.unsubscribed else self.statuses[address]
            self.expect(one["status"] == before, f"somebody went from {before} to {one['status']}")

    def _verify_destination(self, name: str) -> None:
        sync_name = {"sync": f"{self.segment.name}__{name}"}
        wanted = {
            getattr(one, name)
            for one in self.customers
            if one.is_listed and (name != "mailchimp_tag" or one.mailchimp_tag not in self.unsubscribed)
        }
        rows = self.warehouse.rows("SELECT address, operation FROM activation.state WHERE sync = @sync", **sync_name)
        held = {row["address"] for row in rows}
        self.expect(held == wanted, f"{name}: the state differs from the list in {len(held ^ wanted)} addresses")
        self.expect(
            all(row["operation"] in ("enter", "update") for row in rows), f"{name}: the state is unsure of somebody"
        )
        accepted = [
            (row["at"], row["address"], row["operation"] != "leave")
            for row in self.warehouse.rows(
                "SELECT `at`, address, operation FROM activation.receipts WHERE sync = @sync AND status = 'accepted'",
                **sync_name,
            )
        ]
        told = replayed(accepted)
        self.expect(told == held, f"{name}: receipts and state differ in {len(told ^ held)} addresses")
        by_hand = [(at, address, is_there) for at, where, address, is_there in self.by_hand if where == name]
        expected, there = replayed(accepted + by_hand), SEEN[name].flagged(self.simulator, TAG)
        self.expect(there == expected, f"{name}: {len(there - expected)} too many, {len(expected - there)} missing")
        ours = {address for _, address, _ in accepted}
        others = replayed(by_hand) - ours
        self.expect(others <= there, f"{name}: {len(others - there)} were removed that were never ours")


def replayed(events: list[tuple[datetime, str, bool]]) -> set[str]:
    """Who is there after these events, in the order of time."""
    there: set[str] = set()
    for _, address, is_there in sorted(events):
        (there.add if is_there else there.discard)(address)
    return there


def remove_by_hand(simulator: Simulator, name: str, address: str) -> None:
    """Take somebody off in the vendor's own screens."""
    if name == "mailchimp_tag":
        body = {"members_to_remove": [address]}
        simulator.call("POST", str(mailchimp_tag(simulator, TAG)), MAILCHIMP, body)
    else:
        path = f"{LISTS}/{hubspot_list(simulator, TAG)}/memberships/remove"
        simulator.call("PUT", path, HUBSPOT, [address])


@contextmanager
def vendors(folder: Path, people: int, seed: int) -> Iterator[Simulator]:
    """Simulators in a process of their own; every connection points to them for the block."""
    command = [sys.executable, "-m", "include.simulate", "--port", "0", "--unlimited", "--people", str(people)]
    command += ["--seed", str(seed), "--now", NOW.isoformat(), "--folder", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            simulator = Simulator(json.loads(process.stdout.readline())["port"], folder)
            with patch.dict(os.environ, simulator.connections()):
                yield simulator
        finally:
            process.terminate()


def run_chaos(folder: Path, members: int = 2000, runs: int = 30, seed: int = 7, batch: int = 50) -> Report:
    """Drive a list of so many members through so many runs of trouble.

    Args:
        folder: where the warehouse and the simulators' files go.
        members: people on the list at the start.
        runs: how often the list changes and is sent.
        seed: the same seed gives the same changes and faults; when a kill comes is up to the machine.
        batch: people a call; small ones mean many calls, between which things go wrong.
    """
    with vendors(folder, members * 5 // 2, seed) as simulator:
        return Chaos(simulator, folder, members, runs, seed, batch).run()
