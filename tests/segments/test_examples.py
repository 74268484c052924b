"""Segments that are sent nowhere show in their headers how they would be; whoever takes the marks off has a sync."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from include.activate.segment import FOLDER, read_segment

EXAMPLES = [path for path in sorted(FOLDER.glob("*.sql")) if "\n# sync:\n" in path.read_text()]


def test_only_one_segment_is_sent_somewhere_by_itself() -> None:
    sent = [path.stem for path in FOLDER.glob("*.sql") if read_segment(path).header.syncs]
    assert sent == ["at_risk_customers"]
    assert {path.stem for path in EXAMPLES} == {path.stem for path in FOLDER.glob("*.sql")} - {*sent}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_a_sync(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    copy.write_text(re.sub(r"^# (sync:|  - )", r"\1", path.read_text(), flags=re.M))
    (spec,) = read_segment(copy).header.syncs
    assert not spec.first_run_approved
    if path.stem == "suppressed":
        # With a consent, nobody of this list could ever be sent.
        assert (spec.consent, spec.mode, spec.removal) == (None, "add_only", "keep")
