"""The body of ingest_collector's task: load what the collector has landed, for every account it landed."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from include.collector import NAME
from include.run import Run
from include.settings import read_settings


def load_collected(run: Run) -> dict[str, Any]:
    """Load every account's landings.

    Raises:
        AirflowSkipException: nothing waits for unify, so no asset event may start it.
    """
    from include.connect.files import Files
    from include.steps import ingest_load

    found: dict[str, Any] = {}
    for account in Files(read_settings().landing_root).names(NAME):
        try:
            found[account] = ingest_load(NAME, account, run)
        except AirflowSkipException:
            continue
    if not found:
        raise AirflowSkipException(f"{NAME}: nothing new arrived")
    return found
