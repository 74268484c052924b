from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from staged_rows import NOW, loaded, machinery, members

from include.checks.results import CHECK_RESULTS, Finding, keep, usual_rows
from include.checks.run import CheckSummary, check_tables
from include.checks.suite import Suite, Volume, row_condition
from include.connect.errors import CheckFailed, FixSettings
from include.run import Run
from include.warehouse.engine import connect
from include.warehouse.stage import ensure_all, stage

MEMBERS = "staging.mailchimp__members"
STRANGE = {"status": "a-new-status"}


def staged(engine) -> int:
    return engine.query(f"SELECT COUNT(*) AS n FROM {MEMBERS}")[0]["n"]


def results(engine, expectation: str) -> list[dict]:
    return engine.query(
        "SELECT * FROM ops.check_results WHERE table_name = @table AND expectation = @expectation ORDER BY as_of",
        {"table": MEMBERS, "expectation": expectation},
    )


def finding(summary: CheckSummary, expectation: str):
    [found] = [each for each in summary.findings if (each.table, each.expectation) == (MEMBERS, expectation)]
    return found


def test_good_rows_pass_and_only_loaded_sources_are_checked(engine, run, settings, fill) -> None:
    fill(300)
    summary = check_tables(engine, run, settings)
    assert {each.table for each in summary.findings} == {MEMBERS, "staging.mailchimp__lists"}
    assert [each for each in summary.findings if not each.is_success] == []
    assert (summary.blocked, summary.warnings, summary.quarantined) == ((), (), {})
    assert {row["rows"] for row in results(engine, "status is a known value")} == {300}


def test_data_docs_are_written_and_tell_nothing_about_people(engine, run, settings, fill) -> None:
    fill(300, [STRANGE, {"email": "private.person"}])
    summary = check_tables(engine, run, settings)
    assert summary.docs == settings.root / "data_docs"
    pages = list(summary.docs.rglob("*.html"))
    assert summary.docs / "index.html" in pages
    assert any("mailchimp__members" in page.read_text() for page in pages)
    for page in pages:
        text = page.read_text()
        assert "example.com" not in text
        assert "private.person" not in text
        assert "a-new-status" not in text
    check_tables(engine, replace(run, run_id="later"), settings)
    assert len(list(summary.docs.rglob("*.html"))) == len(pages), "the documents of earlier runs do not pile up"


def test_a_few_bad_rows_are_set_aside_with_their_reason(engine, run, settings, fill) -> None:
    fill(300, [STRANGE, {"status": None}, {**STRANGE, "mailchimp_list_id": None}])
    summary = check_tables(engine, run, settings)
    aside = engine.query("SELECT * FROM quarantine.mailchimp__members ORDER BY _key")
    assert [(row["_key"], row["_reason"]) for row in aside] == [
        ("list-1|member-0", "status is a known value"),
        ("list-1|member-1", "status is set"),
        ("list-1|member-2", "mailchimp_list_id is set"),
    ]
    assert {row["_quarantined_at"] for row in aside} == {NOW}
    assert aside[0]["email"] == "person0@example.com", "the row is kept whole"
    assert staged(engine) == 297
    assert summary.quarantined == {MEMBERS: 3}
    found = finding(summary, "status is a known value")
    assert (found.is_success, found.unexpected, found.quarantined, found.rows) == (True, 2, 1, 300)


def test_checking_again_sets_nothing_else_aside_and_keeps_one_set_of_results(engine, run, settings, fill) -> None:
    fill(300, [STRANGE])
    check_tables(engine, run, settings)
    check_tables(engine, run, settings)
    assert staged(engine) == 299
    [kept] = results(engine, "status is a known value")
    assert (kept["run_id"], kept["quarantined"]) == (run.run_id, 1)


def test_too_many_bad_rows_stop_what_depends_on_them(engine, run, settings, fill) -> None:
    fill(300, [STRANGE] * 4)
    with pytest.raises(CheckFailed) as stopped:
        check_tables(engine, run, settings)
    assert stopped.value.where == MEMBERS
    assert "'status is a known value' failed: 4 of 300 rows" in stopped.value.what
    assert "docs/runbooks/check-failed.md" in stopped.value.fix
    assert "a-new-status" not in str(stopped.value)
    assert staged(engine) == 300, "what is too much to be a stray row is not hidden"
    [kept] = results(engine, "status is a known value")
    assert (kept["is_success"], kept["unexpected"], kept["rows"]) == (False, 4, 300)
    assert "SELECT t._account, t._key FROM staging.mailchimp__members" in kept["detail"]


def test_a_warning_reports_and_leaves_the_rows(engine, run, settings, fill) -> None:
    fill(300, [{"email": f"person{number}"} for number in range(30)])
    summary = check_tables(engine, run, settings)
    assert [(each.expectation, each.unexpected) for each in summary.warnings] == [("email looks like an address", 30)]
    assert summary.blocked == ()
    assert staged(engine) == 300


def test_a_key_that_comes_twice_stops(engine, run, settings, fill) -> None:
    fill(300, [machinery("list-1|member-1")])
    with pytest.raises(CheckFailed, match=r"'unique _account, _key' failed: 2 of 300 rows"):
        check_tables(engine, run, settings)


def test_a_reference_to_nowhere_is_reported(engine, run, settings, fill) -> None:
    fill(300, [{"mailchimp_list_id": "gone"}] * 9)
    summary = check_tables(engine, run, settings)
    assert [each.unexpected for each in summary.warnings] == [9]


def test_a_late_account_is_reported(engine, run, settings, fill) -> None:
    fill(300)
    loaded(engine, "mailchimp", "members", NOW - timedelta(hours=27), account="eu")
    summary = check_tables(engine, run, settings)
    assert [(each.table, each.expectation, each.unexpected) for each in summary.warnings] == [(MEMBERS, "freshness", 1)]


@pytest.mark.parametrize(("then", "is_fine"), [(241, True), (239, False), (1300, True), (3100, False)])
def test_a_table_that_shrinks_or_swells_stops(engine, run, settings, fill, then, is_fine) -> None:
    suites = {MEMBERS: Suite(MEMBERS, (Volume(),))}
    passed(engine, 0, 300)
    fill(then)
    if is_fine:
        assert finding(check_tables(engine, run, settings, None, suites), "volume").is_success
        return
    with pytest.raises(CheckFailed, match=rf"'volume' failed \({then:,} rows, usually 300"):
        check_tables(engine, run, settings, None, suites)


def passed(engine, hour: int, rows: int, is_success: bool = True) -> None:
    engine.ensure([CHECK_RESULTS])
    keep(
        engine,
        Run.of("unify", f"run {hour}", NOW - timedelta(days=1) + timedelta(hours=hour)),
        [Finding(MEMBERS, "volume", "critical", is_success, rows)],
    )


def test_volume_is_judged_by_the_median_of_the_last_checks_that_passed(engine, run) -> None:
    for hour, rows in enumerate((9, 9, 9, 9, 300, 320, 100, 310)):
        passed(engine, hour, rows)
    passed(engine, 10, 0, is_success=False)
    assert usual_rows(engine, run, [MEMBERS, "staging.other"]) == {MEMBERS: 100}
    passed(engine, 11, 330)
    assert usual_rows(engine, run, [MEMBERS]) == {MEMBERS: 300}


def test_a_missing_column_stops_and_is_named(engine, run, settings, fill) -> None:
    fill(300)
    engine.execute(f"ALTER TABLE {MEMBERS} DROP COLUMN status")
    with pytest.raises(CheckFailed, match="status is missing"):
        check_tables(engine, run, settings)


def test_a_predicate_may_hold_braces_colons_and_the_clock(engine, run, settings, fill) -> None:
    fill(300, [{"email": "aa:bb@example.com"}])
    suite = Suite(
        MEMBERS,
        (
            row_condition("no colon pair", r"REGEXP_CONTAINS(t.email, r'^a{2}:b{2}@')"),
            row_condition("not from before", "t.updated_at < TIMESTAMP_SUB(@as_of, INTERVAL 25 HOUR)"),
        ),
    )
    summary = check_tables(engine, run, settings, [MEMBERS], {MEMBERS: suite})
    assert [each.unexpected for each in summary.findings] == [1, 0]
    assert staged(engine) == 299


def test_a_table_without_a_suite_is_named(engine, run, settings) -> None:
    with pytest.raises(FixSettings, match=r"great_expectations/suites/staging/a__b\.py"):
        check_tables(engine, run, settings, ["staging.a__b"])


def test_nothing_loaded_is_nothing_to_check(engine, run, settings) -> None:
    engine.execute("DELETE FROM ops.loads WHERE TRUE")
    assert check_tables(engine, run, settings).findings == ()


def member(key: str, status: str, version: int) -> str:
    changed = (NOW - timedelta(days=2) + timedelta(hours=version)).isoformat()
    body = {
        "id": key,
        "list_id": "list-1",
        "email_address": f"{key}@example.com",
        "status": status,
        "last_changed": changed,
    }
    return json.dumps(body)


def land(engine, seq: int, payloads: list[tuple[str, str]]) -> None:
    at = NOW - timedelta(hours=5) + timedelta(minutes=seq)
    stamp = {
        "_account": "main",
        "_run_id": f"run-{seq}",
        "_part": 0,
        "_seq": seq,
        "_extracted_at": at,
        "_loaded_at": at,
    }
    engine.append(
        "raw.mailchimp__members", [{**stamp, "_key": f"list-1|{key}", "_payload": body} for key, body in payloads]
    )
    load = {"source": "mailchimp", "account": "main", "stream": "members", "as_of": at, "loaded_at": at}
    engine.append("ops.loads", [{"seq": seq, "run_id": f"run-{seq}", "kind": "full", "is_complete": True, **load}])


def test_a_row_comes_back_by_itself_once_it_is_mended(engine, run, settings) -> None:
    land(engine, 2, [(f"m{number}", member(f"m{number}", "subscribed", 1)) for number in range(200)])
    land(engine, 3, [("m0", member("m0", "odd", 2))])
    stage(engine, run, settings)
    assert check_tables(engine, run, settings, [MEMBERS]).quarantined == {MEMBERS: 1}
    assert staged(engine) == 199
    second = Run.of("unify", "second", NOW + timedelta(hours=1))
    stage(engine, second, settings)
    assert staged(engine) == 200, "staging takes it back before it is judged anew"
    assert check_tables(engine, second, settings, [MEMBERS]).quarantined == {MEMBERS: 1}, "still odd"
    land(engine, 4, [("m0", member("m0", "unsubscribed", 3))])
    third = Run.of("unify", "third", NOW + timedelta(hours=2))
    stage(engine, third, settings)
    assert check_tables(engine, third, settings, [MEMBERS]).quarantined == {}
    assert staged(engine) == 200


def test_the_file_is_free_for_others_afterwards(run, settings) -> None:
    with connect(settings) as engine:
        ensure_all(engine, settings)
        loaded(engine, "mailchimp", "members", NOW)
        engine.append(MEMBERS, members(200, [STRANGE]))
        check_tables(engine, run, settings)
        assert staged(engine) == 199
    code = f"import duckdb; duckdb.connect({str(settings.root / 'warehouse.duckdb')!r}).close()"
    subprocess.run([sys.executable, "-c", code], check=True)
