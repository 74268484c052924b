"""What a decision would do is known before it is made, and making it known changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include import steps
from include.connect.errors import CheckFailed, FixSettings, RetryLater, ReviewIdentity
from include.run import Run
from include.settings import ROOT, Settings
from include.warehouse import models
from include.warehouse.engine import Engine, connect
from include.warehouse.identity import jumps
from include.warehouse.identity.generation import decisions, identify, limits_of
from include.warehouse.identity.kinds import with_limits
from include.warehouse.identity.overrides import Identifier, Overrides
from include.warehouse.identity.preview import preview
from include.warehouse.schema import OPS, raw_table
from include.warehouse.stage import stage

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ANN, BOB, CARL, EVE = (("email", f"{name}@oak.example") for name in ("ann", "bob", "carl", "eve"))


def load(engine: Engine, seq: int, source: str, stream: str, *records: Mapping[str, Any]) -> None:
    """What loading a landing leaves behind: raw rows and their line in the book."""
    at = NOW - timedelta(days=10 - seq)
    engine.ensure([*OPS, raw_table(source, stream)])
    stamp = {
        "_account": "main",
        "_run_id": f"run-{seq}",
        "_part": 0,
        "_seq": seq,
        "_extracted_at": at,
        "_loaded_at": at,
    }
    rows = [{**stamp, "_key": str(record["id"]), "_payload": json.dumps(record)} for record in records]
    engine.append(f"raw.{source}__{stream}", rows)
    engine.append(
        "ops.loads", [{"seq": seq, "source": source, "stream": stream, "loaded_at": at, "records": len(rows)}]
    )


def contact(number: int, email: str, more: str = "") -> dict[str, Any]:
    properties = {"email": email, "hs_additional_emails": more}
    return {"id": str(number), "properties": properties, "updatedAt": "2026-05-01T00:00:00Z"}


def asks(number: int, email: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A Zendesk user with a ticket of last week."""
    at = f"{NOW - timedelta(days=7):%Y-%m-%dT%H:%M:%SZ}"
    user = {"id": number, "email": email, "name": "", "updated_at": at, "created_at": at}
    return user, {"id": number, "requester_id": number, "status": "open", "created_at": at, "updated_at": at}


ASKERS = ("at_risk_customers", "recent_ticket_submitters")
"""The lists that whoever asked for help is on."""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of Ann, Eve and Bob, who all asked for help; Bob's contact also names the address of Carl, who did too."""
    home = tmp_path_factory.mktemp("published")
    settings = Settings(home=home, identity_overrides=home / "overrides.yaml", sources=("hubspot", "zendesk"))
    (home / "overrides.yaml").write_text("# Ours.\nmust_link: []\n")
    run = Run.of("unify", "manual__1", NOW)
    with connect(settings) as engine:
        load(engine, 1, "hubspot", "contacts", contact(1, ANN[1], "ann@zoo.example"), contact(2, BOB[1], CARL[1]))
        asked = [asks(number, email) for number, (_, email) in enumerate((ANN, BOB, CARL, EVE), start=21)]
        users, tickets = zip(*asked, strict=True)
        load(engine, 2, "zendesk", "users", *users)
        load(engine, 3, "zendesk", "tickets", *tickets)
        stage(engine, run, settings)
        identify(engine, run, settings)
        models.build_marts(engine, run, settings)
        models.publish(engine, run, settings)
    return home


@pytest.fixture
def home(published: Path, tmp_path: Path) -> Settings:
    """A copy of it that a test may change."""
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)
    return Settings(home=tmp_path, identity_overrides=tmp_path / "overrides.yaml", warehouse_wait_seconds=20)


def now() -> Run:
    return Run.of("cli_preview", "one", datetime.now(UTC))


def contents(engine: Engine) -> dict[str, int]:
    """Every table of the warehouse and its rows."""
    names = [f"{dataset}.{name}" for dataset in ("generations", "segments", "ops") for name in engine.tables(dataset)]
    return {name: int(engine.query(f"SELECT COUNT(*) AS n FROM {name} AS t")[0]["n"]) for name in names}


def stitchline(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    mine = {"STITCHLINE_HOME": str(settings.home), "STITCHLINE_IDENTITY_OVERRIDES": str(settings.identity_overrides)}
    return subprocess.run(
        [sys.executable, "-m", "include.cli", "identity", *arguments],
        env={**os.environ, **mine, "COLUMNS": "160"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_decisions_would_do_is_told_and_nothing_of_it_stays(home: Settings) -> None:
    with connect(home) as engine:
        before = contents(engine)
        decided = Overrides(
            must_link=((Identifier(*ANN), Identifier(*EVE)),),
            cannot_link=((Identifier(*BOB), Identifier(*CARL)),),
            block=(Identifier("email", "ann@zoo.example"),),
        )
        with preview(engine, home, now(), decided, limits_of(home)) as found:
            effect, lists = found.effect(), found.lists()
            assert contents(engine) != before
        assert contents(engine) == before
    assert (effect.merged, effect.split) == (1, 1)
    assert (effect.merged_by, effect.split_by) == ({"must_link": 1}, {"hubspot_additional_emails": 1})
    assert (effect.blocked, effect.freed) == ({("email", "override"): 1}, {})
    assert (effect.people_before, effect.people_after, effect.newer_loads) == (3, 3, 0)
    # Ann and Eve, two members, are one: nobody left. Carl is somebody of his own: he enters.
    assert [(one.segment, one.before, one.after, one.entering, one.leaving) for one in lists] == [
        ("abandoned_carts", 0, 0, 0, 0),
        ("at_risk_customers", 3, 3, 1, 0),
        ("churned", 0, 0, 0, 0),
        ("recent_ticket_submitters", 3, 3, 1, 0),
        ("scored_leads", 0, 0, 0, 0),
        ("suppressed", 0, 0, 0, 0),
    ]


@pytest.mark.long
def test_a_limit_splits_and_loads_not_yet_published_are_in_the_numbers(home: Settings) -> None:
    fewer = with_limits(limits_of(home), ["email=1"], "--limit")
    with connect(home) as engine:
        with preview(engine, home, now(), decisions(home), limits_of(home)) as same:
            effect, lists = same.effect(), same.lists()
        assert (effect.merged, effect.split, effect.merged_by, effect.split_by) == (0, 0, {}, {})
        assert {one.segment: one.before for one in lists if one.before} == dict.fromkeys(ASKERS, 3)
        assert all((one.after, one.entering, one.leaving) == (one.before, 0, 0) for one in lists)
        load(engine, 4, "hubspot", "contacts", contact(3, "dora@oak.example"))
        stage(engine, Run.of("unify", "manual__2", NOW + timedelta(days=1)), home)
        with preview(engine, home, now(), Overrides(block=(Identifier(*ANN),)), fewer) as found:
            effect, lists = found.effect(), found.lists()
    assert (effect.people_before, effect.people_after, effect.split, effect.newer_loads) == (3, 6, 2, 1)
    assert effect.split_by["hubspot_additional_emails"] == 1
    # Carl enters. Without her address Ann's ticket is her Zendesk user's, who is somebody new.
    numbers = {one.segment: (one.before, one.after, one.entering, one.leaving) for one in lists}
    assert {name: listed for name, listed in numbers.items() if any(listed)} == dict.fromkeys(ASKERS, (3, 4, 2, 1))


@pytest.mark.long
def test_what_fails_in_the_middle_is_dropped_and_a_publish_meanwhile_is_told(home: Settings) -> None:
    def fail(engine: Engine, error: Exception, *rows: Mapping[str, Any]) -> None:
        with preview(engine, home, now(), Overrides(), limits_of(home)):
            assert contents(engine) != before
            engine.append("ops.published", rows)
            raise error

    with connect(home) as engine:
        before = contents(engine)
        with pytest.raises(CheckFailed, match="told"):
            fail(engine, CheckFailed("told", where="here", fix=""))
        assert contents(engine) == before
        later = {"generation": "later", "base": "later", "as_of": NOW + timedelta(days=1), "published_at": NOW}
        with pytest.raises(RetryLater, match="published while"):
            fail(engine, KeyError("a table that publishing dropped"), {**later, "seq_to": 3, "people": 2, "events": 3})
        engine.execute("DELETE FROM ops.published WHERE TRUE")
        with pytest.raises(FixSettings, match="nothing is published"):
            fail(engine, AssertionError("there is nothing to compare with"))


@pytest.mark.long
def test_the_step_stops_before_marts_and_lets_pass_what_a_person_accepts(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Three people are few: the limits that spare small companies are lowered.
    monkeypatch.setattr(jumps, "FEW_CHANGES", 0)
    monkeypatch.setattr(jumps, "YOUNG", 1)
    assert home.identity_overrides is not None
    home.identity_overrides.write_text(f"must_link: [{{these: ['email:{ANN[1]}', 'email:{EVE[1]}'], why: test}}]")
    monkeypatch.setenv("STITCHLINE_HOME", str(home.home))
    monkeypatch.setenv("STITCHLINE_IDENTITY_OVERRIDES", str(home.identity_overrides))
    run = Run.of("unify", "manual__2", NOW + timedelta(days=1))
    with pytest.raises(ReviewIdentity, match=r"merged into others, of 3.*most by must_link 1"):
        steps.unify_identity(run)
    with connect(home) as engine:
        state = models.published(engine)
        assert state is not None
        assert state.generation != run.run_id
    done = steps.unify_identity(run, accept_identity_changes=True)
    assert (done["merges"], len(done["accepted"])) == (1, 1)


@pytest.mark.long
def test_the_commands_part_two_people_and_show_the_state_of_all(home: Settings) -> None:
    told = stitchline(home, "unmerge", BOB[1], "email:Carl@oak.example", "--why", "Told by phone")
    assert told.returncode == 0, told.stderr
    assert "waits up to 60 s" in told.stderr
    assert "hubspot_additional_emails" in told.stdout
    lines = told.stdout.splitlines()
    stays, becomes = (next(line for line in lines if line.startswith(word)) for word in ("stays", "becomes"))
    assert "bob@oak.example" in stays
    assert "carl@oak.example, zendesk_user_id main/23" in becomes
    assert home.identity_overrides is not None
    assert home.identity_overrides.read_text().startswith("# Ours.\nmust_link: []\ncannot_link:\n  - {these: ")
    assert decisions(home).cannot_link == ((Identifier(*BOB), Identifier(*CARL)),)

    again = stitchline(home, "preview", "--limit", "phone=1")
    assert again.returncode == 0, again.stderr
    assert "0 merge, 1 split" in again.stdout
    assert "list at_risk_customers: 3 members, 4 then; 1 would enter, 0 would leave" in again.stdout

    health = stitchline(home, "health")
    assert health.returncode == 0, health.stderr
    assert health.stdout.startswith("3 people in generation ")
    assert "@" not in health.stdout

    # Unify does what was shown.
    run = Run.of("unify", "manual__2", NOW + timedelta(days=1))
    with connect(home) as engine:
        stage(engine, run, home)
        summary = identify(engine, run, home)
        assert (summary.merges, summary.splits) == (0, 1)
