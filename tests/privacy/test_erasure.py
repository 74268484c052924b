"""Who was erased is nowhere, stays nowhere, and nobody else is another than before; whatever is killed in between."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from include.cli import app
from include.connect.errors import FixSettings
from include.settings import ROOT, read_settings
from include.warehouse.models import staging_models

pytestmark = pytest.mark.long
WORKER = Path(__file__).with_name("erasing_worker.py")
ADA, BOB, INBOX = "ada@oak.example", "bob@elm.example", "familie@oak.example"
KIOSK, PHONE = "11111111-aaaa-4bbb-8ccc-000000000001", "11111111-aaaa-4bbb-8ccc-000000000002"
WORDS = (ADA, "Lovelace", "user_ada", PHONE)


def page(anonymous_id: str, minute: int, user_id: str | None = None) -> dict[str, Any]:
    at = f"2026-10-01T10:{minute:02}:00Z"
    url = "https://shop.example/pricing"
    record = {"anonymousId": anonymous_id, "userId": user_id, "messageId": f"m{minute}", "timestamp": at}
    return {"outside": {"type": "page"}, "record": {**record, "type": "page", "properties": {"url": url}}}


def user(key: str, email: str, name: str, user_id: str | None) -> dict[str, Any]:
    at = "2026-10-01T00:00:00Z"
    return {"id": int(key), "email": email, "name": name, "external_id": user_id, "created_at": at, "updated_at": at}


def ticket(key: str, requester: str) -> dict[str, Any]:
    at = "2026-10-02T00:00:00Z"
    return {
        "id": int(key),
        "requester_id": int(requester),
        "subject": "Help",
        "status": "open",
        "created_at": at,
        "updated_at": at,
    }


PAGES = {
    # Ada and Bob use one kiosk, in turns; what nobody is signed in for there is his who signed in last.
    "m1": page(KIOSK, 1, "user_bob"),
    "m2": page(KIOSK, 2),
    "m3": page(KIOSK, 3, "user_ada"),
    "m4": page(KIOSK, 4),
    "m5": page(KIOSK, 5, "user_bob"),
    "m6": page(KIOSK, 6),
    "m7": page(PHONE, 7),
    "m8": page(PHONE, 8, "user_ada"),
}


def land_all(home: Any, contact: Callable[..., dict[str, Any]]) -> None:
    """What the vendors have, whole, at every call."""
    contacts = {
        "1": contact("1", ADA, "Ada Lovelace"),
        "2": contact("2", BOB, "Bob Elm"),
        # An address that three people's records carry is nobody's.
        "3": contact("3", "carl@fir.example", "Carl Fir", hs_additional_emails=INBOX),
        "4": contact("4", "dora@fig.example", "Dora Fig", hs_additional_emails=INBOX),
        "5": contact("5", "ada.lovelace@oak.example", "Ada Lovelace", hs_additional_emails=f"{INBOX};{ADA}"),
    }
    home.land("hubspot", "contacts", contacts, rejected=(b'{"email": "Ada@oak.example"}', b'{"email": "other"}'))
    home.land(
        "zendesk", "users", {"7": user("7", ADA, "Ada Lovelace", "user_ada"), "8": user("8", BOB, "B", "user_bob")}
    )
    home.land("zendesk", "tickets", {"71": ticket("71", "7"), "81": ticket("81", "8")})
    home.land("collector", "segment_calls", PAGES)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home where everybody is published, to be copied."""
    return tmp_path_factory.mktemp("before") / "home"


@pytest.fixture
def known(before: Path, home: Any, contact: Any) -> Any:
    """A home in which everybody is published."""
    if not before.exists():
        land_all(home, contact)
        home.unify()
        assert home.files_with(*WORDS)
        (home.settings.home / "hours").write_text(str(home.hours))
        shutil.copytree(home.settings.home, before)
    shutil.copytree(before, home.settings.home, dirs_exist_ok=True)
    home.hours = int((before / "hours").read_text())
    return home


def differences(one: dict[str, list[str]], other: dict[str, list[str]], without: str) -> dict[str, list[str]]:
    """Rows of identity and marts that one side has alone, but for those of one person."""
    found = {}
    for name in one:
        rows = set(one[name]) ^ set(other[name]) if not name.startswith("staging.") else set()
        found[name] = sorted(row for row in rows if without not in row)
    # Evidence is about identifiers; whose they are is in the other tables.
    return {name: rows for name, rows in found.items() if rows and name != "identity.evidence"}


def test_who_is_erased_is_nowhere_and_everybody_else_as_before(known: Any) -> None:
    ada, rows = known.customers()[ADA], known.rows()
    erasure = known.erase("email", "Ada@Oak.example ")
    said = known.unify()

    assert said["erased"] == sum(n for place, n in erasure.counts.items() if place.startswith("raw."))
    assert known.files_with(*WORDS) == []
    assert differences(known.rows(), rows, ada) == {}
    assert not [name for name, found in known.rows().items() if any(ada in row for row in found)]
    proof = known.query("SELECT status, kind, customer_id, returned FROM ops.erasures AS e")
    assert proof == [{"status": "done", "kind": "email", "customer_id": ada, "returned": 0}]
    assert known.query("SELECT COUNT(*) AS n FROM ops.erasing AS e") == [{"n": 0}]


def test_the_next_pulls_do_not_bring_them_back(known: Any, contact: Any) -> None:
    known.erase("email", ADA)
    known.unify()
    customers = known.customers()
    rows = known.rows()
    land_all(known, contact)
    # Under a new number, on a new device: known by the address alone.
    known.land("zendesk", "users", {"9": user("9", ADA.upper(), "Ada Lovelace", "user_new")})
    known.land("zendesk", "tickets", {"91": ticket("91", "9")})
    known.land("collector", "segment_calls", {"m9": page("22222222-aaaa-4bbb-8ccc-000000000009", 9, "user_new")})

    assert known.unify()["erased"] > 0
    assert known.files_with(ADA, "user_ada", "user_new", PHONE) == []
    assert known.customers() == customers
    again = known.rows()
    grown = {name: len(again[name]) - len(found) for name, found in rows.items() if len(again[name]) != len(found)}
    # A page of the kiosk in her turn names nobody, and is nobody's.
    assert grown == {"staging.segment__pages": 1}
    assert known.query("SELECT returned > 0 AS is_counted FROM ops.erasures AS e") == [{"is_counted": True}]


def test_a_layer_on_it_is_what_a_whole_generation_is(known: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STITCHLINE_LAYER_FROM_EVENTS", "0")
    known.erase("email", ADA)
    known.unify()
    # Bob is at the kiosk once more, which is still a kiosk.
    known.land("collector", "segment_calls", {"m20": page(KIOSK, 20, "user_bob"), "m21": page(KIOSK, 21)})
    known.unify()
    laid, bases = known.rows(), known.query("SELECT base FROM ops.published AS p WHERE base != generation")
    known.unify(whole=True)

    assert len(bases) == 1
    assert differences(laid, known.rows(), "nobody") == {}
    assert known.query("SELECT reason, met FROM identity.blocked_values AS b WHERE kind = 'anonymous_id'") == [
        {"reason": "shared_device", "met": 2}
    ]


def test_the_command_does_it_all(known: Any) -> None:
    run = CliRunner(env={"TERMINAL_WIDTH": "200"})
    counted = run.invoke(app, ["privacy", "erase", "email", ADA, "--dry-run"])
    assert "Nothing was changed" in counted.output
    assert ADA in known.customers()
    erased = run.invoke(app, ["privacy", "erase", "email", ADA], catch_exceptions=False)

    assert "Erased" in erased.output
    assert ADA not in erased.output
    assert known.files_with(*WORDS) == []
    assert set(known.customers()) == {BOB, "carl@fir.example", "dora@fig.example"}


PLACES = [
    "INSERT INTO ops.tombstones",
    "DELETE FROM raw.",
    "write part-00000-",
    "write _manifest.json",
    "remove part-00000",
    "DELETE FROM ops.staged",
    "DELETE FROM ops.erasing",
    "CREATE OR REPLACE TABLE identity.customers",
    "CREATE OR REPLACE TABLE marts.customers",
    "INSERT INTO ops.published",
    "UPDATE ops.erasures SET status = 'erased'",
    "replace warehouse.duckdb",
    "UPDATE ops.erasures AS e SET status = IF(",
]


@pytest.mark.parametrize("place", PLACES)
def test_killed_anywhere_it_ends_the_same(known: Any, place: str) -> None:
    ada, rows = known.customers()[ADA], known.rows()
    path = os.pathsep.join([str(ROOT), str(WORKER.parent)])
    command = [sys.executable, str(WORKER), str(known.hours), "email", ADA, place]
    env = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": ""}
    died = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert died.returncode == 9, died.stderr[-3000:]
    known.hours += 2
    if not known.query("SELECT COUNT(*) AS n FROM ops.tombstones AS t")[0]["n"]:
        known.erase("email", ADA)  # nothing was promised yet, nothing was taken
    known.unify()

    assert known.files_with(*WORDS) == []
    assert differences(known.rows(), rows, ada) == {}
    assert known.query("SELECT status FROM ops.erasures AS e") == [{"status": "done"}]


def test_what_several_people_share_names_nobody(known: Any) -> None:
    for kind, value in (("email", INBOX), ("anonymous_id", KIOSK)):
        with pytest.raises(FixSettings, match="nobody's alone"):
            known.erase(kind, value)
    assert known.query("SELECT COUNT(*) AS n FROM ops.tombstones AS t") == [{"n": 0}]


def test_without_the_salt_nobody_is_erased_and_nobody_returns(known: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STITCHLINE_ERASURE_SALT")
    bare = replace(known, settings=read_settings())
    with pytest.raises(FixSettings, match="STITCHLINE_ERASURE_SALT"):
        bare.erase("email", ADA)
    known.erase("email", ADA)
    with pytest.raises(FixSettings, match="STITCHLINE_ERASURE_SALT"):
        bare.unify()


def test_a_dry_run_counts_and_changes_nothing(known: Any) -> None:
    before = known.settings.root / "warehouse.duckdb"
    rows = known.rows()
    counts = known.erase("email", ADA, dry_run=True).counts

    assert counts["raw.hubspot__contacts"] == 2
    assert counts["raw.zendesk__tickets"] == 1
    assert known.rows() == rows
    assert before.exists()
    assert known.query("SELECT (SELECT COUNT(*) FROM ops.tombstones) + (SELECT COUNT(*) FROM ops.erasing) AS n") == [
        {"n": 0}
    ]


def test_an_identifier_that_nobody_has_yet_can_be_barred(known: Any) -> None:
    with pytest.raises(FixSettings, match="nobody has"):
        known.erase("email", "eve@ash.example")
    known.erase("email", "eve@ash.example", unknown=True)
    known.unify()
    known.land("zendesk", "users", {"10": user("10", "Eve@ash.example", "Eve Ash", None)})
    known.unify()

    assert "eve@ash.example" not in known.customers()
    assert known.files_with("eve@ash.example") == []


def test_every_model_that_carries_anybody_is_searched() -> None:
    from include.privacy.trace import carried
    from include.warehouse.identity.evidence import rules

    read = frozenset().union(*(rule.reads for rule in rules()))
    assert [model.name for model in staging_models() if model.name in read and not carried(model)] == []
