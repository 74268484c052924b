"""The real collector, with connections from the environment instead of from Airflow, which takes seconds to import."""

from __future__ import annotations

import json
import os
import sys

from include.collector.serve import serve
from include.connect.connection import Connection
from include.settings import read_settings


def read(name: str, account: str) -> Connection:
    given = json.loads(os.environ[f"AIRFLOW_CONN_{name.upper()}"])
    return Connection(name, account, given.get("host"), extra=given["extra"])


def ready(port: int) -> None:
    sys.stdout.write(json.dumps({"port": port}) + "\n")
    sys.stdout.flush()


serve(read_settings(), read=read, ready=ready, port=int(sys.argv[1]))
