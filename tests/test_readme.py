"""The README's tables say what the code says, and its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from include.cli import app

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def rows_between_marks(name: str) -> list[str]:
    """The lines of a checked table, header and rule left out."""
    body = re.search(rf"<!-- table: {name} -->\n(.*?)<!-- end -->", README, re.S)
    assert body, f"README.md has no table marked {name}"
    return [line for line in body[1].splitlines() if line.startswith("| `")]


def source_rows() -> list[str]:
    """What the sources table must hold."""
    from include.sources import all_sources

    return [
        f"| `{source.name}` | {source.title} | {', '.join(stream.name for stream in source.streams)} |"
        for _, source in sorted(all_sources().items())
    ]


def segment_rows() -> list[str]:
    """What the segments table must hold."""
    from include.activate.segment import all_segments

    return [
        f"| `{segment.name}` | {segment.header.why} | {', '.join(sync.to for sync in segment.header.syncs)} |"
        for _, segment in sorted(all_segments().items())
    ]


def destination_rows() -> list[str]:
    """What the destinations table must hold."""
    from include.destinations import all_destinations

    return [
        f"| `{destination.name}` | {destination.title} | {destination.batch} |"
        for _, destination in sorted(all_destinations().items())
    ]


@pytest.mark.parametrize(
    ("name", "expected"), [("sources", source_rows), ("segments", segment_rows), ("destinations", destination_rows)]
)
def test_tables_match_the_code(name: str, expected: object) -> None:
    assert callable(expected)
    assert rows_between_marks(name) == expected()


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"`?make (\w+)", README))
    assert named
    assert named <= targets


@pytest.mark.parametrize("line", re.findall(r"^\.venv/bin/stitchline ([^#\n]+)", README, re.M))
def test_commands_exist(line: str) -> None:
    words = [word for word in line.split() if re.fullmatch(r"[a-z-]+", word) and not word.startswith("-")]
    groups = ("source", "segment", "sync", "identity", "models", "privacy", "customer")
    commands = words[:2] if words[0] in groups else words[:1]
    shown = CliRunner(env={"TERMINAL_WIDTH": "200"}).invoke(app, [*commands, "--help"])
    assert shown.exit_code == 0, shown.output
    for option in re.findall(r"--[a-z-]+", line):
        assert option in shown.stdout
