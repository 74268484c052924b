"""Every destination as its vendor's own people see it."""

from __future__ import annotations

import csv
import gzip
import hashlib
import hmac
import json
import os
import urllib.error
import urllib.request
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from itertools import islice
from typing import Any
from urllib.parse import quote

from vendors import FIRST, HUBSPOT, MAILCHIMP, Seen, Simulator, audience, mailchimp_members

from include.simulate.airship import KEY as AIRSHIP_KEY
from include.simulate.airship import SECRET as AIRSHIP_SECRET
from include.simulate.meta import AD_ACCOUNT
from include.simulate.meta import TOKEN as META_TOKEN
from include.simulate.salesforce import API as SALESFORCE_API
from include.simulate.salesforce import TOKEN as SALESFORCE_TOKEN
from include.simulate.segment_tracking import WRITE_KEY
from include.simulate.shopify import API as SHOPIFY_API
from include.simulate.shopify import TOKEN as SHOPIFY_TOKEN
from include.simulate.webhook import SECRET as HOOK_SECRET


def hook_seen(simulator: Simulator) -> dict[str, Any]:
    found: dict[str, Any] = simulator.call("GET", "/webhook/seen")
    return found


def _hook_people(simulator: Simulator) -> list[dict[str, Any]]:
    return [{"customer_id": f"c{number:05d}", "email": f"person{number}@example.com"} for number in range(1200)]


def _hook_held(simulator: Simulator, name: str) -> set[str]:
    return set(hook_seen(simulator)["lists"].get(name, ()))


def _hook_by_hand(simulator: Simulator, name: str, address: str) -> None:
    body = {"list": name, "rows": [{"customer_id": address, "operation": "enter", "fields": {}}]}
    proof = hmac.new(HOOK_SECRET.encode(), b"1." + json.dumps(body).encode(), hashlib.sha256).hexdigest()
    simulator.call("POST", "/webhook/catch", {"X-Stitchline-Signature": f"t=1,v1={proof}"}, body)


SEGMENT = {"Authorization": "Basic " + b64encode(f"{WRITE_KEY}:".encode()).decode()}


def traits(simulator: Simulator) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = simulator.call("GET", "/segment_tracking/debugger")
    return found


def _segment_flagged(simulator: Simulator, name: str) -> set[str]:
    return {user for user, held in traits(simulator).items() if held.get(name) is True}


def _segment_by_hand(simulator: Simulator, name: str, address: str) -> None:
    message = {"type": "identify", "userId": address, "messageId": f"{name}/{address}", "traits": {name: True}}
    simulator.call("POST", "/segment_tracking/v1/batch", SEGMENT, {"batch": [message]})


def _website_people(simulator: Simulator) -> list[dict[str, Any]]:
    return [
        {"user_id": person.user_id, "email": person.emails[0]}
        for person in simulator.population.people
        if person.user_id
    ]


SENDGRID = {"Authorization": "Bearer SG.demo"}
STRIPE = {"Authorization": "Bearer sk_test_demo"}


def sendgrid_suppressed(simulator: Simulator) -> dict[str, list[Any]]:
    kinds = ("bounces", "blocks", "spam_reports", "unsubscribes")
    path = "/sendgrid/v3/suppression/{}?limit=500"
    return {kind: simulator.call("GET", path.format(kind), SENDGRID) for kind in kinds}


def _sendgrid_people(simulator: Simulator) -> list[dict[str, Any]]:
    """Half of them contacts already, some of those suppressed."""
    return [
        {"email_marketing_address": person.emails[0], "email": person.emails[0]}
        for person in simulator.population.people[:400]
    ]


def _sendgrid_list(simulator: Simulator, name: str) -> str | None:
    lists = simulator.call("GET", "/sendgrid/v3/marketing/lists", SENDGRID)["result"]
    return next((one["id"] for one in lists if one["name"] == name), None)


def _sendgrid_held(simulator: Simulator, name: str) -> set[str]:
    number = _sendgrid_list(simulator, name)
    if number is None:
        return set()
    exports = "/sendgrid/v3/marketing/contacts/exports"
    export = simulator.call("POST", exports, SENDGRID, {"list_ids": [number]})["id"]
    job: dict[str, Any] = {"status": "pending"}
    while job["status"] == "pending":
        job = simulator.call("GET", f"{exports}/{export}", SENDGRID)
    texts = []
    for url in job["urls"]:
        with urllib.request.urlopen(url, timeout=60) as answer:
            texts.append(gzip.decompress(answer.read()).decode())
    return {row["EMAIL"] for text in texts for row in csv.DictReader(StringIO(text))}


def _sendgrid_by_hand(simulator: Simulator, name: str, address: str) -> None:
    number = _sendgrid_list(simulator, name)
    if number is None:
        number = simulator.call("POST", "/sendgrid/v3/marketing/lists", SENDGRID, {"name": name})["id"]
    body = {"list_ids": [number], "contacts": [{"email": address}]}
    simulator.call("PUT", "/sendgrid/v3/marketing/contacts", SENDGRID, body)


def stripe_customers(simulator: Simulator) -> Iterator[dict[str, Any]]:
    more, after = True, ""
    while more:
        page = simulator.call("GET", f"/stripe/v1/customers?limit=100{after}", STRIPE)
        yield from page["data"]
        more, after = page["has_more"], f"&starting_after={page['data'][-1]['id']}"


def _stripe_people(simulator: Simulator) -> list[dict[str, Any]]:
    found = [(one["id"], one["email"]) for one in islice(stripe_customers(simulator), 100)]
    emails = Counter(email.lower() for _, email in found if email)
    return [
        {"stripe_customer_id": number, "email": email}
        for number, email in found
        if email and emails[email.lower()] == 1
    ]


def _stripe_flagged(simulator: Simulator, name: str) -> set[str]:
    return {one["id"] for one in stripe_customers(simulator) if one["metadata"].get(name[:40]) == "true"}


def _stripe_by_hand(simulator: Simulator, name: str, address: str) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded", **STRIPE}
    simulator.call("POST", f"/stripe/v1/customers/{address}", form, f"metadata[{name}]=true".encode())


AIRSHIP = {"Authorization": "Basic " + b64encode(f"{AIRSHIP_KEY}:{AIRSHIP_SECRET}".encode()).decode()}


def _merge_tag(simulator: Simulator, name: str) -> str | None:
    path = f"/mailchimp/3.0/lists/{audience(simulator)}/merge-fields?count=1000"
    found = simulator.call("GET", path, MAILCHIMP)["merge_fields"]
    return next((one["tag"] for one in found if one["name"] == name), None)


def _member_flagged(simulator: Simulator, name: str) -> set[str]:
    tag = _merge_tag(simulator, name)
    members = mailchimp_members(simulator) if tag else ()
    return {one["email_address"].lower() for one in members if one["merge_fields"].get(tag) == "true"}


def _member_by_hand(simulator: Simulator, name: str, address: str) -> None:
    one = f"/mailchimp/3.0/lists/{audience(simulator)}"
    tag = _merge_tag(simulator, name)
    if tag is None:
        tag = simulator.call("POST", f"{one}/merge-fields", MAILCHIMP, {"name": name, "type": "text"})["tag"]
    simulator.call("PATCH", f"{one}/members/{address}", MAILCHIMP, {"merge_fields": {tag: "true"}})


def _named_users(simulator: Simulator) -> Iterator[dict[str, Any]]:
    path: str | None = "/airship/api/named_users"
    while path:
        page = simulator.call("GET", path, AIRSHIP)
        yield from page["named_users"]
        path = page.get("next_page")


def _airship_people(simulator: Simulator) -> list[dict[str, Any]]:
    named = {one["named_user_id"] for one in _named_users(simulator)}
    return [row for row in _website_people(simulator) if row["user_id"] in named]


def _airship_tagged(simulator: Simulator, name: str) -> set[str]:
    return {one["named_user_id"] for one in _named_users(simulator) if name in one["tags"].get("stitchline", ())}


def _airship_by_hand(simulator: Simulator, name: str, address: str) -> None:
    body = {"audience": {"named_user_id": [address]}, "add": {"stitchline": [name]}}
    simulator.call("POST", "/airship/api/named_users/tags", AIRSHIP, body)


def meta_rows(simulator: Simulator, name: str) -> dict[str, dict[str, str]]:
    """What the audience holds, by hashed address."""
    found: dict[str, dict[str, str]] = simulator.call("GET", "/meta/held").get(name, {})
    return found


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _meta_held(simulator: Simulator, name: str) -> set[str]:
    people = {sha256(row["email"]): row["email"] for row in _sendgrid_people(simulator)}
    return {people[key] for key in meta_rows(simulator, name)}


def _meta_by_hand(simulator: Simulator, name: str, address: str) -> None:
    token = {"Authorization": f"Bearer {META_TOKEN}"}
    audiences = f"/meta/v26.0/act_{AD_ACCOUNT}/customaudiences"
    found = simulator.call("GET", f"{audiences}?limit=1000", token)["data"]
    number = next(one["id"] for one in found if one["name"] == name)
    body = {"payload": {"schema": ["EMAIL"], "data": [[sha256(address)]]}}
    simulator.call("POST", f"/meta/v26.0/{number}/users", token, body)


SALESFORCE = {"Authorization": f"Bearer {SALESFORCE_TOKEN}"}


def salesforce_query(simulator: Simulator, query: str) -> Iterator[dict[str, Any]]:
    path: str | None = f"{SALESFORCE_API}/query?q={quote(query)}"
    while path:
        page = simulator.call("GET", f"/salesforce{path}", SALESFORCE)
        yield from page["records"]
        path = page.get("nextRecordsUrl")


def _salesforce_people(simulator: Simulator) -> list[dict[str, Any]]:
    found = list(salesforce_query(simulator, "SELECT Id, Email FROM Contact WHERE Email != null"))
    emails = Counter(one["Email"].lower() for one in found)
    return [
        {"salesforce_contact_id": one["Id"], "email": one["Email"].lower()}
        for one in found
        if emails[one["Email"].lower()] == 1
    ]


def _salesforce_flagged(simulator: Simulator, name: str) -> set[str]:
    return {one["Id"] for one in salesforce_query(simulator, f"SELECT Id FROM Contact WHERE {name}__c = true")}


def _salesforce_by_hand(simulator: Simulator, name: str, address: str) -> None:
    path = f"/salesforce{SALESFORCE_API}/sobjects/Contact/{address}"
    simulator.call("PATCH", path, SALESFORCE, {f"{name}__c": True})


def _salesforce_field(simulator: Simulator, name: str) -> None:
    path = f"/salesforce{SALESFORCE_API}/tooling/sobjects/CustomField"
    body = {"FullName": f"Contact.{name}__c", "Metadata": {"type": "Checkbox", "label": name}}
    simulator.call("POST", path, SALESFORCE, body)


LISTS = "/hubspot/crm/v3/lists"


def hubspot_list(simulator: Simulator, name: str) -> str | None:
    """The id of the list of that name; None where there is none (404)."""
    try:
        found = simulator.call("GET", f"{LISTS}/object-type-id/0-1/name/{name}", HUBSPOT)
    except urllib.error.HTTPError:
        return None
    return str(found["list"]["listId"])


def _hubspot_listed(simulator: Simulator, name: str) -> set[str]:
    number, found = hubspot_list(simulator, name), set[str]()
    path: str | None = f"{LISTS}/{number}/memberships?limit=250" if number else None
    while path:
        page = simulator.call("GET", path, HUBSPOT)
        found.update(one["recordId"] for one in page["results"])
        after = page.get("paging", {}).get("next", {}).get("after")
        path = f"{LISTS}/{number}/memberships?limit=250&after={after}" if after else None
    return found


def _hubspot_list_by_hand(simulator: Simulator, name: str, address: str) -> None:
    simulator.call("PUT", f"{LISTS}/{hubspot_list(simulator, name)}/memberships/add", HUBSPOT, [address])


SHOPIFY = {"X-Shopify-Access-Token": SHOPIFY_TOKEN}


def shopify_ask(simulator: Simulator, document: str, **variables: Any) -> dict[str, Any]:
    body = {"query": document, "variables": variables}
    found: dict[str, Any] = simulator.call("POST", f"/shopify{SHOPIFY_API}", SHOPIFY, body)
    return found


def shopify_customers(simulator: Simulator) -> Iterator[dict[str, Any]]:
    document = """query ($after: String) { customers(first: 250, after: $after, sortKey: ID) {
      nodes { id legacyResourceId tags defaultEmailAddress { emailAddress } } pageInfo { hasNextPage endCursor } } }"""
    more, after = True, None
    while more:
        page = shopify_ask(simulator, document, after=after)["data"]["customers"]
        yield from page["nodes"]
        more, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]


def _shopify_people(simulator: Simulator) -> list[dict[str, Any]]:
    found = [(one["legacyResourceId"], one["defaultEmailAddress"]) for one in shopify_customers(simulator)]
    known = [(number, address["emailAddress"].strip().lower()) for number, address in found if address]
    emails = Counter(email for _, email in known)
    return [{"shopify_customer_id": number, "email": email} for number, email in known if emails[email] == 1]


def _shopify_tagged(simulator: Simulator, name: str) -> set[str]:
    return {one["legacyResourceId"] for one in shopify_customers(simulator) if name in one["tags"]}


def _shopify_by_hand(simulator: Simulator, name: str, address: str) -> None:
    document = "mutation ($id: ID!, $tags: [String!]!) { tagsAdd(id: $id, tags: $tags) { userErrors { message } } }"
    shopify_ask(simulator, document, id=f"gid://shopify/Customer/{address}", tags=[name])


def google_held(simulator: Simulator, name: str) -> dict[str, list[str]]:
    """What the audience holds: hashed addresses, hashed phones, and postal addresses."""
    found: dict[str, list[str]] = simulator.call("GET", "/google/held")[_google_id(name)]
    return found


def _google_id(name: str) -> str:
    return str(int(sha256(name)[:12], 16))


def _google_audience(simulator: Simulator, name: str) -> None:
    """Make the audience in the account, and write its id into the connection."""
    simulator.call("POST", "/google/held", body={"id": _google_id(name)})
    connection = json.loads(os.environ["AIRFLOW_CONN_GOOGLE"])
    connection["extra"]["audiences"] |= {name: _google_id(name)}
    os.environ["AIRFLOW_CONN_GOOGLE"] = json.dumps(connection)


def _google_matched(simulator: Simulator, name: str) -> set[str]:
    people = {sha256(row["email"]): row["email"] for row in _sendgrid_people(simulator)}
    return {people[key] for key in google_held(simulator, name)["emailAddress"]}


def _google_by_hand(simulator: Simulator, name: str, address: str) -> None:
    body = {"id": _google_id(name), "emailAddress": [sha256(address)]}
    simulator.call("POST", "/google/held", body=body)


def sns_messages(simulator: Simulator, topic: str) -> list[dict[str, Any]]:
    """What was published to a topic, in order."""
    found: list[dict[str, Any]] = simulator.call("GET", "/sns/held")[topic]
    return found


def _sns_told(simulator: Simulator, name: str) -> set[str]:
    last = {one["customer_id"]: one["operation"] for one in sns_messages(simulator, name)}
    return {customer for customer, operation in last.items() if operation != "leave"}


def _sns_topic(simulator: Simulator, name: str) -> None:
    simulator.call("POST", "/sns/held", body={"topic": name})


def _sns_by_hand(simulator: Simulator, name: str, address: str) -> None:
    message = {"customer_id": address, "operation": "enter"}
    simulator.call("POST", "/sns/held", body={"topic": name, "messages": [message]})


SEEN = {
    **FIRST,
    "airship_tag": Seen("tag: {}", _airship_people, _airship_tagged, _airship_by_hand, makes=0, batch=50, most=120),
    "google_audience": Seen(
        "tag: {}",
        _sendgrid_people,
        _google_matched,
        _google_by_hand,
        makes=0,
        batch=100,
        make_by_hand=_google_audience,
    ),
    "hubspot_list": Seen("tag: {}", FIRST["hubspot_contact"].people, _hubspot_listed, _hubspot_list_by_hand, batch=100),
    "mailchimp_member": Seen("field: {}", FIRST["mailchimp_tag"].people, _member_flagged, _member_by_hand),
    "meta_audience": Seen("tag: {}", _sendgrid_people, _meta_held, _meta_by_hand, batch=100),
    "salesforce_contact": Seen(
        "field: {}",
        _salesforce_people,
        _salesforce_flagged,
        _salesforce_by_hand,
        makes=0,
        batch=40,
        most=120,
        make_by_hand=_salesforce_field,
    ),
    "segment_identify": Seen("field: {}", _website_people, _segment_flagged, _segment_by_hand, makes=0, batch=100),
    "sendgrid_contact": Seen("tag: {}", _sendgrid_people, _sendgrid_held, _sendgrid_by_hand, batch=100),
    "shopify_tag": Seen("tag: {}", _shopify_people, _shopify_tagged, _shopify_by_hand, makes=0),
    "sns_topic": Seen(
        "tag: {}, fields: {{email: email}}",
        _hook_people,
        _sns_told,
        _sns_by_hand,
        makes=0,
        most=100,
        make_by_hand=_sns_topic,
    ),
    "stripe_customer": Seen("field: {}", _stripe_people, _stripe_flagged, _stripe_by_hand, makes=0, most=24),
    "webhook": Seen("tag: {}, fields: {{email: email}}", _hook_people, _hook_held, _hook_by_hand, makes=0, batch=100),
}
