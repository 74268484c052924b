"""One step of the road in a process of its own, so that a test can kill it: HOME PORT FOLDER STEP AS_OF OVERRIDES."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from road import DESTINATIONS, Company, Road

from include import steps

home, port, folder, step, as_of, overrides = sys.argv[1:]
company = Company(0, 0, datetime.now(UTC), int(port), Path(folder))
road = Road(Path(home), company, overrides=json.loads(overrides), turns=1, moment=datetime.fromisoformat(as_of))
name, _, subject = step.partition(" ")
with road.here():
    # What the step imports is loaded before it says that it began: the kill must hit the work.
    import include.activate.sync
    import include.connect.pull
    import include.warehouse.identity.stitch
    import include.warehouse.load  # noqa: F401

    run = road.run({"pull": f"ingest_{subject}", "load": f"ingest_{subject}"}.get(name, "unify"))
    if name == "identity":
        steps.unify_stage(run)
    print("began", flush=True)
    if name == "pull":
        steps.ingest_pull(subject, "main", run, kind="incremental", start=None, end=None)
    elif name == "load":
        steps.ingest_load(subject, "main", run)
    elif name == "stage":
        steps.unify_stage(run)
    elif name == "identity":
        steps.unify_identity(run)
    elif name == "marts":
        steps.unify_marts(run)
    elif name == "deliver":
        assert subject in DESTINATIONS
        road.sync(subject)
