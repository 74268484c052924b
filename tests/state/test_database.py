"""Where the store lives, and how its schema moves forward."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from include.connect.errors import FixSettings
from include.settings import Settings
from include.state import database
from include.state.store import Store


def test_environments_do_not_share_a_store(settings) -> None:
    with Store.open(settings) as dev, Store.open(settings.model_copy(update={"env": "prod"})) as prod:
        assert [dev.next_value("n"), dev.next_value("n"), prod.next_value("n")] == [1, 2, 1]


def test_a_sqlite_url_gets_a_folder_per_environment(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, state_url=f"sqlite:///{tmp_path}/shared/state.sqlite")
    with Store.open(settings):
        file = tmp_path / "shared" / "dev" / "state.sqlite"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("url", ["nonsense", "mysql://host/db", "sqlite://", "sqlite:///:memory:"])
def test_a_url_that_cannot_work_is_named(tmp_path: Path, url: str) -> None:
    with pytest.raises(FixSettings, match="STITCHLINE_STATE_URL"), Store.open(Settings(home=tmp_path, state_url=url)):
        pass


def test_an_unreachable_server_is_named_without_its_password(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, state_url="postgresql+psycopg://me:hunter2@127.0.0.1:1/state")
    with pytest.raises(FixSettings, match=r"127\.0\.0\.1") as refused, Store.open(settings):
        pass
    assert "hunter2" not in str(refused.value)


def test_a_newer_schema_refuses_to_start(store, settings) -> None:
    with store._write() as connection:
        connection.exec_driver_sql("UPDATE schema_version SET version = 99")
    with pytest.raises(FixSettings, match="version 99"), Store.open(settings):
        pass


def test_an_older_schema_moves_forward_and_keeps_its_rows(store, settings, tmp_path: Path) -> None:
    store.next_value("kept")
    folder = tmp_path / "migrations"
    shutil.copytree(database.MIGRATIONS, folder)
    (folder / "0004_colour.sql").write_text("ALTER TABLE counters ADD COLUMN colour TEXT\n")
    (folder / "0005_elsewhere.sqlite.sql").write_text("ALTER TABLE counters ADD COLUMN shape TEXT\n")
    (folder / "0005_elsewhere.postgresql.sql").write_text("ALTER TABLE counters ADD COLUMN shape TEXT\n")
    assert database.migrate(store._engine, folder) == 5
    assert store.schema_version == 5
    [row] = store._read("SELECT * FROM counters")
    assert dict(row) == {"name": "kept", "value": 1, "colour": None, "shape": None}


def test_a_failing_migration_leaves_the_schema_as_it_was(store, tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(database.MIGRATIONS, folder)
    (folder / "0004_half.sql").write_text(
        "ALTER TABLE counters ADD COLUMN colour TEXT;\n\nSELECT nothing FROM nowhere;\n"
    )
    with pytest.raises(Exception, match="nowhere"):
        database.migrate(store._engine, folder)
    assert store.schema_version == 3
    assert store.next_value("n") == 1
    assert dict(store._read("SELECT * FROM counters")[0]) == {"name": "n", "value": 1}


def test_migration_files_are_numbered_without_gaps_on_both_databases() -> None:
    for dialect in ("sqlite", "postgresql"):
        numbers = sorted(database.migrations(dialect))
        assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("names", [["0001_a.sql", "0001_b.sql"], ["first.sql"], ["0001_a.mysql.sql"]])
def test_a_misnamed_migration_is_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("")
    with pytest.raises(ValueError, match=names[-1]):
        database.migrations("sqlite", tmp_path)
