"""A store, and a Slack that really listens."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from include.settings import Settings
from include.state.store import Store


class Slack:
    """An incoming webhook: keeps what it gets, answers what it is told to."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.status = 200
        self.is_silent = False
        slack = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                slack.got.append({"path": self.path, "type": self.headers["Content-Type"], **json.loads(body)})
                if slack.is_silent:
                    self.close_connection = True
                    return
                self.send_response(slack.status)
                self.end_headers()
                self.wfile.write(b"ok" if slack.status == 200 else b"no_service")

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/services/T000/B000/secret-part"


@pytest.fixture
def slack() -> Iterator[Slack]:
    """A webhook, answering until the test ends."""
    slack = Slack()
    thread = threading.Thread(target=slack.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield slack
    slack.server.shutdown()
    thread.join()
    slack.server.server_close()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of an empty home, also in the environment, where the plugin reads them."""
    monkeypatch.setenv("STITCHLINE_HOME", str(tmp_path))
    return Settings()


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """The store, open."""
    with Store.open(settings) as opened:
        yield opened
