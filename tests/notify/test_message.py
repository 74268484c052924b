from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import pytest

import include.connect.errors as errors
from include.connect.errors import CheckFailed, FixCredentials, RetryLater, StitchlineError, StopSync, WarehouseBusy
from include.notify.message import KINDS, UNEXPECTED, Kind, Message, cause_of, describe, kind_of

ROOT = Path(__file__).resolve().parents[2]


def every_error() -> list[type[BaseException]]:
    waiting, found = [StitchlineError], []
    for module in pkgutil.iter_modules([str(ROOT / "include" / "connect")]):
        importlib.import_module(f"include.connect.{module.name}")
    while waiting:
        error = waiting.pop()
        found.append(error)
        waiting += error.__subclasses__()
    return found


def every_kind() -> set[Kind]:
    return {UNEXPECTED, *KINDS.values(), *(kind_of(error.__new__(error)) for error in every_error())}


def test_every_link_an_alert_can_carry_leads_to_a_runbook_that_says_all_four_things() -> None:
    for kind in every_kind():
        text = (ROOT / kind.link).read_text()
        for part in ("**You see:**", "**Why it happens:**", "**What to do**", "**How to verify:**"):
            assert part in text, f"{kind.link} lacks {part}"


def test_no_runbook_is_an_orphan() -> None:
    assert {str(path.relative_to(ROOT)) for path in (ROOT / "docs/runbooks").glob("*.md")} == {
        kind.link for kind in every_kind()
    }


def test_each_error_a_person_must_act_on_has_its_own_runbook() -> None:
    named = {error for error in vars(errors).values() if isinstance(error, type) and issubclass(error, StitchlineError)}
    unexpected = {error.__name__ for error in named if kind_of(error.__new__(error)) is UNEXPECTED}
    assert unexpected == {"StitchlineError", "SkipRecord"}


def credentials(where: str) -> FixCredentials:
    return FixCredentials("the vendor answered 401", where=where, fix="Mend it.")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (credentials("connection mailchimp, mailchimp/main members"), credentials("connection mailchimp")),
        (RetryLater("503", where="mailchimp/main members"), RetryLater("reset 6 times", where="mailchimp/main lists")),
        (WarehouseBusy("held for 600 s", where="/w.duckdb"), WarehouseBusy("held for 900 s", where="/w.duckdb")),
        (
            CheckFailed("unique: 7 of 90 rows", where="staging.a__b", fix=""),
            CheckFailed("unique: 9 of 1200 rows", where="staging.a__b", fix=""),
        ),
        (KeyError("ada@example.com"), KeyError("bob@example.com")),
    ],
)
def test_the_same_trouble_has_one_cause(one: Exception, other: Exception) -> None:
    assert cause_of(one, "ingest_a.pull") == cause_of(other, "ingest_a.pull")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (credentials("connection mailchimp"), credentials("connection mailchimp__eu")),
        (RetryLater("503", where="mailchimp/main members"), RetryLater("503", where="zendesk/main tickets")),
        (RetryLater("locked", where="/w.duckdb"), WarehouseBusy("locked", where="/w.duckdb")),
        (StopSync("a guard tripped", where="a__b", fix=""), StopSync("a guard tripped", where="c__d", fix="")),
        (
            CheckFailed("unique: 7 of 90 rows", where="staging.a__b", fix=""),
            CheckFailed("not null: 7 of 90 rows", where="staging.a__b", fix=""),
        ),
    ],
)
def test_different_troubles_have_different_causes(one: Exception, other: Exception) -> None:
    assert cause_of(one, "dag.task") != cause_of(other, "dag.task")


def test_the_text_of_a_foreign_error_is_not_told() -> None:
    from include.state.database import migrations

    with pytest.raises(ValueError, match="not named") as caught:
        migrations("sqlite", ROOT / "tests" / "notify" / "misnamed")
    what, fix = describe(caught.value)
    assert what == "ValueError at include/state/database.py in migrations"
    assert "log" in fix
    assert describe(KeyError("ada@example.com")) == ("KeyError", fix)
    assert "killed" in describe("Task killed externally")[0]
    assert "killed" in describe(None)[0]


def test_an_address_that_slipped_into_an_error_is_masked() -> None:
    error = StopSync("the list holds ada.lovelace+x@example.co.uk twice", where="a__b", fix="", request_id="r-1")
    assert describe(error)[0] == "the list holds [address] twice (request id r-1)"
    assert "ada" not in cause_of(error, "t")


def test_who_is_affected_reads_as_a_sentence() -> None:
    def message(lists: tuple[str, ...], people: int | None) -> Message:
        return Message("t", "w", "f", "x", "o", "r", "l", lists, people)

    assert message(("a", "b", "c"), 12410).affected == "12,410 people in 3 lists (a, b, c)"
    assert message(("a",), None).affected == "1 list (a)"
    assert message((), None).affected == ""
