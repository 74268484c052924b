"""Small random tables for the models: values that meet each other, moments around the clock, payloads of odd types."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Mapping
from copy import deepcopy
from datetime import timedelta
from typing import Any

from cases import AS_OF, Case, every_model, instant
from sql_files import types

NOW = instant(AS_OF)
MOMENTS = [
    None,
    NOW,
    NOW + timedelta(microseconds=1),
    NOW - timedelta(days=30),
    NOW - timedelta(days=30, microseconds=1),
    NOW - timedelta(days=90),
    NOW - timedelta(days=90, microseconds=1),
    *(NOW - timedelta(days=days, milliseconds=days) for days in (1, 2, 29, 31, 400)),
]
TEXTS = [
    None,
    "",
    " ",
    "Ada",
    " Ada Maria  Ray ",
    "ÉLODIE",
    "o'Brien",
    'say "x"',
    "a\\b",
    "tab\there",
    "two\nlines",
    "李",
    "😀",
]
ADDRESSES = ["ada@example.com", " Ada@Example.com ", "bo@example.com", "o'b@example.com", "Ünï@example.com", "none", ""]
URLS = [
    None,
    "",
    "https://example.com/",
    "https://example.com/?email=ada%40example.com&x=1",
    "https://example.com/?x=1&utm_email=bo%2bnews@example.com#top",
    "https://example.com/?xemail=ada@example.com",
    "https://example.com/?email=",
    f"https://example.com/?eh={'aB' * 32}",
    f"https://example.com/?eh={'ab' * 32}0",
]
IDS = ["1", "2", "3", "4", "5", "6"]
"""Few, so that rows of different tables meet."""
KINDS = {
    "user_id": ["1", "2"],
    "anonymous_id": ["1", "2", "3"],
    "hubspot_contact_id": ["main/1", "main/2", "second/1"],
    "mailchimp_member_id": ["main/1/1", "main/1/2", "main/2/1", "second/1/1"],
    "stripe_customer_id": ["main/1", "main/2"],
    "zendesk_user_id": ["main/1", "second/1"],
    "calendly_invitee": ["main/1", "main/2"],
    "salesforce_contact_id": ["main/1", "second/1"],
    "salesforce_lead_id": ["main/1", "main/2"],
    "sendgrid_contact_id": ["main/1", "main/2"],
    "intercom_contact_id": ["main/1", "second/1"],
    "xero_contact_id": ["main/1", "main/2"],
    "callrail_call": ["main/1", "main/2"],
    "phone": ["Ada", "李"],
    "email": ["ada@example.com", "bo@example.com", "o'b@example.com"],
}
EVENTS = [
    *(
        f"{source}/{number}"
        for source in ("segment", "snowplow", "phantombuster", "calendly", "stripe", "callrail", "xero")
        for number in IDS
    ),
    *(f"mandrill/messages/{hashlib.sha256(str(key).encode()).hexdigest()[:32]}" for key in (1, 2, 3)),
    *(
        f"{source}{account}/{number}"
        for source in ("zendesk", "intercom", "salesforce")
        for account in ("", "__second")
        for number in IDS[:2]
    ),
    *(
        f"sendgrid{account}/{stream}/{hashlib.sha256(address.encode()).hexdigest()[:32]}"
        for account in ("", "__second")
        for stream in ("bounces", "spam_reports", "unsubscribes")
        for address in ADDRESSES
    ),
]
WORDS = {
    "_account": ["main", "main", "second"],
    "email": ADDRESSES,
    "url": URLS,
    "currency": ["EUR", "JPY", "KWD", None],
    "mailchimp_list_id": ["1", "1", "2"],
    "mailchimp_member_id": ["1", "2"],
    "channel": ["email_marketing", "sms"],
    "activity": ["viewed_page", "viewed_page", "product_added", "abandoned_checkout", "placed_order", None],
    "feature_json": ['{"path": "/pricing"}', '{"path": "/Blog/1?x=1"}', '{"path": "/docs"}', "{}", None],
    "field": ["first_name", "last_name", "email", "phone", "user_id"],
    "direction": ["inbound", "outbound", None],
    "reason": ["bounced", "reported_spam", "unsubscribed"],
    "kind": ["call", "email", "meeting"],
    "task_type": ["Call", "Email", "Task", None],
    "invoice_type": ["ACCREC", "ACCREC", "ACCPAY", None],
    "payment_type": ["ACCRECPAYMENT", "ACCRECPAYMENT", "ACCPAYPAYMENT", None],
}
STATUSES = {
    "staging.mailchimp__members": ["subscribed", "unsubscribed", "cleaned", "pending", None],
    "staging.mandrill__messages": ["sent", "sent", "unsub", "rejected", None],
    "staging.stripe__charges": ["succeeded", "pending", "failed", None],
    "marts.orders": ["paid", "paid", "paid", "refunded", "failed", None],
    "marts.tickets": ["new", "open", "solved", "closed", None],
    "marts.consents": ["granted", "denied"],
    "staging.xero__invoices": ["AUTHORISED", "PAID", "DRAFT", None],
}
UNIQUE = {
    "identity.identifiers": ("kind", "value"),
    "staging.mailchimp__members": ("_account", "mailchimp_list_id", "mailchimp_member_id"),
    "marts.golden_fields": ("customer_id", "field"),
}
"""What no two rows of a table share; in other tables it is the first column that says anything, an id."""
IDENTIFIERS = [
    None,
    "",
    " \t",
    "/",
    "main/",
    "main/1",
    *(
        " Ada@Example.com\u00a0",
        "mailto:ADA@example.com",
        "ada@example",
        "a b@example.com",
        "ada@ex..com",
        "ÄDA@example.com",
    ),
    *("ada@@example.com", "ada@example.c", "<ada@example.com>", f"{'a' * 250}@example.com", "ada@sub.example.co.uk"),
    *(
        "+41 44 668 18 00",
        "0041446681800",
        "(044) 668-1800 ext. 5",
        "044 668 18 00 x5",
        "12345",
        "+1+2345678",
        "tel 5551234",
    ),
    *("aB" * 32, "ab" * 32 + "0", "g" * 64),
    *("https://www.linkedin.com/in/Ada/?x#", "www.linkedin.com/in/ada", "http://", "@Ada", "@@ada", "\ufeffada\u200b"),
]
"""What vendors hold where an identifier is expected; nothing that NORMALIZE would change."""
PAYLOAD_VALUES: list[Any] = [
    None,
    "",
    " ",
    "text",
    " padded ",
    "archived",
    "canceled",
    "deleted",
    "true",
    True,
    False,
    0,
    1,
    -5,
    9007199254740993,
    "12",
    "1200",
    "1.5",
    "12.345678901",
    "1e3",
    "1,000",
    "NaN",
    "2026-05-01T10:00:00Z",
    "2026-05-01T10:00:00.123456Z",
    "2026-05-01T10:00:00+02:00",
    "2026-05-01 10:00:00 UTC",
    "2026-05-01",
    "2026-13-01T10:00:00Z",
    "yesterday",
    [],
    ["a"],
    {},
    {"a": 1},
    "https://api.example.com/things/abc",
    "Ada Ray",
    "Ünïcode 😀 \"quoted\" 'single' back\\slash",
]


def tables(model: str, chance: random.Random, rows: int) -> Case:
    """Random rows for every table that a model reads, as a case without an expectation."""
    made = every_model()[model]
    # Whoever nobody is known by meets nothing: identifiers of many kinds need more rows.
    counts = {table: rows * 3 if table == "identity.identifiers" else rows for table in sorted(made.reads)}
    given = {table: [_row(table, made.sql, chance) for _ in range(count)] for table, count in counts.items()}
    for table, listed in given.items() if model.startswith(("marts/", "segments/")) else ():
        own = UNIQUE.get(table) or tuple(name for name in types(table) if not name.startswith("_"))[:1]
        if own:
            given[table] = list({tuple(row[name] for name in own): row for row in listed}.values())
    return Case(model, "random", made.path, given, (), NOW)


def _row(table: str, sql: str, chance: random.Random) -> dict[str, Any]:
    if table.startswith("raw."):
        return {"_account": chance.choice(WORDS["_account"]), "_payload": _payload(sql, chance)}
    row = {name: _value(table, name, kind, chance) for name, kind in types(table).items() if not _is_machinery(name)}
    if table == "identity.identifiers":
        row["kind"] = chance.choice([kind for kind in KINDS if f"'{kind}'" in sql] or list(KINDS))
        row["value"] = chance.choice(KINDS[row["kind"]])
    if table == "identity.events":
        row["event_id"] = chance.choice([event for event in EVENTS if f"'{re.split('/|__', event)[0]}" in sql])
    return row


def _is_machinery(name: str) -> bool:
    return name.startswith("_") and name != "_account"


def _value(table: str, name: str, kind: str, chance: random.Random) -> Any:
    if kind == "BOOL":
        return chance.random() < 0.3
    if kind == "TIMESTAMP":
        return chance.choice(MOMENTS)
    if kind == "DATE":
        moment = chance.choice(MOMENTS)
        return moment and moment.date()
    if kind == "INT64":
        return chance.choice([None, 0, 1, 7, 1234567, -3])
    if kind == "FLOAT64":
        return chance.choice([None, 0.5, 1.0])
    if kind == "NUMERIC":
        return chance.choice([None, "0", "0.1", "12.34", "1000000.000000001", "-3"])
    if name == "status" and table in STATUSES:
        return chance.choice(STATUSES[table])
    if name == "customer_id":
        return chance.choice(["a", "b", "c", "d"])
    if name in WORDS:
        return chance.choice(WORDS[name])
    if name.endswith("_id") or name in {"utm_term", "order_id", "ticket_id"}:
        return chance.choice([*IDS, None])
    return chance.choice(TEXTS)


def _payload(sql: str, chance: random.Random) -> Mapping[str, Any]:
    """A record with a random value, of any type, at each place the SQL looks, or nothing there."""
    payload: dict[str, Any] = {}
    for path in sorted(set(re.findall(r"'[$][.]([\w.]+)", sql))):
        if chance.random() < 0.15:
            continue
        *outer, last = path.split(".")
        inner = payload
        for name in outer:
            held = inner.setdefault(name, {})
            if not isinstance(held, dict):
                break
            inner = held
        else:
            # Copied: what stands below this place is written into it.
            inner[last] = deepcopy(chance.choice(PAYLOAD_VALUES))
    return payload
