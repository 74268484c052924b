"""Unify lays what changed on the generation before: the same rows as working out everybody, killed or not."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from fingerprint import differences, fingerprint
from road import Road, company

from include import steps
from include.warehouse.layers import MOST_LAYERS


@pytest.mark.long
def test_days_laid_one_on_the_other_are_what_a_whole_generation_is(tmp_path: Path) -> None:
    with company(tmp_path / "company", people=200) as started:
        road = Road(tmp_path / "home", started, overrides={"STITCHLINE_LAYER_FROM_EVENTS": "0"})
        road.walk(checked=True)
        whole = road.state().generation
        # One more than lie on each other: the last takes the others over.
        for day in range(MOST_LAYERS + 1):
            started.control("POST", "advance", {"recover": 8, "days": 1})
            road.turn()
            road.ingest()
            with road.here():
                run = road.run("unify")
                steps.unify_stage(run)
                steps.unify_check(run)
                if day in (0, MOST_LAYERS):
                    road.kill_in_the_middle("identity", 2.0)
                steps.unify_identity(run)
                if day in (0, MOST_LAYERS):
                    road.kill_in_the_middle("marts", 1.0)
                steps.unify_marts(run)
                steps.unify_publish(run)
            assert road.state().base == whole
        with road.here() as settings:
            laid = fingerprint(settings)
            touched = road.query("SELECT COUNT(*) AS n FROM identity.touched")[0]["n"]
            # A reader of the copy sees the layer and its base.
            copy, base = (settings.root / "read.current").read_text().split()
            with duckdb.connect(str(settings.root / copy), read_only=True) as reader:
                reader.execute(f"ATTACH '{settings.root / base}' AS base (READ_ONLY)")
                (people,) = reader.execute("SELECT COUNT(*) FROM marts.customers").fetchone() or (0,)
            assert people == road.state().people
            road.turn()
            run = road.run("unify")
            steps.unify_stage(run)
            steps.unify_check(run)
            steps.unify_identity(run, full_refresh=True)
            steps.unify_marts(run)
            steps.unify_publish(run)
            assert road.state().base == run.run_id
            assert differences(laid, fingerprint(settings)) == {}
    assert 0 < touched < people / 2
