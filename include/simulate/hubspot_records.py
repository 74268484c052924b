"""What HubSpot's simulator stores: objects by type, their properties, and the search over them."""

from __future__ import annotations

import operator
import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from include.simulate.people import Population
from include.simulate.vendor import Order

TYPES = {
    "contacts": ("contacts", "contact", "0-1"),
    "companies": ("companies", "company", "0-2"),
    "deals": ("deals", "deal", "0-3"),
}
READ_ONLY = frozenset({"createdate", "hs_object_id", "lastmodifieddate", "hs_lastmodifieddate"})
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")

_PROPERTIES = {
    "contacts": {
        "email": "string",
        "firstname": "string",
        "lastname": "string",
        "phone": "string",
        "company": "string",
        "lifecyclestage": "enumeration",
        "hs_additional_emails": "string",
        "hs_merged_object_ids": "string",
        "hs_calculated_merged_vids": "string",
        "hs_email_domain": "string",
        "hs_email_optout": "bool",
        "createdate": "datetime",
        "lastmodifieddate": "datetime",
        "hs_object_id": "number",
    },
    "companies": {
        "name": "string",
        "domain": "string",
        "website": "string",
        "createdate": "datetime",
        "hs_lastmodifieddate": "datetime",
        "hs_object_id": "number",
    },
    "deals": {
        "dealname": "string",
        "amount": "number",
        "dealstage": "enumeration",
        "pipeline": "enumeration",
        "closedate": "datetime",
        "createdate": "datetime",
        "hs_lastmodifieddate": "datetime",
        "hs_object_id": "number",
    },
}
_DEFAULTS = {
    "contacts": ("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname"),
    "companies": ("createdate", "domain", "hs_lastmodifieddate", "hs_object_id", "name"),
    "deals": ("amount", "closedate", "createdate", "dealname", "dealstage", "hs_lastmodifieddate", "hs_object_id"),
}


@lru_cache(maxsize=4096)
def iso(ms: int) -> str:
    """A moment as HubSpot writes it: milliseconds and Z."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(moment: datetime) -> int:
    """A moment as HubSpot counts it."""
    return int(moment.timestamp() * 1000)


@dataclass(slots=True)
class Record:
    """One CRM object; property values are strings, an unset one is absent."""

    id: int
    properties: dict[str, str]
    created: int
    updated: int
    archived_at: int | None = None
    contact_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem(Exception):
    """Why HubSpot refuses a row."""

    category: str
    message: str
    context: Mapping[str, Sequence[str]] = field(default_factory=dict)
    code: str | None = None
    status: int = 400


class _Ids(Sequence[tuple[int, int]]):
    """A list of ids in the form of an order's pairs."""

    def __init__(self, ids: Sequence[int]) -> None:
        self._ids = ids

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: Any) -> Any:
        return 0, self._ids[index]


Found = tuple[list[Record], int]
"""One page of a search, and how many records match."""


class Shelf:
    """All objects of one type."""

    def __init__(self, name: str, records: Iterable[Record]) -> None:
        self.name = name
        self.label = TYPES[name][1].upper()
        self.modified_name = "lastmodifieddate" if name == "contacts" else "hs_lastmodifieddate"
        self.defaults = _DEFAULTS[name]
        self.definitions: dict[str, dict[str, Any]] = {
            key: definition(key, type_, built_in=True) for key, type_ in _PROPERTIES[name].items()
        }
        self.records: dict[int, Record] = {record.id: record for record in records}
        self.ids: Sequence[int] = sorted(self.records)
        self.archived: dict[int, Record] = {}
        self.modified = Order({record.id: record.updated for record in self.records.values()})
        self.by_email = {r.properties["email"]: r.id for r in self.records.values() if "email" in r.properties}
        self.merged: dict[int, int] = {}

    def value(self, record: Record, name: str) -> str | None:
        """A property as the API shows it."""
        if name == "createdate":
            return iso(record.created)
        if name == self.modified_name:
            return iso(record.updated)
        if name == "hs_object_id":
            return str(record.id)
        return record.properties.get(name)

    def find(self, key: str, by: str | None = None) -> Record | None:
        """The record with this id (a merged one leads to its survivor) or this unique property value."""
        if by is None:
            number = int(key) if re.fullmatch(r"\d{1,18}", key) else -1
            return self.get(self.merged.get(number, number))
        if by == "email":
            return self.get(self.by_email.get(key.strip().lower(), -1))
        return next((record for record in self.records.values() if record.properties.get(by) == key), None)

    def get(self, number: int) -> Record | None:
        """The record with exactly this id."""
        return self.records.get(number)

    def values(self, given: Any) -> dict[str, str]:
        """What a write sets, as strings.

        Raises:
            Problem: what HubSpot would report about the first bad property.
        """
        values: dict[str, str] = {}
        for name, value in (given if isinstance(given, dict) else {}).items():
            text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
            type_, wrong = self.definitions.get(name, {}).get("type"), ""
            if type_ is None:
                wrong = "PROPERTY_DOESNT_EXIST"
            elif name in READ_ONLY:
                wrong = "READ_ONLY_VALUE"
            elif text and name == "email" and not EMAIL.fullmatch(text.strip()):
                wrong = "INVALID_EMAIL"
            elif text and type_ == "number" and not NUMBER.fullmatch(text):
                wrong = "INVALID_NUMBER"
            elif text and type_ == "bool" and text not in ("true", "false"):
                wrong = "INVALID_OPTION"
            if wrong:
                message = f'Property values were not valid: "{name}" ({wrong})'
                raise Problem("VALIDATION_ERROR", message, {"propertyName": [name]}, wrong)
            values[name] = text
        return values

    def add(self, properties: dict[str, str], now: int) -> Record:
        """A new record, numbered after all others."""
        assert isinstance(self.ids, list)
        record = Record((self.ids[-1] if self.ids else 100_000) + 1, {}, now, now)
        self.records[record.id] = record
        self.ids.append(record.id)
        self.modified.put(record.id, now)
        self.change(record, properties, now)
        return record

    def change(self, record: Record, properties: Mapping[str, str], now: int) -> None:
        """Write properties; an empty value unsets. The modified date moves only if something changed."""
        before = dict(record.properties)
        record.properties.update(properties)
        if "email" in properties:
            record.properties["email"] = properties["email"].strip().lower()
            record.properties["hs_email_domain"] = properties["email"].strip().lower().rpartition("@")[2]
            self.by_email.pop(before.get("email", ""), None)
            self.by_email[record.properties["email"]] = record.id
        for name in [name for name, value in record.properties.items() if value == ""]:
            del record.properties[name]
        if record.properties != before:
            self.touch(record, now)

    def touch(self, record: Record, now: int) -> None:
        """Move the modified date."""
        record.updated = max(now, record.updated + 1)
        self.modified.put(record.id, record.updated)

    def archive(self, record: Record, now: int) -> None:
        """Take the record out of every list but the archived one."""
        assert isinstance(self.ids, list)
        record.archived_at = now
        self.archived[record.id] = self.records.pop(record.id)
        del self.ids[bisect_left(self.ids, record.id)]
        self.modified.drop(record.id)
        self.by_email.pop(record.properties.get("email", ""), None)

    def lose(self, number: int) -> Callable[[], None]:
        """Delete a record for good, as for privacy; returns what brings it back."""
        record = self.records[number]
        self.archive(record, 0)
        del self.archived[number]

        def back() -> None:
            assert isinstance(self.ids, list)
            record.archived_at = None
            self.records[number] = record
            insort(self.ids, number)
            self.modified.put(number, record.updated)
            if "email" in record.properties:
                self.by_email[record.properties["email"]] = number

        return back

    def page(self, after: int, limit: int, *, archived: bool) -> tuple[list[Record], bool]:
        """Records with an id above `after`, and whether there are more."""
        if archived:
            found = [self.archived[key] for key in sorted(self.archived) if key > after]
            return found[:limit], len(found) > limit
        start = bisect_right(self.ids, after)
        return [self.records[key] for key in self.ids[start : start + limit]], start + limit < len(self.ids)

    def search(self, groups: list[dict[str, Any]], sort: tuple[str, bool], start: int, limit: int) -> Found:
        """One page of the matches in the order asked for, and how many there are."""
        name, descending = sort
        filters = groups[0].get("filters", []) if len(groups) == 1 else []
        low, high = self._modified_range(filters)
        first, last = self._id_range(filters)
        is_plain = len(groups) < 2 and all(_is_range(rule, name) for rule in filters)
        if is_plain and name == self.modified_name:
            return self._slice(self.modified.pairs, low, high, start, limit, descending)
        if is_plain and name == "hs_object_id":
            return self._slice(_Ids(self.ids), first, last, start, limit, descending)
        matches = [record for record in self._candidates(low, high, first, last) if self._matches(record, groups)]
        matches.sort(key=lambda record: self._sort_key(record, name), reverse=descending)
        return matches[start : start + limit], len(matches)

    def _slice(
        self, pairs: Sequence[tuple[int, int]], low: int, high: int, start: int, limit: int, descending: bool
    ) -> Found:
        total = max(0, high - low)
        count = max(0, min(limit, total - start))
        if descending:
            chosen = [pairs[high - 1 - start - i] for i in range(count)]
        else:
            chosen = [pairs[low + start + i] for i in range(count)]
        return [self.records[key] for _, key in chosen], total

    def _candidates(self, low: int, high: int, first: int, last: int) -> Iterator[Record]:
        if high - low < last - first:
            yield from (self.records[self.modified.pairs[i][1]] for i in range(low, high))
        else:
            yield from (self.records[self.ids[i]] for i in range(first, last))

    def _modified_range(self, filters: list[dict[str, Any]]) -> tuple[int, int]:
        low, high = 0, len(self.modified.pairs)
        for rule in filters:
            if _is_range(rule, self.modified_name):
                value = _number(rule.get("value"), 0.0)
                above = bisect_left(self.modified.pairs, (value + 1,))
                from_ = bisect_left(self.modified.pairs, (value,))
                low = max(low, {"GT": above, "GTE": from_, "EQ": from_}.get(rule["operator"], 0))
                high = min(high, {"LT": from_, "LTE": above, "EQ": above}.get(rule["operator"], high))
        return low, max(low, high)

    def _id_range(self, filters: list[dict[str, Any]]) -> tuple[int, int]:
        low, high = 0, len(self.ids)
        for rule in filters:
            if _is_range(rule, "hs_object_id"):
                value = int(_number(rule.get("value"), 0.0))
                above, from_ = bisect_right(self.ids, value), bisect_left(self.ids, value)
                low = max(low, {"GT": above, "GTE": from_, "EQ": from_}.get(rule["operator"], 0))
                high = min(high, {"LT": from_, "LTE": above, "EQ": above}.get(rule["operator"], high))
        return low, max(low, high)

    def _matches(self, record: Record, groups: list[dict[str, Any]]) -> bool:
        return not groups or any(
            all(self._holds(self.value(record, rule["propertyName"]), rule) for rule in group.get("filters", []))
            for group in groups
        )

    def _holds(self, value: str | None, rule: Mapping[str, Any]) -> bool:
        kind: str = rule["operator"]
        if kind in ("HAS_PROPERTY", "NOT_HAS_PROPERTY"):
            return (value is not None) == (kind == "HAS_PROPERTY")
        if kind in ("IN", "NOT_IN"):
            among = value is not None and value.lower() in {str(one).lower() for one in rule.get("values", ())}
            return among == (kind == "IN")
        if value is None:
            return kind == "NEQ"
        return _OPERATORS[kind](*_comparable(value, str(rule.get("value", ""))))

    def _sort_key(self, record: Record, name: str) -> tuple[bool, float, str, int]:
        value = self.value(record, name)
        number = _number(value, 0.0)
        return value is None, number, "" if number else (value or "").lower(), record.id


def shelves(population: Population) -> dict[str, Shelf]:
    """The store as the population has it."""
    merged: dict[int, int] = {}
    contacts = []
    for contact in population.hubspot_contacts:
        values = {
            "email": (contact.email or "").strip().lower(),
            "firstname": contact.firstname,
            "lastname": contact.lastname,
            "phone": contact.phone or "",
            "lifecyclestage": contact.lifecyclestage,
            "hs_additional_emails": ";".join(contact.additional_emails),
            "hs_merged_object_ids": ";".join(str(old) for old in contact.merged_ids),
        }
        created, updated = milliseconds(contact.created_at), milliseconds(contact.updated_at)
        values["hs_calculated_merged_vids"] = ";".join(f"{old}:{created}" for old in contact.merged_ids)
        values["hs_email_domain"] = values["email"].rpartition("@")[2]
        merged.update(dict.fromkeys(contact.merged_ids, contact.id))
        contacts.append(Record(contact.id, {k: v for k, v in values.items() if v}, created, updated))
    companies = (
        Record(c.id, {"name": c.name, "domain": c.domain}, milliseconds(c.created_at), milliseconds(c.updated_at))
        for c in population.hubspot_companies
    )
    deals = (
        Record(
            d.id,
            {"dealname": d.name, "amount": str(d.amount), "dealstage": d.stage, "pipeline": "default"},
            milliseconds(d.created_at),
            milliseconds(d.updated_at),
            contact_ids=d.contact_ids,
        )
        for d in population.hubspot_deals
    )
    shelf = Shelf("contacts", contacts)
    shelf.merged = merged
    return {"contacts": shelf, "companies": Shelf("companies", companies), "deals": Shelf("deals", deals)}


def definition(name: str, type_: str, *, built_in: bool, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A property definition as `/crm/v3/properties` shows it."""
    given = given or {}
    return {
        "name": name,
        "label": given.get("label", name),
        "type": type_,
        "fieldType": given.get("fieldType", "text"),
        "description": given.get("description", ""),
        "groupName": given.get("groupName", "contactinformation"),
        "options": given.get("options", []),
        "displayOrder": -1,
        "calculated": False,
        "externalOptions": False,
        "hasUniqueValue": bool(given.get("hasUniqueValue", name == "email")),
        "hidden": False,
        "hubspotDefined": built_in,
        "modificationMetadata": {"archivable": not built_in, "readOnlyDefinition": built_in, "readOnlyValue": False},
        "formField": bool(given.get("formField", True)),
    }


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "EQ": operator.eq,
    "NEQ": operator.ne,
    "LT": operator.lt,
    "LTE": operator.le,
    "GT": operator.gt,
    "GTE": operator.ge,
    "CONTAINS_TOKEN": lambda left, right: str(right).strip("*") in str(left),
}
OPERATORS = frozenset({*_OPERATORS, "HAS_PROPERTY", "NOT_HAS_PROPERTY", "IN", "NOT_IN"})


def _is_range(rule: Mapping[str, Any], name: str) -> bool:
    return rule.get("propertyName") == name and rule.get("operator") in ("EQ", "GT", "GTE", "LT", "LTE")


def _number(value: Any, default: float) -> float:
    """A number, or a date in milliseconds; `default` for anything else."""
    text = str(value)
    if NUMBER.fullmatch(text):
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return default
    return float(milliseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC)))


def _comparable(left: str, right: str) -> tuple[Any, Any]:
    numbers = _number(left, -1.0), _number(right, -1.0)
    return numbers if -1.0 not in numbers else (left.lower(), right.lower())
