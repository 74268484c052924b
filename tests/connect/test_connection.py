from __future__ import annotations

import json

import pytest

from include.connect.auth import HeaderAuth
from include.connect.connection import Connection, read_connection
from include.connect.errors import FixCredentials
from include.connect.source import Source


def test_a_connection_is_read_through_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "conn_type": "http",
        "host": "http://127.0.0.1:8765/acme/",
        "login": "me",
        "password": "s3cret",
        "extra": {"region": "eu", "allow_writes_in": ["dev"]},
    }
    monkeypatch.setenv("AIRFLOW_CONN_ACME__EU", json.dumps(given))
    found = read_connection("acme", "eu")
    assert (found.id, found.base_url, found.login, found.password) == (
        "acme__eu",
        "http://127.0.0.1:8765/acme",
        "me",
        "s3cret",
    )
    assert found.extra["region"] == "eu"
    assert "s3cret" not in repr(found)
    assert found.allows_writes("dev")
    assert not found.allows_writes("staging")
    assert found.allows_writes("prod")


@pytest.mark.parametrize("variable", ["AIRFLOW_CONN_ACME", "AIRFLOW_CONN_ACME__EU"])
def test_a_missing_connection_is_named(variable: str) -> None:
    account = "eu" if variable.endswith("EU") else "main"
    with pytest.raises(FixCredentials, match=variable):
        read_connection("acme", account)


def test_parts_of_a_host_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ACME", "http://me:pw@acme.example:8080/https")
    assert read_connection("acme").base_url == "https://acme.example:8080"


def test_the_vendors_address_is_the_default_and_its_version_is_always_there() -> None:
    source = Source("acme", "Acme", "https://{region}.acme.example/v3")
    assert source.base_url_of(Connection("acme", extra={"region": "eu"})) == "https://eu.acme.example/v3"
    for host in ("http://127.0.0.1:1/acme", "http://127.0.0.1:1/acme/v3", "http://127.0.0.1:1/acme/v3/"):
        assert source.base_url_of(Connection("acme", base_url=host)) == "http://127.0.0.1:1/acme/v3"
    with pytest.raises(FixCredentials, match="no region"):
        source.base_url_of(Connection("acme", password="s3cret"))


def test_a_vendors_own_header_is_filled_from_the_connection() -> None:
    keyed = Connection("acme", login="me", password="s3cret")
    assert HeaderAuth('Token token="{password}"').headers(keyed) == {"Authorization": 'Token token="s3cret"'}
    assert HeaderAuth("{login}", name="X-Acme-User").headers(keyed) == {"X-Acme-User": "me"}
    with pytest.raises(FixCredentials, match="no password"):
        HeaderAuth().headers(Connection("acme"))
