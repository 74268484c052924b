"""One way of sending a list to the portal of `activation_api.py`, in a process of its own.

Runs in the environments of the peers too, so it imports nothing of ours unless it is asked for ours. The list is
written before the clock starts, with the day on which each row changed, by which peers know what is new.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

FIRST_ID = 1_000_001
FLAG, FIELD = "bench_member", "bench_orders"
BATCH = 100
UPDATE = "/crm/v3/objects/contacts/batch/update"
TOKEN = "pat-demo"


class List(NamedTuple):
    """The list as it is now: of so many people, whether 1% changed, whether 1% left, on which day."""

    members: int
    is_changed: bool
    is_shorter: bool
    day: int


def order_count(number: int, *, is_changed: bool) -> int:
    """The field that is sent of a member."""
    return number % 7 + (is_changed and number % 100 == 7)


def is_member(number: int, *, is_shorter: bool) -> bool:
    """Whether somebody is on the list."""
    return not (is_shorter and number % 100 == 9)


def people(now: List) -> str:
    """SELECT of the list from `numbers(n)`; the same arithmetic as above."""
    changed = f"MOD(n, 100) = 7 AND {now.is_changed}"
    return (
        f"SELECT {FIRST_ID} + n AS contact_id, MOD(n, 7) + IF({changed}, 1, 0) AS order_count, "
        f"IF({changed}, {now.day}, 0) AS changed_on FROM numbers WHERE NOT (MOD(n, 100) = 9 AND {now.is_shorter})"
    )


def ours(url: str, folder: Path, now: List, rate: float) -> Callable[[], int]:
    """The sync as its two tasks run it: make the plan, apply it."""
    from datetime import timedelta

    from benchmarks.activation import SOURCE, START, publish
    from benchmarks.increment import numbers
    from include.activate.segment import compute, read_segment
    from include.activate.sync import sync
    from include.run import Run
    from include.settings import Settings
    from include.warehouse.engine import connect

    # HubSpot's budget counts calls in ten seconds.
    extra = {"rate_limit": 10 * rate, "allow_writes_in": ["dev"]}
    os.environ["AIRFLOW_CONN_HUBSPOT"] = json.dumps(
        {"conn_type": "http", "host": url, "password": TOKEN, "extra": extra}
    )
    settings = Settings(home=folder / "home", sources=(SOURCE,), warehouse_wait_seconds=60)
    (path := folder / "everybody.sql").write_text(
        "/*\ntitle: Everybody\nwhy: To measure.\nowner: benchmarks\nkey: customer_id\nsync:\n"
        f"  - {{to: hubspot_contact, field: {FLAG}, mode: mirror, first_run: approved, tolerance: 1, "
        f"fields: {{{FIELD}: order_count}}}}\n*/\nSELECT customer_id FROM marts.customers\n"
    )
    segment, run = read_segment(path), Run.of("bench", f"day {now.day}", START + timedelta(days=now.day))
    rows = f"WITH numbers AS (SELECT p AS n FROM ({numbers(0, now.members)}) AS s), list AS ({people(now)}) "
    with connect(settings) as engine:
        publish(
            engine,
            f"g{now.day}",
            run.as_of,
            now.members,
            f"{rows} SELECT CONCAT('c', CAST(contact_id AS STRING)) AS customer_id, CAST(NULL AS STRING) AS email, "
            "CAST(contact_id AS STRING) AS hubspot_contact_id, order_count, TRUE AS consent FROM list",
        )
        compute(engine, segment, run, settings)
    return lambda: sync(segment, "hubspot_contact", settings, run, lambda: connect(settings)).rejected


def drt(url: str, folder: Path, now: List, rate: float) -> Callable[[], int]:
    """A sync of drt to its REST API destination in batch mode, paced to the rate, as an Airflow task runs it."""
    _write_list(folder, now)
    os.environ["HOME"] = str(folder)
    (folder / ".drt").mkdir(exist_ok=True)
    (folder / "syncs").mkdir(exist_ok=True)
    database = str(folder / "list.duckdb")
    # All of these are YAML, of which JSON is a part.
    (folder / ".drt" / "profiles.yml").write_text(json.dumps({"here": {"type": "duckdb", "database": database}}))
    (folder / "drt_project.yml").write_text(json.dumps({"name": "bench", "profile": "here"}))
    template = (
        '{"inputs": [{% for row in rows %}{"id": "{{ row.contact_id }}", "objectWriteTraceId": "{{ loop.index0 }}", '
        f'"properties": {{"{FLAG}": "true", "{FIELD}": "{{{{ row.order_count }}}}"}}}}'
        "{% if not loop.last %}, {% endif %}{% endfor %}]}"
    )
    destination = {
        "type": "rest_api",
        "url": url + UPDATE,
        "method": "POST",
        "headers": {"Content-Type": "application/json"},
        "auth": {"type": "bearer", "token": TOKEN},
        "body_mode": "batch",
        "batch_template": template,
        "max_records_per_request": BATCH,
    }
    options = {
        "mode": "incremental",
        "cursor_field": "changed_on",
        "batch_size": 10 * BATCH,
        "rate_limit": {"requests_per_second": rate},
    }
    model = "SELECT contact_id, order_count, changed_on FROM list"
    sync = {"name": "members", "model": model, "destination": destination, "sync": options}
    (folder / "syncs" / "members.yml").write_text(json.dumps(sync))

    def run() -> int:
        from drt.integrations.airflow import run_drt_sync

        said = run_drt_sync("members", project_dir=str(folder))
        return int(said["rows_failed"])

    return run


def dlt(url: str, folder: Path, now: List, rate: float) -> Callable[[], int]:
    """A custom destination of dlt that sends by its helper, which repeats what failed; it has no rate to set."""
    import dlt as library
    import duckdb
    from dlt.sources.helpers import requests

    _write_list(folder, now)

    @library.destination(batch_size=BATCH, name="hubspot")
    def hubspot(items: Any, table: Any) -> None:
        inputs = [
            {
                "id": str(item["contact_id"]),
                "objectWriteTraceId": str(place),
                "properties": {FLAG: "true", FIELD: str(item["order_count"])},
            }
            for place, item in enumerate(items)
        ]
        headers = {"Authorization": f"Bearer {TOKEN}"}
        requests.post(url + UPDATE, json={"inputs": inputs}, headers=headers)

    since = library.sources.incremental("changed_on", initial_value=-1)

    @library.resource(name="members", primary_key="contact_id")
    def members(changed: Any = since) -> Iterator[Any]:
        with duckdb.connect(str(folder / "list.duckdb"), read_only=True) as connection:
            found = connection.execute("SELECT * FROM list WHERE changed_on >= ?", [changed.last_value])
            names = [column[0] for column in found.description]
            while rows := found.fetchmany(1000):
                yield [dict(zip(names, row, strict=True)) for row in rows]

    def run() -> int:
        pipeline = library.pipeline("members", destination=hubspot, pipelines_dir=str(folder / "pipelines"))
        pipeline.run(members())
        return 0

    return run


def _write_list(folder: Path, now: List) -> None:
    import duckdb

    with duckdb.connect(str(folder / "list.duckdb")) as connection:
        connection.execute(
            "CREATE OR REPLACE TABLE list AS WITH numbers AS (SELECT UNNEST(RANGE(?)) AS n) " + people(now),
            [now.members],
        )


WAYS = {"ours": ours, "drt-core": drt, "dlt": dlt}
MODULES = {
    "ours": ("benchmarks.activation", "include.activate.sync", "airflow.models.connection"),
    "drt-core": ("drt.integrations.airflow", "drt.cli.main", "drt.engine.sync", "duckdb"),
    "dlt": ("dlt", "dlt.sources.helpers.requests", "duckdb"),
}
"""What a way imports before the clock starts."""


def run(way: str, url: str, folder: Path, now: List, rate: float) -> None:
    """Go one way; say in a file beside the folder how it ended, and how many rows it knows were refused."""
    for module in MODULES[way]:
        importlib.import_module(module)
    act = WAYS[way](url, folder, now, rate)
    refused, ended, began = 0, "", time.perf_counter()
    try:
        refused = act()
    except Exception as error:  # every peer has its own, and how it ends is what is measured
        ended = type(error).__name__
        print(error, file=sys.stderr)
    took = {"seconds": time.perf_counter() - began, "refused": refused, "ended": ended}
    folder.with_name("took.json").write_text(json.dumps(took))


if __name__ == "__main__":
    said = sys.argv[4:]
    run(
        sys.argv[1],
        sys.argv[2],
        Path(sys.argv[3]),
        List(int(said[0]), said[1] == "True", said[2] == "True", int(said[3])),
        float(said[4]),
    )
