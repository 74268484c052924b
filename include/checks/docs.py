"""Where Data Docs are written, and the Great Expectations project they belong to."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from include.settings import ROOT, Settings

PROJECT = ROOT / "great_expectations"
SITE = "local_site"


def docs_folder(settings: Settings) -> Path:
    """The project's own folder; from a read-only checkout, or with a home elsewhere, the environment's folder."""
    if settings.home == ROOT / ".stitchline" and os.access(PROJECT, os.W_OK):
        return PROJECT / "uncommitted" / "data_docs"
    return settings.root / "data_docs"


def project_config(docs: Path) -> Any:
    """`great_expectations.yml` with its documents in `docs` and everything else in memory.

    Suites are declared in Python and results are kept in `ops.check_results`: nothing else need outlive the run.
    """
    types: Any = import_module("great_expectations.data_context.types.base")
    project: dict[str, Any] = yaml.safe_load((PROJECT / "great_expectations.yml").read_text())
    for store in project["stores"].values():
        store["store_backend"] = {"class_name": "InMemoryStoreBackend"}
    project["data_docs_sites"][SITE]["store_backend"]["base_directory"] = str(docs)
    return types.DataContextConfig(**project)
