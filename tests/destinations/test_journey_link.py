"""The link to a customer's page as a field: it arrives, and an unchanged one costs no call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from destination_bench import make_bench
from seen import SALESFORCE, SALESFORCE_API, salesforce_query
from vendors import HUBSPOT, ZENDESK

if TYPE_CHECKING:
    from vendors import Simulator

PUBLIC = "https://airflow.example.com"
FIELD = "journey_page"


def _hubspot(simulator: Simulator, address: str) -> Any:
    found = simulator.call("GET", f"/hubspot/crm/v3/objects/contacts/{address}?properties={FIELD}", HUBSPOT)
    return found["properties"][FIELD]


def _salesforce(simulator: Simulator, address: str) -> Any:
    held = {one["Id"]: one[f"{FIELD}__c"] for one in salesforce_query(simulator, f"SELECT Id, {FIELD}__c FROM Contact")}
    return held[address]


def _zendesk(simulator: Simulator, address: str) -> Any:
    return simulator.call("GET", f"/zendesk/api/v2/users/{address}.json", ZENDESK)["user"]["user_fields"][FIELD]


HELD: dict[str, Callable[[Simulator, str], Any]] = {
    "hubspot_contact": _hubspot,
    "salesforce_contact": _salesforce,
    "zendesk_user": _zendesk,
}


@pytest.mark.parametrize("name", HELD)
def test_the_link_arrives_and_stays_without_a_call(
    name: str, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STITCHLINE_PUBLIC_URL", f"{PUBLIC}/")
    if name == "salesforce_contact":
        made = {"FullName": f"Contact.{FIELD}__c", "Metadata": {"type": "Url", "label": "Journey"}}
        simulator.call("POST", f"/salesforce{SALESFORCE_API}/tooling/sobjects/CustomField", SALESFORCE, made)
    bench = make_bench(name, simulator, tmp_path, f"{name} link")
    people = bench.everybody[:3]
    mapped = {"fields": f"{{{FIELD}: journey_url}}"}

    assert bench.send(bench.publish(people, **mapped)).accepted == 3
    held = {row["customer_id"]: HELD[name](simulator, row[bench.key]) for row in people}
    assert held == {who: f"{PUBLIC}/stitchline/customers/{who}" for who in held}

    simulator.reset_stats()
    result = bench.send(bench.publish(people, **mapped))
    assert (result.counts.unchanged, result.calls, bench.stats()["requests"]) == (3, 0, 0)

    # Where the UI moves, each row is sent once more.
    bench.warehouse.settings = bench.warehouse.settings.model_copy(update={"public_url": "https://moved.example.com"})
    assert bench.send(bench.publish(people, **mapped)).counts.update == 3
    assert HELD[name](simulator, people[0][bench.key]).startswith("https://moved.example.com/stitchline/customers/")
