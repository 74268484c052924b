"""The one line that makes Great Expectations work on DuckDB, and where its documents go."""

from __future__ import annotations

import os
from typing import Any

import pytest

from include.checks import docs, validate
from include.checks.run import check_tables
from include.settings import ROOT, Settings


def without_ours(engines: Any) -> tuple[Any, ...]:
    dialects = engines._PERSISTED_CONNECTION_DIALECTS
    return tuple(dialect for dialect in dialects if not isinstance(dialect, validate.ExtraDialect))


def test_great_expectations_still_needs_to_be_told_of_duckdb(monkeypatch) -> None:
    from great_expectations.execution_engine import sqlalchemy_execution_engine as engines
    from great_expectations.execution_engine.sqlalchemy_dialect import GXSqlDialect

    theirs = [
        dialect for dialect in engines._PERSISTED_CONNECTION_DIALECTS if not isinstance(dialect, validate.ExtraDialect)
    ]
    assert GXSqlDialect.SQLITE in theirs
    assert "duckdb" not in [dialect.value for dialect in GXSqlDialect], "Great Expectations knows it now: drop our line"
    monkeypatch.setattr(engines, "_PERSISTED_CONNECTION_DIALECTS", theirs)
    validate.keep_connections_open()
    validate.keep_connections_open()
    assert [dialect.value for dialect in engines._PERSISTED_CONNECTION_DIALECTS].count("duckdb") == 1


def test_without_the_line_nothing_could_be_counted(engine, run, settings, fill, monkeypatch) -> None:
    """Should this fail, Great Expectations reads before it closes, and the line can go."""
    from great_expectations.execution_engine import sqlalchemy_execution_engine as engines

    fill(300)
    monkeypatch.setattr(engines, "_PERSISTED_CONNECTION_DIALECTS", without_ours(engines))
    monkeypatch.setattr(validate, "keep_connections_open", lambda: None)
    with pytest.raises(Exception, match=r"could not be checked|out of range|closed"):
        check_tables(engine, run, settings)


def test_documents_go_into_the_project_only_where_that_can_be_written(tmp_path, monkeypatch) -> None:
    own = Settings(home=ROOT / ".stitchline")
    assert docs.docs_folder(Settings(home=tmp_path)) == tmp_path / "dev" / "data_docs"
    monkeypatch.setattr(docs, "PROJECT", tmp_path)
    assert docs.docs_folder(own) == tmp_path / "uncommitted" / "data_docs"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert docs.docs_folder(own) == own.root / "data_docs"


def test_documents_that_cannot_be_written_stop_nothing(engine, run, tmp_path, fill, caplog) -> None:
    fill(300)
    (tmp_path / "dev").write_text("a file where the folder should be")
    summary = check_tables(engine, run, Settings(home=tmp_path))
    assert summary.findings
    assert "could not be written" in caplog.text


def test_the_project_opens_as_great_expectations_own(tmp_path) -> None:
    import shutil

    import great_expectations as gx

    shutil.copy(ROOT / "great_expectations" / "great_expectations.yml", tmp_path)
    context = gx.get_context(context_root_dir=str(tmp_path))
    assert [site["class_name"] for site in context.variables.data_docs_sites.values()] == ["SiteBuilder"]
