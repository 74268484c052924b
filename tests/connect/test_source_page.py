"""docs/sources says what the source files say."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.connect.source_page import COMMAND, FOLDER, text, write
from include.sources import all_sources, get_source


@pytest.mark.parametrize("name", all_sources())
def test_a_page_is_up_to_date_and_says_what_is_missing(name: str) -> None:
    page = FOLDER / f"{name}.md"

    assert page.read_text() == text(get_source(name)), f"{page.name} is stale: run `{COMMAND}`"
    assert get_source(name).not_covered


def test_every_page_has_its_source(tmp_path: Path) -> None:
    (tmp_path / "gone.md").write_text("of a source that was removed")

    assert write(tmp_path) == len(all_sources())
    assert (
        {page.stem for page in tmp_path.iterdir()} == {page.stem for page in FOLDER.iterdir()} == all_sources().keys()
    )


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("zendesk", '"login": "<login>", "password": "<password>", "extra": {"subdomain": "<subdomain>"}'),
        ("mailchimp", '"conn_type": "http", "password": "<password>"}'),
        ("xero", '"extra": {"refresh_token": "<refresh_token>", "tenant_id": "<tenant_id>"}'),
        ("callrail", '"extra": {"account_id": "<account_id>"}'),
        ("mandrill", '"password": "<password>"'),
        ("segment", '"host": "<project>.<dataset>"'),
    ],
)
def test_the_example_has_the_fields_that_calls_need(name: str, fields: str) -> None:
    assert fields in text(get_source(name))
