"""What a list costs to plan and to send: everybody, then what 1% of changes cost, then nothing at all.

The list goes to a webhook, 500 people a call, whose receiver is a process of its own and takes everything.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

from aiohttp import web

from benchmarks.increment import numbers
from include.activate.freshness import streams_of
from include.activate.segment import compute, read_segment
from include.activate.sync import apply_plan, make_plan
from include.connect.connection import read_connection
from include.run import Run
from include.settings import read_settings
from include.warehouse.engine import Column, Engine, Table, connect
from include.warehouse.schema import OPS

START = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
CUSTOMERS = Table(
    "marts.customers",
    (
        Column("customer_id", "STRING"),
        Column("email", "STRING"),
        Column("hubspot_contact_id", "STRING"),
        Column("order_count", "INT64"),
        Column("has_email_marketing_consent", "BOOL"),
    ),
)
SOURCE = "stripe"
"""Whose loads are said to be fresh, so that the list is not held."""
SEGMENT = """/*
title: Everybody
why: To measure.
owner: benchmarks
key: customer_id
sync:
  - {to: webhook, tag: everybody, mode: mirror, first_run: approved, fields: {email: email, orders: order_count}}
*/
SELECT customer_id FROM marts.customers
"""


@dataclass(frozen=True, slots=True)
class Turn:
    """One list computed, planned and sent: seconds of each, rows sent, calls, and memory at most, in GB."""

    name: str
    compute: float
    plan: float
    deliver: float
    sent: int
    calls: int
    memory: float


def measure(members: int, tell: Callable[[str], None]) -> list[Turn]:
    """A list of that many people, 1% of whom change; each turn in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    found = []
    with tempfile.TemporaryDirectory(prefix="stitchline-bench-") as home, _receiver() as url:
        extra = {"path": "/hook", "rate_limit": 100_000, "allow_writes_in": ["dev"]}
        hook = {"conn_type": "http", "host": url, "extra": extra}
        os.environ |= {"STITCHLINE_HOME": home, "STITCHLINE_WAREHOUSE": "duckdb", "STITCHLINE_ENV": "dev"}
        os.environ["STITCHLINE_SOURCES"] = SOURCE
        os.environ["AIRFLOW_CONN_WEBHOOK"] = json.dumps(hook)
        for number, name in enumerate(("everybody is new", "1% changed", "nobody changed")):
            with spawn.Pool(1) as pool:
                turn = pool.apply(_turn, (name, number, members, min(number, 1), home))
            found.append(turn)
            tell(
                f"{members:,} members, {name}: list {turn.compute:.1f} s, plan {turn.plan:.1f} s, delivery "
                f"{turn.deliver:.1f} s, {turn.sent:,} rows in {turn.calls:,} calls, {turn.memory:.2f} GB at most"
            )
    return found


def _turn(name: str, number: int, members: int, state: int, home: str) -> Turn:
    settings = read_settings()
    path = Path(home) / "everybody.sql"
    path.write_text(SEGMENT)
    segment = read_segment(path)
    read_connection("webhook")  # imports Airflow, which every task does
    run = Run.of("bench", f"turn {number}", START + timedelta(days=number))
    with connect(settings) as engine:
        publish(engine, f"g{number}", run.as_of, members, _people(members, state))
        began = time.perf_counter()
        result = compute(engine, segment, run, settings)
        if result.status != "computed":
            raise RuntimeError(str(result.reason))
    listed = time.perf_counter() - began
    began = time.perf_counter()
    plan = make_plan(segment, "webhook", settings, run, lambda: connect(settings))
    planned = time.perf_counter() - began
    if plan.plan_id is None or plan.status != "planned":
        raise RuntimeError(str(plan.reason))
    began = time.perf_counter()
    sent = apply_plan(segment, "webhook", plan.plan_id, settings, run, lambda: connect(settings))
    delivered = time.perf_counter() - began
    if sent.accepted != plan.counts.to_send:
        raise RuntimeError(f"{sent.accepted} of {plan.counts.to_send} rows were accepted")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return Turn(name, listed, planned, delivered, sent.sent, sent.calls, memory)


def publish(engine: Engine, generation: str, as_of: datetime, members: int, people: str) -> None:
    """Publish a generation of so many customers, whom a SELECT names in the order of the table's columns."""
    engine.ensure(OPS)
    inside = engine.at(generation)
    inside.ensure([CUSTOMERS])
    names = ", ".join(column.name for column in CUSTOMERS.columns)
    inside.execute(f"INSERT INTO marts.customers ({names}) {people}")
    row = {"generation": generation, "as_of": as_of, "published_at": as_of, "people": members, "events": 0}
    engine.append("ops.published", [{**row, "seq_to": 99}])
    loads = [
        {"seq": place, "source": source, "account": "main", "stream": stream, "run_id": f"{generation}-{place}"}
        for place, (source, stream) in enumerate(sorted(streams_of(CUSTOMERS.name)), start=1)
        if source == SOURCE
    ]
    told = {"kind": "incremental", "loaded_at": as_of, "as_of": as_of, "is_complete": True}
    engine.append("ops.loads", [{**load, **told} for load in loads])


def _people(members: int, state: int) -> str:
    """In state 1, eight in a thousand people have ordered since, one left and one is new."""
    return f"""SELECT CONCAT('c', CAST(n AS STRING)), CONCAT('person', CAST(n AS STRING), '@example.com'),
      CAST(NULL AS STRING), MOD(n, 7) + IF(MOD(n, 1000) < 8, {state}, 0), TRUE
    FROM (SELECT p + IF(MOD(p, 1000) = 9, {state} * {members}, 0) AS n FROM ({numbers(0, members)}) AS s) AS x"""


@contextmanager
def _receiver() -> Iterator[str]:
    """A process that answers every call with 200, and its address."""
    spawn = multiprocessing.get_context("spawn")
    ours, its = spawn.Pipe()
    process = spawn.Process(target=_receive, args=(its,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _receive(tell: Connection) -> None:
    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({})

    async def say(application: web.Application) -> None:
        tell.send(port)

    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        application = web.Application(client_max_size=2**26)
        application.router.add_post("/hook", take)
        application.on_startup.append(say)
        web.run_app(application, sock=listening, print=None)
