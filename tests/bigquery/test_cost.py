"""`stitchline models cost`: dry runs through the real client, nothing written, budgets kept."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from google.api_core.exceptions import GoogleAPICallError

from include.settings import ROOT, Settings
from include.warehouse.bigquery import BigQueryEngine
from include.warehouse.catalog import catalog
from include.warehouse.engine import Column, Table
from include.warehouse.render import Names

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
GENERATION = "20260501T110000Z-00000001"


READ = ("ops.loads", "ops.published", "raw.stripe__charges", "raw.stripe__customers", "staging.stripe__charges")
MARTS = ("marts.orders", "marts.tickets")
ASKED = (
    "staging.stripe__charges",
    "rules.stripe_customer_email",
    "marts.lifetime_values",
    "segments.at_risk_customers",
)


@pytest.fixture
def project(tmp_path: Path) -> str:
    return f"p{abs(hash(tmp_path.name)) % 10**8}"


@pytest.fixture
def engine(emulator: str, project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BigQueryEngine]:
    """An engine on the emulator with the tables that the models asked about read, and a generation published."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", emulator)
    client = bigquery.Client(project=project, credentials=AnonymousCredentials())
    made = BigQueryEngine(client, Settings(home=tmp_path), Names("bigquery", prefix="dev_"))
    made.prepare()
    made.at(GENERATION).ensure(
        Table(name, tuple(Column(column.name, column.type) for column in catalog()[name].columns))
        for name in (*READ, *MARTS)
    )
    row = {"generation": GENERATION, "as_of": NOW, "published_at": NOW, "seq_to": 0, "people": 0, "events": 0}
    made.append("ops.published", [row])
    yield made
    client.close()


def test_a_dry_run_is_sent_and_writes_nothing(engine: BigQueryEngine) -> None:
    before = engine.tables("ops")

    assert engine.estimate("CREATE TABLE ops.made AS SELECT 1 AS n") == 0  # the emulator counts no bytes
    assert engine.tables("ops") == before
    with pytest.raises(GoogleAPICallError):
        engine.estimate("SELECT no_such_column FROM ops.loads")


def bill(emulator: str, project: str, folder: Path, *words: str, code: Path = ROOT) -> subprocess.CompletedProcess[str]:
    connection = {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True, "project": project}}
    return subprocess.run(
        [sys.executable, "-m", "include.cli", "models", "cost", *words],
        env={
            **os.environ,
            "STITCHLINE_HOME": str(folder / "home"),
            "STITCHLINE_WAREHOUSE": "bigquery",
            "BIGQUERY_EMULATOR_HOST": emulator,
            "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": json.dumps(connection),
        },
        cwd=code,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_prints_a_bill_and_changes_nothing(
    engine: BigQueryEngine, emulator: str, project: str, tmp_path: Path
) -> None:
    before = {dataset: engine.tables(dataset) for dataset in ("parts", "generations", "segments", "staging")}

    done = bill(emulator, project, tmp_path, "--runs-per-day", "48", *ASKED)

    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert lines.keys() >= {*ASKED, "together"}
    assert "20.0 MiB" in lines["segments.at_risk_customers"]  # two marts, 10 MiB each
    assert "48 runs a day, 6.25 USD per TiB" in done.stdout
    assert {dataset: engine.tables(dataset) for dataset in before} == before


def test_the_command_prints_who_is_over_budget_and_fails(
    engine: BigQueryEngine, emulator: str, project: str, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "include", tmp_path / "include", ignore=shutil.ignore_patterns("__pycache__"))
    segment = tmp_path / "include" / "segments" / "at_risk_customers.sql"
    segment.write_text(segment.read_text().replace("budget: 10 GB", "budget: 10 MB"))

    done = bill(emulator, project, tmp_path, "segments.at_risk_customers", code=tmp_path)

    assert done.returncode == 1, done.stderr
    assert "20.0 MiB" in done.stdout
    assert "OVER its budget of 9.5 MiB a run" in done.stdout
