"""docs/data-model.md, written from the catalog and the lineage; nobody edits it by hand."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from include.connect.errors import FixSettings
from include.settings import ROOT
from include.warehouse.catalog import LAYERS, MACHINERY, CatalogColumn, CatalogTable, catalog, gaps, meanings
from include.warehouse.lineage import mermaid
from include.warehouse.personal import is_personal

PAGE = ROOT / "docs" / "data-model.md"
COMMAND = "stitchline models docs"

ABOUT = {
    "raw": "Every record as the vendor sent it, one table per stream, appended by load; only the machinery columns.",
    "staging": "The latest version of every record, typed and named; one table per stream. Besides the columns below, "
    "each has the machinery columns `_account`, `_key`, `_seq` and `_extracted_at`.",
    "identity": "Who is who. Belongs to one generation; under these names are views on the published one.",
    "marts": "What people and lists read. Belongs to one generation; under these names are views on the published one.",
    "segments": "Lists of people, one table per file in include/segments, and the book of who was on them.",
    "activation": "What was planned for the destinations, what was sent, and what they hold because of it.",
    "quarantine": "Rows that a critical check set aside. Each table has the columns of the staging table of its name, "
    "and besides them `_reason` and `_quarantined_at`.",
    "ops": "The warehouse's own books.",
}
"""What each layer is for."""


def write(page: Path = PAGE) -> int:
    """Write the page; returns how many tables it holds.

    Raises:
        FixSettings: a table or column has no description, or a description has no column.
    """
    page.write_text(text())
    return len(catalog())


def text() -> str:
    """The whole page.

    Raises:
        FixSettings: a table or column has no description, or a description has no column.
    """
    missing = gaps(catalog(), meanings())
    if missing:
        raise FixSettings(
            f"{missing[0]}{f', and {len(missing) - 1} more' if len(missing) > 1 else ''}",
            where="catalog",
            fix="Describe it under `columns:` in the file's header, or in the `Column` that declares it.",
        )
    tables = {layer: list(found) for layer, found in groupby(catalog().values(), key=lambda table: table.dataset)}
    return "\n\n".join([*_beginning(), *(part for layer in LAYERS for part in _layer(layer, tables[layer]))]) + "\n"


def _beginning() -> list[str]:
    machinery = [
        CatalogColumn(name, "", meaning, is_personal("raw.every", name)) for name, meaning in MACHINERY.items()
    ]
    rows = [f"| `{column.name}` | {_mark(column)} | {_cell(column.description)} |" for column in machinery]
    return [
        "# Data model",
        f"Every table and column of the warehouse, written by `{COMMAND}` from the SQL's headers and the declared "
        "tables; types are GoogleSQL's. Personal columns (\N{BULLET}) say, or help to find out, who somebody is: "
        "`include/warehouse/personal.py` lists them. Times are UTC.",
        "```mermaid\n" + mermaid() + "\n```",
        "Raw and staging are drawn per source and identity as one; `stitchline models graph` prints every table, "
        "`stitchline models graph --of marts.customers` what one is made from.",
        "## Machinery columns",
        "Columns that begin with `_` mean the same in every table.",
        "\n".join(["| column | personal | meaning |", "|---|---|---|", *rows]),
    ]


def _layer(layer: str, tables: list[CatalogTable]) -> list[str]:
    parts = [f"## {layer}", ABOUT[layer]]
    if layer in ("raw", "quarantine"):
        rows = [f"| `{table.name}` | {_cell(table.description)} |" for table in tables]
        return [*parts, "\n".join(["| table | what |", "|---|---|", *rows])]
    for table in tables:
        own = [column for column in table.columns if column.name not in MACHINERY]
        parts += [f"### {table.name}", f"{_cell(table.description)} `{table.file}`", "\n".join(_rows(own))]
    return parts


def _rows(columns: Iterable[CatalogColumn]) -> list[str]:
    return [
        "| column | type | personal | meaning |",
        "|---|---|---|---|",
        *(
            f"| `{column.name}` | {_cell(column.type)} | {_mark(column)} | {_cell(column.description)} |"
            for column in columns
        ),
    ]


def _mark(column: CatalogColumn) -> str:
    return "\N{BULLET}" if column.is_personal else ""


def _cell(words: str) -> str:
    """Words as a Markdown cell takes them; outside code, `<` would begin a tag."""
    pieces = words.replace("|", "\\|").split("`")
    return "`".join(piece if number % 2 else piece.replace("<", "\\<") for number, piece in enumerate(pieces))
