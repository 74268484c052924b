"""What stands for BigQuery here: an emulator, started once per worker, and ZetaSQL, which needs nothing started."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from include.simulate import bigquery as simulated

if TYPE_CHECKING:
    from google.cloud import bigquery

IN_CI = (
    "test_the_emulator_makes_the_expected_rows",
    "test_three_engines_make_the_same_rows",
    "test_the_command_prints",
    "test_identifiers_are_normalised_alike",
    "test_a_dry_run_is_sent",
    "test_an_empty_project",
    "test_datasets_of_another_location",
    "test_a_table_older",
)
"""Half a second to half a minute each; in every run the same models meet DuckDB and ZetaSQL."""
EVERY_TIME = re.compile(r"test_the_emulator_makes_the_expected_rows\[(segments/|marts/customers)")
"""Who a person is, and which lists they are on, meets the emulator in every run too."""
SLOW_ON_ZETASQL = re.compile(r"test_zetasql_makes_the_expected_rows\[(fields/|marts/golden_fields)")
"""It takes five seconds over each case of the golden fields; every run analyzes them."""
for folder in ("bigquery", "warehouse"):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as long what takes an emulator a while, and what needs a walk of the whole road."""
    for item in items:
        if item.path.parent == Path(__file__).parent and _takes_long(item):
            item.add_marker(pytest.mark.long)


def _takes_long(item: pytest.Item) -> bool:
    if EVERY_TIME.match(item.name):
        return False
    if SLOW_ON_ZETASQL.match(item.name):
        return True
    return item.name.startswith(IN_CI) or "record" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a running emulator, e.g. `http://127.0.0.1:39050`."""
    with simulated.emulator(tmp_path_factory.mktemp("bigquery")) as environment:
        yield environment["BIGQUERY_EMULATOR_HOST"]


@pytest.fixture(scope="session")
def client(emulator: str) -> Iterator[bigquery.Client]:
    """Google's client on the emulator, in a project that holds nothing."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("BIGQUERY_EMULATOR_HOST", emulator)
        made = bigquery.Client(project="nothing", credentials=AnonymousCredentials())
    yield made
    made.close()
