"""What news cost: stitching everybody, and laying 1% of new evidence on what was stitched."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from include.run import Run
from include.settings import read_settings
from include.warehouse.duckdb import open_duckdb
from include.warehouse.engine import Engine
from include.warehouse.identity.evidence import CHANGED_EVENTS
from include.warehouse.identity.generation import lay_people
from include.warehouse.identity.kinds import DEFAULT
from include.warehouse.identity.overrides import Overrides
from include.warehouse.identity.stitch import stitch
from include.warehouse.identity.tables import TOUCHED

PER_PERSON = 5
START = datetime(2026, 1, 1, tzinfo=UTC)


def measure(edges: int, repeats: int, folder: Path, memory: str, tell: Callable[[str], None]) -> list[float]:
    """Shares of a full run's processor seconds that 1% of new evidence cost, one for each turn.

    A person is an account, an address, a CRM contact and two devices: five pieces of evidence, and two events.
    Half the news is of new people; of the other half most is another device of somebody known, and one in ten
    a known visitor signing in, which makes one person of two.
    """
    os.environ |= {"STITCHLINE_HOME": str(folder), "STITCHLINE_WAREHOUSE": "duckdb"}
    people, news = edges // PER_PERSON, edges // 100
    first = _run(0)
    with _opened(memory) as engine:
        here = engine.at(first.run_id)
        here.ensure([TOUCHED, CHANGED_EVENTS])
        here.execute(f"CREATE OR REPLACE TABLE identity.evidence AS {_evidence(0, people, 1)}")
        here.execute(f"CREATE OR REPLACE TABLE identity.occurrences AS {_occurrences(0, people)}")
        here.execute("CREATE OR REPLACE TABLE identity.names AS " + NO_NAMES)
        began, busy = time.perf_counter(), time.process_time()
        found = stitch(here, first, None, Overrides(), DEFAULT)
        full = time.process_time() - busy
        seconds = time.perf_counter() - began
        tell(f"{edges:,} pieces of evidence, {found.people:,} people: {seconds:.1f} s, {full:.1f} s of processor")
    shares = []
    previous = first.run_id
    for turn in range(1, repeats + 1):
        run = _run(turn)
        # Each run of unify is a process of its own, with nothing left over from the one before.
        with _opened(memory) as engine:
            _write_news(engine, people, news, turn)
            layer = engine.at(run.run_id)
            layer.execute("CREATE OR REPLACE TABLE identity.names AS " + NO_NAMES)
            began, busy = time.perf_counter(), time.process_time()
            laid = lay_people(engine, run, previous, first.run_id, Overrides(), DEFAULT, "")
            took = time.process_time() - busy
            seconds = time.perf_counter() - began
            if not laid:
                raise RuntimeError("the news touched too many people for a layer")
            touched = engine.query("SELECT COUNT(*) AS n FROM scratch.touched")[0]["n"]
            merged = layer.query(
                "SELECT COUNT(*) AS n FROM identity.changes AS c WHERE change = 'merged' AND generation = @run",
                {"run": run.run_id},
            )[0]["n"]
        shares.append(took / full)
        tell(
            f"{news:,} new, {touched:,} people touched, {merged:,} merged: {seconds:.1f} s, {took:.1f} s of "
            f"processor, {100 * took / full:.1f}% of the full run's"
        )
        previous = run.run_id
    tell(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB of memory")
    return shares


@contextmanager
def _opened(memory: str) -> Iterator[Engine]:
    with open_duckdb(read_settings()) as engine:
        if memory:
            engine.connection.execute(f"SET memory_limit = '{memory}'")
        yield engine


NO_NAMES = (
    "SELECT '' AS kind, '' AS value, '' AS first_name, '' AS last_name FROM (SELECT 1 AS one) AS nothing WHERE FALSE"
)


def _run(turn: int) -> Run:
    return Run.of("unify", f"bench__{turn}", START + timedelta(days=300 + turn))


def numbers(start: int, count: int) -> str:
    """SELECT of the numbers, column `p`; an array of GoogleSQL holds no more than a million at a time."""
    return (
        f"SELECT {start} + thousand * 1000 + one AS p "
        f"FROM UNNEST(GENERATE_ARRAY(0, {count // 1000})) AS thousand, UNNEST(GENERATE_ARRAY(0, 999)) AS one "
        f"WHERE thousand * 1000 + one < {count}"
    )


def _row(rule: str, left: tuple[str, str], right: tuple[str, str] | None, seq: int, rows: str) -> str:
    right_kind, right_value = right or ("", "CAST(NULL AS STRING)")
    return f"""SELECT '{rule}' AS rule, '{left[0]}' AS left_kind, {left[1]} AS left_value,
        {f"'{right_kind}'" if right else "CAST(NULL AS STRING)"} AS right_kind, {right_value} AS right_value,
        FALSE AS is_inferred, {seq} AS first_seq, TIMESTAMP '2026-01-01 00:00:00+00' AS first_seen_at,
        TIMESTAMP '2026-01-01 00:00:00+00' AS last_seen_at, 1 AS occurrences, 'bench' AS source,
        CAST(p AS STRING) AS record_key
      FROM ({rows}) AS n"""


def _of(prefix: str, suffix: str = "") -> str:
    return f"CONCAT('{prefix}', CAST(p AS STRING), '{suffix}')"


def _evidence(start: int, people: int, seq: int) -> str:
    rows = numbers(start, people)
    account, address = ("user_id", _of("user-")), ("email", _of("person", "@example.com"))
    pairs = (
        (account, address),
        (("hubspot_contact_id", _of("main/")), address),
        (account, ("anonymous_id", _of("device-", "-0"))),
        (account, ("anonymous_id", _of("device-", "-1"))),
        (("anonymous_id", _of("visitor-")), None),
    )
    return " UNION ALL ".join(_row("record", left, right, seq, rows) for left, right in pairs)


def _occurrences(start: int, people: int) -> str:
    rows = numbers(start, people)
    return " UNION ALL ".join(
        f"""SELECT {_of(f"event-{name}-")} AS event_id, TIMESTAMP '2026-01-01 00:00:00+00' AS ts,
          'anonymous_id' AS kind, {value} AS value FROM ({rows}) AS n"""
        for name, value in (("a", _of("device-", "-0")), ("b", _of("visitor-")))
    )


def _write_news(engine: Engine, people: int, news: int, turn: int) -> None:
    """Write what `lay_people` reads: evidence, occurrences, changed events."""
    seq, new_people, signing_in = 1 + turn, news // 2 // PER_PERSON, news // 20
    devices = news - new_people * PER_PERSON - signing_in
    start = people + turn * new_people
    # Who is heard of again is spread over everybody.
    step = max(1, people // devices)
    known = f"SELECT {step} * p + {turn} AS p FROM ({numbers(0, devices)}) AS n WHERE {step} * p + {turn} < {people}"
    visitors = f"SELECT {step} * p + {turn} AS p FROM ({numbers(0, signing_in)}) AS n"
    found = " UNION ALL ".join(
        (
            _evidence(start, new_people, seq),
            _row("record", ("user_id", _of("user-")), ("anonymous_id", _of("device-", f"-new{turn}")), seq, known),
            _row("record", ("user_id", _of("user-")), ("anonymous_id", _of("visitor-")), seq, visitors),
        )
    )
    engine.execute(f"CREATE OR REPLACE TABLE scratch.new_evidence AS {found}")
    engine.execute(f"CREATE OR REPLACE TABLE scratch.new_occurrences AS {_occurrences(start, new_people)}")
    engine.execute(
        "CREATE OR REPLACE TABLE scratch.changed_events AS SELECT DISTINCT event_id FROM scratch.new_occurrences AS o"
    )
    engine.execute(
        "CREATE OR REPLACE TABLE scratch.unsettled AS SELECT kind, value FROM scratch.new_occurrences AS o WHERE FALSE"
    )
