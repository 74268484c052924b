"""The town, and Airflow's web app in a process of its own showing it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from include.launcher import free_port, server_environment
from include.settings import ROOT

sys.path.insert(0, str(Path(__file__).parent))
from browsers import FORMER_KEY, HOSTS, KEY, SECONDS, Site
from town import Town, build

PEOPLE = {"vera": "viewer", "ulla": "user", "olga": "op", "anna": "admin"}


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return build(tmp_path_factory.mktemp("town"))


@pytest.fixture(scope="session")
def site(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("airflow")
    port = free_port()
    passwords = folder / "passwords.json"
    passwords.write_text(json.dumps({name: name for name in PEOPLE}))
    env = {
        **os.environ,
        **server_environment(town.settings.home, port),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in PEOPLE.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "STITCHLINE_EMBED_KEY": f"{KEY},{FORMER_KEY}",
        "STITCHLINE_EMBED_HOSTS": HOSTS,
        "STITCHLINE_PUBLIC_URL": f"http://127.0.0.1:{port}/",
    }
    log = folder / "server.log"
    with open(log, "wb") as out:
        command = [sys.executable, str(Path(__file__).with_name("airflow_server.py")), str(port)]
        process = subprocess.Popen(command, env=env, cwd=ROOT, stdout=out, stderr=out)
    site = Site(f"http://127.0.0.1:{port}", log)

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        with suppress(httpx.TransportError):
            return httpx.get(f"{site.url}/stitchline/style.css", timeout=SECONDS).status_code == 200
        return False

    try:
        wait_for(answers)
        yield site
    finally:
        process.terminate()
        process.wait(20)
        for client in site.sessions.values():
            client.close()


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)
