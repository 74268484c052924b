"""The SQL files through ZetaSQL, each after those it reads: what it says against them, and the types they make."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from analyzer import AnalyzingClient, Catalog, analyze, spelled, typed
from recorder import Replay
from zetasql_service import Refused

from include.settings import ROOT
from include.warehouse import models
from include.warehouse.identity.evidence import EVIDENCE, rules
from include.warehouse.identity.tables import TABLES as STITCHED
from include.warehouse.schema import OPS, raw_tables

CLOCK = {"as_of": typed("TIMESTAMP"), "timezone": typed("STRING"), "space": typed("STRING")}
"""Types of the parameters that every SQL file may use."""
GOLDEN = "marts.golden_fields"


@cache
def sql_files() -> dict[str, Path]:
    """Table -> the file that makes it, in an order in which each comes after those it reads."""
    ordered = [
        *models.staging_models(),
        *models.identity_models().values(),
        *rules(),
        *models.field_models(),
        *models.mart_models(),
    ]
    segments = {f"segments.{path.stem}": path for path in sorted((ROOT / "include" / "segments").glob("*.sql"))}
    return {**{model.name: model.path for model in ordered}, **segments}


@cache
def analyzed() -> tuple[Catalog, dict[str, str]]:
    """The catalog with every table, and table -> what ZetaSQL says against its file; lines are the file's."""
    client = AnalyzingClient()
    raw = raw_tables()
    Replay(client).engine().ensure([*raw, *OPS, EVIDENCE, *STITCHED])
    said = {}
    for table, path in sql_files().items():
        text = models.golden_fields().sql if table == GOLDEN else path.read_text()
        said[table] = verdict(text, table, client.catalog)
    return client.catalog, said


def verdict(text: str, table: str, catalog: Catalog) -> str:
    """What ZetaSQL says against making a table of a SELECT; empty when nothing."""
    dataset, _, name = table.partition(".")
    try:
        analyze(f"CREATE TABLE `{dataset}`.`{name}` AS {text}", CLOCK, catalog)
    except Refused as refused:
        return str(refused)
    return ""


def types(table: str) -> dict[str, str]:
    """Column -> GoogleSQL type of a declared table, or of one that a file makes."""
    dataset, _, name = table.partition(".")
    return {column: spelled(kind) for column, kind in analyzed()[0].tables[dataset, name].items()}
