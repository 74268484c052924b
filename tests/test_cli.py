"""The `stitchline` command: clear answers, one-line errors, exit codes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from include.settings import ROOT


@pytest.fixture
def stitchline(tmp_path: Path) -> Command:
    return Command(tmp_path)


class Command:
    """Runs the command in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.env = {**os.environ, "STITCHLINE_HOME": str(home), "COLUMNS": "160"}

    def __call__(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "include.cli", *arguments],
            env={**self.env, **env},
            cwd=ROOT,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )


def one_line_error(done: subprocess.CompletedProcess[str]) -> str:
    """The error; asserts that it is one line and no traceback."""
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_every_command_says_what_it_does(stitchline: Command) -> None:
    text = stitchline("--help").stdout
    for command in ("demo", "up", "run", "migrate", "doctor", "source", "segment", "sync", "identity", "models"):
        assert re.search(rf"\b{command}\b +[A-Z]", text), command


def test_sources_are_listed_with_what_is_switched_on(stitchline: Command) -> None:
    lines = stitchline("source", "list", STITCHLINE_SOURCES="stripe").stdout.splitlines()
    states = {line.split()[0]: line.split()[1] for line in lines}
    assert states["stripe"] == "on"
    assert set(states.values()) == {"on", "off"}


def test_an_unknown_segment_is_one_line_with_a_suggestion(stitchline: Command) -> None:
    error = one_line_error(stitchline("segment", "preview", "at_risk_customer"))
    assert "at_risk_customers" in error


def test_a_wrong_setting_names_its_variable(stitchline: Command) -> None:
    error = one_line_error(stitchline("source", "list", STITCHLINE_WAREHOUSE="oracle"))
    assert "STITCHLINE_WAREHOUSE" in error


def test_a_missing_connection_says_how_to_make_it(stitchline: Command) -> None:
    done = stitchline("source", "check", "stripe")
    assert done.returncode == 2
    assert "AIRFLOW_CONN_STRIPE" in done.stdout
    assert "Traceback" not in done.stderr


def test_all_that_is_switched_on_is_tried(stitchline: Command) -> None:
    done = stitchline("source", "check", "--all", STITCHLINE_SOURCES="stripe,zendesk:eu")
    assert done.returncode == 2
    assert "AIRFLOW_CONN_STRIPE" in done.stdout
    assert "AIRFLOW_CONN_ZENDESK__EU" in done.stdout


def test_nothing_switched_on_is_no_success(stitchline: Command) -> None:
    done = stitchline("source", "check", "--all", STITCHLINE_SOURCES="")
    assert done.returncode == 2
    assert "STITCHLINE_SOURCES" in done.stderr


def test_a_segment_pastes_into_the_bigquery_console(stitchline: Command) -> None:
    done = stitchline("segment", "preview", "at_risk_customers", "--sql")
    assert done.returncode == 0
    assert done.stdout.startswith("DECLARE as_of TIMESTAMP DEFAULT")
    assert "@as_of" not in done.stdout


def test_migrate_can_be_repeated(stitchline: Command) -> None:
    for _ in range(2):
        done = stitchline("migrate")
        assert (done.returncode, done.stderr) == (0, "")
        assert "warehouse (duckdb): up to date" in done.stdout


@pytest.mark.long
def test_a_second_run_continues_and_a_home_is_not_mixed_with_another_company(stitchline: Command) -> None:
    first = stitchline("run", "--people", "100")
    assert first.returncode == 0, first.stdout + first.stderr
    assert int(re.findall(r"Write calls to destinations: (\d+)", first.stdout)[0]) > 0
    assert " 0 wrong merges" in first.stdout
    second = stitchline("run", "--people", "100")
    assert second.returncode == 0, second.stdout + second.stderr
    assert "Write calls to destinations: 0" in second.stdout
    error = one_line_error(stitchline("run", "--people", "60"))
    assert "--people 100" in error
