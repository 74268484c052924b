"""Staging takes each load once, keeps the latest version of each record, and can be killed anywhere."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest

from include.run import Run
from include.settings import Settings
from include.warehouse import models, stage
from include.warehouse.duckdb import DuckDBEngine
from include.warehouse.engine import Engine
from include.warehouse.schema import OPS, raw_table

SETTINGS = Settings()
START = datetime(2026, 11, 1, tzinfo=UTC)
CONTACTS = "staging.hubspot__contacts"
QUARANTINE = "quarantine.hubspot__contacts"


@pytest.fixture
def contacts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stage one model: the others are staged by the same statements, and a test has seconds, not minutes."""
    one = tuple(model for model in models.staging_models() if model.name == CONTACTS)
    monkeypatch.setattr(stage, "staging_models", lambda: one)


def run(number: int = 1) -> Run:
    return Run.of("unify", f"manual__{number}", START + timedelta(days=number))


def contact(key: str, hour: int | None, email: str, **more: Any) -> dict[str, Any]:
    """One version of a HubSpot contact, changed at that hour."""
    changed = None if hour is None else f"{START + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}"
    return {"_key": key, "_payload": {"id": key, "properties": {"email": email}, "updatedAt": changed}, **more}


def load(engine: Engine, seq: int, *records: Mapping[str, Any], committed: datetime | None = None) -> None:
    """What loading a landing leaves behind: raw rows and their line in the book."""
    at = committed or START + timedelta(days=seq)
    engine.ensure([*OPS, raw_table("hubspot", "contacts")])
    whole = [
        {
            "_account": "main",
            "_run_id": f"run-{seq}",
            "_part": 0,
            "_seq": seq,
            "_extracted_at": at,
            "_loaded_at": at,
            **record,
            "_payload": json.dumps(record["_payload"]),
        }
        for record in records
    ]
    engine.append("raw.hubspot__contacts", whole)
    engine.append("ops.loads", [{"seq": seq, "source": "hubspot", "stream": "contacts", "loaded_at": at}])


def staged(engine: Engine, table: str = CONTACTS) -> list[tuple[str, str, str]]:
    rows = engine.query(f"SELECT _account, _key, email FROM {table} ORDER BY _account, _key, email")
    return [(row["_account"], row["_key"], row["email"]) for row in rows]


def contents(engine: Engine) -> dict[str, list[str]]:
    """Everything staging holds, and how far it has come."""
    names = ["ops.staged", *(f"{layer}.{name}" for layer in ("staging", "quarantine") for name in engine.tables(layer))]
    return {name: sorted(map(repr, engine.query(f"SELECT * FROM {name}"))) for name in names}


def test_every_shipped_model_has_its_table_before_anything_is_loaded(fresh: Engine) -> None:
    summary = stage.stage(fresh, run(), SETTINGS)

    names = {model.name for model in models.staging_models()}
    assert summary.rows == dict.fromkeys(names, 0)
    assert {f"staging.{name}" for name in fresh.tables("staging")} == names
    assert {f"staging.{name}" for name in fresh.tables("quarantine")} == names


@pytest.mark.usefixtures("contacts_only")
def test_the_latest_version_of_each_record_is_kept_per_account(fresh: Engine) -> None:
    load(
        fresh,
        1,
        contact("1", 10, "old@oak.example"),
        contact("1", 12, "new@oak.example"),
        contact("1", 11, "middle@oak.example"),
        contact("2", 10, "two@oak.example"),
        contact("1", 9, "eu@oak.example", _account="eu"),
    )

    summary = stage.stage(fresh, run(), SETTINGS)

    assert staged(fresh) == [
        ("eu", "1", "eu@oak.example"),
        ("main", "1", "new@oak.example"),
        ("main", "2", "two@oak.example"),
    ]
    assert (summary.rows[CONTACTS], summary.seq_to) == (3, 1)


@pytest.mark.usefixtures("contacts_only")
def test_a_stage_reads_only_the_loads_since_the_last(fresh: Engine) -> None:
    load(fresh, 1, contact("1", 10, "one@oak.example"), contact("2", 10, "two@oak.example"))
    stage.stage(fresh, run(1), SETTINGS)
    fresh.execute("DELETE FROM raw.hubspot__contacts WHERE TRUE")  # reading it again would lose contact 2
    load(fresh, 2, contact("1", 11, "one.new@oak.example"), contact("3", 10, "three@oak.example"))

    summary = stage.stage(fresh, run(2), SETTINGS)

    assert staged(fresh) == [
        ("main", "1", "one.new@oak.example"),
        ("main", "2", "two@oak.example"),
        ("main", "3", "three@oak.example"),
    ]
    assert (summary.rows[CONTACTS], summary.seq_to) == (2, 2)
    assert stage.stage(fresh, run(3), SETTINGS).rows[CONTACTS] == 0


@pytest.mark.usefixtures("contacts_only")
def test_a_late_older_version_does_not_replace_the_newer(fresh: Engine) -> None:
    load(fresh, 1, contact("1", 12, "new@oak.example"))
    stage.stage(fresh, run(1), SETTINGS)
    load(fresh, 2, contact("1", 10, "old@oak.example"), contact("2", 1, "two@oak.example"))

    stage.stage(fresh, run(2), SETTINGS)

    assert staged(fresh) == [("main", "1", "new@oak.example"), ("main", "2", "two@oak.example")]


@pytest.mark.usefixtures("contacts_only")
def test_a_load_committed_earlier_but_loaded_later_is_not_missed(fresh: Engine) -> None:
    load(fresh, 1, contact("1", 10, "one@oak.example"), committed=START + timedelta(days=9))
    stage.stage(fresh, run(1), SETTINGS)
    load(fresh, 2, contact("2", 10, "two@oak.example"), committed=START + timedelta(days=1))

    stage.stage(fresh, run(2), SETTINGS)

    assert staged(fresh) == [("main", "1", "one@oak.example"), ("main", "2", "two@oak.example")]


VERSIONS = {
    "ascending": (contact("1", 10, "a@oak.example"), contact("1", 11, "b@oak.example")),
    "descending": (contact("1", 11, "a@oak.example"), contact("1", 10, "b@oak.example")),
    "same time": (contact("1", 10, "a@oak.example"), contact("1", 10, "b@oak.example")),
    "same time, older answer": (
        contact("1", 10, "a@oak.example", _extracted_at=START + timedelta(days=8)),
        contact("1", 10, "b@oak.example", _extracted_at=START + timedelta(days=7)),
    ),
    "no time last": (contact("1", 10, "a@oak.example"), contact("1", None, "b@oak.example")),
    "no time first": (contact("1", None, "a@oak.example"), contact("1", 10, "b@oak.example")),
    "no time at all": (contact("1", None, "a@oak.example"), contact("1", None, "b@oak.example")),
}


@pytest.mark.parametrize("versions", VERSIONS.values(), ids=VERSIONS.keys())
@pytest.mark.usefixtures("contacts_only")
def test_load_by_load_gives_what_all_loads_at_once_give(fresh: Engine, versions: tuple[dict[str, Any], ...]) -> None:
    for seq, version in enumerate(versions, 1):
        load(fresh, seq, version)
        stage.stage(fresh, run(seq), SETTINGS)
    step_by_step = staged(fresh)
    fresh.execute("UPDATE ops.staged SET `sql` = 'SELECT 7 AS other_column' WHERE TRUE")
    stage.stage(fresh, run(9), SETTINGS)

    assert step_by_step == staged(fresh)


def quarantine(engine: Engine, key: str) -> None:
    """What the checks do with a failing row."""
    engine.execute(
        f"INSERT INTO {QUARANTINE} SELECT *, 'email is no address' AS _reason, @at AS _quarantined_at "
        f"FROM {CONTACTS} WHERE _key = @key",
        {"key": key, "at": START},
    )
    engine.execute(f"DELETE FROM {CONTACTS} WHERE _key = @key", {"key": key})


@pytest.mark.usefixtures("contacts_only")
def test_a_quarantined_row_comes_back_to_be_checked_again(fresh: Engine) -> None:
    load(fresh, 1, contact("1", 10, "one@oak.example"), contact("2", 10, "two@oak.example"))
    stage.stage(fresh, run(1), SETTINGS)
    quarantine(fresh, "1")

    stage.stage(fresh, run(2), SETTINGS)

    assert staged(fresh) == [("main", "1", "one@oak.example"), ("main", "2", "two@oak.example")]
    assert staged(fresh, QUARANTINE) == []


@pytest.mark.parametrize(("hour", "kept"), [(11, "late@oak.example"), (9, "held@oak.example")])
@pytest.mark.usefixtures("contacts_only")
def test_of_a_quarantined_version_and_a_loaded_one_the_later_is_kept(fresh: Engine, hour: int, kept: str) -> None:
    load(fresh, 1, contact("1", 10, "held@oak.example"))
    stage.stage(fresh, run(1), SETTINGS)
    quarantine(fresh, "1")
    load(fresh, 2, contact("1", hour, "late@oak.example"))

    stage.stage(fresh, run(2), SETTINGS)

    assert staged(fresh) == [("main", "1", kept)]
    assert staged(fresh, QUARANTINE) == []


@pytest.mark.usefixtures("contacts_only")
def test_a_full_refresh_types_all_of_raw_again(fresh: Engine) -> None:
    load(fresh, 1, contact("1", 1, "a@oak.example"))
    load(fresh, 2, contact("2", 2, "b@oak.example"))
    stage.stage(fresh, run(1), SETTINGS)
    fresh.execute(f"UPDATE {CONTACTS} SET email = 'spoilt' WHERE TRUE")

    stage.stage(fresh, run(2), SETTINGS)
    assert {row["email"] for row in fresh.query(f"SELECT email FROM {CONTACTS}")} == {"spoilt"}
    stage.stage(fresh, run(2), SETTINGS, full_refresh=True)

    assert {row["email"] for row in fresh.query(f"SELECT email FROM {CONTACTS}")} == {"a@oak.example", "b@oak.example"}


@pytest.mark.usefixtures("contacts_only")
def test_changed_sql_is_applied_to_all_of_raw_again(fresh: Engine) -> None:
    load(fresh, 1, contact("1", 10, "one@oak.example"))
    load(fresh, 2, contact("2", 10, "two@oak.example"))
    stage.stage(fresh, run(1), SETTINGS)
    undisturbed = contents(fresh)
    fresh.execute(f"CREATE OR REPLACE TABLE {CONTACTS} AS SELECT 'main' AS _account, '1' AS _key, 7 AS other_column")
    fresh.execute(f"UPDATE ops.staged SET `sql` = 'SELECT 7 AS other_column' WHERE model = '{CONTACTS}'")

    summary = stage.stage(fresh, run(1), SETTINGS)

    assert contents(fresh) == undisturbed
    assert summary.rows[CONTACTS] == 2


def test_a_new_column_is_added_without_typing_history_again(
    fresh: Engine, contacts_only: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(fresh, 1, contact("1", 10, "one@oak.example"), contact("2", 10, "two@oak.example"))
    stage.stage(fresh, run(1), SETTINGS)
    (model,) = stage.staging_models()
    grown = replace(model, sql=model.sql.replace("SELECT\n", "SELECT\n  LENGTH(_key) AS key_length,\n", 1))
    monkeypatch.setattr(stage, "staging_models", lambda: (grown,))
    load(fresh, 2, contact("1", 11, "one@oak.example"))

    assert stage.stage(fresh, run(2), SETTINGS).rows[CONTACTS] == 1
    rows = fresh.query(f"SELECT _key, key_length FROM {CONTACTS} ORDER BY _key")
    assert rows == [{"_key": "1", "key_length": 1}, {"_key": "2", "key_length": None}]
    assert stage.stage(fresh, run(3), SETTINGS).rows[CONTACTS] == 0

    stage.stage(fresh, run(4), SETTINGS, full_refresh=True)
    assert [row["key_length"] for row in fresh.query(f"SELECT key_length FROM {CONTACTS}")] == [1, 1]


@pytest.mark.parametrize(
    ("after", "added"),
    [
        ("SELECT a AS x, c AS z FROM raw.s__t WHERE TRUE", ["z"]),
        ("SELECT c AS z, a AS x FROM raw.s__t WHERE TRUE", ["z"]),
        ("SELECT b AS x, c AS z FROM raw.s__t WHERE TRUE", []),
        ("SELECT a AS x, c AS z FROM raw.s__t WHERE FALSE", []),
        ("SELECT c AS z FROM raw.s__t WHERE TRUE", []),
    ],
)
def test_only_a_select_that_gained_columns_and_nothing_else_has_gained_columns(after: str, added: list[str]) -> None:
    assert stage.added_columns("SELECT a AS x FROM raw.s__t WHERE TRUE", after) == added


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the program may catch it and go on."""


class MortalEngine(DuckDBEngine):
    """An engine whose process dies before the n-th statement about HubSpot contacts."""

    dies_before: int = 0

    def _run(self, sql: str, params: Mapping[str, Any] | None) -> duckdb.DuckDBPyConnection:
        if "hubspot__contacts" in sql or CONTACTS in (params or {}).values():
            self.dies_before -= 1
            if self.dies_before == 0:
                raise Killed
        return super()._run(sql, params)


@pytest.fixture
def make_mortal() -> Iterator[Callable[[], MortalEngine]]:
    made: list[MortalEngine] = []

    def make() -> MortalEngine:
        made.append(MortalEngine.in_memory())
        return made[-1]

    yield make
    for engine in made:
        engine.connection.close()


@pytest.mark.usefixtures("contacts_only")
def test_killed_at_any_statement_and_run_again_it_ends_as_if_undisturbed(
    make_mortal: Callable[[], MortalEngine],
) -> None:
    undisturbed, mortal = make_mortal(), make_mortal()
    for engine in (undisturbed, mortal):
        load(engine, 1, contact("1", 10, "one@oak.example"), contact("2", 12, "two@oak.example"))
        load(engine, 2, contact("4", 1, "four@oak.example"))
        stage.stage(engine, run(1), SETTINGS)
        quarantine(engine, "4")
        load(
            engine,
            3,
            contact("1", 11, "one.new@oak.example"),
            contact("2", 9, "late@oak.example"),
            contact("3", 1, "three@oak.example"),
        )
    stage.stage(undisturbed, run(2), SETTINGS)
    before = staged(mortal)
    kills = 0
    for number in itertools.count(1):
        mortal.dies_before = number
        try:
            stage.stage(mortal, run(2), SETTINGS)
        except Killed:
            kills += 1
            assert staged(mortal) in (before, staged(undisturbed))
            continue
        break

    mortal.dies_before = 0
    assert kills >= 8
    assert contents(mortal) == contents(undisturbed)
