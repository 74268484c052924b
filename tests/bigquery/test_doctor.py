"""`stitchline doctor` on BigQuery: connection, jobs, datasets and their location, tried through the real client."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from include.doctor import Finding, check_clock
from include.doctor_warehouse import check_warehouse
from include.launcher import free_port
from include.settings import Settings
from include.warehouse.bigquery import BigQueryEngine
from include.warehouse.engine import Column, Table
from include.warehouse.render import Names

CONNECTION = "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT"


@pytest.fixture
def project(tmp_path: Path) -> str:
    return f"d{abs(hash(tmp_path.name)) % 10**8}"


@pytest.fixture
def client(emulator: str, project: str, monkeypatch: pytest.MonkeyPatch) -> bigquery.Client:
    """A client on a project of the test's own, to which the connection leads too."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", emulator)
    connect(monkeypatch, {"is_anonymous": True, "project": project})
    return bigquery.Client(project=project, credentials=AnonymousCredentials())


def connect(monkeypatch: pytest.MonkeyPatch, extra: dict[str, object]) -> None:
    monkeypatch.setenv(CONNECTION, json.dumps({"conn_type": "google_cloud_platform", "extra": extra}))


def settings(home: Path, **others: object) -> Settings:
    return Settings(home=home, warehouse="bigquery", **others)


def states(findings: list[Finding]) -> dict[str, str]:
    return {found.check: found.state for found in findings}


def test_an_empty_project_can_be_filled(client: bigquery.Client, tmp_path: Path) -> None:
    found = list(check_warehouse(settings(tmp_path)))

    assert states(found) == {"warehouse": "ok", "query jobs": "ok", "datasets": "ok", "migrations": "note"}
    assert "dev_raw" in found[2].detail
    assert "can be made in EU" in found[2].detail
    assert list(client.list_datasets()) == []  # the probe is gone


def test_datasets_of_another_location_are_found(client: bigquery.Client, tmp_path: Path) -> None:
    BigQueryEngine(client, settings(tmp_path), Names("bigquery", prefix="dev_")).prepare()

    right = list(check_warehouse(settings(tmp_path)))
    wrong = list(check_warehouse(settings(tmp_path, bigquery_location="US")))

    assert states(right)["datasets"] == "ok"
    assert right[2].detail == "10 in EU"
    bad = [found for found in wrong if found.state == "BAD"]
    assert len(bad) == 10
    assert "is in EU, not in US" in bad[0].detail
    assert "STITCHLINE_BIGQUERY_LOCATION" in bad[0].detail


def test_a_table_older_than_the_code_is_found(client: bigquery.Client, tmp_path: Path) -> None:
    engine = BigQueryEngine(client, settings(tmp_path), Names("bigquery", prefix="dev_"))
    engine.prepare()
    engine.ensure([Table("ops.loads", (Column("seq", "INT64"),))])

    pending = list(check_warehouse(settings(tmp_path)))[-1]

    assert (pending.state, pending.check) == ("BAD", "migrations")
    assert pending.detail.startswith("ops.loads lacks source, and ")


def test_the_clock_is_compared_with_the_warehouses(emulator: str) -> None:
    assert check_clock(emulator).state == "ok"


def test_a_missing_connection_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CONNECTION, raising=False)

    found = list(check_warehouse(settings(tmp_path, bigquery_connection="google_elsewhere")))

    assert states(found) == {"warehouse": "BAD"}
    assert "AIRFLOW_CONN_GOOGLE_ELSEWHERE" in found[0].detail


@pytest.mark.parametrize(
    "extra",
    [
        {"key_path": "/no/such/key.json", "project": "p"},
        {"keyfile_dict": '{"type": "service_account", "private_key": "do-not-print"}', "project": "p"},
    ],
)
def test_credentials_that_cannot_be_used_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: dict[str, object]
) -> None:
    connect(monkeypatch, extra)

    found = list(check_warehouse(settings(tmp_path)))

    assert states(found) == {"warehouse": "BAD"}
    assert "key_path or keyfile_dict" in found[0].detail
    assert "do-not-print" not in found[0].detail


def test_a_warehouse_that_cannot_be_reached_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://127.0.0.1:{free_port(9)}")
    connect(monkeypatch, {"is_anonymous": True, "project": "p"})

    found = list(check_warehouse(settings(tmp_path)))

    assert found[-1].state == "BAD"
    assert "cannot be reached" in found[-1].detail


@contextmanager
def refusing(refused: dict[str, int]) -> Iterator[str]:
    """Address of a BigQuery that refuses some calls, with a status: `POST jobs`, `GET datasets`, `POST datasets`."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kind = "jobs" if "/jobs" in self.path else "datasets"
            status = refused.get(f"{self.command} {kind}", 200)
            wrong = {"error": {"code": status, "message": "refused", "errors": [{"reason": "x"}]}}
            job = {"jobReference": {"projectId": "p", "jobId": "j"}, "configuration": {"query": {"query": "SELECT 1"}}}
            body = json.dumps(job if status == 200 else wrong).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def found_at(url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """What is found in the BigQuery at an address."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", url)
    connect(monkeypatch, {"is_anonymous": True, "project": "p"})
    return list(check_warehouse(settings(home)))


@pytest.mark.parametrize(
    ("status", "said", "fix"),
    [
        (401, "credentials are not accepted", "Renew the key"),
        (403, "HTTP 403", "roles/bigquery.jobUser"),
        (404, "HTTP 404", "STITCHLINE_BIGQUERY_PROJECT"),
    ],
)
def test_a_refused_job_is_said_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, said: str, fix: str
) -> None:
    with refusing({"POST jobs": status}) as url:
        found = found_at(url, tmp_path, monkeypatch)

    assert states(found) == {"warehouse": "BAD"}
    assert said in found[-1].detail
    assert fix in found[-1].detail


def test_datasets_that_cannot_be_made_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing({"GET datasets": 404, "POST datasets": 403}) as url:
        found = {one.check: one for one in found_at(url, tmp_path, monkeypatch)}

    assert found["query jobs"].state == "ok"
    assert found["datasets"].state == "BAD"
    assert "roles/bigquery.dataEditor" in found["datasets"].detail


def test_datasets_that_may_not_be_read_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing({"GET datasets": 403}) as url:
        found = found_at(url, tmp_path, monkeypatch)

    assert {one.state for one in found if one.check.startswith("dataset ")} == {"BAD"}
    assert "roles/bigquery.dataEditor" in found[-1].detail
