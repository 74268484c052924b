"""The BigQuery engine through the real client: load jobs, query jobs, transactions, models, generations."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.settings import Settings
from include.warehouse import models
from include.warehouse.bigquery import BigQueryEngine
from include.warehouse.duckdb import DuckDBEngine
from include.warehouse.engine import Column, Part, Statement, Table
from include.warehouse.render import Names
from include.warehouse.schema import OPS, raw_table

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def engine(emulator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BigQueryEngine]:
    """An engine on a client pointed at the emulator, in a project of its own."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", emulator)
    client = bigquery.Client(project=f"p{abs(hash(tmp_path.name)) % 10**8}", credentials=AnonymousCredentials())
    made = BigQueryEngine(client, Settings(home=tmp_path), Names("bigquery", prefix="dev_"))
    made.prepare()
    yield made
    client.close()


def write_part(path: Path, records: list[dict[str, object]]) -> Part:
    """A landing part as the pull engine writes it."""
    with gzip.open(path, "wt") as part:
        for record in records:
            line = {"_key": f"aud|{record['id']}", "_extracted_at": NOW.isoformat(), "_payload": record}
            part.write(json.dumps(line) + "\n")
    return Part(0, str(path), hashlib.sha256(path.read_bytes()).hexdigest())


def member(number: int, status: str = "subscribed") -> dict[str, object]:
    """A Mailchimp member, as far as staging reads it."""
    return {
        "id": f"m{number}",
        "list_id": "aud",
        "email_address": f"Person{number}@example.com",
        "status": status,
        "merge_fields": {"FNAME": "", "LNAME": "Ray"},
        "last_changed": "2026-04-30T08:00:00+00:00",
    }


def stamp(run_id: str, seq: int) -> dict[str, object]:
    """The constant columns of a load."""
    return {"_account": "main", "_run_id": run_id, "_seq": seq, "_loaded_at": NOW}


def test_a_part_is_loaded_exactly_once(engine: BigQueryEngine, tmp_path: Path) -> None:
    engine.ensure([raw_table("mailchimp", "members"), *OPS])
    part = write_part(tmp_path / "part-0.ndjson.gz", [member(1), member(2)])
    for _ in range(2):
        assert engine.load_parts("raw.mailchimp__members", [part], stamp("run-1", 1)) == 2
    rows = engine.query(
        "SELECT _key, _run_id, _seq, JSON_VALUE(_payload, '$.status') AS status FROM raw.mailchimp__members "
        "WHERE _loaded_at >= TIMESTAMP '2026-05-01'"
    )
    assert sorted(row["_key"] for row in rows) == ["aud|m1", "aud|m2"]
    assert {row["status"] for row in rows} == {"subscribed"}


def test_a_part_written_again_replaces_what_a_failed_load_left(engine: BigQueryEngine, tmp_path: Path) -> None:
    engine.ensure([raw_table("mailchimp", "members")])
    first = write_part(tmp_path / "a.ndjson.gz", [member(1), member(2), member(3)])
    again = write_part(tmp_path / "b.ndjson.gz", [member(1)])
    engine.load_parts("raw.mailchimp__members", [first], stamp("run-1", 1))
    assert engine.load_parts("raw.mailchimp__members", [again], stamp("run-1", 1)) == 1


def test_a_failing_statement_undoes_the_whole_transaction(engine: BigQueryEngine) -> None:
    engine.ensure([Table("ops.things", (Column("name", "STRING"),))])
    with pytest.raises(Exception, match=r"(?i)error|division"):
        engine.atomically(
            [
                Statement("INSERT INTO ops.things (name) VALUES (@name)", {"name": "kept only if all is well"}),
                "INSERT INTO ops.things (name) SELECT CAST(DIV(1, 0) AS STRING)",
            ]
        )
    assert engine.query("SELECT COUNT(*) AS n FROM ops.things") == [{"n": 0}]


def test_a_nothing_fits_a_column_of_any_type(engine: BigQueryEngine) -> None:
    engine.ensure([Table("ops.things", (Column("n", "INT64"), Column("at", "TIMESTAMP")))])
    insert = Statement("INSERT INTO ops.things (n, at) VALUES (@n, @at)", {"n": None, "at": None})
    engine.execute(insert.sql, insert.params)
    engine.atomically([insert, Statement(insert.sql, {"n": 1, "at": None})])
    rows = engine.query("SELECT n, at FROM ops.things WHERE n = @n OR n IS NULL ORDER BY n", {"n": 1})
    assert rows == [{"n": None, "at": None}, {"n": None, "at": None}, {"n": 1, "at": None}]


def test_staging_sql_types_the_same_rows_as_on_duckdb(engine: BigQueryEngine, tmp_path: Path) -> None:
    engine.ensure([raw_table("mailchimp", "members")])
    part = write_part(tmp_path / "p.ndjson.gz", [member(1), member(2, "archived")])
    engine.load_parts("raw.mailchimp__members", [part], stamp("run-1", 1))
    model = next(model for model in models.staging_models() if model.name == "staging.mailchimp__members")
    window = {"seq_from": 0, "seq_to": 1, "loaded_from": models.BEGINNING}
    rows = engine.query(f"SELECT * FROM ({models.windowed(model.sql)}) ORDER BY _key", window)
    assert [row["email"] for row in rows] == ["Person1@example.com", "Person2@example.com"]
    assert [row["first_name"] for row in rows] == [None, None]
    assert [row["is_deleted"] for row in rows] == [False, True]
    assert rows[0]["updated_at"] == datetime(2026, 4, 30, 8, 0, tzinfo=UTC)


def test_append_and_generations(engine: BigQueryEngine) -> None:
    one = engine.at("20260501T120000Z-00000001")
    one.ensure(
        [
            Table(
                "marts.people", (Column("name", "STRING"), Column("emails", "ARRAY<STRING>"), Column("at", "TIMESTAMP"))
            )
        ]
    )
    one.append("marts.people", [{"name": "Ada", "emails": ["a@example.com", "b@example.com"], "at": NOW}])
    engine.atomically(
        ["CREATE OR REPLACE VIEW marts.people AS SELECT * FROM generations.marts__people__20260501t120000z_00000001"]
    )
    assert engine.query("SELECT people.name, people.emails, people.at FROM marts.people") == [
        {"name": "Ada", "emails": ["a@example.com", "b@example.com"], "at": NOW}
    ]
    assert engine.columns("marts.nothing") == {}


def test_a_select_has_the_types_it_has_on_duckdb(engine: BigQueryEngine) -> None:
    sql = (
        "SELECT 1 AS n, 'a' AS t, TRUE AS b, CAST('1.5' AS NUMERIC) AS m, CAST(1 AS FLOAT64) AS f, @at AS at, "
        "DATE '2026-01-01' AS d, PARSE_JSON('{}') AS j, ['a'] AS l"
    )
    at = {"at": datetime(2026, 1, 1, tzinfo=UTC)}

    types = engine.types(sql, at)

    assert types == DuckDBEngine.in_memory().types(sql, at)
    assert ", ".join(types.values()) == "INT64, STRING, BOOL, NUMERIC, FLOAT64, TIMESTAMP, DATE, JSON, ARRAY<STRING>"


def test_partitions_of_what_is_set_aside_expire(engine: BigQueryEngine) -> None:
    columns = (Column("_key", "STRING", "key"), Column("_quarantined_at", "TIMESTAMP"))
    engine.ensure([Table("quarantine.things", columns, partition_by="DATE(_quarantined_at)", expires_days=30)])

    made = engine.client.get_table(f"{engine.client.project}.{engine.names.prefix}quarantine.things")

    assert (made.time_partitioning.field, made.time_partitioning.expiration_ms) == ("_quarantined_at", 30 * 86_400_000)
    assert made.schema[0].description == "key"
