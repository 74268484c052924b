"""Every DAG keeps the house's policy; parsing one costs next to nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="stitchline-tests-"))

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, Asset, RetryAction, task

from include import wiring
from include.activate.segment import all_segments
from include.connect.errors import CheckFailed, FixCredentials, FixSettings, RetryLater, StopSync
from include.run import Run
from include.settings import Settings
from include.sources import all_sources
from include.steps import unify_turn

ROOT = Path(__file__).resolve().parent.parent
DAGS = ROOT / "dags"
HEAVY = ("pandas", "great_expectations", "duckdb", "gcsfs", "google.cloud.bigquery", "airflow.providers.google.cloud")
TAG = re.compile(f"({'|'.join(tag.value for tag in wiring.Tag)}):[a-z0-9_]+")


def violations(dag: DAG) -> list[str]:
    """What a DAG does that the house does not want; empty for a good one."""
    found = []
    if not dag.doc_md or len(dag.doc_md.strip().splitlines()[0]) < 20:
        found.append("no doc_md that says what it is for")
    if not dag.description:
        found.append("no description")
    if not dag.tags or not all(TAG.fullmatch(tag) for tag in dag.tags):
        found.append("a tag that is not of wiring.Tag")
    if not any(tag.startswith(f"{wiring.Tag.IMPACT}:") for tag in dag.tags):
        found.append("no impact tag")
    if dag.max_active_runs != 1:
        found.append("more than one active run")
    if dag.catchup:
        found.append("catches up")
    if not dag.tasks:
        found.append("no task")
    for each in dag.tasks:
        if each.owner in ("", "airflow"):
            found.append(f"{each.task_id}: no owner")
        if each.retries < 1 or each.retry_policy is None:
            found.append(f"{each.task_id}: no retries by remedy")
        if each.execution_timeout is None:
            found.append(f"{each.task_id}: may run for ever")
    if not reads(dag) and not writes(dag):
        found.append("no asset in or out")
    return found


def reads(dag: DAG) -> set[str]:
    """Names of the assets that start a DAG."""
    waiting, found = [getattr(dag.timetable, "asset_condition", None)], set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, Asset):
            found.add(one.name)
        waiting += getattr(one, "objects", ())
    return found


def writes(dag: DAG) -> set[str]:
    """Names of the assets that its tasks change."""
    return {asset.name for each in dag.tasks for asset in each.outlets if isinstance(asset, Asset)}


@pytest.fixture
def dags(monkeypatch: pytest.MonkeyPatch) -> dict[str, DAG]:
    monkeypatch.setenv("STITCHLINE_SOURCES", "*")
    monkeypatch.setenv("STITCHLINE_SYNCS", "*")
    monkeypatch.setenv("STITCHLINE_COLLECTOR", "segment")
    return load()


def load() -> dict[str, DAG]:
    bag = DagBag(str(DAGS))
    assert not bag.import_errors
    return dict(bag.dags)


def test_every_dag_keeps_the_policy(dags: dict[str, DAG]) -> None:
    assert {dag_id: found for dag_id, dag in dags.items() if (found := violations(dag))} == {}


def test_every_source_segment_and_sync_has_its_dag(dags: dict[str, DAG]) -> None:
    wanted = {f"ingest_{name}" for name in all_sources()} | {"ingest_collector", "unify"}
    for segment in all_segments().values():
        wanted |= {f"segment_{segment.name}"} | {f"sync_{segment.name}__{spec.to}" for spec in segment.header.syncs}
    assert wanted <= dags.keys()


def test_unify_runs_on_whatever_brings_rows_and_on_an_erasure(dags: dict[str, DAG]) -> None:
    brought = {name for dag_id, dag in dags.items() if dag_id.startswith("ingest_") for name in writes(dag)}
    assert reads(dags["unify"]) == brought | writes(dags["erase_person"])
    assert "stitchline://raw/collector" in brought


def test_the_policy_fails_on_a_bad_dag() -> None:
    with DAG("bad", schedule=None, tags=["whatever"], max_active_runs=16) as bad:

        @task
        def something() -> None:
            """Do something."""

        something()
    found = " | ".join(violations(bad))
    for complaint in (
        "doc_md",
        "description",
        "wiring.Tag",
        "impact",
        "active run",
        "owner",
        "retries",
        "asset",
        "for ever",
    ):
        assert complaint in found


def test_assets_lead_from_each_dag_to_the_next(dags: dict[str, DAG]) -> None:
    assert writes(dags["ingest_stripe"]) == {"stitchline://raw/stripe"} < reads(dags["unify"])
    assert writes(dags["unify"]) == {"stitchline://marts"}
    for name, segment in all_segments().items():
        assert reads(dags[f"segment_{name}"]) == {"stitchline://marts"}
        for spec in segment.header.syncs:
            assert reads(dags[f"sync_{name}__{spec.to}"]) == writes(dags[f"segment_{name}"])


def test_what_writes_to_the_warehouse_takes_a_slot_of_its_pool(dags: dict[str, DAG]) -> None:
    free = {each.task_id for dag in dags.values() for each in dag.tasks if each.pool != wiring.POOL}
    assert free & {"load", "stage", "check", "identity", "marts", "publish", "compute", "plan"} == set()


def test_nothing_is_switched_on_by_default() -> None:
    assert {dag_id for dag_id in load() if dag_id.startswith(("ingest_", "sweep_", "segment_", "sync_"))} == set()


def test_an_account_has_a_dag_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STITCHLINE_SOURCES", "mailchimp, mailchimp:eu")
    dags = load()
    assert {"ingest_mailchimp", "ingest_mailchimp__eu"} <= dags.keys()
    assert "sync_at_risk_customers__mailchimp_tag" not in dags


def test_a_source_whose_vendor_deletes_silently_is_swept_each_week_and_loads_like_its_pull(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STITCHLINE_SOURCES", "jira, jira:eu, xero")
    dags = load()
    assert {dag_id for dag_id in dags if dag_id.startswith("sweep_")} == {"sweep_jira", "sweep_jira__eu"}
    sweep, pull = dags["sweep_jira"], dags["ingest_jira"]
    assert (sweep.params["kind"], pull.params["kind"]) == ("sweep", "incremental")
    assert (sweep.timetable.expression, writes(sweep)) == ("0 0 * * 0", writes(pull))
    monkeypatch.setenv("STITCHLINE_SWEEP_SCHEDULE", "")
    never = load()
    assert not never["sweep_jira"].timetable.can_be_scheduled
    assert never["ingest_jira"].timetable.can_be_scheduled


def test_a_misspelt_source_is_an_import_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STITCHLINE_SOURCES", "mailchump")
    errors = DagBag(str(DAGS)).import_errors
    assert errors
    assert all("STITCHLINE_SOURCES" in error and "mailchump" in error for error in errors.values())


def test_a_task_process_builds_only_its_own_dag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STITCHLINE_SOURCES", "*")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "ingest_zendesk")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", "pull")
    assert [dag_id for dag_id in load() if dag_id.startswith("ingest_")] == ["ingest_zendesk"]


def test_parsing_imports_nothing_heavy() -> None:
    script = (
        "import json, runpy, sys, airflow.sdk\n"
        f"[runpy.run_path(str(path)) for path in __import__('pathlib').Path({str(DAGS)!r}).glob('*.py')]\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    env = {**os.environ, "STITCHLINE_SOURCES": "*", "STITCHLINE_SYNCS": "*", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_dag_files_are_wiring_only() -> None:
    for path in DAGS.glob("*.py"):
        text = path.read_text()
        assert len(text.splitlines()) < 80, path
        assert not re.search(r"\b(SELECT|INSERT|https?://)\b", text), path


@pytest.mark.parametrize("error", [FixCredentials, FixSettings, StopSync, CheckFailed])
def test_what_needs_a_person_is_not_tried_again(error: type[Exception]) -> None:
    decision = wiring.ByRemedy().evaluate(error("it happened", where="stripe", fix="Mend it."), 1, 4)
    assert decision.action is RetryAction.FAIL
    assert "Mend it." in str(decision.reason)


def test_a_stated_wait_is_kept() -> None:
    decision = wiring.ByRemedy().evaluate(RetryLater("busy", where="stripe", after=90), 1, 4)
    assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, timedelta(seconds=90))


def test_anything_else_follows_the_tasks_own_delays() -> None:
    for error in (RetryLater("busy", where="stripe"), OSError("reset")):
        assert wiring.ByRemedy().evaluate(error, 1, 4).action is RetryAction.DEFAULT


def test_where_somebody_waits_only_what_asks_is_tried_again() -> None:
    policy = wiring.OnlyWhenAsked()
    assert policy.evaluate(RetryLater("busy", where="stripe", after=1), 1, 4).action is RetryAction.RETRY
    assert policy.evaluate(RetryLater("busy", where="stripe"), 1, 4).action is RetryAction.DEFAULT
    assert policy.evaluate(OSError("reset"), 1, 4).action is RetryAction.FAIL


def test_unify_does_not_start_while_sources_are_pulled() -> None:
    now = datetime.now(UTC)
    again = unify_turn(Run.of("unify", "one", now), is_manual=False, count_pulls=lambda: 2)
    assert again is not None
    assert now < again < now + timedelta(minutes=1)


def test_unify_does_not_wait_for_pulls_for_ever() -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    assert unify_turn(Run.of("unify", "one", long_ago), is_manual=False, count_pulls=lambda: 2) is None


def test_a_person_need_not_wait() -> None:
    assert unify_turn(Run.of("unify", "one", datetime.now(UTC)), is_manual=True, count_pulls=lambda: 2) is None


def test_every_setting_is_explained_in_the_example() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    explained = {
        match[1]
        for before, line in zip(["", *lines], lines, strict=False)
        if (match := re.match(r"#? ?STITCHLINE_([A-Z_]+)=", line)) and before.startswith("#")
    }
    named = {match[1] for line in lines if (match := re.match(r"#? ?STITCHLINE_([A-Z_]+)=", line))}
    assert named == {name.upper() for name in Settings.model_fields}
    assert named - explained <= {"BIGQUERY_PROJECT", "BIGQUERY_LOCATION"}  # one sentence explains the three
