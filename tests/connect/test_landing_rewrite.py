"""Records are taken out of a committed landing, and nothing else of it changes, wherever it is interrupted."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from include.connect.files import Files
from include.connect.landing import Manifest, digest_of, landed_records, list_manifests
from include.connect.landing_rewrite import take_out
from include.connect.landing_writer import LandingWriter, PartLimits
from include.run import Run

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
RUN = Run.of("ingest_acme", "manual-1", NOW)
WHOSE = ("acme", "main", "things", RUN.run_id)


@pytest.fixture(params=["folder", "bucket"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A landing with two parts of two records each, the key `b` in both, and two texts that were no records."""
    where = str(tmp_path / "landing") if request.param == "folder" else f"memory://bucket-{tmp_path.name}/landing"
    writer = LandingWriter(where, "acme", "main", "things", RUN, PartLimits())
    for keys in ("ab", "bc"):
        writer.write([writer.line(key, b'{"id":"%b"}' % key.encode(), NOW.isoformat()) for key in keys], [], "", 0.0)
        writer.finish_part()
    writer.write([], [(b"{ ada", "cut short"), (b"{ bob", "cut short")], "", 0.0)
    writer.finish_part()
    known = {"source": "acme", "account": "main", "stream": "things", "run_id": RUN.run_id, "attempt": 1, "seq": 7}
    times = {"as_of": NOW, "started_at": NOW, "committed_at": NOW, "cursor_from": None, "cursor_to": "x"}
    files = {"parts": writer.parts, "rejected": writer.rejected, "records": 4, "quarantined": 2}
    writer.commit(msgspec.convert({**known, **times, "kind": "incremental"} | _plain(files), Manifest))
    return where


def _plain(files: dict[str, Any]) -> dict[str, Any]:
    return dict(msgspec.json.decode(msgspec.json.encode(files)))


def manifest(root: str) -> Manifest:
    return list_manifests(root, "acme", "main", "things")[0]


def take(root: str, *keys: str) -> int:
    return take_out(root, *WHOSE, keys, lambda text: "ada" in text, "e1", NOW)


def lying(root: str) -> list[str]:
    """Every file, unpacked."""
    files = Files(root)
    return [gzip.decompress(files.read(path)).decode() for path in files.below("") if path.endswith(".gz")]


def test_records_go_and_the_manifest_says_so(root: str) -> None:
    before = manifest(root)

    assert take(root, "b") == 3
    after = manifest(root)
    assert [json.loads(record)["id"] for record in landed_records(root, after)] == ["a", "c"]
    assert (after.seq, after.records, after.quarantined, after.cursor_to) == (7, 2, 1, "x")
    noted = [(each["erasure_id"], each["sha256_before"], each["records_before"]) for each in after.rewrites]
    assert noted == [("e1", part.sha256, 2) for part in (*before.parts, *before.rejected)]
    assert [each["sha256_after"] for each in after.rewrites] == [p.sha256 for p in (*after.parts, *after.rejected)]
    for part in (*after.parts, *after.rejected):
        data = Files(root).read(part.path)
        assert (digest_of(data), len(data)) == (part.sha256, part.bytes)
    assert not [text for text in lying(root) if '"b"' in text or "ada" in text]


def test_again_changes_nothing(root: str) -> None:
    take(root, "b")
    before = manifest(root)

    assert take(root, "b") == 0
    assert manifest(root) == before


def test_a_manifest_left_empty_keeps_its_place(root: str) -> None:
    take(root, "a", "b", "c")

    assert (manifest(root).parts, manifest(root).seq, manifest(root).records) == ([], 7, 0)
    assert manifest(root).rewrites[0]["sha256_after"] is None


@pytest.mark.parametrize(("step", "times"), [("write", 1), ("write", 2), ("write", 4), ("remove", 1), ("remove", 3)])
def test_interrupted_anywhere_it_ends_the_same(
    root: str, monkeypatch: pytest.MonkeyPatch, step: str, times: int
) -> None:
    left = times
    real = getattr(Files, step)

    def interrupted(files: Files, *given: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise KeyboardInterrupt
        real(files, *given)

    with monkeypatch.context() as patched:
        patched.setattr(Files, step, interrupted)
        with pytest.raises(KeyboardInterrupt):
            take(root, "b")
    take(root, "b")

    assert [json.loads(record)["id"] for record in landed_records(root, manifest(root))] == ["a", "c"]
    assert not [text for text in lying(root) if '"b"' in text or "ada" in text]


def test_a_run_that_landed_no_files_is_fine(tmp_path: Path) -> None:
    assert take(str(tmp_path), "a") == 0
