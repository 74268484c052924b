"""The catalog: every table of the warehouse with what it is, and every column with its type and meaning.

Meanings come from the headers of the SQL files and from the declared tables; types come from the engine, so the
catalog cannot say what the SQL does not make.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from include.collector import NAME
from include.settings import ROOT
from include.warehouse import models
from include.warehouse.engine import DATASETS, Table
from include.warehouse.personal import is_personal
from include.warehouse.schema import OPS, RAW_COLUMNS, raw_tables

LAYERS = tuple(dataset for dataset in DATASETS if dataset != "generations")
"""Datasets with tables of their own, in the order data passes them; `generations` keeps those of identity and marts."""

MACHINERY = {column.name: column.description for column in RAW_COLUMNS} | {
    "_reason": "expectation of the table's suite that the row breaks",
    "_quarantined_at": "clock of the run that set the row aside",
}
"""Columns that begin with `_`; they mean the same in every table."""

GOLDEN_FIELDS = {
    "customer_id": "The person; `customer_id` of marts.customers.",
    "field": "The golden field, named like its file in fields/.",
    "value": "What the winning record says.",
    "source": "The system the record is from.",
    "record_key": "Key of the winning record, `_key` of its staging table.",
    "seen_at": "When the source last changed the record, UTC.",
}
"""Columns of `marts.golden_fields`, which is put together from fields/*.sql and has no file of its own."""


@dataclass(frozen=True, slots=True)
class CatalogColumn:
    """One column: GoogleSQL type, meaning, and whether it is personal."""

    name: str
    type: str
    description: str
    is_personal: bool


@dataclass(frozen=True, slots=True)
class CatalogTable:
    """One table; `file` is where it is declared or made, seen from the project's folder."""

    name: str
    description: str
    columns: tuple[CatalogColumn, ...]
    file: str

    @property
    def dataset(self) -> str:
        """The layer it belongs to."""
        return self.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What is written about a table and its own columns."""

    table: str
    columns: Mapping[str, str]
    file: str


@cache
def meanings() -> dict[str, Meaning]:
    """Every table that is described, by name; reads files only, no table is made."""
    found: dict[str, Meaning] = {}
    for table in raw_tables():
        source = table.name.removeprefix("raw.").partition("__")[0]
        file = "include/collector/streams.py" if source == NAME else f"include/sources/{source}.py"
        found[table.name] = _declared(table, file)
    for file, tables in _declared_tables().items():
        found |= {table.name: _declared(table, file) for table in tables}
    for model in _models():
        found[model.name] = _written(model)
        if model.name.startswith("staging."):
            stem = model.name.removeprefix("staging.")
            aside = f"Rows of staging.{stem} that a check set aside; the next run takes them back and checks again."
            found[f"quarantine.{stem}"] = Meaning(aside, found[model.name].columns, found[model.name].file)
    return found


@cache
def catalog() -> dict[str, CatalogTable]:
    """Every table by name, in the order of the layers; takes seconds, for the tables are made once without rows."""
    from include.warehouse.empty_build import empty_warehouse

    engine = empty_warehouse().engine
    written = meanings()
    found = {}
    for layer in LAYERS:
        for name in sorted(f"{layer}.{table}" for table in engine.tables(layer)):
            said = written.get(name, Meaning("", {}, ""))
            columns = [
                CatalogColumn(column, kind, _meaning(said, column), is_personal(name, column))
                for column, kind in engine.columns(name).items()
            ]
            found[name] = CatalogTable(name, said.table, tuple(columns), said.file)
    return found


def gaps(tables: Mapping[str, CatalogTable], written: Mapping[str, Meaning]) -> list[str]:
    """What a catalog lacks, one sentence each: tables and columns nobody described, and descriptions of nothing."""
    found = []
    for table in tables.values():
        where = table.file or "no file"
        if not table.description:
            found.append(f"{table.name} has no description ({where})")
        found += [
            f"{table.name}.{column.name} has no description ({where})"
            for column in table.columns
            if not column.description
        ]
    for name, said in written.items():
        have = {column.name for column in tables[name].columns} if name in tables else set()
        found += [
            f"{said.file} describes {name}.{column}, which does not exist" for column in said.columns.keys() - have
        ]
    return sorted(found)


def _declared_tables() -> dict[str, tuple[Table, ...]]:
    """Tables declared in Python, by the file that declares them."""
    from include.activate.tables import ALL
    from include.checks.results import CHECK_RESULTS
    from include.warehouse.identity.evidence import CHANGED_EVENTS, EVIDENCE, HELD, INPUTS
    from include.warehouse.identity.tables import TABLES
    from include.warehouse.layers import LAYERS

    return {
        "include/warehouse/schema.py": OPS,
        "include/warehouse/identity/evidence.py": (EVIDENCE, INPUTS, CHANGED_EVENTS, HELD),
        "include/warehouse/identity/tables.py": TABLES,
        "include/warehouse/layers.py": (LAYERS,),
        "include/activate/tables.py": ALL,
        "include/checks/results.py": (CHECK_RESULTS,),
    }


def _models() -> list[models.Model]:
    from include.activate.segment import FOLDER

    segments = [models.read_model(path, f"segments.{path.stem}") for path in sorted(FOLDER.glob("*.sql"))]
    return [*models.staging_models(), *models.identity_models().values(), *models.mart_models(), *segments]


def _declared(table: Table, file: str) -> Meaning:
    return Meaning(table.description, {column.name: column.description for column in table.columns}, file)


def _written(model: models.Model) -> Meaning:
    header: dict[str, Any] = model.header
    columns = header.get("columns", GOLDEN_FIELDS if model.name == "marts.golden_fields" else {})
    sentences = [str(header[key]).rstrip(".") for key in ("title", "why") if header.get(key)]
    return Meaning("".join(f"{sentence}. " for sentence in sentences).rstrip(), columns, _shown(model.path))


def _meaning(said: Meaning, column: str) -> str:
    return said.columns.get(column) or MACHINERY.get(column, "")


def _shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
