"""BigQuery on this machine: an emulator in an environment of its own, and the simulated Segment dataset inside it.

The emulator is PyPI `local-bigquery`; its web framework conflicts with Airflow's, and it wants Python 3.12 or newer.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from include.connect.errors import FixSettings, RetryLater
from include.launcher import Processes, free_port
from include.settings import ROOT

if TYPE_CHECKING:
    from google.cloud import bigquery

ENVIRONMENT = ROOT / ".stitchline" / "bigquery-emulator"
PACKAGES = (
    "local-bigquery==0.3.2",
    "duckdb==1.5.5",
    "duckdb-extensions==1.5.5",
    "duckdb-extension-icu==1.5.5",
    "duckdb-extension-ducklake==1.5.5",
    "duckdb-extension-spatial==1.5.5",
)
IMPORT_EXTENSIONS = "import duckdb_extensions as d; [d.import_extension(e) for e in ('icu', 'ducklake', 'spatial')]"
SEGMENT_DATASET = "simulated_segment"
KINDS = {"VARCHAR": "STRING", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP", "DOUBLE": "FLOAT64", "BIGINT": "INT64"}


def install() -> None:
    """Install the emulator once; several processes may ask at the same time.

    Raises:
        FixSettings: there is no Python it runs on, or its packages cannot be installed.
    """
    ENVIRONMENT.parent.mkdir(parents=True, exist_ok=True)
    with _locked(ENVIRONMENT.with_suffix(".lock")):
        if (ENVIRONMENT / "installed").exists():
            return
        python = ENVIRONMENT / "bin" / "python"
        uv = shutil.which("uv") or str(ROOT / ".venv-tools" / "bin" / "uv")
        home = {**os.environ, "HOME": str(ENVIRONMENT)}
        steps = (
            ([uv, "venv", "-q", "--clear", "--python", _python(), str(ENVIRONMENT)], None),
            ([uv, "pip", "install", "-q", "--python", str(python), *PACKAGES], None),
            ([str(python), "-c", IMPORT_EXTENSIONS], home),
        )
        for command, env in steps:
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
            if done.returncode:
                raise FixSettings(
                    f"the BigQuery emulator cannot be installed: {(done.stderr.strip().splitlines() or ['?'])[-1]}",
                    where=" ".join(command[:3]),
                    fix="Check that the package index can be reached, then try again.",
                )
        (ENVIRONMENT / "installed").touch()


@contextmanager
def emulator(folder: Path) -> Iterator[dict[str, str]]:
    """Run the emulator with its data in a folder; `gs://bucket/x` is the folder's `gcs/bucket/x`.

    Yields:
        The environment that makes Google's client and Airflow's hook use it.

    Raises:
        FixSettings: it cannot be installed.
        RetryLater: it does not answer in time.
    """
    install()
    _forget_answers(folder / "data" / "emulator.duckdb")
    port, grpc_port = free_port(), free_port()
    # -P: else simulators of this folder would stand in for packages of the same name.
    command = [
        *(str(ENVIRONMENT / "bin" / "python"), "-P", str(Path(__file__).with_name("bigquery_server.py")), "serve"),
        *("--host", "127.0.0.1", "--port", str(port), "--grpc-port", str(grpc_port)),
        *("--data-dir", str(folder / "data")),
    ]
    own = {**os.environ, "HOME": str(ENVIRONMENT), "GCS_LOCAL_ROOT": str(folder / "gcs")}
    connection = {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True, "project": "local"}}
    with Processes({"bigquery": command}, own, folder):
        address = f"http://127.0.0.1:{port}"
        _wait_ready(address)
        yield {
            "BIGQUERY_EMULATOR_HOST": address,
            "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": json.dumps(connection),
        }


def _forget_answers(file: Path) -> None:
    """Drop what earlier queries answered: it keeps every answer as a table, and lists all tables at each statement."""
    import duckdb

    if file.exists():
        with duckdb.connect(str(file)) as kept:
            kept.execute("DROP SCHEMA IF EXISTS _results CASCADE")


def _wait_ready(address: str, seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)
    raise RetryLater("the BigQuery emulator does not answer", where=address, fix="Read bigquery.log beside its data.")


def load_segment(file: Path, client: bigquery.Client, location: str) -> None:
    """Load the simulated Segment tables, a DuckDB file, into the dataset where Segment would write them."""
    import duckdb
    from google.cloud import bigquery

    dataset = bigquery.Dataset(f"{client.project}.{SEGMENT_DATASET}")
    dataset.location = location
    client.create_dataset(dataset, exists_ok=True)
    with duckdb.connect(str(file), read_only=True) as source, tempfile.TemporaryDirectory() as folder:
        for (table,) in source.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            rows = Path(folder, f"{table}.ndjson")
            source.execute(f"COPY \"{table}\" TO '{rows}' (FORMAT json)")
            columns = source.execute(f'DESCRIBE "{table}"').fetchall()
            config = bigquery.LoadJobConfig(
                schema=[bigquery.SchemaField(name, KINDS[kind]) for name, kind, *_ in columns],
                source_format="NEWLINE_DELIMITED_JSON",
                write_disposition="WRITE_TRUNCATE",
            )
            with rows.open("rb") as body:
                client.load_table_from_file(body, f"{dataset.reference}.{table}", job_config=config).result()


def _python() -> str:
    """A Python the emulator runs on."""
    if sys.version_info >= (3, 12):
        return sys.executable
    found = [shutil.which(name) for name in ("python3.13", "python3.12")]
    found += sorted(map(str, Path.home().glob(".pyenv/versions/3.1[23]*/bin/python")), reverse=True)
    for path in filter(None, found):
        if subprocess.run([path, "-V"], capture_output=True, check=False).returncode == 0:
            return path
    raise FixSettings(
        "the BigQuery emulator needs a Python of 3.12 or newer and none is on this machine",
        where="PATH",
        fix="Install python3.12 or python3.13.",
    )


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
