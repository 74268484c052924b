"""`identity stitch EVENTS.csv`: the answer, its order, and errors that name the line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from include.connect.errors import FixSettings
from include.warehouse.identity.events_file import stitch_csv
from include.warehouse.identity.kinds import kind_of_column


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path) -> dict[str, str]:
    with path.open(newline="") as file:
        return {row["event_id"]: row["customer_id"] for row in csv.DictReader(file)}


def test_events_are_stitched_in_the_order_of_the_file(tmp_path: Path) -> None:
    source = write(
        tmp_path / "events.csv",
        """event_id,ts,anonymous_id,user_id,email,crm_id,product_id
9,2026-01-03T00:00:00Z,,,ANN@work.example.org,c1,p
1,2026-01-01T00:00:00+01:00,a1,,,,p
2,2026-01-01 10:00:00,a1,u1,,,p
3,1767312000,,u1,ann@work.example.org,,p
4,1767312000000,a2,u2,test@test.com,,p
5,2026-01-05,a3,,test@test.com,,p
5,2026-01-05,a3,,,,
6,2026-01-06T00:00:00Z,,,,,p
""",
    )
    summary, refused = stitch_csv(source, tmp_path / "out" / "map.csv")
    found = read(tmp_path / "out" / "map.csv")
    assert list(found) == ["9", "1", "2", "3", "4", "5", "6"]
    assert found["1"] == found["2"] == found["3"] == found["9"]
    assert len({found["1"], found["4"], found["5"], found["6"]}) == 4, (
        "a placeholder, a product or nothing joins nobody"
    )
    assert (summary.people, summary.events, summary.blocked) == (4, 7, 1)
    assert refused == {"placeholder": 1}
    assert (tmp_path / "out" / "map.csv").read_text().startswith("event_id,customer_id,is_inferred\n9,")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["map.csv"]


def test_order_of_lines_does_not_change_ids(tmp_path: Path) -> None:
    lines = [
        f"e{n},2026-01-{n % 27 + 1:02d}T00:00:00Z,d{n % 7},u{n % 5 if n % 3 else ''},m{n % 4}@work.example.org"
        for n in range(60)
    ]
    header = "event_id,ts,device_id,left_id,email\n"
    stitch_csv(write(tmp_path / "a.csv", header + "\n".join(lines) + "\n"), tmp_path / "a.out")
    stitch_csv(write(tmp_path / "b.csv", header + "\n".join(reversed(lines)) + "\n"), tmp_path / "b.out")
    assert read(tmp_path / "a.out") == read(tmp_path / "b.out")


def test_quotes_line_ends_names_and_byte_order_mark_are_read(tmp_path: Path) -> None:
    source = write(
        tmp_path / "events.csv",
        "\ufeffevent_id,ts,anonymous_id,email,name\n"
        'e1,2026-01-01,d1,ann@work.example.org,"Smith,\nAnn"\n'
        "e2,2026-01-02,d2,ann@home.example.org,Ann Smith\n"
        "e3,2026-01-03,d2,as@home.example.org,Ann Smith\n",
    )
    stitch_csv(source, tmp_path / "map.csv")
    found = read(tmp_path / "map.csv")
    assert found["e2"] == found["e3"]
    assert found["e1"] != found["e2"]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", None, "empty"),
        ("ts,user_id\n2026-01-01,u\n", 1, "no column event_id"),
        ("event_id,user_id\n1,u\n", 1, "no column ts"),
        ("event_id,ts,product_id\n1,2026-01-01,u\n", 1, "no column holds an identifier"),
        ("event_id,ts,user_id\n1,2026-01-01,u\n2,yesterday,secret@x.example\n", 3, "ts is no time"),
        ('event_id,ts,user_id\n1,2026-01-01,"u\nv"\n2,,u\n', 4, "ts is no time"),
        ("event_id,ts,user_id\n1,2026-01-01,u\n,2026-01-01,secret@x.example\n", 3, "event_id is empty"),
        ("event_id,ts,user_id\n1,2026-01-01,u\n2,2026-01-01\n", 3, "columns"),
    ],
)
def test_wrong_file_names_the_line_and_no_value(tmp_path: Path, text: str, line: int | None, says: str) -> None:
    source = write(tmp_path / "events.csv", text)
    with pytest.raises(FixSettings, match=says) as caught:
        stitch_csv(source, tmp_path / "map.csv")
    assert caught.value.where == (f"{source}:{line}" if line else str(source))
    assert "secret" not in str(caught.value)
    assert not (tmp_path / "map.csv").exists()


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FixSettings, match="cannot be read"):
        stitch_csv(tmp_path / "none.csv", tmp_path / "map.csv")


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("anonymous_id", "anonymous_id"),
        ("anonymousId", "anonymous_id"),
        ("User ID", "user_id"),
        ("email_address", "email"),
        ("billing_email", "email"),
        ("stripe_id", "stripe_customer_id"),
        ("loyalty_card_id", "loyalty_card_id"),
        ("product_id", None),
        ("session_id", None),
        ("shop_order_id", None),
        ("price", None),
    ],
)
def test_columns_say_what_they_carry(column: str, kind: str | None) -> None:
    assert kind_of_column(column) == kind
