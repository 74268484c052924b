"""Kills of `stitchline run` as a whole, in a pull, a load, unify and a delivery; run again, it ends where it should."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fingerprint import TOUCHED, differences, duplicate_raw_rows, fingerprint
from road import Company, Road
from road import company as start_company

from include.settings import ROOT, Settings

PEOPLE, SEED = 120, 11


class Runs:
    """Runs the command in one home against simulators that outlive it."""

    def __init__(self, home: Path, company: Company) -> None:
        self.home = home
        self.company = company
        self.log = home.parent / "run.txt"
        world = {"people": PEOPLE, "seed": SEED, "now": company.now.isoformat()}
        (home / "world.json").write_text(json.dumps(world))

    def start(self) -> subprocess.Popen[bytes]:
        """Start the command."""
        command = [sys.executable, "-m", "include.cli", "run", "--home", str(self.home), "--people", str(PEOPLE)]
        command += ["--seed", str(SEED), "--simulator-port", str(self.company.port)]
        with open(self.log, "wb") as log:
            return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def kill_when(self, is_time: Callable[[], bool]) -> None:
        """Start the command and SIGKILL it as soon as the moment has come."""
        process = self.start()
        while process.poll() is None and not is_time():
            time.sleep(0.02)
        assert process.poll() is None, f"the moment never came:\n{self.log.read_text()[-3000:]}"
        process.kill()
        process.wait()

    def files(self, pattern: str) -> list[Path]:
        """What the home holds."""
        return list((self.home / "dev").glob(pattern))


@pytest.mark.long
def test_a_killed_run_started_again_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    with start_company(tmp_path / "calm", PEOPLE, SEED, now) as started:
        road = Road(tmp_path / "calm-home", started)
        road.walk()
        with road.here() as settings:
            calm = fingerprint(settings, TOUCHED)
    home = tmp_path / "home"
    with start_company(home / "simulator", PEOPLE, SEED, now) as company:
        runs = Runs(home, company)
        # The first file of a pull is there, its manifest is not.
        runs.kill_when(lambda: bool(runs.files("landing/hubspot/**/*.ndjson.gz*")))
        # The last manifest of a pull is there: its load begins.
        runs.kill_when(lambda: bool(runs.files("landing/mailchimp/main/members/**/_manifest.json")))
        # Everything is loaded, and something is being written.
        runs.kill_when(lambda: "ingest_zendesk: " in runs.log.read_text() and bool(_size(runs.files("*.wal"))))
        # A vendor has taken a first batch, which the run may not know of yet.
        runs.kill_when(lambda: company.writes() > 0)
        process = runs.start()
        assert process.wait(600) == 0, runs.log.read_text()[-3000:]
        held = Settings(home=runs.home)
        assert differences(calm, fingerprint(held, TOUCHED)) == {}
        assert duplicate_raw_rows(held) == 0


def _size(files: list[Path]) -> int:
    return sum(file.stat().st_size for file in files if file.exists())
