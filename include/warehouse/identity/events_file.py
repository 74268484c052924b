"""Stitches a CSV of events: the same guards and the same ids as the warehouse, without one."""

from __future__ import annotations

import csv
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from include.connect.errors import FixSettings
from include.run import Run
from include.warehouse.duckdb import DuckDBEngine
from include.warehouse.identity.kinds import DEFAULT, Limits, kind_of, kind_of_column
from include.warehouse.identity.normalize import normalized
from include.warehouse.identity.overrides import Overrides
from include.warehouse.identity.stitch import StitchSummary, stitch

EVENT_COLUMNS = ("event_id", "eventid", "message_id", "messageid", "id")
TIME_COLUMNS = (
    "ts",
    "timestamp",
    "time",
    "event_time",
    "event_ts",
    "occurred_at",
    "original_timestamp",
    "sent_at",
    "received_at",
    "created_at",
)
FIRST_NAMES = ("first_name", "firstname", "given_name")
LAST_NAMES = ("last_name", "lastname", "surname", "family_name")
FULL_NAMES = ("full_name", "name")
MEMORY = "1500MB"
"""What DuckDB may hold before it writes to disk; the process stays under 2 GB."""


def stitch_csv(
    path_in: Path | str, path_out: Path | str, overrides: Overrides | None = None, limits: Limits = DEFAULT
) -> tuple[StitchSummary, dict[str, int]]:
    """Read events from a CSV and write event_id, customer_id, is_inferred, one row per event, in the file's order.

    Needs a column `event_id` and one `ts`; every other column that names a kind of identifier is used
    (`kinds.py`), and so is any other `*_id`. Identifiers are as old as the first event that carries them.

    Returns:
        What was found in numbers, and what joined nobody, by reason.

    Raises:
        FixSettings: the file cannot be read, lacks a column, or a line is wrong; names file and line.
    """
    source, target = Path(path_in), Path(path_out)
    header = _header(source)
    event_column = _pick(header, EVENT_COLUMNS)
    time_column = _pick(header, TIME_COLUMNS)
    if event_column is None:
        raise FixSettings(
            "there is no column event_id", where=f"{source}:1", fix="Add it; it names each event in the answer."
        )
    if time_column is None:
        raise FixSettings(
            "there is no column ts", where=f"{source}:1", fix="Add it: when the event happened, ISO 8601 in UTC."
        )
    kinds = {
        number: kind
        for number, name in enumerate(header)
        if number not in (event_column, time_column) and (kind := kind_of_column(name)) is not None
    }
    if not kinds:
        raise FixSettings(
            "no column holds an identifier",
            where=f"{source}:1",
            fix="Name one anonymous_id, user_id, email, phone or *_id.",
        )
    engine = DuckDBEngine.in_memory()
    try:
        named = [
            column for names in (FIRST_NAMES, LAST_NAMES, FULL_NAMES) if (column := _pick(header, names)) is not None
        ]
        _read(engine, source, header, event_column, time_column, sorted({*kinds, *named}))
        _check(engine, source)
        here = engine.at("csv")
        _write_inputs(here, header, kinds)
        summary = stitch(here, Run("csv", datetime(1970, 1, 1, tzinfo=UTC), "csv", "csv"), None, overrides, limits)
        refused = _refusals(here)
        _write(engine, target)
    finally:
        engine.connection.close()
    return summary, refused


def _header(path: Path) -> list[str]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = next(csv.reader(file), None)
    except OSError as error:
        raise FixSettings(
            f"the file cannot be read: {error.strerror}", where=str(path), fix="Check the path."
        ) from None
    except UnicodeDecodeError:
        raise FixSettings("the file is not UTF-8", where=str(path), fix="Save it as UTF-8.") from None
    if not header:
        raise FixSettings("the file is empty", where=str(path), fix="Give a CSV with a header line.")
    return header


def _pick(header: list[str], names: tuple[str, ...]) -> int | None:
    spelled = [name.strip().lower() for name in header]
    return next((spelled.index(name) for name in names if name in spelled), None)


def _read(
    engine: DuckDBEngine, path: Path, header: list[str], event_column: int, time_column: int, used: list[int]
) -> None:
    """Read the file as text into `scratch.rows` (line, event_id, ts, c<number>): GoogleSQL cannot."""
    connection = engine.connection
    connection.execute(f"SET memory_limit = '{MEMORY}'")
    # Lines are numbered in the file's order, for the errors and for the answer.
    connection.execute("SET preserve_insertion_order = true")
    columns = ", ".join(f"'c{number}': 'VARCHAR'" for number in range(len(header)))
    try:
        connection.execute(
            f"""CREATE TEMP TABLE scratch__rows AS
            SELECT ROW_NUMBER() OVER () AS line, TRIM(c{event_column}) AS event_id,
              COALESCE(
                TRY_CAST(TRIM(c{time_column}) AS TIMESTAMPTZ),
                CASE
                  WHEN regexp_full_match(TRIM(c{time_column}), '[0-9]{{10}}([.][0-9]+)?')
                    THEN to_timestamp(CAST(TRIM(c{time_column}) AS DOUBLE))
                  WHEN regexp_full_match(TRIM(c{time_column}), '[0-9]{{13}}')
                    THEN to_timestamp(CAST(TRIM(c{time_column}) AS BIGINT) / 1000.0)
                END
              ) AS ts,
              {", ".join(f"c{number}" for number in used)}
            FROM read_csv($path, header = true, auto_detect = false, delim = ',', quote = '"', escape = '"',
              nullstr = '', columns = {{{columns}}}, max_line_size = 16777216)""",
            {"path": str(path)},
        )
    except duckdb.Error as error:
        # DuckDB's own text would quote the line, and with it somebody's address.
        found = re.search(r"Line: (\d+)", str(error))
        raise FixSettings(
            f"not a CSV line of {len(header)} columns",
            where=f"{path}:{found.group(1)}" if found else str(path),
            fix="Separate by commas, quote fields that hold commas or line ends, save as UTF-8.",
        ) from None
    connection.execute("SET preserve_insertion_order = false")


def _check(engine: DuckDBEngine, path: Path) -> None:
    for wrong, what, fix in (
        ("event_id IS NULL OR event_id = ''", "event_id is empty", "Give every event an id."),
        ("ts IS NULL", "ts is no time", "Write it as 2026-03-01T12:00:00Z, or as seconds or milliseconds since 1970."),
    ):
        row = engine.query(f"SELECT MIN(line) AS line FROM scratch.rows AS r WHERE {wrong}")[0]["line"]
        if row is not None:
            raise FixSettings(what, where=f"{path}:{_line(path, int(row))}", fix=fix)


def _line(path: Path, row: int) -> int:
    """The line on which a row begins: quoted fields may hold line ends, and blank lines count."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        begins, seen = 1, -1
        for fields in reader:
            seen += bool(fields)
            if seen == row:
                return begins
            begins = reader.line_num + 1
    return row + 1


def _write_inputs(engine: DuckDBEngine, header: list[str], kinds: dict[int, str]) -> None:
    tidy = ", ".join(f"""{normalized(f"'{kind}'", f"c{number}")} AS i{number}""" for number, kind in kinds.items())
    first, last = (_pick(header, names) for names in (FIRST_NAMES, LAST_NAMES))
    full = _pick(header, FULL_NAMES)
    named = "CAST(NULL AS STRING)", "CAST(NULL AS STRING)"
    if first is not None:
        named = f"c{first}", f"c{last}" if last is not None else named[1]
    elif full is not None:
        named = f"REGEXP_EXTRACT(TRIM(c{full}), r'^(\\S+)')", f"REGEXP_EXTRACT(TRIM(c{full}), r'\\s(\\S+)$')"
    engine.execute(
        "CREATE OR REPLACE TABLE scratch.tidy AS "
        f"SELECT line, event_id, ts, {tidy}, {named[0]} AS first_name, {named[1]} AS last_name FROM scratch.rows AS r"
    )
    listed = ", ".join(f"i{number}" for number in kinds)
    engine.execute("DROP TABLE scratch.rows")
    engine.execute(f"""
        CREATE OR REPLACE TABLE scratch.combinations AS
        SELECT {listed}, first_name, last_name, MIN(ts) AS first_seen_at, MAX(ts) AS last_seen_at,
          COUNT(*) AS occurrences, MIN(event_id) AS event_id
        FROM scratch.tidy AS t
        GROUP BY {listed}, first_name, last_name""")
    numbers = list(kinds)
    alone = [
        f"""SELECT 'seen' AS rule, '{kinds[number]}' AS left_kind, i{number} AS left_value,
          CAST(NULL AS STRING) AS right_kind, CAST(NULL AS STRING) AS right_value,
          first_seen_at, last_seen_at, occurrences, event_id
        FROM scratch.combinations AS c WHERE i{number} IS NOT NULL"""
        for number in numbers
    ]
    together = [
        f"""SELECT 'same_event' AS rule, '{kinds[left]}' AS left_kind, i{left} AS left_value,
          '{kinds[right]}' AS right_kind, i{right} AS right_value, first_seen_at, last_seen_at, occurrences, event_id
        FROM scratch.combinations AS c WHERE i{left} IS NOT NULL AND i{right} IS NOT NULL"""
        for place, left in enumerate(numbers)
        for right in numbers[place + 1 :]
    ]
    engine.execute(f"""
        CREATE OR REPLACE TABLE identity.evidence AS
        SELECT rule, left_kind, left_value, right_kind, right_value, FALSE AS is_inferred,
          MIN(UNIX_MICROS(first_seen_at)) AS first_seq, MIN(first_seen_at) AS first_seen_at,
          MAX(last_seen_at) AS last_seen_at, SUM(occurrences) AS occurrences,
          'csv' AS source, MIN(event_id) AS record_key
        FROM ({" UNION ALL ".join(alone + together)}) AS found
        GROUP BY rule, left_kind, left_value, right_kind, right_value""")
    carried = " UNION ALL ".join(
        f"SELECT event_id, ts, '{kind}' AS kind, i{number} AS value FROM scratch.tidy AS t WHERE i{number} IS NOT NULL"
        for number, kind in kinds.items()
    )
    # An event without any identifier is still an event of somebody.
    nothing = " AND ".join(f"i{number} IS NULL" for number in kinds)
    engine.execute(f"""
        CREATE OR REPLACE TABLE identity.occurrences AS
        {carried}
        UNION ALL
        SELECT event_id, ts, CAST(NULL AS STRING) AS kind, CAST(NULL AS STRING) AS value
        FROM scratch.tidy AS t
        WHERE {nothing}""")
    by_strength = sorted(kinds, key=lambda number: (kind_of(kinds[number]).rank, number))
    kind = " ".join(f"WHEN i{number} IS NOT NULL THEN '{kinds[number]}'" for number in by_strength)
    value = f"COALESCE({', '.join(f'i{number}' for number in by_strength)})"
    engine.execute(f"""
        CREATE OR REPLACE TABLE identity.names AS
        SELECT DISTINCT CASE {kind} END AS kind, {value} AS value, first_name, last_name
        FROM scratch.combinations AS c
        WHERE first_name IS NOT NULL AND {value} IS NOT NULL""")
    engine.execute("DROP TABLE scratch.combinations")


def _refusals(engine: DuckDBEngine) -> dict[str, int]:
    """What joined nobody, by reason: values, and for `over_limit` links.

    A link is over a limit where both its ends are somebody's, and one person with both would hold more identifiers
    of a kind than anybody has, or two that must stay apart.
    """
    found = engine.query("""
        SELECT reason, COUNT(*) AS n FROM identity.blocked_values AS b WHERE met > 1 GROUP BY reason
        UNION ALL
        SELECT 'over_limit' AS reason, COUNT(*) AS n
        FROM scratch.edges AS e
        INNER JOIN scratch.person AS x ON x.node = e.a
        INNER JOIN scratch.person AS y ON y.node = e.b AND y.label <> x.label
        LEFT JOIN scratch.over_limit AS l ON l.node = e.a
        LEFT JOIN scratch.over_limit AS r ON r.node = e.b
        WHERE l.node IS NULL AND r.node IS NULL
        ORDER BY n DESC, reason""")
    return {str(row["reason"]): int(row["n"]) for row in found if row["n"]}


def _write(engine: DuckDBEngine, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    engine.at("csv").execute("""
        CREATE OR REPLACE TABLE scratch.answer AS
        SELECT r.event_id, e.customer_id, e.is_inferred, r.line
        FROM (SELECT event_id, MIN(line) AS line FROM scratch.tidy AS t GROUP BY event_id) AS r
        INNER JOIN identity.events AS e ON e.event_id = r.event_id""")
    engine.connection.execute(
        "COPY (SELECT event_id, customer_id, is_inferred FROM temp.main.scratch__answer ORDER BY line) "
        f"TO '{str(unfinished).replace(chr(39), chr(39) * 2)}' (FORMAT csv, HEADER true)"
    )
    os.replace(unfinished, path)
