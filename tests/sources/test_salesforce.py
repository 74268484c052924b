"""What is odd about Salesforce: query jobs, records that are gone, fields that may be hidden, two ways to sign in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from include.connect.connection import Connection
from include.connect.errors import FixCredentials, RetryLater, StopSync
from include.connect.http import Session
from include.connect.landing_writer import PartLimits
from include.connect.source import Source
from include.simulate.salesforce import USERNAME
from include.sources import get_source
from include.state.store import Store
from tests.connect.vendor import js, serving
from tests.sources.simulator import PAGE, Puller, Simulator

Truth = dict[str, dict[str, list[str]]]


def with_extra(simulator: Simulator, **extra: Any) -> Connection:
    given = simulator.connection("salesforce")
    return Connection(given.name, "main", given.base_url, given.login, given.password, {**given.extra, **extra})


def told(record: dict[str, Any]) -> dict[str, str | None]:
    """A record without what the two ways of reading spell differently."""
    return {name: str(value).replace(".000Z", ".000+0000") for name, value in record.items() if name != "attributes"}


def change(simulator: Simulator, pulling: Puller, method: str, path: str, json: Any = None) -> None:
    async def run(store: Store) -> None:
        session = Session(get_source("salesforce"), simulator.connection("salesforce"), store, writable=True)
        async with session:
            await session.send(method, path, json=json)

    with Store.open(pulling.settings) as store:
        asyncio.run(run(store))


def test_a_query_job_brings_what_pages_bring(pulling: Puller, world: Simulator, tmp_path: Path) -> None:
    (paged,) = pulling("salesforce", stream="leads")
    listed = {line["_key"]: told(line["_payload"]) for line in pulling.lines(paged)}
    bulk = Puller(world, tmp_path / "bulk")
    world.faults("salesforce", truncate_every=3, throttle_every=4, repeat_page_every=3)
    (job,) = bulk("salesforce", stream="leads", connection=with_extra(world, bulk_from=2 * PAGE))
    assert {line["_key"]: told(line["_payload"]) for line in bulk.lines(job)} == listed
    assert len(listed) == job.records > 2 * PAGE
    assert job.retries > 0
    assert {type(line["_payload"]["IsDeleted"]) for line in bulk.lines(job)} == {bool}
    assert job.cursor_to == paged.cursor_to


def test_a_job_s_result_is_read_on_where_it_was_left(pulling: Puller, world: Simulator, truth: Truth) -> None:
    connection = with_extra(world, bulk_from=2 * PAGE)

    def fail(stream: str, records: int, requests: int) -> None:
        if records >= 3 * PAGE:
            world.faults("salesforce", error_every=1)

    options: dict[str, Any] = {"stream": "leads", "connection": connection, "limits": PartLimits(records=PAGE)}
    with pytest.raises(RetryLater):
        pulling("salesforce", on_progress=fail, total_seconds=5, **options)
    world.control("DELETE", "faults")
    pulling.clock.skipped += 600
    before = world.requests("salesforce")
    (found,) = pulling("salesforce", attempt=2, **options)
    assert sorted(pulling.keys([found])["leads"]) == sorted(truth["salesforce"]["leads"])
    assert found.parts[0].path.count("attempt=1/") == 1
    # Neither the query nor the job is made again: the fields, then the pages that are left.
    assert world.requests("salesforce") - before == 1 + -(-(found.records - 3 * PAGE) // PAGE)


def test_gone_and_merged_records_come_marked(changing_world: Simulator, tmp_path: Path) -> None:
    pulling = Puller(changing_world, tmp_path)
    (first,) = pulling("salesforce", stream="contacts")
    contacts = {line["_key"]: line["_payload"] for line in pulling.lines(first)}
    merged = [one for one in contacts.values() if one["MasterRecordId"]]
    assert merged
    assert all(one["IsDeleted"] and not contacts[one["MasterRecordId"]]["MasterRecordId"] for one in merged)
    gone, changed = [key for key, one in contacts.items() if not one["IsDeleted"]][:2]
    changing_world.advance(3600 / 86_400)
    pulling.follow()
    change(changing_world, pulling, "DELETE", f"/sobjects/Contact/{gone}")
    change(changing_world, pulling, "PATCH", f"/sobjects/Contact/{changed}", {"Title": "CFO"})
    (second,) = pulling("salesforce", "2", stream="contacts")
    found = {line["_key"]: line["_payload"] for line in pulling.lines(second)}
    assert found[gone]["IsDeleted"] is True
    assert found[changed]["Title"] == "CFO"
    assert second.records < first.records / 4
    # The field of other organizations is not asked for; every one that this has is there.
    (opportunities,) = pulling("salesforce", stream="opportunities")
    shown = pulling.lines(opportunities)[0]["_payload"]
    assert "CurrencyIsoCode" not in shown
    assert {"Amount", "ContactId", "StageName"} < shown.keys()


def test_a_jwt_signs_in_too(pulling: Puller, world: Simulator) -> None:
    key = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    given = with_extra(world, username=USERNAME, private_key=key.decode())
    signing = Connection("salesforce", "main", given.base_url, given.login, "", given.extra)
    assert pulling("salesforce", stream="accounts", connection=signing)[0].records > 0
    stranger = Connection(
        "salesforce", "main", given.base_url, given.login, "", {**given.extra, "username": "nobody@acme.example"}
    )
    with pytest.raises(FixCredentials, match="invalid_grant"):
        pulling("salesforce", "2", stream="accounts", connection=stranger)


def test_the_address_comes_from_the_domain_and_a_used_up_day_stops(pulling: Puller) -> None:
    source: Source = get_source("salesforce")
    named = Connection("salesforce", extra={"my_domain": "acme"})
    assert source.base_url_of(named) == "https://acme.my.salesforce.com/services/data/v62.0"
    used_up = [{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}]
    with serving() as vendor:
        vendor.script = [js({"access_token": "t"}), js(used_up, 403)]
        connection = Connection("salesforce", "main", vendor.url, "app", "secret")
        with pytest.raises(StopSync, match="daily quota"):
            pulling("salesforce", stream="accounts", connection=connection)
        assert vendor.asked[0].path == "/services/oauth2/token"
        assert len(vendor.asked) == 2
