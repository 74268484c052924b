"""A new API is one short file: dropped into a copy of the program, it is pulled, loaded, documented and scheduled."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from include.settings import ROOT

MOST_LINES = 60
PLAIN = ("airship", "callrail")
"""Shipped sources that declare lists and nothing else."""
ACME = '''"""Acme's API v1: deals by their latest change."""

from __future__ import annotations

from datetime import timedelta

from include.connect.auth import BearerAuth
from include.connect.pages import NumberedPages
from include.connect.source import Rate, Source, Stream

SOURCE = Source(
    name="acme",
    title="Acme",
    base_url="https://api.acme.example/v1",
    auth=BearerAuth(),
    pages=NumberedPages(page="page", limit="per_page", size=100),
    budget=Rate(50),
    docs_url="https://api.acme.example/docs",
    streams=(
        Stream(
            "deals",
            path="/deals",
            records="deals",
            cursor="updated_at",
            since="updated_since",
            lookback=timedelta(minutes=5),
            deletes="never deleted",
            description="Deals with their value",
        ),
    ),
)
'''
WALK = """
import json, runpy, sys
from datetime import UTC, datetime
from include import steps
from include.run import Run
from include.settings import read_settings
from include.warehouse.engine import connect

for day in (1, 2):
    run = Run.of("ingest_acme", f"day {day}", datetime(2026, 11, day, tzinfo=UTC))
    steps.ingest_pull("acme", "main", run, kind="incremental")
    steps.ingest_load("acme", "main", run)
with connect(read_settings()) as engine:
    [row] = engine.query("SELECT COUNT(*) AS records, COUNT(DISTINCT _key) AS deals FROM raw.acme__deals AS d")
dags = [name for name, found in runpy.run_path("dags/ingest.py").items() if type(found).__name__ == "DAG"]
print(json.dumps({**row, "dags": dags}))
"""


@pytest.fixture
def api() -> Iterator[tuple[int, list[dict[str, str]]]]:
    """Acme: 250 deals, of which the last three changed later; its port, and the parameters of every call."""
    deals = [
        {"id": n, "value": n * 10, "updated_at": f"2026-10-{'31' if n > 247 else '01'}T00:00:00Z"}
        for n in range(1, 251)
    ]
    calls: list[dict[str, str]] = []

    class Acme(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            given = {name: values[0] for name, values in parse_qs(url.query).items()}
            is_known = self.headers["Authorization"] == "Bearer t0ken" and url.path == "/v1/deals"
            calls.append(given)
            found = [deal for deal in deals if str(deal["updated_at"]) >= given.get("updated_since", "")]
            first = (int(given.get("page", 1)) - 1) * int(given.get("per_page", 10))
            body = json.dumps({"deals": found[first : first + int(given.get("per_page", 10))]}).encode()
            self.send_response(200 if is_known else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Acme) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, calls
        server.shutdown()


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_source_is_short(name: str) -> None:
    assert len((ROOT / "include" / "sources" / f"{name}.py").read_text().splitlines()) < MOST_LINES
    assert len(ACME.splitlines()) < MOST_LINES


@pytest.mark.long
def test_a_new_file_is_all_a_new_source_takes(api: tuple[int, list[dict[str, str]]], tmp_path: Path) -> None:
    port, calls = api
    for folder in ("include", "dags"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "include" / "sources" / "acme.py").write_text(ACME)
    connection = {"conn_type": "http", "host": f"http://127.0.0.1:{port}", "password": "t0ken"}
    env = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "STITCHLINE_HOME": str(tmp_path / "home"),
        "STITCHLINE_SOURCES": "acme",
        "AIRFLOW_CONN_ACME": json.dumps(connection),
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
    }

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    walked = json.loads(run("-c", WALK).splitlines()[-1])
    # The second day reads the latest ones again, five minutes back from the cursor, and nothing else.
    assert walked["deals"] == 250
    assert walked["records"] == 253
    assert walked["dags"] == ["ingest_acme"]
    assert [call.get("updated_since") is None for call in calls].count(True) == 3
    assert calls[-1]["updated_since"].startswith("2026-10-30T23:55")
    said = run("-c", "from include.cli import app; app()", "source", "check", "acme")
    assert "deals" in said
    run("-c", "from include.cli import app; app()", "source", "docs")
    page = (tmp_path / "docs" / "sources" / "acme.md").read_text()
    assert "Deals with their value" in page
