"""`stitchline doctor`: what is wrong is found, by being wrong."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import duckdb
import pytest
from pydantic import SecretStr

from include.doctor import (
    Finding,
    check_clock,
    check_dags,
    check_destinations,
    check_home,
    check_keys,
    check_sources,
    check_state,
)
from include.doctor_warehouse import check_landing, check_warehouse
from include.launcher import free_port
from include.privacy.salt import salt_id
from include.settings import ROOT, Settings
from include.state.store import Store
from include.warehouse.engine import connect
from include.warehouse.schema import OPS

SECRET = "sk_live_do_not_print"
KEY = "dGhpcnR5LXR3byBieXRlcyBvZiBhIHRlc3Qga2V5ISE="


def examined(home: Path, *arguments: str, **env: str) -> tuple[int, list[str], str]:
    """Exit code, lines and standard error of the command."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "STITCHLINE"))}
    done = subprocess.run(
        [sys.executable, "-m", "include.cli", "doctor", *arguments],
        env={**kept, "STITCHLINE_HOME": str(home), **env},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout.splitlines(), done.stderr


def only(findings: Iterator[Finding]) -> Finding:
    """The one finding there is."""
    found = list(findings)
    assert len(found) == 1, found
    return found[0]


@contextmanager
def answering(status: int = 200, off_by: float = 0, body: bytes = b"{}") -> Iterator[str]:
    """Address of a web server that answers everything alike, by a clock that is off by some seconds."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = do_PUT = answer

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(time.time() + off_by)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# --- the command ------------------------------------------------------------------------------------------------------


def test_a_fresh_home_is_in_order(tmp_path: Path) -> None:
    code, lines, _ = examined(tmp_path)

    assert code == 0, lines
    assert not [line for line in lines if line.startswith("BAD")]
    for check in ("settings", "home", "disk", "fernet key", "landing", "DAG files"):
        assert any(line.startswith(f"ok   {check}: ") for line in lines), check


def test_what_is_missing_is_said_and_the_exit_code_tells(tmp_path: Path) -> None:
    connection = json.dumps({"conn_type": "http", "password": SECRET})
    code, lines, errors = examined(
        tmp_path,
        STITCHLINE_SOURCES="stripe,hubspot",
        STITCHLINE_SYNCS="hubspot_contact",
        AIRFLOW_CONN_STRIPE=connection,
    )

    bad = [line for line in lines if line.startswith("BAD")]
    assert code == 2
    assert [line.split(": ")[0] for line in bad] == ["BAD  source hubspot", "BAD  destination hubspot_contact"]
    assert all("AIRFLOW_CONN_HUBSPOT" in line for line in bad)
    assert "ok   source stripe: connection stripe found, with credentials" in lines
    assert SECRET not in "\n".join(lines) + errors


def test_a_wrong_setting_ends_it(tmp_path: Path) -> None:
    code, lines, _ = examined(tmp_path, STITCHLINE_WAREHOUSE="oracle")

    assert code == 2
    assert len(lines) == 1
    assert lines[0].startswith("BAD  settings: STITCHLINE_WAREHOUSE: ")


def test_a_home_that_cannot_be_written_to_ends_it(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    code, lines, _ = examined(file / "home")

    assert code == 2
    assert lines[1].startswith("BAD  home: ")
    assert "STITCHLINE_HOME" in lines[1]
    assert lines[-1].startswith("note everything else: not tried")


@pytest.mark.long
def test_vendors_are_called_only_when_asked(tmp_path: Path) -> None:
    with answering(401, off_by=-600) as url:
        env = {
            "STITCHLINE_SOURCES": "stripe",
            "AIRFLOW_CONN_STRIPE": json.dumps({"conn_type": "http", "host": url, "password": SECRET}),
        }
        offline_code, offline, _ = examined(tmp_path, **env)
        online_code, online, _ = examined(tmp_path, "--online", **env)

    assert offline_code == 0
    assert any(line.startswith("note clock: nobody to ask") for line in offline)
    assert online_code == 2
    assert any(line.startswith("BAD  clock: ") for line in online)
    assert any(line.startswith("BAD  source stripe, credentials: ") for line in online)
    assert SECRET not in "\n".join([*offline, *online])


# --- the machine ------------------------------------------------------------------------------------------------------


def test_too_little_room_is_found(tmp_path: Path) -> None:
    written, room = check_home(Settings(home=tmp_path), least=2**60)

    assert written.state == "ok"
    assert room.state == "BAD"
    assert "1073741824.0 GiB needed" in room.detail


def test_the_warehouse_needs_room_for_a_copy(tmp_path: Path) -> None:
    file = tmp_path / "dev" / "warehouse.duckdb"
    file.parent.mkdir()
    with file.open("wb") as sparse:
        sparse.truncate(3 * 2**30)

    assert "4.0 GiB needed" in list(check_home(Settings(home=tmp_path)))[1].detail


@pytest.mark.parametrize(("off_by", "state"), [(0, "ok"), (-3600, "BAD"), (3600, "BAD"), (30, "ok")])
def test_a_clock_is_compared_with_the_answers_date(off_by: float, state: str) -> None:
    with answering(404, off_by) as url:
        found = check_clock(url)

    assert found.state == state
    assert ("NTP" in found.detail) == (state == "BAD")


def test_the_side_a_clock_is_off_to_is_said() -> None:
    with answering(off_by=-600) as url:
        assert " ahead of " in check_clock(url).detail


@pytest.mark.parametrize("url", [None, f"http://127.0.0.1:{free_port(9)}", "no address"])
def test_where_nobody_can_be_asked_the_clock_is_a_note(url: str | None) -> None:
    assert check_clock(url).state == "note"


# --- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "env", "state"),
    [
        (KEY, "prod", "ok"),
        (f"{KEY},{KEY}", "prod", "ok"),
        (SECRET, "dev", "BAD"),
        ("", "dev", "ok"),
        ("", "prod", "BAD"),
    ],
)
def test_keys_must_be_fernet_keys_and_production_needs_its_own(
    tmp_path: Path, key: str, env: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW__CORE__FERNET_KEY_CMD", raising=False)
    given = {"AIRFLOW__CORE__FERNET_KEY": key, "STITCHLINE_ENCRYPTION_KEY": key}

    found = list(check_keys(Settings(home=tmp_path, env=env), given))

    assert [one.state for one in found] == [state, state]
    assert SECRET not in str(found)


# --- the state store --------------------------------------------------------------------------------------------------


def test_a_state_store_that_is_not_there_yet_is_a_note(tmp_path: Path) -> None:
    assert only(check_state(Settings(home=tmp_path))).state == "note"
    assert not (tmp_path / "dev" / "state.sqlite").exists()


@pytest.mark.parametrize(("change", "state"), [(0, "ok"), (-1, "BAD"), (1, "BAD")])
def test_the_state_stores_version_is_compared(tmp_path: Path, change: int, state: str) -> None:
    settings = Settings(home=tmp_path)
    with Store.open(settings):
        pass
    with sqlite3.connect(tmp_path / "dev" / "state.sqlite") as database:
        database.execute("UPDATE schema_version SET version = version + ?", (change,))
    database.close()

    found = only(check_state(settings))

    assert found.state == state
    assert ("`stitchline migrate`" in found.detail) == (change < 0)


def test_a_state_store_that_is_no_database_is_found(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "state.sqlite").write_bytes(b"something else" * 100)

    assert only(check_state(Settings(home=tmp_path))).state == "BAD"


def test_a_server_that_is_down_is_found_and_its_password_kept(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://stitchline:{SECRET}@127.0.0.1:{free_port(9)}/stitchline"
    found = only(check_state(Settings(home=tmp_path, state_url=url)))

    assert found.state == "BAD"
    assert "STITCHLINE_STATE_URL" in found.detail
    assert SECRET not in found.detail


# --- connections ------------------------------------------------------------------------------------------------------


def test_a_source_that_does_not_exist_is_found(tmp_path: Path) -> None:
    found = only(check_sources(Settings(home=tmp_path, sources=("stripes",))))

    assert (found.state, found.check) == ("BAD", "sources")
    assert "STITCHLINE_SOURCES" in found.detail


@pytest.mark.parametrize(
    ("source", "connection", "missing"),
    [
        ("stripe", {"conn_type": "http"}, "password"),
        ("zendesk", {"conn_type": "http", "login": "a@example.com", "password": SECRET}, "subdomain"),
        ("segment", {"conn_type": "http"}, "host"),
    ],
)
def test_a_connection_without_what_it_needs_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, connection: dict[str, str], missing: str
) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{source.upper()}", json.dumps(connection))

    found = only(check_sources(Settings(home=tmp_path, sources=(source,))))

    assert found.state == "BAD"
    assert missing in found.detail
    assert SECRET not in found.detail


def test_a_destination_that_may_not_be_written_to_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "http", "login": "any", "password": f"{SECRET}-us1"}
    monkeypatch.setenv("AIRFLOW_CONN_MAILCHIMP", json.dumps(connection))
    settings = Settings(home=tmp_path, syncs=("mailchimp_tag",))

    planned = next(check_destinations(settings))
    monkeypatch.setenv("AIRFLOW_CONN_MAILCHIMP", json.dumps({**connection, "extra": {"allow_writes_in": ["dev"]}}))
    written = next(check_destinations(settings))

    assert (planned.state, written.state) == ("ok", "ok")
    assert "only planned" in planned.detail
    assert written.detail == "connection mailchimp found, with credentials"


def test_a_destination_that_does_not_exist_is_found(tmp_path: Path) -> None:
    found = next(check_destinations(Settings(home=tmp_path, syncs=("mailchimp_tags",))))

    assert found.state == "BAD"
    assert "mailchimp_tag" in found.detail


# --- landing and warehouse --------------------------------------------------------------------------------------------


def test_a_landing_is_left_as_it_was(tmp_path: Path) -> None:
    assert only(check_landing(Settings(home=tmp_path))).state == "ok"
    assert list((tmp_path / "dev" / "landing").iterdir()) == []


def test_a_landing_that_cannot_be_written_to_is_found(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert only(check_landing(Settings(home=tmp_path, landing=str(tmp_path / "file")))).state == "BAD"


@pytest.mark.parametrize(("status", "state"), [(200, "ok"), (403, "BAD"), (404, "BAD")])
def test_a_bucket_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, state: str) -> None:
    with answering(status, body=b'{"name": "probe"}') as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        found = only(check_landing(Settings(home=tmp_path, landing="gs://bucket/landing", warehouse="bigquery")))

    assert found.state == state
    assert ("objectUser" in found.detail) == (state == "BAD")


def test_the_warehouse_file_is_opened_and_compared_with_the_code(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    file = tmp_path / "dev" / "warehouse.duckdb"
    file.parent.mkdir()

    assert only(check_warehouse(settings)).state == "note"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE SCHEMA ops")
        connection.execute("CREATE TABLE ops.loads (seq BIGINT)")
    opened, pending = check_warehouse(settings)
    assert opened.state == "ok"
    assert pending.state == "BAD"
    assert pending.detail.startswith("ops.loads lacks source, and ")
    assert "`stitchline migrate`" in pending.detail


def test_a_migrated_warehouse_has_nothing_pending(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "include.cli", "migrate", "--home", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )

    assert [found.state for found in check_warehouse(Settings(home=tmp_path))] == ["ok", "ok"]


def test_a_file_that_is_no_warehouse_is_found(tmp_path: Path) -> None:
    file = tmp_path / "dev" / "warehouse.duckdb"
    file.parent.mkdir()
    file.write_bytes(b"something else" * 1000)

    found = only(check_warehouse(Settings(home=tmp_path)))

    assert found.state == "BAD"
    assert "cannot be opened" in found.detail


def test_a_warehouse_in_use_is_not_looked_into(tmp_path: Path) -> None:
    file = tmp_path / "dev" / "warehouse.duckdb"
    file.parent.mkdir()
    hold = f"import duckdb; held = duckdb.connect({str(file)!r}); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        found = only(check_warehouse(Settings(home=tmp_path)))
        holder.communicate("\n")

    assert found.state == "note"
    assert "in use" in found.detail


# --- Airflow ----------------------------------------------------------------------------------------------------------


def test_dag_files_that_do_not_load_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STITCHLINE_HOME", str(tmp_path))
    monkeypatch.setenv("STITCHLINE_SOURCES", "stripes")

    found = check_dags()

    assert found.state == "BAD"
    assert "STITCHLINE_SOURCES" in found.detail


SALT = "what erased people are known by"


@pytest.mark.parametrize(("salt", "state"), [(SALT, "ok"), ("another salt of mine", "BAD"), (None, "BAD")])
def test_erased_people_need_the_salt_they_are_known_by(tmp_path: Path, salt: str | None, state: str) -> None:
    settings = Settings(home=tmp_path, erasure_salt=None if salt is None else SecretStr(salt))
    with connect(settings) as engine:
        engine.ensure(OPS)
        engine.append("ops.erasures", [{"status": "done", "salt_id": salt_id(SALT)}])

    found = [each for each in check_warehouse(settings) if each.check == "erasures"]

    assert [each.state for each in found] == [state]
    assert state == "ok" or "STITCHLINE_ERASURE_SALT" in found[0].detail
