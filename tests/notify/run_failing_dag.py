"""Run the failing DAG in the Airflow home of the environment: each run fails that often before it succeeds."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from airflow.dag_processing.dagbag import DagBag
from airflow.utils.db import initdb

if __name__ == "__main__":
    initdb()
    dag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]).dags["ingest_example"]
    countdown = Path(os.environ["AIRFLOW_HOME"]) / "countdown"
    for number in sys.argv[1:]:
        countdown.write_text(number)
        print("run ended", dag.test(run_conf={"countdown": str(countdown)}).state.value)
