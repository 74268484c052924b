"""`stitchline models`: the catalog, the graph and the cost from the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from include.cli_models import models_app
from include.connect.errors import FixSettings
from include.settings import ROOT


def run(*arguments: str) -> str:
    """What a command prints; its own errors come out as they are."""
    return CliRunner().invoke(models_app, list(arguments), catch_exceptions=False).stdout


def test_the_graph_is_text_unless_a_picture_is_asked_for() -> None:
    assert run("graph", "--of", "marts.lifetime_values").startswith("marts.lifetime_values\n  marts.orders\n")
    assert run("graph", "--of", "marts.lifetime_values", "--format", "mermaid").startswith("flowchart LR\n")


def test_an_unknown_table_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(FixSettings, match=r"Did you mean marts\.orders\?"):
        run("graph", "--of", "marts.order")


def test_an_embedded_warehouse_has_no_bill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STITCHLINE_HOME", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "include.cli", "models", "cost"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("FixSettings: STITCHLINE_WAREHOUSE: an embedded warehouse bills nothing")
