"""docs/data-model.md says what the catalog says."""

from __future__ import annotations

import re
from pathlib import Path

from include.warehouse.catalog import catalog
from include.warehouse.data_model import COMMAND, PAGE, text, write


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == text(), f"{PAGE.name} is stale: run `{COMMAND}`"


def test_the_page_names_every_table() -> None:
    page = PAGE.read_text()

    assert [name for name in catalog() if name not in page] == []


def test_every_row_has_the_cells_of_its_table() -> None:
    cells = [len(re.findall(r"(?<!\\)\|", line)) for line in text().splitlines() if line.startswith("|")]
    heads = [len(line.split("|")) - 1 for line in text().splitlines() if line.startswith(("| column", "| table"))]

    assert cells
    assert set(cells) == set(heads)


def test_a_bracket_outside_code_is_no_tag() -> None:
    bare = [re.sub(r"`[^`]*`", "", line) for line in text().splitlines() if line.startswith("|")]

    assert [line for line in bare if re.search(r"(?<!\\)<", line)] == []
    assert any("\\<segment>" in line for line in bare)


def test_it_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    page = tmp_path / "page.md"

    assert write(page) == len(catalog())
    assert page.read_text() == text()
