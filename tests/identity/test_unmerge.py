"""A decision is put into overrides.yaml as a person would have written it: nothing else in the file changes."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from include.connect.errors import FixSettings
from include.warehouse.identity.explain import explain
from include.warehouse.identity.overrides import OVERRIDES, Identifier, read_overrides
from include.warehouse.identity.preview import Part
from include.warehouse.identity.unmerge import cannot_link, check_parted, one_person

ANN, BOB = Identifier("email", "ann@work.example"), Identifier("hubspot_contact_id", "main/4")
EVE = Identifier("user_id", 'e"v#e')
LINE = (
    '- {these: ["email:ann@work.example", "hubspot_contact_id:main/4"], why: "Two people", by: "ada", on: 2026-03-02}'
)
OLD = "- {these: ['user_id:1', 'user_id:2'], why: told  }   # by phone"


def added(before: str, after: str) -> list[str]:
    """The lines that came; asserts that none went."""
    changed = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]
    assert not [line for line in changed if line.startswith("-")], changed
    return [line[2:] for line in changed]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", ["cannot_link:", f"  {LINE}"]),
        ("# only words", ["cannot_link:", f"  {LINE}"]),
        ("must_link: []\n", ["cannot_link:", f"  {LINE}"]),
        ("cannot_link:\nblock: []\n", [f"  {LINE}"]),
        (f"cannot_link:\n  {OLD}\n\n# what else\nblock: []\n", [f"  {LINE}"]),
        (f"cannot_link:\n{OLD}\nblock: []\n", [LINE]),
        (f"block: []\ncannot_link:\n    {OLD}", [f"    {LINE}"]),
        (
            "cannot_link:\n  - these:\n      - user_id:1\n      - user_id:2  # him\n    why: told\nallow:\n",
            [f"  {LINE}"],
        ),
        ("cannot_link:\n  - these: ['user_id:1', 'user_id:2']\n    why: |\n      told\n\nallow: []\n", [f"  {LINE}"]),
    ],
)
def test_an_entry_is_one_more_line(tmp_path: Path, text: str, lines: list[str]) -> None:
    path = tmp_path / "overrides.yaml"
    path.write_text(text)
    before = read_overrides(path)
    entry = cannot_link(path, ANN, BOB, "Two people", "ada", date(2026, 3, 2))
    assert path.read_text() == text, "nothing is written yet"
    entry.write()
    after = read_overrides(path)
    assert after == entry.decided
    assert after.cannot_link == (*before.cannot_link, (ANN, BOB))
    assert added(text, path.read_text()) == lines
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "text",
    [
        OVERRIDES.read_text(),
        "cannot_link: []  # nobody yet\nblock: []\n",
        "cannot_link: ~\n",
        "cannot_link: [{these: ['user_id:1', 'user_id:2'], why: told},]\nblock: []\n",
    ],
)
def test_a_list_in_another_form_keeps_its_entries_and_comments(tmp_path: Path, text: str) -> None:
    path = tmp_path / "overrides.yaml"
    path.write_text(text)
    path.chmod(0o640)
    before = read_overrides(path)
    for other in (BOB, EVE):
        cannot_link(path, ANN, other, 'Said "no"', "", date(2026, 3, 2)).write()
    after = read_overrides(path)
    assert after.cannot_link == (*before.cannot_link, (ANN, BOB), (ANN, EVE))
    assert (after.must_link, after.block, after.allow) == (before.must_link, before.block, before.allow)
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        line for line in path.read_text().splitlines() if line.startswith("#")
    ]
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cannot_link: [{these: ['hubspot_contact_id:main/4', 'email:ann@work.example'], why: x}]", "already"),
        ("must_link: [{these: ['hubspot_contact_id:main/4', 'email:ann@work.example'], why: x}]", "must and must not"),
        ("{must_link: [], cannot_link: []}", "cannot be put"),
        ("cannot_link: [}", "not valid YAML"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "overrides.yaml"
    path.write_text(text)
    with pytest.raises(FixSettings, match=says) as caught:
        cannot_link(path, ANN, BOB, "x", "ada", date(2026, 3, 2))
    assert str(caught.value.where).startswith(str(path))
    assert "ann@" not in str(caught.value)
    assert path.read_text() == text
    assert sorted(tmp_path.iterdir()) == [path]


def test_somebody_elses_change_is_not_lost_and_a_missing_folder_says_what_to_set(tmp_path: Path) -> None:
    path = tmp_path / "overrides.yaml"
    path.write_text("block: []\n")
    entry = cannot_link(path, ANN, BOB, "x", "ada", date(2026, 3, 2))
    path.write_text("allow: []\n")
    with pytest.raises(FixSettings, match="changed meanwhile"):
        entry.write()
    assert path.read_text() == "allow: []\n"
    with pytest.raises(FixSettings, match="cannot be read"):
        cannot_link(tmp_path / "none" / "overrides.yaml", ANN, BOB, "x", "ada", date(2026, 3, 2))


def test_only_two_identifiers_of_one_person_can_be_parted(world: Any, people_of: Callable[[Any], Any]) -> None:
    home, work, inbox = ("email", "ann@home.example"), ("email", ANN.value), ("email", "info@work.example")
    world.see(("hubspot_contact_id", "main/4"), work)
    world.see(("hubspot_contact_id", "main/4"), home)
    world.see(("user_id", "bob"), inbox)
    here, _ = world.stitch(space="oak/")
    person = one_person(here, (None, " ANN@work.example"), ("hubspot_contact_id", "main/4"), "oak/")
    assert (person.one, person.other) == (ANN, BOB)
    assert person.customer_id == people_of(here).ids["email", "oak/ann@work.example"]
    assert list(person.chain) == explain(here, "email", ANN.value, ("hubspot_contact_id", BOB.value), "oak/")
    for other, says in (
        (work, "same identifier"),
        (("user_id", "bob"), "two people already"),
        (inbox, "role_inbox"),
        (("email", "eve@work.example"), "nobody has"),
    ):
        with pytest.raises(FixSettings, match=says) as caught:
            one_person(here, work, other, "oak/")
        assert "example" not in caught.value.what
    together = Part(person.customer_id, (("email", "oak/ann@work.example"), ("hubspot_contact_id", "oak/main/4")))
    with pytest.raises(FixSettings, match="stay one person"):
        check_parted([together], person, "oak/")
