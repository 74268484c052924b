from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import web

from include.connect.auth import BearerAuth
from include.connect.check import check
from include.connect.connection import Connection
from include.connect.pages import TokenPages
from include.connect.source import Source, Stream, WarehouseTables
from include.settings import Settings
from tests.connect.vendor import Vendor, js

SOURCE = Source(
    "acme",
    "Acme",
    "https://acme.example",
    BearerAuth(),
    pages=TokenPages("next", "after"),
    streams=(Stream("lists", path="/lists"), Stream("members", path="/lists/{parent.id}", parent="lists")),
)


def tried(
    settings: Settings, source: Source = SOURCE, account: str = "main", **options: Any
) -> dict[str, tuple[bool, str]]:
    return {one.check: (one.ok, one.detail) for one in check(source, account, settings, **options)}


def test_every_stream_that_can_be_read_is_fine(settings: Settings, vendor: Vendor, connection: Connection) -> None:
    def answer(request: web.Request, body: bytes) -> web.Response:
        rows = [{"id": 5}] if request.path == "/lists" else [] if request.path == "/lists/5" else None
        return js({"results": rows}) if rows is not None else js({}, 404)

    vendor.handler = answer
    found = tried(settings, connection=connection)
    assert found == {
        "connection": (True, "acme found"),
        "credentials": (True, "accepted"),
        "lists": (True, "1 records on the first page"),
        "members": (True, "readable, and empty"),
    }


def test_refused_credentials_are_one_finding(settings: Settings, vendor: Vendor, connection: Connection) -> None:
    vendor.handler = lambda request, body: js({}, 401)
    found = tried(settings, connection=connection)
    assert {name: ok for name, (ok, _) in found.items()} == {"connection": True, "credentials": False}
    assert "connection acme" in found["credentials"][1]
    assert "s3cret" not in str(found)
    assert len(vendor.asked) == 1


def test_a_stream_that_may_not_be_read_is_told_apart(
    settings: Settings, vendor: Vendor, connection: Connection
) -> None:
    def answer(request: web.Request, body: bytes) -> web.Response:
        return js({"results": [{"id": 5}]}) if request.path == "/lists" else js({}, 403)

    vendor.handler = answer
    found = tried(settings, connection=connection)
    assert {name: ok for name, (ok, _) in found.items()} == {
        "connection": True,
        "credentials": True,
        "lists": True,
        "members": False,
    }


def test_records_without_a_key_are_found(settings: Settings, vendor: Vendor, connection: Connection) -> None:
    vendor.handler = lambda request, body: js({"results": [{"name": "x"}]})
    source = replace(SOURCE, streams=SOURCE.streams[:1])
    assert tried(settings, source, connection=connection)["lists"] == (False, "a record has no usable key at id")


def test_a_missing_connection_says_where_to_add_it(settings: Settings) -> None:
    found = tried(settings, account="eu")
    assert list(found) == ["connection"]
    assert not found["connection"][0]
    assert "AIRFLOW_CONN_ACME__EU" in found["connection"][1]


def test_a_warehouse_needs_to_be_named(settings: Settings, tmp_path: Path) -> None:
    source = Source("events", "Events", tables=WarehouseTables("loaded_at"))
    named = Connection("events", base_url=str(tmp_path / "events.duckdb"))
    assert tried(settings, source, connection=named)["dataset"][0]
    assert not tried(settings, source, connection=Connection("events"))["dataset"][0]
