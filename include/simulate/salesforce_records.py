"""What a Salesforce org holds of the people: leads, some converted, contacts, some merged, and their activities."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from include.simulate.names import PLACEHOLDER_EMAILS, spell_email, spell_phone
from include.simulate.people import Person, Population

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
CHECKS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
DAYS = 118.0
PREFIXES = {
    **{"Account": "001", "Contact": "003", "Lead": "00Q", "Opportunity": "006", "Campaign": "701"},
    **{"CampaignMember": "00v", "Task": "00T", "Event": "00U", "User": "005"},
}
SOURCES = ("Web", "Webinar", "Trade Show", "Phone Inquiry", None)
CALLED = ("Call", "Email", "Call back", "Send quote")

_SYSTEM = {
    **{"Id": "id", "IsDeleted": "boolean", "OwnerId": "reference", "CreatedDate": "datetime"},
    **{"LastModifiedDate": "datetime", "SystemModstamp": "datetime"},
}
_PERSON = {
    **{"MasterRecordId": "reference", "FirstName": "string", "LastName": "string", "Name": "string"},
    **{"Title": "string", "Email": "email", "Phone": "phone", "MobilePhone": "phone", "LeadSource": "picklist"},
    **{"HasOptedOutOfEmail": "boolean", "DoNotCall": "boolean", "EmailBouncedDate": "datetime"},
}
_DONE = {"WhoId": "reference", "WhatId": "reference", "AccountId": "reference", "Subject": "combobox"}
SCHEMA: Mapping[str, Mapping[str, str]] = {
    "Account": {
        **_SYSTEM,
        **{"MasterRecordId": "reference", "Name": "string", "Type": "picklist", "Industry": "picklist"},
        **{"Website": "url", "Phone": "phone", "NumberOfEmployees": "int"},
    },
    "Contact": {
        **_SYSTEM,
        **_PERSON,
        **{"AccountId": "reference", "HomePhone": "phone", "Department": "string"},
    },
    "Lead": {
        **_SYSTEM,
        **_PERSON,
        **{"Company": "string", "Status": "picklist", "Rating": "picklist", "Industry": "picklist"},
        **{"IsConverted": "boolean", "ConvertedDate": "date", "ConvertedContactId": "reference"},
        **{"ConvertedAccountId": "reference", "ConvertedOpportunityId": "reference"},
    },
    "Campaign": {
        **_SYSTEM,
        **{"Name": "string", "Type": "picklist", "Status": "picklist", "StartDate": "date", "EndDate": "date"},
        **{"IsActive": "boolean", "ParentId": "reference"},
    },
    "CampaignMember": {
        **{name: kind for name, kind in _SYSTEM.items() if name != "OwnerId"},
        **{"CampaignId": "reference", "LeadId": "reference", "ContactId": "reference", "Status": "picklist"},
        **{"HasResponded": "boolean", "FirstRespondedDate": "date"},
    },
    # One currency, so CurrencyIsoCode does not exist.
    "Opportunity": {
        **_SYSTEM,
        **{"Name": "string", "AccountId": "reference", "ContactId": "reference", "CampaignId": "reference"},
        **{"Amount": "currency", "StageName": "picklist", "Type": "picklist", "LeadSource": "picklist"},
        **{"CloseDate": "date", "IsClosed": "boolean", "IsWon": "boolean"},
    },
    "Task": {
        **_SYSTEM,
        **_DONE,
        **{"Status": "picklist", "TaskSubtype": "picklist", "ActivityDate": "date", "IsClosed": "boolean"},
        **{"CompletedDateTime": "datetime", "CallType": "picklist", "CallDurationInSeconds": "int"},
    },
    "Event": {
        **_SYSTEM,
        **_DONE,
        **{"EventSubtype": "picklist", "StartDateTime": "datetime", "EndDateTime": "datetime"},
        **{"DurationInMinutes": "int", "IsAllDayEvent": "boolean"},
    },
}
"""Object -> field -> type, as `describe` shows them."""


@dataclass(slots=True)
class Org:
    """Every record by object and id; `owners` says whose it is, None where nobody can say."""

    records: dict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: {kind: {} for kind in SCHEMA})
    owners: dict[str, int | None] = field(default_factory=dict)


def stamp(at: datetime) -> str:
    """A moment as Salesforce writes it."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.000+0000"


def new_id(kind: str, number: int) -> str:
    """The id of that number."""
    text, left = "", number
    while left:
        left, digit = divmod(left, 62)
        text = DIGITS[digit] + text
    return long_id(f"{PREFIXES[kind]}5g{text.rjust(10, '0')}")


def long_id(short: str) -> str:
    """An id of 15 characters with the three that say which letters are capitals: safe where case is lost."""
    chunks = (short[start : start + 5] for start in (0, 5, 10))
    bits = (sum(1 << place for place, letter in enumerate(chunk) if letter.isupper()) for chunk in chunks)
    return short + "".join(CHECKS[bit] for bit in bits)


def make_org(population: Population, now: datetime) -> Org:
    """The org at `now`; the same population gives the same org."""
    return _Maker(population, now).made()


class _Maker:
    def __init__(self, population: Population, now: datetime) -> None:
        self.world, self.now = population, now
        self.rng = random.Random(f"{population.seed}/salesforce")
        self.org = Org()
        self.user = new_id("User", 1)

    def made(self) -> Org:
        self._accounts()
        campaigns = [self._campaign(number) for number in range(4)]
        for person in self.world.people:
            draw = self.rng.random()
            if draw < 0.30:
                self._contact_of(person, campaigns)
            elif draw < 0.42:
                self._converted(person, campaigns)
            elif draw < 0.60:
                self._lead_of(person, campaigns)
        self._nobodys()
        return self.org

    def _add(self, kind: str, whose: int | None, span: tuple[datetime, datetime], values: Mapping[str, object]) -> str:
        number = new_id(kind, len(self.org.records[kind]) + 1)
        empty: dict[str, Any] = {name: False if type_ == "boolean" else None for name, type_ in SCHEMA[kind].items()}
        created, changed = map(stamp, span)
        system = {"Id": number, "CreatedDate": created, "LastModifiedDate": changed, "SystemModstamp": changed}
        owned = {"OwnerId": self.user} if "OwnerId" in empty else {}
        self.org.records[kind][number] = {**empty, **owned, **system, **values}
        self.org.owners[number] = whose
        return number

    def _span(self) -> tuple[datetime, datetime]:
        created = self.now - timedelta(seconds=round(self.rng.uniform(1.0, DAYS) * 86_400))
        left = (self.now - timedelta(hours=1) - created).total_seconds()
        return created, created + timedelta(seconds=round(left * self.rng.random()))

    def _accounts(self) -> None:
        for company in self.world.hubspot_companies:
            values = {
                **{"Name": company.name, "Website": f"https://{company.domain}", "Type": "Prospect"},
                "NumberOfEmployees": self.rng.randint(3, 900),
            }
            kept = self._add("Account", None, self._span(), values)
            if self.rng.random() < 0.1:
                self._add("Account", None, self._span(), {**values, "IsDeleted": True, "MasterRecordId": kept})

    def _campaign(self, number: int) -> str:
        span = self._span()
        kind = ("Webinar", "Email", "Trade Show", "Advertisement")[number]
        named = {"Name": f"{kind} {span[0]:%B}", "Type": kind, "StartDate": f"{span[0]:%Y-%m-%d}"}
        return self._add("Campaign", None, span, {**named, "Status": "In Progress", "IsActive": True})

    def _person(self, person: Person, email: str | None) -> dict[str, object]:
        rng = self.rng
        return {
            **{"FirstName": person.first_name, "LastName": person.last_name, "Name": person.name, "Email": email},
            "Phone": spell_phone(rng, person.phone) if rng.random() < 0.3 else None,
            "MobilePhone": spell_phone(rng, person.phone) if rng.random() < 0.3 else None,
            "LeadSource": rng.choice(SOURCES),
            "HasOptedOutOfEmail": rng.random() < 0.08,
        }

    def _contact_of(self, person: Person, campaigns: list[str]) -> str:
        rng, who = self.rng, person.person_id
        account = rng.choice(list(self.org.records["Account"]))
        values = {**self._person(person, spell_email(rng, person.emails[0])), "AccountId": account}
        span = self._span()
        contact = self._add("Contact", who, span, values)
        draw = rng.random()
        if draw < 0.06:
            # Entered twice, then merged: the loser stays in the recycle bin and names the record that took its place.
            loser = {"Email": person.emails[-1], "IsDeleted": True, "MasterRecordId": contact}
            self._add("Contact", who, span, {**values, **loser})
        elif draw < 0.09:
            self.org.records["Contact"][contact]["IsDeleted"] = True
        self._around(who, contact, account, campaigns, {"ContactId": contact})
        return contact

    def _converted(self, person: Person, campaigns: list[str]) -> None:
        """A lead that became a contact: often under another address than the one the person had as a lead."""
        contact = self._contact_of(person, campaigns)
        span = self._span()
        values = {
            **self._person(person, person.emails[-1]),
            **{"Company": "Acme", "Status": "Closed - Converted", "IsConverted": True},
            **{"ConvertedDate": f"{span[1]:%Y-%m-%d}", "ConvertedContactId": contact},
            "ConvertedAccountId": self.org.records["Contact"][contact]["AccountId"],
        }
        self._add("Lead", person.person_id, span, values)

    def _lead_of(self, person: Person, campaigns: list[str]) -> None:
        rng, who, span = self.rng, person.person_id, self._span()
        status = rng.choice(("Open - Not Contacted", "Working - Contacted", "Closed - Not Converted"))
        values = {**self._person(person, spell_email(rng, person.emails[0])), "Company": "Acme", "Status": status}
        lead = self._add("Lead", who, span, values)
        if rng.random() < 0.08:
            loser = {"Email": person.emails[-1], "IsDeleted": True, "MasterRecordId": lead}
            self._add("Lead", who, span, {**values, **loser})
        self._around(who, lead, None, campaigns, {"LeadId": lead})

    def _around(
        self, who: int | None, number: str, account: str | None, campaigns: list[str], member: Mapping[str, str]
    ) -> None:
        rng = self.rng
        if rng.random() < 0.35:
            span, responded = self._span(), rng.random() < 0.4
            values = {"CampaignId": rng.choice(campaigns), "Status": "Responded" if responded else "Sent", **member}
            when = f"{span[1]:%Y-%m-%d}" if responded else None
            self._add("CampaignMember", who, span, {**values, "HasResponded": responded, "FirstRespondedDate": when})
        if rng.random() < 0.4:
            self._task(who, number, account)
        if rng.random() < 0.15:
            span = self._span()
            start = span[0] + timedelta(days=rng.randint(1, 9))
            times = {"StartDateTime": stamp(start), "EndDateTime": stamp(start + timedelta(minutes=30))}
            about = {"Subject": "Meeting", "WhoId": number, "AccountId": account, "DurationInMinutes": 30}
            self._add("Event", who, span, {**about, **times, "EventSubtype": "Event"})
        if account and rng.random() < 0.2:
            self._opportunity(who, number, account)

    def _task(self, who: int | None, number: str, account: str | None) -> None:
        rng, span = self.rng, self._span()
        subject, done = rng.choice(CALLED), rng.random() < 0.8
        is_call = subject.startswith("Call")
        values = {
            **{"Subject": subject, "WhoId": number, "AccountId": account, "IsClosed": done},
            **{"Status": "Completed" if done else "Not Started", "TaskSubtype": "Call" if is_call else "Email"},
            "ActivityDate": f"{span[0]:%Y-%m-%d}",
            "CompletedDateTime": stamp(span[1]) if done else None,
            "CallDurationInSeconds": rng.randint(20, 900) if is_call and done else None,
        }
        self._add("Task", who, span, values)

    def _opportunity(self, who: int | None, contact: str, account: str) -> None:
        rng, span = self.rng, self._span()
        stage = rng.choice(("Prospecting", "Negotiation/Review", "Closed Won", "Closed Lost"))
        values = {
            **{"Name": f"{self.org.records['Account'][account]['Name']} - new", "AccountId": account},
            **{"ContactId": contact, "Amount": float(rng.randint(5, 400) * 100), "StageName": stage},
            **{"IsClosed": stage.startswith("Closed"), "IsWon": stage == "Closed Won"},
            "CloseDate": f"{span[1] + timedelta(days=20):%Y-%m-%d}",
        }
        self._add("Opportunity", who, span, values)

    def _nobodys(self) -> None:
        """Web-to-lead brings what people type to get past a form."""
        values = {"LastName": "Test", "Name": "Test", "Email": PLACEHOLDER_EMAILS[0], "Company": "Test"}
        for _ in range(2 if len(self.world.people) >= 20 else 0):
            self._add("Lead", None, self._span(), {**values, "Status": "Open - Not Contacted"})
