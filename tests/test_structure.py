"""The tree keeps its promises: whatever is added brings what belongs to it, and every file is where a reader looks."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from include.collector import NAME
from include.collector.streams import collector_source
from include.connect.source import Stream
from include.sources import all_sources
from include.warehouse.models import Model, staging_models

ROOT = Path(__file__).resolve().parent.parent
INCLUDE = ROOT / "include"
CASES = ROOT / "tests" / "warehouse"
SUITES = ROOT / "great_expectations" / "suites"

SKIPPED = {"__pycache__", "uncommitted", "dist", "node_modules"}
SHOWN_HIDDEN = {".ci", ".github", ".env.example", ".gitignore", ".dockerignore", ".pre-commit-config.yaml"}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "misc"}
DAG_LINES = 80
PRODUCT_LINES = 420
DEMO = {"cli.py", "demo.py", "launcher.py", "world.py"}
"""The only files outside include/simulate that may start the simulators."""


@cache
def project_files() -> tuple[Path, ...]:
    """Every file of the project: no caches, no environments, nothing a run wrote."""

    def walk() -> Iterator[Path]:
        for folder, folders, files in os.walk(ROOT):
            folders[:] = [n for n in folders if n not in SKIPPED and (not n.startswith(".") or n in SHOWN_HIDDEN)]
            yield from (Path(folder) / n for n in files if not n.startswith(".") or n in SHOWN_HIDDEN)

    return tuple(sorted(walk()))


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def stems(folder: Path, pattern: str) -> set[str]:
    """What a folder holds, without suffix: `stripe/stripe__charges` for a nested pattern."""
    found = {path.relative_to(folder).with_suffix("").as_posix() for path in folder.glob(pattern)}
    return {name for name in found if not name.startswith("_")}


# --- a source ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", sorted(all_sources()))
def test_a_source_is_the_file_of_its_name_and_has_a_simulator(source: str) -> None:
    assert (INCLUDE / "sources" / f"{source}.py").is_file()
    assert (INCLUDE / "simulate" / f"{source}.py").is_file(), f"write include/simulate/{source}.py"


STREAMS = [(source.name, stream.name) for source in all_sources().values() for stream in source.streams]


@pytest.mark.parametrize(("source", "stream"), STREAMS, ids="__".join)
def test_a_stream_has_staging_sql_and_a_suite(source: str, stream: str) -> None:
    own = INCLUDE / "warehouse" / "staging" / source / f"{source}__{stream}.sql"
    staged = staged_from(source, stream)

    # What two vendors write alike is one table, named for one of them.
    assert staged, f"write {shown(own)}"
    assert [model.name for model in staged if not (SUITES / "staging" / f"{model.path.stem}.py").is_file()] == []


def staged_from(source: str, stream: str) -> list[Model]:
    """The staging models that read a stream."""
    return [model for model in staging_models() if f"raw.{source}__{stream}" in model.reads]


@pytest.mark.parametrize("stream", collector_source().streams, ids=lambda stream: stream.name)
def test_what_the_collector_takes_is_staged_or_says_why_not(stream: Stream) -> None:
    is_kept_raw, staged = "; kept raw, " in stream.description, staged_from(NAME, stream.name)

    assert is_kept_raw != bool(staged), "stage it, or end its description with `; kept raw, <why>`"


def test_every_source_file_is_discovered() -> None:
    assert stems(INCLUDE / "sources", "*.py") == set(all_sources())


def test_staging_and_suites_belong_to_a_stream() -> None:
    # Several vendors' webhooks may be one table.
    collected = {model.path.stem for stream in collector_source().streams for model in staged_from(NAME, stream.name)}
    pulled = {model.path.stem for names in STREAMS for model in staged_from(*names)}

    assert pulled <= {"__".join(names) for names in STREAMS} | collected, "a table is named for a stream it reads"
    assert {name.split("/")[-1] for name in stems(INCLUDE / "warehouse" / "staging", "*/*.sql")} == pulled | collected
    assert stems(SUITES / "staging", "*.py") == pulled | collected


def test_a_suite_folder_has_no_init_file() -> None:
    # It would shadow the installed great_expectations.
    assert list((ROOT / "great_expectations").rglob("__init__.py")) == []


# --- a destination ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("destination", sorted(stems(INCLUDE / "destinations", "*.py")))
def test_a_destination_has_a_simulator(destination: str) -> None:
    vendors = stems(INCLUDE / "simulate", "*.py")
    words = destination.split("_")
    prefixes = {"_".join(words[:count]) for count in range(1, len(words) + 1)}

    assert prefixes & vendors, f"no file in include/simulate answers as the vendor of {destination}"


# --- a model ----------------------------------------------------------------------------------------------------------


def models() -> dict[str, str]:
    """Where each model's case belongs -> the file that makes the model."""
    warehouse = INCLUDE / "warehouse"
    places = (
        ("staging", warehouse / "staging", "*/*.sql"),
        ("rules", warehouse / "identity" / "rules", "*.sql"),
        ("identity", warehouse / "identity", "*.sql"),
        ("fields", warehouse / "fields", "*.sql"),
        ("marts", warehouse / "marts", "*.sql"),
        ("segments", INCLUDE / "segments", "*.sql"),
    )
    found = {
        f"{place}/{name}": f"{shown(folder)}/{name}.sql"
        for place, folder, pattern in places
        for name in stems(folder, pattern)
    }
    return {**found, "marts/golden_fields": "include/warehouse/fields"}


@pytest.mark.parametrize("model", sorted(models()))
def test_a_model_has_a_case(model: str) -> None:
    path = CASES / f"{model}.yaml"

    assert path.is_file(), f"write {shown(path)} for {models()[model]}"
    cases = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    assert any(case["expect"] for case in cases), f"no case in {shown(path)} expects a row"


def test_a_case_file_has_a_model() -> None:
    orphans = stems(CASES, "**/*.yaml") - models().keys()

    assert orphans == set()


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_file_is_named_for_what_it_holds() -> None:
    named = [
        shown(path)
        for path in project_files()
        if FORBIDDEN_NAMES & {part.split(".")[0] for part in path.parts[len(ROOT.parts) :]}
    ]

    assert named == []


def test_a_dag_file_only_wires() -> None:
    long = {shown(path): lines for path in (ROOT / "dags").glob("*.py") if (lines := length(path)) >= DAG_LINES}

    assert long == {}


def test_a_product_file_holds_one_thing() -> None:
    product = [path for path in project_files() if path.suffix in {".py", ".sql", ".js"} and is_product(path)]
    long = {shown(path): lines for path in product if (lines := length(path)) > PRODUCT_LINES}

    assert long == {}


def length(path: Path) -> int:
    return len(path.read_text().splitlines())


def is_product(path: Path) -> bool:
    return path.relative_to(ROOT).parts[0] in {"include", "plugins", "dags"}


# --- imports ----------------------------------------------------------------------------------------------------------


@cache
def imports(text: str) -> frozenset[str]:
    """Modules a file imports when it runs, inside functions too; what only a type checker reads is left out."""
    tree = ast.parse(text)
    unread = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
        for statement in node.body
        for inner in ast.walk(statement)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in unread:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def importers(of: tuple[str, ...], files: list[Path]) -> list[str]:
    def is_of(module: str) -> bool:
        return any(module == name or module.startswith(f"{name}.") for name in of)

    return [shown(path) for path in files if any(is_of(module) for module in imports(path.read_text()))]


def test_the_program_does_not_know_its_simulators() -> None:
    product = [
        path
        for path in INCLUDE.rglob("*.py")
        if path.relative_to(INCLUDE).parts[0] != "simulate" and path.relative_to(INCLUDE).as_posix() not in DEMO
    ]

    assert importers(("include.simulate",), product) == []


def test_the_program_imports_nothing_from_dags_or_plugins() -> None:
    assert importers(("dags", "plugins"), sorted(INCLUDE.rglob("*.py"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "import include.simulate",
        "from include import simulate",
        "from include.simulate.people import Population",
        "def start():\n    from include.simulate import server",
    ],
)
def test_every_way_to_import_a_simulator_is_seen(text: str) -> None:
    assert any(module.startswith("include.simulate") for module in imports(text))


def test_an_import_for_the_type_checker_is_no_import() -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from include.simulate.people import Population\n"

    assert imports(text) == {"typing", "typing.TYPE_CHECKING"}


# --- text -------------------------------------------------------------------------------------------------------------

WALL_CLOCK = re.compile(r"\bCURRENT_(TIMESTAMP|DATETIME|DATE|TIME)\b", re.IGNORECASE)


def test_sql_has_one_clock() -> None:
    queries = [path for path in project_files() if path.suffix == ".sql" and is_product(path)]

    assert queries
    assert [shown(path) for path in queries if WALL_CLOCK.search(path.read_text())] == []


WORKPLACE = re.compile(
    "|".join((r"(?<![\w/:@.-])shared" + "/", "/tmp" + "/sl\\b", "/work" + "/(main|shared)")).encode()
)
"""Where this was written is nobody's business: paths of the authors' machines."""


def test_text_speaks_of_this_project_only() -> None:
    texts = {shown(path): path.read_bytes() for path in project_files()}

    assert [name for name, raw in texts.items() if b"\0" not in raw[:1024] and WORKPLACE.search(raw)] == []


@pytest.mark.parametrize("text", ["see shared" + "/behaviour.md", "(/work" + "/main)", "/tmp" + "/sl/design.md"])
def test_a_path_of_an_authors_machine_is_seen(text: str) -> None:
    assert WORKPLACE.search(text.encode())
