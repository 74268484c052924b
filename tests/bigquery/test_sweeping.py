"""A key sweep on BigQuery: its statements through Google's analyzer, their rows on the emulator."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorder import Replay, recording

from include.connect.errors import StopSync
from include.settings import Settings
from include.warehouse.bigquery import BigQueryEngine
from include.warehouse.engine import connect
from include.warehouse.render import Names
from tests.warehouse.sweeping import Account, contact, contacts_only


def go_through(account: Account) -> None:
    """Two contacts go, one comes back, and a sweep is refused."""
    account.pull(1, *map(contact, "abc"))
    account.sweep(5, "a")
    account.sweep(7, "a", "c")
    with pytest.raises(StopSync):
        account.sweep(9, quarantined=1)
    found = [(row["known"], row["deleted"], row["returned"], bool(row["reason"])) for row in account.swept()]
    assert found == [(3, 2, 0, False), (1, 0, 1, False), (2, 2, 0, True)]


def test_every_statement_of_a_sweep_analyzes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contacts_only(monkeypatch)
    settings = Settings(home=tmp_path)
    with recording() as record, connect(settings) as engine:
        go_through(Account(engine, settings))
    replay = Replay()
    replay.run(record.calls)
    assert replay.client.analyzed > 30
    assert replay.problems == []


@pytest.mark.long
def test_the_emulator_marks_the_same_records(emulator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    contacts_only(monkeypatch)
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", emulator)
    client = bigquery.Client(project="swept", credentials=AnonymousCredentials())
    settings = Settings(home=tmp_path)
    engine = BigQueryEngine(client, settings, Names("bigquery", prefix="dev_"))
    engine.prepare()
    account = Account(engine, settings)
    go_through(account)
    assert account.staged() == {"a": False, "b": True, "c": False}
    client.close()
