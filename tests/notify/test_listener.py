from __future__ import annotations

import ast
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pluggy
import pytest
from airflow.sdk._shared.listeners.spec import taskinstance
from airflow.sdk.api.datamodels._generated import TaskInstanceState

from include.connect.errors import FixCredentials
from include.notify.task import task_seen

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ERROR = FixCredentials("Mailchimp answered 401", where="connection mailchimp", fix="Mend the key.")


@pytest.fixture
def plugin(settings) -> ModuleType:
    spec = importlib.util.spec_from_file_location("stitchline_alerts", ROOT / "plugins" / "stitchline_alerts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def hook(plugin):
    """Airflow's hooks with our listener alone in them; pluggy refuses a listener whose signature is not Airflow's."""
    manager = pluggy.PluginManager("airflow")
    manager.add_hookspecs(taskinstance)
    [listener] = plugin.StitchlineAlertsPlugin.listeners
    manager.register(listener)
    manager.check_pending()
    return manager.hook


def task_instance(state: str, **fields: object) -> SimpleNamespace:
    dag = SimpleNamespace(tags={"source:mailchimp", "impact:tier_1"})
    known = {
        "dag_id": "ingest_mailchimp",
        "task_id": "pull",
        "run_id": "scheduled__2026-11-22T06:00:00+00:00",
        "map_index": -1,
        "state": TaskInstanceState(state),
        "task": SimpleNamespace(owner="data-platform", dag=dag),
    }
    return SimpleNamespace(**{**known, **fields})


def fail(hook, state: str = "failed", previous: str | None = "running", **fields: object) -> None:
    hook.on_task_instance_failed(previous_state=previous, task_instance=task_instance(state, **fields), error=ERROR)


def test_a_final_failure_is_told_and_the_next_success_closes_it(hook, slack, store, monkeypatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SLACK_ALERTS", json.dumps({"conn_type": "http", "host": slack.url}))
    fail(hook)
    fail(hook)
    [incident] = store.incidents()
    assert (incident.tier, incident.occurrences, incident.alert_error) == ("tier_1", 2, None)
    hook.on_task_instance_success(previous_state="running", task_instance=task_instance("success"))
    assert store.incidents() == []
    failed, recovered = slack.got
    link = "http://127.0.0.1:8080/dags/ingest_mailchimp/runs/scheduled__2026-11-22T06%3A00%3A00%2B00%3A00/tasks/pull"
    assert link in json.dumps(failed)
    assert "Recovered" in recovered["text"]


@pytest.mark.parametrize(("state", "previous"), [("up_for_retry", "running"), ("failed", None)])
def test_a_retry_and_a_state_set_by_hand_are_not_told(hook, store, state, previous) -> None:
    fail(hook, state, previous)
    assert store.incidents() == []


def test_without_the_connection_the_failure_is_kept_all_the_same(hook, store, caplog) -> None:
    fail(hook)
    fail(hook)
    assert store.incidents()[0].occurrences == 2
    assert caplog.text.count("no alert channel is set up") == 1


def test_a_mapped_task_is_known_by_its_label(plugin, settings) -> None:
    one = task_seen(task_instance("failed", map_index=3, rendered_map_index="members"), settings)
    assert one.task == "ingest_mailchimp.pull[members]"
    assert one.log_url.endswith("/tasks/pull/mapped/3")
    assert task_seen(task_instance("failed", map_index=0), settings).task == "ingest_mailchimp.pull[0]"


def test_what_goes_wrong_in_the_listener_stays_there(hook, monkeypatch, caplog) -> None:
    monkeypatch.setenv("STITCHLINE_STATE_URL", "mysql://nowhere/at-all")
    fail(hook)
    hook.on_task_instance_success(previous_state="running", task_instance=task_instance("success"))
    assert "the failure of ingest_mailchimp.pull could not be reported" in caplog.text
    assert "the recovery of ingest_mailchimp.pull could not be reported" in caplog.text


def test_loading_the_plugin_imports_nothing_of_the_program() -> None:
    tree = ast.parse((ROOT / "plugins" / "stitchline_alerts.py").read_text())
    imported = {node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert imported == {"__future__", "typing", "airflow.listeners", "airflow.plugins_manager"}


@pytest.mark.long
def test_airflow_runs_it(tmp_path: Path, slack, store) -> None:
    (tmp_path / "dags").mkdir()
    shutil.copy(HERE / "failing_dag.py", tmp_path / "dags")
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_SLACK_ALERTS": json.dumps({"conn_type": "http", "host": slack.url}),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, str(HERE / "run_failing_dag.py"), "1", "2", "0"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    ended = [line.split()[-1] for line in run.stdout.splitlines() if line.startswith("run ended")]
    assert ended == ["success", "failed", "success"], run.stdout + run.stderr
    [incident] = store.incidents(open_only=False)
    assert (incident.occurrences, incident.tier) == (1, "tier_1"), "a failure that a retry mended is not told"
    assert incident.resolved_at is not None
    assert ["Recovered" in got["text"] for got in slack.got] == [False, True]
    assert "lifecycle-marketing" in json.dumps(slack.got[0])
