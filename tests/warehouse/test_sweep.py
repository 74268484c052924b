"""A key sweep marks what a vendor deleted without saying so: no more than that, and in a way that a rebuild repeats."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from include.connect.errors import StopSync
from include.connect.landing import read_manifest
from include.settings import Settings
from include.sources import all_sources
from include.warehouse import load as loading
from include.warehouse import sweep
from include.warehouse.engine import Engine
from include.warehouse.models import staging_models
from tests.warehouse.sweeping import CONTACTS, Account, at, contact, contacts_only


@pytest.fixture
def account(fresh: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    contacts_only(monkeypatch)
    return Account(fresh, Settings(home=tmp_path))


def test_what_a_sweep_does_not_see_is_marked_with_the_time_and_the_rest_stays(account: Account) -> None:
    account.pull(1, *map(contact, "abc"))
    account.sweep(5, "a", "c", "new")
    assert account.marks() == {"a": False, "b": True, "c": False}
    gone = account.engine.query(f"SELECT _deleted_at, _extracted_at FROM {CONTACTS} WHERE _key = 'b'")
    assert gone == [{"_deleted_at": at(5.9), "_extracted_at": at(5)}]
    assert account.swept() == [{"known": 3, "seen": 3, "deleted": 1, "returned": 0, "reason": ""}]


def test_a_sweeps_keys_are_kept_nowhere(account: Account) -> None:
    account.pull(1, *map(contact, "abc"))
    run = account.land(5, {"id": "a"}, {"id": "new"}, kind="sweep")
    account.load(run)
    assert account.engine.query("SELECT * FROM ops.swept_keys") == []
    held = account.engine.query("SELECT DISTINCT _key FROM raw.hubspot__contacts ORDER BY _key")
    assert [row["_key"] for row in held] == ["a", "b", "c"]
    manifest = read_manifest(account.settings.landing_root, "hubspot", "main", "contacts", run)
    assert manifest is not None
    assert (manifest.parts, [note["records_before"] for note in manifest.rewrites]) == ([], [2])
    assert not list(Path(account.settings.landing_root).glob(f"**/run={run.run_id}/**/part-*"))


def test_what_is_pulled_while_a_sweep_runs_is_never_taken_for_deleted(account: Account) -> None:
    account.pull(1, *map(contact, "ab"))
    swept = account.land(5, {"id": "a"}, kind="sweep")
    # Read later than the sweep began, loaded before it: new, and one that the sweep had missed.
    account.load(account.land(5.5, contact("c", 5.2), contact("b", 0)))
    account.load(swept)
    assert account.marks() == {"a": False, "b": False, "c": False}


def test_a_pull_that_was_under_way_wins_though_it_is_loaded_after_the_sweep(account: Account) -> None:
    account.pull(1, *map(contact, "ab"))
    late = account.land(5.5, contact("b", 0))
    swept = account.land(5, {"id": "a"}, kind="sweep")
    (landed,) = Path(account.settings.landing_root).glob(f"**/run={late.run_id}/_manifest.json")
    hidden = landed.rename(landed.with_name("hidden"))
    account.load(swept)
    assert account.marks() == {"a": False, "b": True}
    hidden.rename(landed)
    account.load(late)
    assert account.marks() == {"a": False, "b": False}


def test_a_record_comes_back_by_a_later_pull_and_by_a_later_sweep(account: Account) -> None:
    account.pull(1, *map(contact, "abc"))
    account.sweep(5, "a")
    assert account.marks() == {"a": False, "b": True, "c": True}
    account.pull(6, contact("b", 0))  # restored: its change time is the old one
    assert account.marks() == {"a": False, "b": False, "c": True}
    account.sweep(7, "a", "b", "c")
    assert account.marks() == {"a": False, "b": False, "c": False}
    account.sweep(8, "a", "b", "c")
    account.sweep(9, "a", "b")
    assert account.marks() == {"a": False, "b": False, "c": True}
    assert [(row["deleted"], row["returned"]) for row in account.swept()] == [(2, 0), (0, 1), (0, 0), (1, 0)]


def test_the_version_that_stands_is_marked_whatever_was_read_last(account: Account) -> None:
    account.pull(1, contact("a"), contact("b", 0.5))
    account.pull(2, contact("b", 0.1))  # a slow search index shows an older version
    account.sweep(5, "a")
    assert account.marks() == {"a": False, "b": True}


def test_what_the_vendor_marked_itself_is_not_found_again(account: Account) -> None:
    account.pull(1, *map(contact, "ab"), contact("x", archived=True))
    account.sweep(5, "a", "b")
    account.sweep(6, "a", "b")
    assert account.swept() == [{"known": 2, "seen": 2, "deleted": 0, "returned": 0, "reason": ""}] * 2
    assert account.engine.query("SELECT COUNT(*) AS n FROM raw.hubspot__contacts") == [{"n": 3}]


def test_another_accounts_records_are_not_compared(account: Account) -> None:
    account.pull(1, *map(contact, "ab"))
    account.engine.execute("UPDATE raw.hubspot__contacts SET _account = 'eu' WHERE _key = 'b'")
    account.sweep(5, "a")
    assert account.marks() == {"a": False, "b": False}


@pytest.mark.parametrize(
    ("known", "seen", "unread", "says"),
    [
        (400, 300, 0, "100 of 400 records are missing, more than 50 and 20%"),
        (3, 0, 0, "the vendor showed no record at all, and 3 are known"),
        (3, 2, 1, "1 records of the sweep could not be read"),
    ],
)
def test_a_sweep_that_looks_like_a_lost_permission_marks_nothing_until_a_person_agrees(
    account: Account, known: int, seen: int, unread: int, says: str
) -> None:
    keys = [f"{number:03}" for number in range(known)]
    account.pull(1, *map(contact, keys))
    run = account.land(5, *({"id": key} for key in keys[:seen]), kind="sweep", quarantined=unread)
    for _ in range(2):  # and again when the task is cleared
        with pytest.raises(StopSync, match="accept_deletions") as stopped:
            account.load(run)
        assert says in str(stopped.value)
    assert not any(account.staged().values())
    account.pull(6)  # the next hour's load goes on as ever
    account.sweep(7, *keys[:seen], quarantined=unread, accept_deletions=True)
    assert account.marks() == {key: key not in keys[:seen] for key in keys}


@pytest.mark.parametrize(("known", "gone"), [(400, 80), (40, 39)])
def test_as_many_as_the_guard_lets_through_are_marked(account: Account, known: int, gone: int) -> None:
    keys = [f"{number:03}" for number in range(known)]
    account.pull(1, *map(contact, keys))
    account.sweep(5, *keys[gone:])
    assert sum(account.staged().values()) == gone


class Killed(Exception):
    pass


@pytest.mark.parametrize("step", ["load_parts", "execute", "atomically", "take_out"])
def test_a_load_that_is_killed_anywhere_is_repeated_to_the_same_end(
    account: Account, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    account.pull(1, *map(contact, "abc"))
    run = account.land(5, {"id": "a"}, kind="sweep")
    owner: Any = sweep if step == "take_out" else type(account.engine)
    real = getattr(owner, step)
    for dies_after in (False, True):

        def dying(*given: Any, dies_after: bool = dies_after, **named: Any) -> Any:
            if dies_after:
                real(*given, **named)
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(owner, step, dying)
            with pytest.raises(Killed):
                account.load(run)
    account.load(run)
    assert account.marks() == {"a": False, "b": True, "c": True}
    assert account.engine.query("SELECT COUNT(*) AS n FROM raw.hubspot__contacts") == [{"n": 5}]
    assert account.engine.query("SELECT * FROM ops.swept_keys") == []
    assert account.swept() == [{"known": 3, "seen": 1, "deleted": 2, "returned": 0, "reason": ""}]
    assert not list(Path(account.settings.landing_root).glob(f"**/run={run.run_id}/**/part-*"))
    loads = account.engine.query("SELECT kind, records FROM ops.loads ORDER BY seq")
    assert [(row["kind"], row["records"]) for row in loads] == [("full", 3), ("sweep", 2)]


def test_a_payload_is_marked_as_it_came(account: Account) -> None:
    odd = {"id": "b", "properties": {"email": "b@oak.example"}, "n": 12345678901234567890123, "z": [None, {}]}
    account.pull(1, contact("a"), odd)
    account.sweep(5, "a")
    rows: Sequence[Mapping[str, Any]] = account.engine.query(
        "SELECT _payload FROM raw.hubspot__contacts WHERE _key = 'b'"
    )
    assert [json.loads(row["_payload"]) for row in rows] == [odd, odd]


def test_every_swept_stream_has_one_model_that_says_which_version_stands() -> None:
    made_of = [model.reads for model in staging_models()]
    swept = [f"raw.{source.name}__{stream.name}" for source in all_sources().values() for stream in source.swept]
    assert swept
    assert [table for table in swept if made_of.count({table}) != 1] == []


def test_what_another_load_took_in_meanwhile_keeps_its_place(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """On BigQuery a pull and a sweep load side by side: here one loads everything while the other waits its turn."""
    mine, theirs = account.land(1, contact("a")), account.land(2, contact("b"))
    alone, turns = loading._alone, []

    @contextmanager
    def after_the_other(*arguments: Any) -> Iterator[None]:
        turns.append(arguments)
        if len(turns) == 1:
            account.load(theirs)
        with alone(*arguments):
            yield

    monkeypatch.setattr(loading, "_alone", after_the_other)
    account.load(mine)
    assert len(turns) > 2
    rows = account.engine.query("SELECT run_id, seq FROM ops.loads ORDER BY seq")
    assert [(row["run_id"], row["seq"]) for row in rows] == [(mine.run_id, 1), (theirs.run_id, 2)]
    raw = account.engine.query("SELECT _key, _seq FROM raw.hubspot__contacts ORDER BY _key")
    assert [(row["_key"], row["_seq"]) for row in raw] == [("a", 1), ("b", 2)]
