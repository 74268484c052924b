"""Which records are an erased person's: whatever names them, what only their things carry, and never another's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from include.connect.errors import FixSettings
from include.privacy.erase import is_started
from include.privacy.request import request
from include.run import Run
from include.settings import Settings
from include.warehouse.duckdb import DuckDBEngine
from include.warehouse.engine import Engine
from include.warehouse.identity.evidence import EVIDENCE
from include.warehouse.identity.tables import TABLES
from include.warehouse.schema import OPS, raw_table

NOW = datetime(2026, 11, 1, tzinfo=UTC)
RUN = Run.of("erase_person", "manual", NOW)
SETTINGS = Settings(erasure_salt=SecretStr("a salt that only tests have"))
ADA, BOB, INBOX = "ada@oak.example", "bob@elm.example", "familie@oak.example"
ADAS, BOBS, KIOSK = "anonymous-ada", "anonymous-bob", "anonymous-kiosk"


def contact(email: str, **more: str) -> dict[str, Any]:
    return {"id": "1", "properties": {"email": email, **more}}


def page(anonymous_id: str, user_id: str | None = None, url: str = "https://shop.example/") -> dict[str, Any]:
    record = {"type": "page", "anonymousId": anonymous_id, "userId": user_id, "properties": {"url": url}}
    return {"outside": {"type": "page"}, "record": record}


RECORDS: dict[str, dict[str, dict[str, Any]]] = {
    "hubspot__contacts": {
        "1": contact(ADA) | {"id": "1"},
        "2": contact(BOB) | {"id": "2"},
        "3": contact("carl@fir.example", hs_additional_emails=INBOX) | {"id": "3"},
    },
    "zendesk__users": {
        "7": {"id": 7, "email": ADA.upper(), "external_id": "user_ada"},
        "8": {"id": 8, "email": BOB, "external_id": "user_bob"},
        # Known by the address; nobody has its number and account yet.
        "9": {"id": 9, "email": ADA, "external_id": "user_new"},
    },
    "zendesk__tickets": {"71": {"id": 71, "requester_id": 9}, "81": {"id": 81, "requester_id": 8}},
    "collector__segment_calls": {
        "her device": page(ADAS),
        "her account": page(KIOSK, "user_ada"),
        "her device, his account": page(ADAS, "user_bob"),
        "his device": page(BOBS),
        "her address in his link": page(BOBS, None, f"https://shop.example/?email={ADA}"),
        "nobody signed in": page(KIOSK),
        "signed in before": page(KIOSK),
        "her new account": page("anonymous-new", "user_new"),
    },
    "callrail__calls": {
        "c1": {"id": "c1", "customer_phone_number": "+14155550100"},
        "c2": {"id": "c2", "customer_phone_number": "+14155550199"},
    },
    "collector__hooks": {"h1": {"text": f"call {ADA.title()} back"}, "h2": {"text": f"call {BOB} back"}},
}
IDENTIFIERS = {
    "ada": {"email": ADA, "user_id": "user_ada", "hubspot_contact_id": "main/1", "zendesk_user_id": "main/7"},
    "bob": {"email": BOB, "user_id": "user_bob", "hubspot_contact_id": "main/2", "zendesk_user_id": "main/8"},
    "carl": {"email": "carl@fir.example", "hubspot_contact_id": "main/3"},
}
IDENTIFIERS["ada"] |= {"anonymous_id": ADAS, "phone": "+14155550100"}
IDENTIFIERS["bob"] |= {"anonymous_id": BOBS}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """Everybody's records in raw, and who is who as published."""
    made = DuckDBEngine.in_memory()
    made.ensure(OPS)
    stamp = {"_account": "main", "_run_id": "r1", "_part": 0, "_seq": 1, "_extracted_at": NOW, "_loaded_at": NOW}
    for number, (name, records) in enumerate(RECORDS.items(), 1):
        source, _, stream = name.partition("__")
        made.ensure([raw_table(source, stream)])
        rows = [{**stamp, "_seq": number, "_key": key, "_payload": json.dumps(has)} for key, has in records.items()]
        made.append(f"raw.{name}", rows)
        load = {"seq": number, "source": source, "account": "main", "stream": stream, "run_id": "r1", "loaded_at": NOW}
        made.append("ops.loads", [load])
    here = made.at("g1")
    here.ensure([*TABLES, EVIDENCE])
    owned = [{"kind": k, "value": v, "customer_id": who} for who, has in IDENTIFIERS.items() for k, v in has.items()]
    here.append("identity.identifiers", owned)
    here.append("identity.customers", [{"customer_id": who} for who in IDENTIFIERS])
    here.append("identity.redirects", [{"old_customer_id": "former ada", "customer_id": "ada"}])
    here.append("identity.events", [{"event_id": "segment/signed in before", "customer_id": "ada"}])
    shared = [("email", INBOX, "shared_inbox"), ("anonymous_id", KIOSK, "shared_device")]
    here.append("identity.blocked_values", [{"kind": k, "value": v, "reason": why} for k, v, why in shared])
    here.execute("CREATE TABLE identity.names AS SELECT kind, value, '' AS first_name, '' AS last_name "
                 "FROM identity.identifiers AS i WHERE FALSE")  # fmt: skip
    made.append("ops.published", [{"generation": "g1", "base": "g1", "as_of": NOW, "published_at": NOW, "seq_to": 9}])
    yield made
    made.connection.close()


def found(engine: Engine, kind: str | None, value: str, **more: Any) -> set[str]:
    """Keys of the records that would go."""
    request(engine, SETTINGS, RUN, kind, value, dry_run=True, **more)
    return {row["record_key"] for row in engine.query("SELECT record_key FROM scratch.erasing AS e")}


HERS = {"1", "7", "9", "71", "c1", "h1", "her device", "her account", "her address in his link"}
HERS |= {"signed in before", "her new account"}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (None, " Ada@Oak.example"),
        pytest.param("user_id", "user_ada", marks=pytest.mark.long),
        pytest.param("customer_id", "ada", marks=pytest.mark.long),
        pytest.param("customer_id", "former ada", marks=pytest.mark.long),
    ],
)
def test_by_any_identifier_the_same_records_go(engine: Engine, kind: str | None, value: str) -> None:
    assert found(engine, kind, value) == HERS


def test_what_names_somebody_else_too_goes_only_for_who_is_named(engine: Engine) -> None:
    assert found(engine, "email", BOB) == {"2", "8", "81", "h2", "his device", "her device, his account"}


def test_an_address_nobody_has_yet_can_be_barred(engine: Engine) -> None:
    with pytest.raises(FixSettings, match="nobody has"):
        found(engine, "email", "eve@ash.example")
    assert found(engine, "email", "eve@ash.example", unknown=True) == set()
    with pytest.raises(FixSettings, match="no email"):
        found(engine, "email", "no address", unknown=True)


@pytest.mark.parametrize(("kind", "value"), [("email", INBOX), ("anonymous_id", KIOSK)])
def test_what_several_people_share_names_nobody(engine: Engine, kind: str, value: str) -> None:
    with pytest.raises(FixSettings, match="nobody's alone"):
        found(engine, kind, value)


def test_without_the_salt_nobody_can_be_erased(engine: Engine) -> None:
    with pytest.raises(FixSettings, match="STITCHLINE_ERASURE_SALT"):
        request(engine, Settings(erasure_salt=None), RUN, "email", ADA)


def test_what_is_written_down_tells_nobody_who_it_was(engine: Engine) -> None:
    erasure = request(engine, SETTINGS, RUN, "email", BOB)
    request(engine, SETTINGS, RUN, "email", BOB)  # as a retry does

    assert is_started(engine)
    rows = engine.query("SELECT erasure_id, kind, customer_id, status FROM ops.erasures AS e")
    assert rows == [{"erasure_id": erasure.erasure_id, "kind": "email", "customer_id": "bob", "status": "started"}]
    kept = [repr(row) for table in ("erasures", "tombstones") for row in engine.query(f"SELECT * FROM ops.{table}")]
    # Each identifier, and the hash under which its address may come.
    assert len(kept) == 1 + len(IDENTIFIERS["bob"]) + 1
    assert not [row for row in kept for value in IDENTIFIERS["bob"].values() if value in row]
    other = Settings(erasure_salt=SecretStr("a salt that is another one"))
    with pytest.raises(FixSettings, match="former value"):
        request(engine, other, Run.of("erase_person", "later", NOW + timedelta(days=1)), "email", ADA)
