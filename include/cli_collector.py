"""`stitchline collector`: the webhook and tracking endpoint."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def collector(
    host: Annotated[str, typer.Option(help="address to listen on; 0.0.0.0 behind a proxy")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on; 0 lets the system choose")] = 8090,
    home: Annotated[Path | None, typer.Option(help="folder for everything written; default STITCHLINE_HOME")] = None,
) -> None:
    """Take webhooks, calls, pixels and links (STITCHLINE_COLLECTOR) until SIGTERM; SIGHUP reads secrets again."""
    from include.cli import _settings
    from include.collector.serve import serve

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")

    def ready(port: int) -> None:
        sys.stdout.write(json.dumps({"ready": True, "port": port, "pid": os.getpid()}) + "\n")
        sys.stdout.flush()

    serve(_settings(home), host=host, port=port, ready=ready)
