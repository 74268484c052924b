"""`python -m include.simulate`: start the simulated vendors, say when they are ready, serve until told to stop."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from include.simulate.people import Population
from include.simulate.server import TABLES, build, serve


def main() -> None:
    """Read the arguments, invent the population, serve."""
    parser = argparse.ArgumentParser(prog="python -m include.simulate", description=__doc__)
    parser.add_argument("--people", type=int, default=500, help="how many people live in this world")
    parser.add_argument("--seed", type=int, default=7, help="same seed, same world")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8765, help="0 picks a free one")
    parser.add_argument("--now", type=_moment, default=None, help="the world's present, ISO 8601 (default: now)")
    parser.add_argument("--folder", type=Path, default=None, help="where warehouse files are written")
    parser.add_argument("--tables", default="segment", help=f"whose, comma-separated, of {', '.join(TABLES)}")
    parser.add_argument("--unlimited", action="store_true", help="no vendor rate limits (for load tests)")
    parser.add_argument("--hubspot-contacts", type=int, default=0, help="so many made-up contacts, none stored")
    given = parser.parse_args()
    now = given.now or datetime.now(UTC).replace(microsecond=0)
    population = Population.generate(given.people, given.seed, now)
    app = build(
        population,
        folder=given.folder,
        tables=given.tables.split(","),
        unlimited=given.unlimited,
        hubspot_contacts=given.hubspot_contacts,
    )
    serve(app, host=given.host, port=given.port, ready=_announce)


def _announce(port: int) -> None:
    sys.stdout.write(json.dumps({"ready": True, "port": port, "pid": os.getpid()}) + "\n")
    sys.stdout.flush()


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{value} has no time zone; write it with Z or +00:00")
    return moment.astimezone(UTC)


if __name__ == "__main__":
    main()
