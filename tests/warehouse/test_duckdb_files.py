"""The embedded warehouse is one file with one writer, and a published copy for every reader."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from include.connect.errors import FixSettings, WarehouseBusy
from include.run import Run
from include.settings import Settings
from include.warehouse import models
from include.warehouse.duckdb import DuckDBEngine
from include.warehouse.engine import Column, Engine, Table, connect
from include.warehouse.schema import OPS, raw_table

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
RAW = raw_table("hubspot", "contacts")
NOTES = Table("ops.notes", (Column("note", "STRING"), Column("number", "INT64")))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, warehouse_wait_seconds=0.2)


# --- one writer ------------------------------------------------------------------------------------------------------

Holder = subprocess.Popen[str]


@pytest.fixture
def hold() -> Iterator[Callable[[Path], Holder]]:
    """Another real process that opens a DuckDB file for writing and keeps it until its stdin closes."""
    started: list[Holder] = []
    code = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"

    def start(path: Path) -> Holder:
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.communicate()


def release(process: Holder) -> None:
    process.communicate()


def test_a_locked_file_is_waited_for_and_then_named(settings: Settings, hold: Callable[[Path], Holder]) -> None:
    path = settings.root / "warehouse.duckdb"
    path.parent.mkdir(parents=True)
    hold(path)

    with pytest.raises(WarehouseBusy) as caught, connect(settings):
        pass

    assert caught.value.where == str(path)
    assert "another process has held the file open" in caught.value.what


def test_a_writer_that_waits_gets_the_file_when_it_is_free(
    settings: Settings, hold: Callable[[Path], Holder], monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = settings.model_copy(update={"warehouse_wait_seconds": 60.0})
    path = patient.root / "warehouse.duckdb"
    path.parent.mkdir(parents=True)
    process = hold(path)
    refused, got = threading.Event(), threading.Event()
    opened = duckdb.connect

    def watched(*args: Any, **options: Any) -> duckdb.DuckDBPyConnection:
        try:
            return opened(*args, **options)
        except duckdb.IOException:
            refused.set()
            raise

    monkeypatch.setattr("include.warehouse.duckdb.duckdb.connect", watched)

    def write() -> None:
        with connect(patient) as engine:
            engine.ensure([NOTES])
            got.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert refused.wait(60)
    assert not got.is_set()
    release(process)
    writer.join(60)

    assert got.is_set()


def test_a_file_that_is_no_database_is_an_error_at_once_and_not_waited_for(settings: Settings) -> None:
    path = settings.root / "warehouse.duckdb"
    path.parent.mkdir(parents=True)
    path.write_text("this is no database, and it is long enough to have a header " * 100)

    with pytest.raises(duckdb.IOException), connect(settings):
        pass


# --- published copies ------------------------------------------------------------------------------------------------


def publish(settings: Settings, number: int) -> Run:
    """Publish a generation with one customer, named after its number."""
    run = Run.of("unify", f"manual__{number}", NOW + timedelta(hours=number))
    with connect(settings) as engine:
        engine.ensure([*OPS, RAW])
        here = engine.at(run.run_id)
        here.ensure(
            [
                Table("marts.customers", (Column("customer_id", "STRING"),)),
                Table("marts.activities", (Column("activity_id", "STRING"),)),
                Table("identity.inputs", (Column("seq_to", "INT64"), Column("base", "STRING"))),
            ]
        )
        here.append("marts.customers", [{"customer_id": f"c{number}"}])
        here.append("identity.inputs", [{"seq_to": number, "base": run.run_id}])
        models.publish(engine, run, settings)
    return run


def people(engine: Engine) -> list[str]:
    return [row["customer_id"] for row in engine.query("SELECT customer_id FROM marts.customers")]


def test_before_anything_is_published_a_reader_is_told_what_to_run(settings: Settings) -> None:
    with pytest.raises(FixSettings, match="Run the unify DAG once"), connect(settings, read_only=True):
        pass


def test_the_published_copy_is_read_while_a_writer_holds_the_file(
    settings: Settings, hold: Callable[[Path], Holder]
) -> None:
    run = publish(settings, 1)
    hold(settings.root / "warehouse.duckdb")

    with connect(settings, read_only=True) as reader:
        seen = models.published(reader)
        assert seen is not None
        assert (seen.generation, seen.people) == (run.run_id, 1)
        assert people(reader) == ["c1"]
        assert people(reader.at(seen.generation)) == ["c1"]
        assert reader.tables("raw") == []
        with pytest.raises(duckdb.InvalidInputException):
            reader.execute("DELETE FROM ops.published WHERE TRUE")


def test_a_reader_keeps_its_generation_while_the_next_is_published(settings: Settings) -> None:
    publish(settings, 1)
    with connect(settings, read_only=True) as reader:
        publish(settings, 2)
        publish(settings, 3)
        publish(settings, 4)

        assert people(reader) == ["c1"]
    with connect(settings, read_only=True) as reader:
        assert people(reader) == ["c4"]
    assert len(list(settings.root.glob("*read-*"))) == 2
    assert len(list(settings.root.glob("*base-*"))) == 2


def test_a_reader_sees_lists_as_soon_as_they_are_published_and_keeps_those_it_has(settings: Settings) -> None:
    a_list = Table("segments.a_list", (Column("customer_id", "STRING"),))
    asked = "SELECT customer_id FROM segments.a_list ORDER BY customer_id"
    publish(settings, 1)
    with connect(settings, read_only=True) as before:
        assert before.tables("segments") == []
        assert before.columns(a_list.name) == {}
        with connect(settings) as engine:
            engine.ensure([a_list])
            engine.append(a_list.name, [{"customer_id": "c1"}])
            engine.publish_lists()
        assert before.columns(a_list.name) == {}
    with connect(settings, read_only=True) as reader:
        assert reader.tables("segments") == ["a_list"]
        assert reader.query(asked) == [{"customer_id": "c1"}]
        assert reader.at("unheard of").query(asked) == [{"customer_id": "c1"}]
        with pytest.raises(duckdb.InvalidInputException):
            reader.execute("DELETE FROM segments.a_list WHERE TRUE")
    with connect(settings) as engine:
        engine.append(a_list.name, [{"customer_id": "c2"}])
    publish(settings, 2)
    with connect(settings, read_only=True) as reader:
        assert reader.query(asked) == [{"customer_id": "c1"}, {"customer_id": "c2"}]


def test_a_publisher_killed_before_its_copy_is_whole_leaves_the_old_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(settings, 1)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            publish(settings, 2)
    with connect(settings, read_only=True) as reader:
        assert people(reader) == ["c1"]

    publish(settings, 3)
    with connect(settings, read_only=True) as reader:
        assert people(reader) == ["c3"]


def test_an_engine_in_memory_keeps_nothing_and_publishes_nowhere() -> None:
    engine = DuckDBEngine.in_memory()
    engine.publish("20261120T000000Z-aaaaaaaa", "20261120T000000Z-aaaaaaaa")

    assert engine.path is None
    engine.connection.close()
