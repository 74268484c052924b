"""What a CRM's or an accounting's records name is their owner's: evidence drawn from them can be scored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from include.simulate.names import PLACEHOLDER_EMAILS
from include.simulate.people import Population
from include.simulate.salesforce_records import long_id, make_org
from include.simulate.xero import make_books
from tests.simulate.conftest import NOW

WORLD = Population.generate(600, 3, NOW)
LINKS = ("MasterRecordId", "ConvertedContactId", "MergedToContactID")


def checked(records: Mapping[str, Mapping[str, Any]], owners: Mapping[str, int | None]) -> Iterator[str]:
    """Goes through records with their owners; yields which kind of evidence was seen and found true."""
    people = {person.person_id: person for person in WORLD.people}
    for key, record in records.items():
        email = (record.get("Email") or record.get("EmailAddress") or "").strip().lower()
        owner = owners[key]
        for link in LINKS:
            if record.get(link):
                assert owners[record[link]] == owner
                yield link
        if owner is None:
            assert not email or email in PLACEHOLDER_EMAILS or email.startswith("billing@")
        elif email:
            assert email in people[owner].emails
            yield "email"


def test_salesforce_records_name_their_owner_only() -> None:
    org = make_org(WORLD, NOW)
    people = {**org.records["Contact"], **org.records["Lead"]}
    assert set(checked(people, org.owners)) == {"email", "MasterRecordId", "ConvertedContactId"}
    assert set(checked(org.records["Account"], org.owners)) == {"MasterRecordId"}
    for kind in ("Task", "Event", "CampaignMember"):
        for record in org.records[kind].values():
            about = record.get("WhoId") or record.get("ContactId") or record.get("LeadId")
            assert org.owners[record["Id"]] == org.owners[about]
    assert make_org(WORLD, NOW).records == org.records


@pytest.mark.parametrize("number", ["0034S000005YJVlQAO", "00Q4S000002sSacUAE", "0014S000007NeM3QAK"])
def test_salesforce_ids_are_made_as_recorded_ones(number: str) -> None:
    assert long_id(number[:15]) == number


def test_xero_records_name_their_owner_only() -> None:
    books = make_books(WORLD, NOW)
    assert set(checked(books.records["Contacts"], books.owners)) == {"email", "MergedToContactID"}
    for invoice in books.records["Invoices"].values():
        assert invoice["Contact"]["ContactID"] in books.owners
    for payment in books.records["Payments"].values():
        assert books.records["Invoices"][payment["Invoice"]["InvoiceID"]]["Total"] == payment["Amount"]
    assert make_books(WORLD, NOW).records == books.records
