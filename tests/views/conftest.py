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
from town import Town, build

PEOPLE = {"vera": "viewer", "ulla": "user", "olga": "op", "anna": "admin"}
KEY, FORMER_KEY = "signs now " + "k" * 30, "signed before " + "f" * 30
HOSTS = "https://acme.zendesk.com,https://*.hubspot.com"
SECONDS = 120


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return build(tmp_path_factory.mktemp("town"))


class Site:
    """The web app; asks as a browser does."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self.log = log
        self.sessions: dict[str, httpx.Client] = {}

    def __call__(self, who: str | None) -> httpx.Client:
        """A browser of somebody who signed in, or of nobody."""
        if (who or "") not in self.sessions:
            client = httpx.Client(base_url=self.url, timeout=SECONDS)
            if who is not None:
                said = httpx.post(f"{self.url}/auth/token", data={"username": who, "password": who}, timeout=SECONDS)
                client.cookies.set("_token", said.json()["access_token"])
            self.sessions[who or ""] = client
        return self.sessions[who or ""]


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
