"""`stitchline segment`: what its commands print of a published copy, and how they refuse."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from include.activate.segment import compute, get_segment
from include.cli_segment import segment_app
from include.connect.errors import FixSettings
from include.run import Run
from include.settings import ROOT, Settings
from include.warehouse.engine import connect
from include.warehouse.identity.tables import BLOCKED_VALUES, IDENTIFIERS

sys.path.insert(0, str(Path(__file__).parent / "activate"))
from small_warehouse import MARTS, NOW, SOURCES, SmallWarehouse, person

STARTED = datetime.now(UTC)
SINCE_NOW = (STARTED - NOW) / timedelta(days=1)
"""The commands' clock is the wall's, the small warehouse's is its own."""
Segment = Callable[..., Result]


def ago(days: float) -> datetime:
    return STARTED - timedelta(days=days)


def bought(number: int, days: float) -> dict[str, object]:
    at = ago(days)
    return {"order_id": f"o{number}", "customer_id": f"c{number:05d}", "ordered_at": at, "status": "paid"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose list of churned people was computed three days ago and an hour ago; others never were."""
    home = tmp_path_factory.mktemp("lists")
    settings = Settings(home=home, sources=SOURCES)
    warehouse = SmallWarehouse(settings, home)
    # 3 has churned for two days by now; 1 bought again; 2 was merged into 4.
    orders = [bought(1, 200), bought(2, 200), bought(3, 92)]
    later = [bought(1, 1), bought(2, 200), bought(3, 92)]
    later[1]["customer_id"] = "c00004"
    merged = [{"old_customer_id": "c00002", "customer_id": "c00004"}]
    ann = {"kind": "email", "value": "ann@x.example", "customer_id": "c00004"}
    whole, rest = [person(n) for n in (1, 2, 3, 4)], [person(n) for n in (1, 3, 4)]
    for days, people, given in (
        (3, whole, {"marts_orders": orders}),
        (1 / 24, rest, {"marts_orders": later, "identity_redirects": merged}),
    ):
        generation = warehouse.publish(people, days=SINCE_NOW - days, **given)
        run = Run.of("segment_churned", f"{days}", ago(days))
        with connect(settings) as engine:
            inside = engine.at(generation)
            inside.ensure([IDENTIFIERS, BLOCKED_VALUES])
            inside.append(IDENTIFIERS.name, [ann])
            for name in (*(table.name for table in MARTS), IDENTIFIERS.name):
                made = f"generations.{name.replace('.', '__')}__{generation}"
                engine.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM {made}")
            engine.publish(generation, generation)
            assert compute(engine, get_segment("churned"), run, settings).status == "computed"
            assert compute(engine, get_segment("recent_ticket_submitters"), run, settings).members == 0
    return home


@pytest.fixture
def segment(home: Path) -> Iterator[Segment]:
    """Runs `stitchline segment` in this process, which a command leaves its settings in the environment of."""
    kept = dict(os.environ)
    os.environ |= {"STITCHLINE_HOME": str(home), "STITCHLINE_SOURCES": ",".join(SOURCES)}
    yield lambda *words: CliRunner().invoke(segment_app, words)
    os.environ.clear()
    os.environ.update(kept)


def lines(done: Result) -> list[str]:
    """What was printed; asserts that it went well."""
    assert done.exit_code == 0, done.exception or done.output
    return done.stdout.splitlines()


def refused(done: Result) -> str:
    """The error that the command line prints as one line, or the usage that it prints itself."""
    if isinstance(done.exception, FixSettings):
        return str(done.exception)
    assert done.exit_code == 2
    return " ".join(done.output.replace("│", " ").split())


def test_a_preview_shows_size_sample_and_what_changed_since_yesterday(segment: Segment) -> None:
    said = lines(segment("preview", "churned"))
    assert said[0].startswith("Churned customers: 2 people in generation g2")
    assert said[1].startswith("since yesterday: 1 entered, 1 left, 2 were on it at ")
    assert [row.split()[0] for row in said[2:]] == ["customer_id=c00003", "customer_id=c00004"]


def test_a_diff_tells_who_entered_and_left_between_two_moments(segment: Segment) -> None:
    since = f"{ago(2):%Y-%m-%dT%H:%M:%S}"
    said = lines(segment("diff", "churned", "--since", since))
    assert said[1] == "2 people before, 2 after: 1 entered, 1 left"
    assert [row.split()[:2] for row in said[2:]] == [["entered", "c00003"], ["left", "c00001"]]
    early = segment("diff", "churned", "--since", "2020-02-29")
    assert "churned had no list yet at 2020-02-29 00:00 UTC" in refused(early)


def test_a_diff_tells_what_an_edited_file_would_change(segment: Segment, tmp_path: Path) -> None:
    edited = tmp_path / "edited.sql"
    text = (ROOT / "include" / "segments" / "churned.sql").read_text()
    edited.write_text(text.replace("INTERVAL 90 DAY", "INTERVAL 100 DAY"))
    said = lines(segment("diff", "churned", "--against", str(edited)))
    assert said[1] == "2 people before, 1 after: 0 would enter, 1 would leave"
    assert said[2].split()[:3] == ["would", "leave", "c00003"]
    edited.write_text(text.replace("FROM marts.orders", "FROM marts.order"))
    wrong = refused(segment("diff", "churned", "--against", str(edited)))
    assert wrong.startswith(f"{edited}:")
    assert "the query does not run" in wrong


def test_the_history_of_a_list_is_told_by_days(segment: Segment) -> None:
    said = [row.split() for row in lines(segment("history", "churned"))[1:]]
    first, last = (f"{ago(days):%Y-%m-%d}" for days in (3, 1 / 24))
    assert said == [["day", "entered", "left", "size"], [first, "2", "0", "2"], [last, "1", "1", "2"]]


@pytest.mark.parametrize("identifier", ["ann@x.example", "email: Ann@X.example", "customer_id:c00002"])
def test_the_history_of_a_person_follows_merges(segment: Segment, identifier: str) -> None:
    said = lines(segment("history", "--person", identifier))
    assert said[0] == "customer c00004"
    assert len(said) == 2
    assert said[1].split()[0] == "churned"
    assert said[1].endswith("is on it")


def test_the_overlap_is_a_row_for_each_list_and_each_pair(segment: Segment) -> None:
    said = [row.split() for row in lines(segment("overlap", "churned", "recent_ticket_submitters"))]
    assert [row[:2] for row in said[:2]] == [["churned", "2"], ["recent_ticket_submitters", "0"]]
    assert said[2] == ["churned", "+", "recent_ticket_submitters", "0"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["overlap", "churned", "suppressed"], "suppressed was never computed"),
        (["diff", "suppressed"], "suppressed was never computed. Run the DAG segment_suppressed once."),
        (["history", "churn"], "Did you mean 'churned'? Known: abandoned_carts, at_risk_customers, churned, "),
        (["history", "--person", "nobody@x.example"], "nobody has this identifier"),
        (["overlap", "churned", "churned"], "two different segments"),
        (["history"], "name a segment, or a person"),
        (["diff", "churned", "--since", "last week"], "neither a day nor a moment"),
        (["diff", "churned", "--since", "2200-01-01"], "neither in the future"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_reason(segment: Segment, words: list[str], said: str) -> None:
    assert said in refused(segment(*words))
