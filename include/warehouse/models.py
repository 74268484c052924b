"""The SQL files of the warehouse in dependency order; builds the marts and publishes a generation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

from include.connect.errors import FixSettings
from include.run import Run
from include.settings import Settings
from include.warehouse.engine import Engine, Statement
from include.warehouse.layers import SPENT, TOUCHED_PEOPLE, Layers, delta_of, layers_of, part_of
from include.warehouse.render import generated_name, inlined, literal, references

FOLDER = Path(__file__).parent
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Model:
    """One SQL file: a table (`dataset.name`), its SELECT, and the header that explains it."""

    name: str
    sql: str
    path: Path
    header: dict[str, Any]

    @property
    def reads(self) -> frozenset[str]:
        """The tables its SELECT names."""
        return references(self.sql, str(self.path))

    @property
    def layout(self) -> str:
        """How BigQuery lays the table out: `partition_by` and `cluster_by` of the header, as DDL."""
        wanted = (("PARTITION BY", "partition_by"), ("CLUSTER BY", "cluster_by"))
        return "".join(f" {words} {self.header[name]}" for words, name in wanted if name in self.header)


@dataclass(frozen=True, slots=True)
class Published:
    """What readers see: one generation, whole or a layer on its base."""

    generation: str
    base: str
    as_of: datetime
    published_at: datetime
    seq_to: int
    people: int
    events: int


def read_model(path: Path, name: str) -> Model:
    """Read one SQL file with its YAML header between `/*` and `*/`.

    Raises:
        FixSettings: the header is missing or is not YAML; names file and line.
    """
    text = path.read_text()
    head, mark, sql = text.partition("*/")
    if not text.startswith("/*") or not mark:
        raise FixSettings("no header", where=f"{path}:1", fix="Begin the file with /* title: ... */.")
    try:
        header = yaml.safe_load(head[2:]) or {}
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
        raise FixSettings("the header is not YAML", where=f"{path}:{line}", fix="Correct the header.") from None
    return Model(name, sql.strip(), path, header)


@cache
def staging_models() -> tuple[Model, ...]:
    """Every `staging/<source>/<source>__<entity>.sql`."""
    return tuple(read_model(path, f"staging.{path.stem}") for path in sorted((FOLDER / "staging").glob("*/*.sql")))


@cache
def field_models() -> tuple[Model, ...]:
    """Every golden field, `fields/*.sql`: its candidates, with the priority of the source that says so."""
    return tuple(read_model(path, f"fields.{path.stem}") for path in sorted((FOLDER / "fields").glob("*.sql")))


def golden_fields() -> Model:
    """`marts.golden_fields`: the winner of every field of every person, with its provenance."""
    winners = [
        f"SELECT customer_id, '{model.path.stem}' AS field, value, source, record_key, seen_at FROM ({model.sql}) "
        "QUALIFY ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY priority, seen_at DESC, record_key) = 1"
        for model in field_models()
    ]
    header = {"title": "The winning value of each golden field of each person, and the record that said so."}
    return Model(
        "marts.golden_fields",
        " UNION ALL ".join(f"SELECT * FROM ({sql})" for sql in winners),
        FOLDER / "fields",
        header,
    )


@cache
def mart_models() -> tuple[Model, ...]:
    """Every `marts/*.sql` and the golden fields, each after the marts it reads."""
    found = {f"marts.{path.stem}": path for path in sorted((FOLDER / "marts").glob("*.sql"))}
    models = {name: read_model(path, name) for name, path in found.items()}
    models["marts.golden_fields"] = golden_fields()
    order = TopologicalSorter({name: sorted(model.reads & models.keys()) for name, model in models.items()})
    return tuple(models[name] for name in order.static_order())


@cache
def identity_models() -> dict[str, Model]:
    """The inputs of stitching that are plain models: `identity/occurrences.sql`, `identity/names.sql`."""
    return {
        path.stem: read_model(path, f"identity.{path.stem}") for path in sorted((FOLDER / "identity").glob("*.sql"))
    }


def depends_on(table: str) -> frozenset[str]:
    """Tables a model reads, one step; empty for what no model makes."""
    for model in (*staging_models(), *mart_models()):
        if model.name == table:
            return model.reads
    return frozenset()


def describe(engine: Engine, table: str, title: str, columns: Mapping[str, str]) -> None:
    """Keep what a table and its columns mean where its readers see it."""
    from include.warehouse.catalog import MACHINERY

    engine.describe(table, title, {**MACHINERY, **columns})


def frontier(engine: Engine) -> int:
    """The greatest load in the warehouse."""
    return int(engine.query("SELECT COALESCE(MAX(seq), 0) AS seq FROM ops.loads")[0]["seq"])


@cache
def windowed(sql: str) -> str:
    """The same SELECT over only the raw rows of a window of loads (`@seq_from` < _seq <= `@seq_to`)."""
    rows = "SELECT * FROM {} WHERE _loaded_at >= @loaded_from AND _seq > @seq_from AND _seq <= @seq_to"
    return inlined(sql, {name: rows.format(name) for name in references(sql) if name.startswith("raw.")})


def window(engine: Engine, seq_from: int, seq_to: int) -> dict[str, Any]:
    """Parameters of a window of loads; `loaded_from` lets BigQuery read only the partitions it touches."""
    first = engine.query(
        "SELECT MIN(loaded_at) AS loaded_from FROM ops.loads WHERE seq > @seq_from AND seq <= @seq_to",
        {"seq_from": seq_from, "seq_to": seq_to},
    )[0]["loaded_from"]
    return {"seq_from": seq_from, "seq_to": seq_to, "loaded_from": first or BEGINNING}


def build(engine: Engine, models: Iterable[Model], run: Run, settings: Settings) -> dict[str, int]:
    """Build each model's table of the engine's generation, whole; returns rows per table."""
    rows = {}
    for model in models:
        engine.execute(f"CREATE OR REPLACE TABLE {model.name}{model.layout} AS {model.sql}", clock(run, settings))
        rows[model.name] = int(engine.query(f"SELECT COUNT(*) AS n FROM {model.name}")[0]["n"])
    return rows


def build_marts(engine: Engine, run: Run, settings: Settings) -> dict[str, int]:
    """Build every mart of the run's generation, in dependency order; of a layer, the rows of the people it touched.

    Each row of a mart is about one person (`customer_id`) and made of that person's rows alone, so the touched
    people's can be made without the others'.
    """
    from include.warehouse.identity.generation import base_of

    base, before = base_of(engine, run.run_id), published(engine, before=run.run_id)
    if base == run.run_id or before is None:
        return build(engine.at(run.run_id), mart_models(), run, settings)
    layers = Layers.of(engine, run, before.generation, base)
    rows = build(layers.part, mart_models(), run, settings)
    for model in mart_models():
        layers.lay(model.name, TOUCHED_PEOPLE)
    return rows


def published(engine: Engine, *, before: str | None = None) -> Published | None:
    """The generation everybody reads, or the one before generation `before`; None when there is none."""
    rows = engine.query(
        "SELECT generation, COALESCE(base, generation) AS base, as_of, published_at, seq_to, people, events "
        "FROM ops.published "
        "WHERE generation != @before ORDER BY as_of DESC, generation DESC LIMIT 1",
        {"before": before or ""},
    )
    return Published(**rows[0]) if rows else None


def at_published(engine: Engine) -> tuple[Engine, Published]:
    """The engine at the published generation, which the published copy knows by its views only.

    Raises:
        FixSettings: nothing is published yet.
    """
    state = published(engine)
    if state is None:
        raise FixSettings("nothing is published yet", where="ops.published", fix="Run the unify DAG once.")
    inside = engine.at(state.generation)
    return inside if inside.columns("marts.customers") else engine, state


def publish(engine: Engine, run: Run, settings: Settings) -> Published:
    """Make the run's generation the one everybody reads: views and the row in one transaction, copies after."""
    from include.warehouse.catalog import meanings

    built = engine.at(run.run_id)
    suffix = generated_name("", "", run.run_id).removeprefix("__")
    tables = [name.removesuffix(suffix) for name in engine.tables("generations") if name.endswith(suffix)]
    names = [name.split("__", 1) for name in tables]
    people = int(built.query("SELECT COUNT(*) AS n FROM marts.customers")[0]["n"])
    events = int(built.query("SELECT COUNT(*) AS n FROM marts.activities")[0]["n"])
    made = built.query("SELECT seq_to, base FROM identity.inputs")[0]
    seq_to, base = int(made["seq_to"]), str(made["base"])
    result = Published(run.run_id, base, run.as_of, datetime.now(UTC), seq_to, people, events)
    views: list[Statement | str] = [
        _view(built, f"{dataset}.{table}", generated_name(dataset, table, run.run_id)) for dataset, table in names
    ]
    if settings.bigquery_policy_tag:
        own = [built] if base == run.run_id else [engine.at(name(run.run_id)) for name in (part_of, delta_of)]
        for dataset, table in names:
            said = meanings()[f"{dataset}.{table}"]
            for where in own:
                if where.columns(f"{dataset}.{table}"):
                    describe(where, f"{dataset}.{table}", said.table, said.columns)
    views += [
        Statement("DELETE FROM ops.published WHERE generation = @generation", {"generation": run.run_id}),
        Statement(
            "INSERT INTO ops.published (generation, base, as_of, published_at, seq_to, people, events) "
            "VALUES (@generation, @base, @as_of, @published_at, @seq_to, @people, @events)",
            {
                "generation": run.run_id,
                "base": base,
                "as_of": run.as_of,
                "published_at": result.published_at,
                "seq_to": seq_to,
                "people": people,
                "events": events,
            },
        ),
    ]
    engine.at(None).atomically(views)
    _drop_old(engine, settings.generations_kept)
    engine.publish(run.run_id, base)
    return result


def _view(built: Engine, name: str, generated: str) -> str:
    """The view readers use, with the words they read: a view does not inherit them from its table."""
    from include.warehouse.catalog import MACHINERY, meanings

    meaning = meanings()[name]
    listed = ", ".join(
        f"`{column}` OPTIONS (description = {text(meaning.columns.get(column, MACHINERY.get(column, '')))})"
        for column in built.columns(name)
    )
    return (
        f"CREATE OR REPLACE VIEW {name} ({listed}) OPTIONS (description = {text(meaning.table)}) "
        f"AS SELECT * FROM generations.{generated}"
    )


def text(value: str) -> str:
    """A text as GoogleSQL writes it."""
    return literal(value).sql(dialect="bigquery")


def _drop_old(engine: Engine, kept: int) -> None:
    """Drop what no kept generation is read from; views first, for they stand on tables."""
    rows = engine.query(
        "SELECT generation, COALESCE(base, generation) AS base FROM ops.published "
        "ORDER BY as_of DESC, generation DESC LIMIT @kept",
        {"kept": kept},
    )
    layers = {layer for row in rows for layer in layers_of(engine, row["generation"])}
    deltas = (delta_of(layer.generation) for layer in layers)
    whole = _suffixes(*(row["generation"] for row in rows), *(row["base"] for row in rows), *deltas)
    parts = _suffixes(*(part_of(layer.generation) for layer in layers if not layer.is_merged))
    spent = tuple(generated_name("identity", table, "") for table in SPENT)
    for name in engine.tables("generations"):
        if not name.endswith(whole) and (not name.endswith(parts) or name.startswith(spent)):
            engine.drop(f"generations.{name}")


def forget(engine: Engine, generation: str) -> None:
    """Drop what an earlier attempt left of a generation."""
    suffixes = _suffixes(generation, part_of(generation), delta_of(generation))
    for name in engine.tables("generations"):
        if name.endswith(suffixes):
            engine.drop(f"generations.{name}")


def _suffixes(*generations: str) -> tuple[str, ...]:
    """What the names of these generations' tables end with."""
    return tuple(generated_name("", "", name).removeprefix("__") for name in generations)


def clock(run: Run | None, settings: Settings) -> dict[str, Any]:
    """The parameters every model may use: `@as_of`, `@timezone`, and `@space`, what identifiers begin with."""
    space = f"{settings.identity_space}/" if settings.identity_space else ""
    return {"as_of": run.as_of if run else BEGINNING, "timezone": settings.timezone, "space": space}
