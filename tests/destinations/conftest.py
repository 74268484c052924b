"""The simulator in a process of its own, and a warehouse whose people the vendors really know."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from include.destinations import all_destinations

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "activate"))
from destination_bench import Bench, make_bench
from vendors import NOW, PEOPLE, SEED, Simulator


@pytest.fixture(scope="session")
def simulator_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """One world for all tests; each uses a tag or field of its own."""
    folder = tmp_path_factory.mktemp("simulator")
    world = ["--people", str(PEOPLE), "--seed", str(SEED), "--now", NOW.isoformat(), "--folder", str(folder)]
    command = [sys.executable, "-m", "include.simulate", "--port", "0", "--unlimited", *world]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield Simulator(ready["port"], folder)
        process.terminate()


@pytest.fixture
def simulator(simulator_process: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """The simulator without faults and with its counters at nought; every connection points to it."""
    for name, value in simulator_process.connections().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STITCHLINE_ENCRYPTION_KEY", Fernet.generate_key().decode())  # Salesforce's tokens are kept
    simulator_process.no_faults()
    simulator_process.reset_stats()
    yield simulator_process
    simulator_process.no_faults()


IN_EVERY_RUN = frozenset({"mailchimp_tag"})
"""What is promised whatever the vendor is tried on this one in every run, on the others in the long one."""
THE_ENGINES = (
    "test_an_empty_plan",
    "test_everybody_enters",
    "test_a_first_sync",
    "test_only_what_we_sent",
    "test_too_many",
    "test_a_failing_vendor",
    "test_a_killed_sync",
    "test_a_row_the_vendor_refuses",
    "test_what_was_taken_away",
    "test_without_permission",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as long what shows of yet another destination that the promises are kept."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        name = callspec.params.get("bench") if callspec is not None else None
        if isinstance(name, str) and name not in IN_EVERY_RUN and item.name.startswith(THE_ENGINES):
            item.add_marker(pytest.mark.long)


@pytest.fixture(params=sorted(all_destinations()))
def bench(request: pytest.FixtureRequest, simulator: Simulator, tmp_path: Path) -> Bench:
    """A bench for every destination in the folder."""
    return make_bench(request.param, simulator, tmp_path, request.node.name)
