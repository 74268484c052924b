"""What every test shares: no test reads the developer's own settings or home."""

from __future__ import annotations

import os

import pytest

for name in [name for name in os.environ if name.startswith(("STITCHLINE_", "AIRFLOW_CONN_"))]:
    del os.environ[name]


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test writes by default goes to a folder of its own."""
    monkeypatch.setenv("STITCHLINE_HOME", str(tmp_path_factory.mktemp("home")))
