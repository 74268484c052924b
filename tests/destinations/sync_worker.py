"""A process of its own that syncs one list, to be killed in the middle: HOME SEGMENT DESTINATION BATCH."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from include.activate.segment import read_segment
from include.activate.sync import sync
from include.destinations import get_destination
from include.run import Run
from include.settings import Settings
from include.warehouse.engine import connect


def main() -> None:
    """Sync until done or killed."""
    home, path, name, batch = sys.argv[1:]
    destination = replace(get_destination(name), batch=int(batch))
    settings = Settings(home=Path(home), warehouse_wait_seconds=60)
    with connect(settings) as engine:
        as_of = engine.query("SELECT MAX(as_of) AS as_of FROM segments.runs")[0]["as_of"]
    run = Run.of("worker", "killed", as_of)
    sync(read_segment(Path(path)), destination, settings, run, lambda: connect(settings))


if __name__ == "__main__":
    main()
