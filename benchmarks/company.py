"""Raw rows of a large company, written by SQL: what years of pulls leave in the warehouse, in seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import duckdb

EVENTS_PER_PERSON = 17
START = datetime(2026, 1, 1, tzinfo=UTC)
RAW = "_account, _run_id, _part, _seq, _key, _extracted_at, _loaded_at, _payload"


def write_company(connection: duckdb.DuckDBPyConnection, rows: int) -> None:
    """Fill empty raw tables with about `rows` records of `rows / 20` people, one load per stream.

    Each person has an account, two devices, an address, a record in each tool, an order, and page views; one
    in eight asked for help. Every seventh page view is of a visitor who never said who they are.
    """
    people = rows // (EVENTS_PER_PERSON + 3)
    _load(
        connection,
        1,
        "segment",
        "pages",
        f"""SELECT 'page-' || i AS id, p, i, {{'id': 'page-' || i,
              'anonymous_id': IF(i % 7 = 0, 'visitor-' || (i // 70), 'device-' || p || '-' || (i % 2)),
              'user_id': IF(i % 7 != 0 AND i % 5 = 0, 'user-' || p, NULL),
              'name': 'Page', 'url': 'https://shop.example/' || (i % 1000), 'path': '/' || (i % 1000),
              'timestamp': {_time("i % 25000000")}, 'received_at': {_time("i % 25000000")},
              'loaded_at': {_time("i % 25000000")}}}::JSON AS payload
            FROM (SELECT range AS i, range % {people} AS p FROM range({people * EVENTS_PER_PERSON}))""",
    )
    _load(
        connection,
        2,
        "segment",
        "identifies",
        f"""SELECT 'identify-' || p AS id, {{'id': 'identify-' || p, 'anonymous_id': 'device-' || p || '-0',
              'user_id': 'user-' || p, 'email': 'person' || p || '@example.com', 'timestamp': {_time("p % 25000000")},
              'received_at': {_time("p % 25000000")}, 'loaded_at': {_time("p % 25000000")}}}::JSON AS payload
            FROM (SELECT range AS p FROM range({people}))""",
    )
    _load(
        connection,
        3,
        "hubspot",
        "contacts",
        f"""SELECT CAST(p AS VARCHAR) AS id, {{'id': CAST(p AS VARCHAR), 'properties': {{
              'email': 'person' || p || '@example.com', 'firstname': 'First' || p, 'lastname': 'Last' || p}},
              'createdAt': {_time("p % 25000000")}, 'updatedAt': {_time("p % 25000000")}}}::JSON AS payload
            FROM (SELECT range AS p FROM range({people}) WHERE range % 2 = 0)""",
    )
    _load(
        connection,
        4,
        "stripe",
        "customers",
        f"""SELECT 'cus_' || p AS id, {{'id': 'cus_' || p, 'email': 'person' || p || '@example.com',
              'metadata': {{'user_id': 'user-' || p}}, 'created': 1767225600 + p}}::JSON AS payload
            FROM (SELECT range AS p FROM range({people}) WHERE range % 2 = 1)""",
    )
    _load(
        connection,
        5,
        "stripe",
        "charges",
        f"""SELECT 'ch_' || p AS id, {{'id': 'ch_' || p, 'customer': 'cus_' || p, 'amount': 1000 + p % 9000,
              'currency': 'eur', 'status': 'succeeded', 'refunded': false, 'paid': true,
              'created': 1767225600 + p % 25000000}}::JSON AS payload
            FROM (SELECT range AS p FROM range({people}) WHERE range % 2 = 1)""",
    )
    _load(
        connection,
        6,
        "zendesk",
        "users",
        f"""SELECT CAST(p AS VARCHAR) AS id, {{'id': p, 'email': 'person' || p || '@example.com',
              'external_id': 'user-' || p, 'role': 'end-user', 'created_at': {_time("p % 25000000")},
              'updated_at': {_time("p % 25000000")}}}::JSON AS payload
            FROM (SELECT range AS p FROM range({people}) WHERE range % 8 = 0)""",
    )
    _load(
        connection,
        7,
        "zendesk",
        "tickets",
        f"""SELECT CAST(p AS VARCHAR) AS id, {{'id': p, 'requester_id': p, 'status': 'open',
              'created_at': {_time("p % 25000000")}, 'updated_at': {_time("p % 25000000")}}}::JSON AS payload
            FROM (SELECT range AS p FROM range({people}) WHERE range % 8 = 0)""",
    )


def write_changes(connection: duckdb.DuckDBPyConnection, rows: int, people: int, seq: int) -> None:
    """One more day: `rows` records of people already known, 100 of which make one person of two.

    The same records for any size of company (`people` only says how many there are to be about).
    """
    step = max(people // rows, 1)
    _load(
        connection,
        seq,
        "segment",
        "pages",
        f"""SELECT 'late-{seq}-' || i AS id, {{'id': 'late-{seq}-' || i,
              'anonymous_id': 'device-' || (i * {step}) || '-0', 'name': 'Page', 'url': 'https://shop.example/',
              'path': '/', 'timestamp': {_time("26000000 + i")},
              'received_at': {_time("26000000 + i")}, 'loaded_at': {_time("26000000 + i")}}}::JSON AS payload
            FROM (SELECT range AS i FROM range({rows - 100}))""",
    )
    _load(
        connection,
        seq + 1,
        "segment",
        "identifies",
        f"""SELECT 'merge-{seq}-' || i AS id, {{'id': 'merge-{seq}-' || i, 'anonymous_id': 'visitor-' || (i * 2),
              'user_id': 'user-' || (i * {step}), 'timestamp': {_time("27000000 + i")},
              'received_at': {_time("27000000 + i")}, 'loaded_at': {_time("27000000 + i")}}}::JSON AS payload
            FROM (SELECT range AS i FROM range(100))""",
    )


def _time(seconds: str) -> str:
    return f"strftime(TIMESTAMP '{START:%Y-%m-%d}' + to_seconds({seconds}), '%Y-%m-%dT%H:%M:%SZ')"


def _load(connection: duckdb.DuckDBPyConnection, seq: int, source: str, stream: str, select: str) -> None:
    at = START + timedelta(days=300, hours=seq)
    connection.execute(
        f"INSERT INTO raw.{source}__{stream} ({RAW}) SELECT 'main', 'run-{seq}', 0, {seq}, id, "
        f"TIMESTAMPTZ '{at.isoformat()}', TIMESTAMPTZ '{at.isoformat()}', payload FROM ({select})"
    )
    connection.execute(
        "INSERT INTO ops.loads (seq, source, account, stream, run_id, manifest_seq, kind, loaded_at, as_of, records, "
        f"is_complete) SELECT {seq}, '{source}', 'main', '{stream}', 'run-{seq}', {seq}, 'incremental', "
        f"TIMESTAMPTZ '{at.isoformat()}', TIMESTAMPTZ '{at.isoformat()}', COUNT(*), TRUE "
        f"FROM raw.{source}__{stream} WHERE _seq = {seq}"
    )
