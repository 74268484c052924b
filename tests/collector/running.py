"""A collector in a process of its own, and what is seen of it from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import psutil

from include.collector.entry import Entry, Segment
from include.settings import ROOT, Settings
from include.simulate.webhooks import connections

WORKER = [sys.executable, str(Path(__file__).with_name("collector_worker.py")), "0"]
TAKES = {"STITCHLINE_COLLECTOR": "sendgrid,ses,stripe,segment,hook,email", "STITCHLINE_COLLECTOR_ANY_DISK": "true"}


@dataclass
class Running:
    process: subprocess.Popen[str]
    url: str
    settings: Settings

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.url + path, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def post(self, path: str, body: bytes) -> int:
        with urllib.request.urlopen(self.url + path, body, timeout=30) as answer:
            return int(answer.status)

    def kill(self) -> None:
        """Kill -9, and see that its child has gone too."""
        children = psutil.Process(self.process.pid).children()
        self.process.kill()
        self.process.wait()
        _, alive = psutil.wait_procs(children, timeout=60)
        assert not alive

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=120)

    def kept(self) -> list[Entry]:
        files = sorted(path for path in self.settings.spool.iterdir() if path.suffix in (".open", ".log"))
        return [entry for path in files for entry in Segment(path)]


@contextmanager
def running(home: Path, command: list[str] = WORKER, more: Mapping[str, str] | None = None) -> Iterator[Running]:
    env = {
        **os.environ,
        **connections(),
        "STITCHLINE_HOME": str(home),
        "PYTHONPATH": str(ROOT),
        **TAKES,
        **(more or {}),
    }
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"it ended with {process.wait()}"
        yield Running(process, f"http://127.0.0.1:{json.loads(line)['port']}", Settings(home=home))
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=120)
        if process.stdout:
            process.stdout.close()


@dataclass
class WebSite:
    """A server on a loopback port: what it was asked for, and how it answers."""

    answers: Callable[[str], bytes]
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def __enter__(self) -> Self:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                self.send_response(200)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(site.answers(self.path))

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
