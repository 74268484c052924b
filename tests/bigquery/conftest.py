"""A BigQuery emulator in an environment of its own (its web framework conflicts with Airflow's), started once."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = (
    "local-bigquery==0.3.2",
    "duckdb==1.5.5",
    "duckdb-extensions==1.5.5",
    "duckdb-extension-icu==1.5.5",
    "duckdb-extension-ducklake==1.5.5",
    "duckdb-extension-spatial==1.5.5",
)
IMPORT_EXTENSIONS = "import duckdb_extensions as d; [d.import_extension(e) for e in ('icu', 'ducklake', 'spatial')]"
ENVIRONMENT = Path(__file__).resolve().parents[2] / ".stitchline" / "bigquery-emulator"
START_SECONDS = 90


def _python() -> str:
    """A Python the emulator runs on (3.12 or newer)."""
    if sys.version_info >= (3, 12):
        return sys.executable
    found = [shutil.which(name) for name in ("python3.13", "python3.12")]
    found += sorted(map(str, Path.home().glob(".pyenv/versions/3.1[23]*/bin/python")), reverse=True)
    usable = [
        path
        for path in found
        if path and subprocess.run([path, "-V"], capture_output=True, check=False).returncode == 0
    ]
    if not usable:
        pytest.fail(
            "The BigQuery emulator needs a Python of 3.12 or newer and none is on this machine. Install one "
            "(python3.12 or python3.13 on PATH), or leave these tests out with --ignore tests/bigquery."
        )
    return usable[0]


def _install() -> Path:
    bin_folder = ENVIRONMENT / "bin"
    if (ENVIRONMENT / "installed").exists():
        return bin_folder
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "-q", "--clear", "--python", _python(), str(ENVIRONMENT)], check=True)
    subprocess.run([uv, "pip", "install", "-q", "--python", str(bin_folder / "python"), *PACKAGES], check=True)
    home = {**os.environ, "HOME": str(ENVIRONMENT)}
    subprocess.run([str(bin_folder / "python"), "-c", IMPORT_EXTENSIONS], check=True, env=home)
    (ENVIRONMENT / "installed").touch()
    return bin_folder


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a running emulator, e.g. `http://127.0.0.1:9050`."""
    bin_folder = _install()
    folder = tmp_path_factory.mktemp("bigquery")
    port, grpc = _free_port(), _free_port()
    command = [str(bin_folder / "local-bigquery"), "serve", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--grpc-port", str(grpc), "--data-dir", str(folder / "data")]
    env = {**os.environ, "HOME": str(ENVIRONMENT), "GCS_LOCAL_ROOT": str(folder / "gcs")}
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_SECONDS
        address = f"http://127.0.0.1:{port}"
        while not _answers(address):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the emulator did not start:\n{(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
