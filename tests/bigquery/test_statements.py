"""Google's own analyzer over every statement: each SQL file, and whatever the program sends while it runs."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from joins import unequal
from recorder import Call, Record, Replay
from sql_files import analyzed, sql_files, types, verdict
from walk import SEGMENT, walk

from include.checks.suite import Columns, Freshness, Rows, Suite
from include.checks.suites import all_suites
from include.checks.validate import _query, bad_rows, late
from include.run import Run
from include.settings import ROOT
from include.warehouse import models
from include.warehouse.engine import Statement
from include.warehouse.schema import OPS


@pytest.mark.parametrize("table", sql_files())
def test_a_sql_file_analyzes(table: str) -> None:
    if said := analyzed()[1][table]:
        pytest.fail(f"{sql_files()[table]}: {said}", pytrace=False)


@pytest.mark.parametrize("table", sorted(all_suites()))
def test_a_staging_table_has_the_types_its_suite_declares(table: str) -> None:
    declared = next(each.types for each in all_suites()[table].expectations if isinstance(each, Columns))

    assert types(table) == declared


# --- what the program sends -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """Everything asked for during a walk."""
    return walk(tmp_path_factory.mktemp("walk"))


@pytest.fixture(scope="module")
def replayed(record: Record) -> Replay:
    """The walk's calls, each analyzed; the catalog holds every table of a warehouse."""
    replay = Replay()
    replay.run(record.calls)
    return replay


def test_every_statement_of_a_walk_analyzes(replayed: Replay) -> None:
    assert replayed.client.analyzed > 300
    if replayed.problems:
        pytest.fail("\n".join(dict.fromkeys(replayed.problems)), pytrace=False)


CALLS = frozenset({"query", "execute", "atomically", "types"})
RECEIVERS = frozenset({"engine", "here", "old", "reader", "built"})
EXAMPLES = {"row['segment']": SEGMENT}
"""What a statement leaves open -> what may stand there."""
NOT_IN_A_WALK = {
    "include/warehouse/identity/events_file.py": "stitches a CSV, always on DuckDB",
    "include/warehouse/duckdb_rewrite.py": "rewrites the file of the embedded warehouse",
    "include/warehouse/empty_build.py": "an empty warehouse for the catalog, always on DuckDB",
}


@dataclass(frozen=True)
class Site:
    """A place in the program that sends SQL; `texts` are its statements if all of them stand there in full."""

    file: str
    first: int
    last: int
    texts: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file}:{self.first}"


@cache
def sites() -> tuple[Site, ...]:
    """Every place in the program that sends SQL to an engine."""
    found = []
    for path in sorted((ROOT / "include").rglob("*.py")):
        file = path.relative_to(ROOT).as_posix()
        if file.startswith("include/simulate/") or path.name in {"duckdb.py", "bigquery.py"} or file in NOT_IN_A_WALK:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if _sends_sql(node):
                found.append(Site(file, node.lineno, node.end_lineno or node.lineno, _texts(node)))
    return tuple(found)


def _sends_sql(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in CALLS:
        return False
    return bool({name.id for name in ast.walk(node.func.value) if isinstance(name, ast.Name)} & RECEIVERS)


def _texts(node: ast.Call) -> tuple[str, ...]:
    first = node.args[0]
    items = first.elts if isinstance(first, ast.List) else [first]
    texts = [_text(item.args[0] if isinstance(item, ast.Call) and item.args else item) for item in items]
    return () if None in texts else tuple(filter(None, texts))


def _text(node: ast.expr) -> str | None:
    """The text of a literal, or of one that leaves open only what has an example."""
    if isinstance(node, ast.JoinedStr):
        parts = [_text(part.value if isinstance(part, ast.FormattedValue) else part) for part in node.values]
        return None if None in parts else "".join(filter(None, parts))
    if isinstance(node, ast.Constant):
        return str(node.value)
    return EXAMPLES.get(ast.unparse(node))


def test_every_place_that_sends_sql_is_analyzed(record: Record, replayed: Replay) -> None:
    met: dict[str, set[int]] = {}
    for place in record.places():
        file, _, line = place.partition(":")
        met.setdefault(file, set()).add(int(line or 0))
    unmet = [site for site in sites() if not any(site.first <= line <= site.last for line in met.get(site.file, ()))]
    not_analyzed = [str(site) for site in unmet if not site.texts]
    # What stands there in full needs no walk; ZetaSQL finds out what its parameters must be.
    problems = [f"{site}: {said}" for site in unmet for text in site.texts if (said := replayed.judge(text))]

    assert len(sites()) > 100
    assert not_analyzed == []
    assert problems == []


@pytest.mark.parametrize("suite", all_suites().values(), ids=lambda suite: suite.table)
def test_the_sql_of_a_suite_analyzes(suite: Suite, replayed: Replay) -> None:
    run = Run.of("unify", "checks", models.BEGINNING)
    problems = []
    for each in suite.expectations:
        if isinstance(each, Rows | Freshness):
            sql = bad_rows(suite, each) if isinstance(each, Rows) else late(suite, each)
            pushed = _query(replayed.engine(), run, suite, sql).replace("\\:", ":").format(batch=suite.table)
            if said := replayed.judge(f"SELECT COUNT(*) FROM ({pushed}) AS counted"):
                problems.append(f"{suite.table}, {each.name}: {said}\n    {sql}")
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def test_what_bigquery_joins_by_is_an_equality(record: Record) -> None:
    files = {str(path): path.read_text() for path in sql_files().values() if path.is_file()}
    problems = [f"{file}: {said}" for file, text in files.items() for said in unequal(text)]
    problems += [f"{call.where}: {said}" for call in record.calls for text in call.texts() for said in unequal(text)]

    assert list(dict.fromkeys(problems)) == []


@pytest.mark.parametrize(
    ("sql", "refused"),
    [
        ("SELECT 1 FROM s.a AS a LEFT JOIN s.b AS b ON a.x = b.x AND a.y > b.y", 0),
        ("SELECT 1 FROM s.a AS a LEFT JOIN s.b AS b ON CONCAT(a.x, '/') = b.x", 0),
        ("SELECT 1 FROM s.a AS a INNER JOIN s.b AS b ON a.y > b.y", 0),
        ("SELECT 1 FROM s.a AS a LEFT JOIN s.b AS b ON a.y > b.y", 1),
        ("SELECT 1 FROM s.a AS a LEFT JOIN s.b AS b ON a.x = b.x OR a.y = b.y", 1),
        ("SELECT 1 FROM s.a AS a FULL JOIN s.b AS b ON b.x = 1", 1),
        ("SELECT 1 FROM s.a AS a FULL JOIN s.b AS b ON a.x + b.y = b.x", 1),
        ("SELECT 1 FROM s.a AS a WHERE EXISTS (SELECT 1 FROM s.b AS b WHERE b.x = a.x AND b.y > a.y)", 0),
        ("SELECT 1 FROM s.a AS a WHERE EXISTS (SELECT 1 FROM s.b AS b WHERE b.x = 1)", 0),
        ("SELECT 1 FROM s.a AS a WHERE NOT EXISTS (SELECT 1 FROM s.b AS b WHERE b.y > a.y)", 1),
        ("DELETE FROM s.a AS a WHERE EXISTS (SELECT 1 FROM s.b AS b WHERE b.x = a.x OR b.y = a.y)", 1),
    ],
)
def test_a_join_that_bigquery_refuses_is_seen(sql: str, refused: int) -> None:
    assert len(unequal(sql)) == refused


# --- the harness ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT list_sum([stripe_charge_id]) AS n FROM staging.stripe__charges", "Function not found: list_sum"),
        ("/* a header\n*/\nSELECT stripe_charge FROM staging.stripe__charges", "stripe_charge; Did you mean"),
        ("SELECT stripe_charge_id + 1 AS n FROM staging.stripe__charges", "No matching signature for operator +"),
        ("SELECT 1 AS n FROM staging.stripe__charge", "Table not found"),
        ("SELECT COUNT(*) FILTER (WHERE TRUE) AS n FROM staging.stripe__charges", "Syntax error"),
        ("SELECT DATE_TRUNC('month', @as_of) AS month", "A valid date part name is required"),
        ("SELECT stripe_charge_id FROM staging.stripe__charges GROUP BY currency", "neither grouped nor aggregated"),
    ],
)
def test_a_wrong_file_is_refused(text: str, said: str) -> None:
    catalog, _ = analyzed()

    assert said in verdict(text, "marts.wrong", catalog)
    assert ("marts", "wrong") not in catalog.tables


@pytest.mark.parametrize(
    ("sql", "values", "said"),
    [
        ("SELECT json_extract_string(source, '$') AS x FROM ops.loads", {}, "Function not found: json_extract_string"),
        ("SELECT sequence FROM ops.loads", {}, "Unrecognized name: sequence"),
        ("SELECT seq FROM ops.loads WHERE seq = @seq", {"seq": "1"}, "No matching signature for operator ="),
        ("INSERT INTO ops.loads (seq) VALUES (@seq)", {"seq": "1"}, "type STRING which cannot be inserted into column"),
        ("SELECT seq FROM ops.loads WHERE seq IN UNNEST(@list)", {"list": ["1"]}, "IN UNNEST"),
    ],
)
def test_a_wrong_statement_is_reported_with_its_place(sql: str, values: dict[str, Any], said: str) -> None:
    calls = [
        Call("include/there.py:1", None, "ensure", (OPS,), {}),
        Call("include/there.py:2", None, "execute", (sql, values), {}),
        Call(
            "include/there.py:3",
            None,
            "atomically",
            (["DELETE FROM ops.staged WHERE TRUE", Statement(sql, values)],),
            {},
        ),
    ]
    problems = Replay().run(calls)

    assert [problem.partition(": ")[0] for problem in problems] == ["include/there.py:2", "include/there.py:3"]
    assert all(said in problem and sql in problem for problem in problems)


def test_a_wrong_statement_without_known_parameters_is_refused() -> None:
    replay = Replay()
    replay.engine().ensure(OPS)

    assert replay.judge("SELECT seq FROM ops.loads WHERE seq > @seq AND source IN UNNEST(@sources)") == ""
    assert "Unrecognized name: sequence" in replay.judge("SELECT sequence FROM ops.loads WHERE seq > @seq")


def test_a_table_has_the_columns_of_the_statement_that_made_it_last() -> None:
    made = Call("include/there.py:1", None, "execute", ("CREATE OR REPLACE TABLE scratch.x AS SELECT 1 AS n", {}), {})
    other = Call(
        "include/there.py:2", None, "execute", ("CREATE OR REPLACE TABLE scratch.x AS SELECT 'a' AS n", {}), {}
    )
    asked = Call("include/there.py:3", None, "query", ("SELECT n + 1 AS m FROM scratch.x", {}), {})
    gone = Call("include/there.py:4", None, "execute", ("DROP TABLE scratch.x", {}), {})

    assert Replay().run([made, asked, made, asked]) == []
    assert len(Replay().run([made, asked, other, asked])) == 1
    assert len(Replay().run([made, asked, gone, asked])) == 1
