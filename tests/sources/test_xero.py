"""What is odd about Xero: refresh tokens that rotate, half an hour of grace, tenants, minutes and days of calls."""

from __future__ import annotations

import base64
import json
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from include.connect.connection import Connection
from include.connect.errors import FixCredentials, StopSync
from include.connect.http import Session
from include.simulate.xero import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN
from include.sources import get_source
from tests.connect.vendor import js, serving
from tests.sources.simulator import Puller, Simulator


def bought(simulator: Simulator, refresh_token: str) -> dict[str, Any]:
    """What the token endpoint gives for a refresh token, to somebody who keeps nothing of it."""
    body = urlencode({"grant_type": "refresh_token", "refresh_token": refresh_token}).encode()
    shown = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
    request = urllib.request.Request(f"http://127.0.0.1:{simulator.port}/xero/connect/token", body)
    request.add_header("Authorization", f"Basic {shown}")
    with urllib.request.urlopen(request, timeout=30) as response:
        found: dict[str, Any] = json.loads(response.read())
    return found


def given(simulator: Simulator, **extra: Any) -> Connection:
    found = simulator.connection("xero")
    return Connection("xero", "main", found.base_url, found.login, found.password, {**found.extra, **extra})


def test_refresh_tokens_rotate_and_a_lost_answer_has_half_an_hour(changing_world: Simulator, tmp_path: Path) -> None:
    pulling = Puller(changing_world, tmp_path)
    connection = given(changing_world, refresh_token=bought(changing_world, REFRESH_TOKEN)["refresh_token"])

    def later(minutes: float) -> None:
        changing_world.advance(minutes / 1440)
        pulling.follow()

    def pulled(run: str) -> int:
        return pulling("xero", run, connection=connection, stream="payments")[0].requests

    first = pulled("1")
    # Each access token lives half an hour; what bought it does not work by then, what it gave does.
    for number in range(3):
        later(31)
        assert pulled(f"later {number}") == 2
    assert pulled("same half hour") == 1
    assert first > 2
    stale = Puller(changing_world, tmp_path / "another store")
    with pytest.raises(FixCredentials, match=r"connection xero.*invalid_grant"):
        stale("xero", connection=connection, stream="payments")
    # An answer that was lost: nobody kept it, and the token that bought it buys once more.
    lost = given(changing_world, refresh_token=bought(changing_world, REFRESH_TOKEN)["refresh_token"])
    bought(changing_world, str(lost.extra["refresh_token"]))
    later(20)
    assert stale("xero", "2", connection=lost, stream="payments")[0].records > 0


def test_archived_contacts_and_voided_invoices_come_with_their_change(
    changing_world: Simulator, tmp_path: Path
) -> None:
    pulling = Puller(changing_world, tmp_path)
    contacts, invoices, _ = pulling("xero")
    found = {line["_key"]: line["_payload"] for line in pulling.lines(contacts)}
    merged = [one for one in found.values() if "MergedToContactID" in one]
    assert merged
    assert all(one["ContactStatus"] == "ARCHIVED" and one["MergedToContactID"] in found for one in merged)
    assert {"VOIDED", "DELETED", "PAID"} <= {line["_payload"]["Status"] for line in pulling.lines(invoices)}
    number = next(key for key, one in found.items() if one["ContactStatus"] == "ACTIVE")
    changing_world.advance(3600 / 86_400)
    pulling.follow()
    access = bought(changing_world, REFRESH_TOKEN)["access_token"]
    url = f"http://127.0.0.1:{changing_world.port}/xero/api.xro/2.0/Contacts/{number}"
    change = urllib.request.Request(url, b'{"ContactStatus": "ARCHIVED"}', method="POST")
    change.add_header("Authorization", f"Bearer {access}")
    urllib.request.urlopen(change, timeout=30).close()
    second, _, _ = pulling("xero", "2")
    changed = {line["_key"]: line["_payload"]["ContactStatus"] for line in pulling.lines(second)}
    assert changed[number] == "ARCHIVED"
    assert second.records < contacts.records / 4


def test_a_tenant_that_is_not_open_is_refused_and_a_used_up_day_stops(pulling: Puller, world: Simulator) -> None:
    with pytest.raises(FixCredentials, match="403"):
        pulling("xero", connection=given(world, tenant_id="somebody else's"))
    with pytest.raises(FixCredentials, match="no tenant_id"):
        Session(get_source("xero"), given(world, tenant_id=""), None)  # type: ignore[arg-type]
    with serving() as vendor:
        token = {"access_token": "t", "refresh_token": "r", "expires_in": 1800}
        vendor.script = [
            js(token),
            js({}, 429, X_Rate_Limit_Problem="minute", Retry_After="7"),
            js({}, 429, X_Rate_Limit_Problem="day", Retry_After="40000"),
        ]
        extra = {"tenant_id": "t-1", "refresh_token": "r0", "token_url": f"{vendor.url}/connect/token"}
        before = pulling.clock.skipped
        with pytest.raises(StopSync, match="daily quota"):
            pulling("xero", "2", connection=Connection("xero", "main", vendor.url, "app", "secret", extra))
        assert pulling.clock.skipped - before >= 7
        assert [request.headers.get("xero-tenant-id") for request in vendor.asked[1:]] == ["t-1", "t-1"]
