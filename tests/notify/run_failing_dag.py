"""Run the failing DAG in an Airflow home of its own, once per number given: fail that often, then succeed."""

from __future__ import annotations

import sys
from pathlib import Path

from airflow.dag_processing.dagbag import DagBag
from airflow.utils.db import initdb

from include.settings import read_settings
from include.state.store import Store

home = Path(sys.argv[1])
initdb()
dag = DagBag(str(home / "dags"), include_examples=False).dags["ingest_example"] if False else None
