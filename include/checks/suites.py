"""Finds the suites: `great_expectations/suites/<layer>/<table>.py`, one per table, loaded by path."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from include.checks.suite import Suite
from include.connect.errors import FixSettings
from include.settings import ROOT

FOLDER = ROOT / "great_expectations" / "suites"


def all_suites(folder: Path = FOLDER) -> dict[str, Suite]:
    """Table -> suite, in order of name.

    Raises:
        FixSettings: a file defines no SUITE, or one for another table than its name says.
    """
    return {suite.table: suite for suite in (_load(path) for path in sorted(folder.glob("*/*.py")))}


def _load(path: Path) -> Suite:
    # By path: a package called great_expectations here would shadow the library.
    spec = importlib.util.spec_from_file_location(f"suite_{path.parent.name}__{path.stem}", path)
    if spec is None or spec.loader is None:
        raise FixSettings("the file cannot be loaded", where=str(path), fix="Restore it.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    suite = getattr(module, "SUITE", None)
    table = f"{path.parent.name}.{path.stem}"
    if not isinstance(suite, Suite) or suite.table != table:
        raise FixSettings(f"it defines no SUITE of {table}", where=str(path), fix=f"Write SUITE = ... for {table}.")
    return suite
