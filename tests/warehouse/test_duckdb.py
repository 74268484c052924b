"""What the program asks of a warehouse, on the embedded one: types, tables, transactions, loads."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from include.connect.errors import FixSettings
from include.settings import Settings
from include.warehouse.engine import Column, Engine, Part, Statement, Table, connect
from include.warehouse.schema import raw_table

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
RAW = raw_table("hubspot", "contacts")
NOTES = Table("ops.notes", (Column("note", "STRING"), Column("number", "INT64")))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, warehouse_wait_seconds=0.2)


def notes(engine: Engine) -> list[str]:
    return [row["note"] for row in engine.query("SELECT note FROM ops.notes ORDER BY note")]


# --- types -----------------------------------------------------------------------------------------------------------


def test_append_keeps_every_type_and_nothing_is_nothing(fresh: Engine) -> None:
    table = Table(
        "ops.kinds",
        tuple(
            Column(f"a_{kind.split('<')[0].lower()}", kind)
            for kind in "STRING INT64 FLOAT64 NUMERIC BOOL TIMESTAMP DATE JSON ARRAY<STRING>".split()  # noqa: SIM905
        ),
    )
    fresh.ensure([table])
    whole = {
        "a_string": 'it\'s "quoted"; DROP TABLE ops.kinds -- é😀\n',
        "a_int64": 2**62,
        "a_float64": 0.1,
        "a_numeric": Decimal("12345678901234567890.123456789"),
        "a_bool": True,
        "a_timestamp": datetime(2026, 11, 20, 1, 2, 3, 456789, tzinfo=UTC),
        "a_date": date(2026, 11, 20),
        "a_json": '{"b":1.5,"a":[null,"x"]}',
        "a_array": ["b", "a", "it's"],
    }
    nothing = dict.fromkeys(whole)

    fresh.append("ops.kinds", [whole, nothing])

    rows = fresh.query("SELECT * FROM ops.kinds ORDER BY a_string IS NULL")
    assert rows == [whole, nothing]
    assert {name: type(value) for name, value in rows[0].items()} == {name: type(v) for name, v in whole.items()}
    assert rows[0]["a_timestamp"].utcoffset() == timedelta(0)


def test_an_instant_is_the_same_whatever_zone_it_was_written_in(fresh: Engine) -> None:
    fresh.ensure([Table("ops.instants", (Column("at", "TIMESTAMP"),))])

    fresh.append("ops.instants", [{"at": "2026-11-20T14:00:00+02:00"}])
    fresh.execute("INSERT INTO ops.instants (at) VALUES (@at)", {"at": NOW})

    assert fresh.query("SELECT at FROM ops.instants") == [{"at": NOW}, {"at": NOW}]


VALUES = [
    "plain",
    "it's \"quoted\" \\ back\\slashed \\' and; -- ended",
    "line\none\ttab é😀",
    "$money @mail %d {x} ?",
    "",
    True,
    0,
    -(2**62),
    0.1,
    -2.5,
    Decimal("12345678901234567890.123456789"),
    NOW,
    datetime(2026, 11, 20, 14, 0, 0, 5, tzinfo=timezone(timedelta(hours=2))),
    date(2026, 11, 20),
    ["it's", "b"],
    None,
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_parameter_arrives_as_it_was_given(fresh: Engine, value: Any) -> None:
    assert fresh.query("SELECT @value AS value", {"value": value}) == [{"value": value}]


@pytest.mark.parametrize(
    ("kind", "value"), [("TIMESTAMP", "yesterday"), ("INT64", "many"), ("NUMERIC", Decimal("1e35"))]
)
def test_a_value_that_does_not_fit_its_column_is_an_error_and_not_nothing(fresh: Engine, kind: str, value: Any) -> None:
    fresh.ensure([Table("ops.strict", (Column("a", kind),))])

    with pytest.raises(duckdb.Error):
        fresh.append("ops.strict", [{"a": value}])

    assert fresh.query("SELECT a FROM ops.strict") == []


def test_append_of_nothing_is_nothing_and_of_an_unknown_column_an_error(fresh: Engine) -> None:
    fresh.ensure([NOTES])

    fresh.append("ops.notes", [])
    with pytest.raises(FixSettings, match=r"ops\.notes: no column 'colour'"):
        fresh.append("ops.notes", [{"note": "a", "colour": "red"}])

    assert notes(fresh) == []


def test_a_changing_statement_says_how_many_rows_it_changed(fresh: Engine) -> None:
    fresh.ensure([NOTES])

    assert fresh.execute("INSERT INTO ops.notes (note) VALUES ('a'), ('b')") == 2
    assert fresh.execute("UPDATE ops.notes SET number = 1 WHERE note = @note", {"note": "a", "unused": 1}) == 1
    assert fresh.execute("CREATE OR REPLACE TABLE ops.copy AS SELECT * FROM ops.notes") == 0
    assert fresh.execute("DELETE FROM ops.notes WHERE TRUE") == 2


# --- tables ----------------------------------------------------------------------------------------------------------


def test_ensure_creates_once_and_adds_columns_declared_later(fresh: Engine) -> None:
    fresh.ensure([NOTES])
    fresh.append("ops.notes", [{"note": "kept", "number": 1}])

    fresh.ensure([NOTES])
    fresh.ensure(
        [Table("ops.notes", (*NOTES.columns, Column("seen_at", "TIMESTAMP"), Column("tags", "ARRAY<STRING>")))]
    )

    assert fresh.query("SELECT * FROM ops.notes") == [{"note": "kept", "number": 1, "seen_at": None, "tags": None}]
    assert list(fresh.columns("ops.notes")) == ["note", "number", "seen_at", "tags"]


def test_tables_are_listed_per_dataset_and_a_missing_one_has_no_columns(fresh: Engine) -> None:
    fresh.ensure([NOTES, Table("ops.alpha", NOTES.columns), RAW])

    assert fresh.tables("ops") == ["alpha", "notes"]
    assert fresh.tables("raw") == ["hubspot__contacts"]
    assert fresh.tables("marts") == []
    assert fresh.columns("ops.absent") == {}


def test_each_generation_has_its_own_tables(fresh: Engine) -> None:
    customers = Table("marts.customers", (Column("customer_id", "STRING"),))
    for generation in ("20261119T000000Z-aaaaaaaa", "20261120T000000Z-bbbbbbbb"):
        here = fresh.at(generation)
        here.ensure([customers])
        here.append("marts.customers", [{"customer_id": generation[-8:]}])

    first = fresh.at("20261119T000000Z-aaaaaaaa")
    assert first.query("SELECT customer_id FROM marts.customers") == [{"customer_id": "aaaaaaaa"}]
    assert first.generation == "20261119T000000Z-aaaaaaaa"
    assert fresh.generation is None
    assert fresh.columns("marts.customers") == {}
    assert fresh.tables("generations") == [
        "marts__customers__20261119t000000z_aaaaaaaa",
        "marts__customers__20261120t000000z_bbbbbbbb",
    ]


def test_scratch_belongs_to_one_connection_and_is_gone_with_it(settings: Settings) -> None:
    with connect(settings) as engine:
        engine.execute("CREATE OR REPLACE TABLE scratch.list AS SELECT 1 AS n")
        assert engine.query("SELECT n FROM scratch.list") == [{"n": 1}]
        assert list(engine.columns("scratch.list")) == ["n"]
    with connect(settings) as engine, pytest.raises(duckdb.CatalogException):
        engine.query("SELECT n FROM scratch.list")


def test_a_foreign_file_is_read_in_place_and_never_written(fresh: Engine, tmp_path: Path) -> None:
    path = tmp_path / "it's.duckdb"
    with duckdb.connect(str(path)) as other:
        other.execute("CREATE TABLE tracks AS SELECT 'm1' AS id, 'signed_up' AS event")

    fresh.attach("segment", str(path))

    assert fresh.query("SELECT t.event FROM segment.tracks AS t") == [{"event": "signed_up"}]
    assert list(fresh.columns("segment.tracks")) == ["id", "event"]
    with pytest.raises(duckdb.InvalidInputException):
        fresh.execute("DELETE FROM segment.tracks WHERE TRUE")


def test_a_foreign_file_that_is_not_there_names_the_connection(fresh: Engine, tmp_path: Path) -> None:
    with pytest.raises(FixSettings, match="connection 'segment', host"):
        fresh.attach("segment", str(tmp_path / "absent.duckdb"))


# --- transactions ----------------------------------------------------------------------------------------------------


def test_of_statements_run_atomically_none_counts_when_one_fails(fresh: Engine) -> None:
    fresh.ensure([NOTES])
    fresh.append("ops.notes", [{"note": "before"}])
    insert = Statement("INSERT INTO ops.notes (note) VALUES (@note)", {"note": "never"})

    with pytest.raises(duckdb.Error):
        fresh.atomically([insert, "DELETE FROM ops.notes WHERE note = 'before'", "SELECT nothing FROM ops.notes"])
    assert notes(fresh) == ["before"]

    fresh.atomically([insert, "DELETE FROM ops.notes WHERE note = 'before'"])
    assert notes(fresh) == ["never"]


# --- loads -----------------------------------------------------------------------------------------------------------

WritePart = Callable[[int, Sequence[str]], Part]


@pytest.fixture
def part(tmp_path: Path) -> WritePart:
    """Writes one landing part: `payloads` are the vendor's own bytes, keyed by their place."""

    def write(number: int, payloads: Sequence[str]) -> Part:
        path = tmp_path / f"part-{number:05}-{len(list(tmp_path.iterdir()))}.ndjson.gz"
        with gzip.open(path, "wt", encoding="utf-8", newline="") as out:
            for place, payload in enumerate(payloads):
                out.write(
                    f'{{"_key":"{number}-{place}","_extracted_at":"2026-11-20T11:00:00.123Z","_payload":{payload}}}\n'
                )
        return Part(number, str(path), "")

    return write


def stamp(run: str = "run-1", seq: int = 1, account: str = "main") -> dict[str, Any]:
    return {"_account": account, "_run_id": run, "_seq": seq, "_loaded_at": NOW}


def loaded(engine: Engine) -> list[tuple[str, int, str]]:
    rows = engine.query("SELECT _run_id, _part, _key FROM raw.hubspot__contacts ORDER BY _run_id, _part, _key")
    return [(row["_run_id"], row["_part"], row["_key"]) for row in rows]


def test_a_load_repeated_leaves_the_same_rows(fresh: Engine, part: WritePart) -> None:
    fresh.ensure([RAW])
    parts = [part(0, ["{}", "{}"]), part(1, ["{}"])]

    assert fresh.load_parts(RAW.name, parts, stamp()) == 3
    assert fresh.load_parts(RAW.name, parts, stamp()) == 3

    assert loaded(fresh) == [("run-1", 0, "0-0"), ("run-1", 0, "0-1"), ("run-1", 1, "1-0")]


def test_a_part_of_an_earlier_attempt_is_gone_and_another_run_stays(fresh: Engine, part: WritePart) -> None:
    fresh.ensure([RAW])
    fresh.load_parts(RAW.name, [part(0, ["{}"]), part(1, ["{}"]), part(7, ["{}"])], stamp("run-1"))
    fresh.load_parts(RAW.name, [part(0, ["{}"])], stamp("run-2", 2))

    assert fresh.load_parts(RAW.name, [part(0, ["{}"])], stamp("run-1")) == 1

    assert loaded(fresh) == [("run-1", 0, "0-0"), ("run-2", 0, "0-0")]


def test_a_load_that_dies_half_way_leaves_nothing_and_its_book_neither(fresh: Engine, part: WritePart) -> None:
    fresh.ensure([RAW, NOTES])
    booked = Statement("INSERT INTO ops.notes (note) VALUES (@note)", {"note": "booked"})
    good = part(0, ["{}"])
    cut = part(1, ['{"a": "'])

    with pytest.raises(duckdb.Error):
        fresh.load_parts(RAW.name, [good, cut], stamp(), [booked])
    with pytest.raises(duckdb.Error):
        fresh.load_parts(RAW.name, [good], stamp(), [booked, Statement("SELECT nothing FROM ops.notes")])
    assert loaded(fresh) == []
    assert notes(fresh) == []

    assert fresh.load_parts(RAW.name, [good], stamp(), [booked]) == 1
    assert notes(fresh) == ["booked"]


def test_a_loaded_row_carries_its_stamp_and_the_vendors_record(fresh: Engine, part: WritePart) -> None:
    fresh.ensure([RAW])
    payloads = [
        '{"b":1.5,"a":"é😀 \\"x\\"\\n","n":12345678901234567890123,"z":null,"deep":{"y":[],"x":{}}}',
        '{"twice":1,"twice":2}',
        '{"_key":"mine","long":"' + "y" * 200_000 + '"}',
        "[1,2]",
        '"text"',
    ]

    fresh.load_parts(RAW.name, [part(3, payloads)], stamp("run-1", seq=9, account="eu"))

    rows = fresh.query("SELECT * FROM raw.hubspot__contacts ORDER BY _key")
    assert [row.pop("_payload") for row in rows] == payloads
    assert rows[0] == {
        "_account": "eu",
        "_run_id": "run-1",
        "_part": 3,
        "_seq": 9,
        "_key": "3-0",
        "_extracted_at": datetime(2026, 11, 20, 11, 0, 0, 123000, tzinfo=UTC),
        "_loaded_at": NOW,
        "_deleted_at": None,
    }
