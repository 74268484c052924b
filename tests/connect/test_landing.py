from __future__ import annotations

import gzip
import json
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.connect.errors import RetryLater
from include.connect.files import Files
from include.connect.landing import (
    Manifest,
    Span,
    landed_records,
    latest_manifest,
    list_manifests,
    read_manifest,
)
from include.connect.landing_writer import Checkpoint, LandingWriter, PartLimits
from include.run import Run

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
RUN = Run.of("ingest_acme", "manual-1", NOW)
STAMP = "2026-11-22T12:30:00.000000Z"


@pytest.fixture(params=["folder", "bucket"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "landing") if request.param == "folder" else f"memory://bucket-{tmp_path.name}/landing"


def writer(root: str, run: Run = RUN, **limits: Any) -> LandingWriter:
    return LandingWriter(root, "acme", "main", "things", run, PartLimits(**limits))


def manifest(run: Run = RUN, seq: int = 1, **more: Any) -> Manifest:
    given: dict[str, Any] = {
        "kind": "incremental",
        "cursor_from": None,
        "cursor_to": None,
        "attempt": run.attempt,
        **more,
    }
    return Manifest(
        source="acme",
        account="main",
        stream="things",
        run_id=run.run_id,
        seq=seq,
        as_of=run.as_of,
        started_at=NOW,
        committed_at=NOW,
        **given,
    )


def write(target: LandingWriter, *numbers: int, at: float = 0.0) -> bool:
    lines = [target.line(f"main|{n}", b'{"id":%d}' % n, STAMP) for n in numbers]
    return target.write(lines, [], STAMP, at)


def checkpoint(target: LandingWriter, **more: Any) -> Checkpoint:
    given: dict[str, Any] = {"shape": "s", "resume": "[0,null]", **more}
    return Checkpoint(
        cursor=None,
        highest=None,
        window=Span(),
        kind="full",
        parts=target.parts,
        rejected=target.rejected,
        requests=3,
        retries=0,
        throttled=0,
        throttled_seconds=0.0,
        started_at=NOW,
        last_page={},
        **given,
    )


def test_what_lands_is_one_line_per_record_with_the_vendors_bytes(root: str) -> None:
    target = writer(root)
    target.write([target.line('a|"b"', b'{"id": 1.50}', STAMP)], [(b'{"x":\xff}', "no key")], STAMP, 0)
    target.finish_part()
    committed = target.commit(manifest(parts=target.parts, rejected=target.rejected, records=1, quarantined=1))
    files = Files(root)
    part = committed.parts[0]
    assert part.path == f"acme/main/things/dt=2026-11-22/run={RUN.run_id}/attempt=1/part-00000.ndjson.gz"
    assert (part.number, part.records, part.bytes) == (0, 1, len(files.read(part.path)))
    expected = b'{"_key":"a|\\"b\\"","_extracted_at":"%s","_payload":{"id": 1.50}}\n' % STAMP.encode()
    assert gzip.decompress(files.read(part.path)) == expected
    assert list(landed_records(root, committed)) == [b'{"id": 1.50}']
    rejected = json.loads(gzip.decompress(files.read(committed.rejected[0].path)))
    assert (rejected["_reason"], rejected["_text"]) == ("no key", '{"x":\\xff}')
    assert committed.rejected[0].reasons == {"no key": 1}
    stored = json.loads(files.read(part.path.split("attempt=")[0] + "_manifest.json"))
    assert stored["version"] == 1
    assert stored["window"] == {"from": None, "to": None}
    assert stored["rewrites"] == []


def test_a_part_is_finished_by_records_bytes_or_seconds(root: str) -> None:
    assert not write(writer(root, records=3), 1, 2)
    assert write(writer(root, records=3), 1, 2, 3)
    assert write(writer(root, bytes=50), 1)
    slow = writer(root, seconds=60)
    assert not write(slow, 1, at=1000)
    assert not write(slow, 2, at=1059)
    assert write(slow, 3, at=1060)


def test_nothing_counts_before_the_manifest(root: str) -> None:
    target = writer(root)
    write(target, 1, 2)
    target.finish_part()
    assert read_manifest(root, "acme", "main", "things", RUN) is None
    assert latest_manifest(root, "acme", "main", "things") is None
    target.commit(manifest(parts=target.parts, records=2))
    found = read_manifest(root, "acme", "main", "things", RUN)
    assert found is not None
    assert found.records == 2


def test_the_next_attempt_takes_over_finished_parts_and_clears_the_rest(root: str) -> None:
    first = writer(root)
    write(first, 1, 2)
    first.finish_part()
    first.keep_checkpoint(checkpoint(first, resume="page-2"))
    write(first, 3)
    first.finish_part()  # killed before its checkpoint: this part was never promised

    second = writer(root, replace(RUN, attempt=2))
    found = second.adopt("s")
    assert found is not None
    assert found.resume == "page-2"
    assert second.records == 2
    write(second, 4)
    second.finish_part()
    committed = second.commit(manifest(attempt=second.attempt, parts=second.parts, records=second.records))
    assert [part.number for part in committed.parts] == [0, 1]
    assert ["attempt=1" in committed.parts[0].path, "attempt=2" in committed.parts[1].path] == [True, True]
    assert [json.loads(record)["id"] for record in landed_records(root, committed)] == [1, 2, 4]
    names = {name.rpartition("/")[2] for name in Files(root).below(second.folder)}
    assert names == {"_manifest.json", "part-00000.ndjson.gz", "part-00001.ndjson.gz"}


@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "other question", "unreadable checkpoint"])
def test_parts_that_do_not_fit_are_not_taken_over(root: str, harm: str) -> None:
    first = writer(root)
    write(first, 1, 2)
    first.finish_part()
    first.keep_checkpoint(checkpoint(first))
    files, path = Files(root), first.parts[0].path
    data = files.read(path)
    if harm == "flip":
        files.write(path, data[:-1] + bytes([data[-1] ^ 1]))
    elif harm == "cut":
        files.write(path, data[:-3])
    elif harm == "remove":
        files.remove(path)
    elif harm == "unreadable checkpoint":
        files.write(f"{first.folder}/attempt=1/_checkpoint.json", b'{"parts":')
    second = writer(root, replace(RUN, attempt=2))
    assert second.adopt("another" if harm == "other question" else "s") is None
    assert second.records == 0


def test_a_run_started_again_with_the_same_attempt_writes_over_nothing(tmp_path: Path) -> None:
    first, second = writer(str(tmp_path)), writer(str(tmp_path))
    write(first, 1)
    first.finish_part()
    write(second, 2)
    second.finish_part()
    assert (first.attempt, second.attempt) == (1, 2)
    assert first.parts[0].path != second.parts[0].path


def test_the_first_commit_of_a_run_counts(root: str) -> None:
    first, second = writer(root), writer(root)
    write(first, 1)
    first.finish_part()
    one = first.commit(manifest(seq=1, parts=first.parts, records=1))
    write(second, 2, 3)
    second.finish_part()
    two = second.commit(manifest(seq=2, parts=second.parts, records=2))
    assert two == one
    assert list(landed_records(root, two)) == [b'{"id":1}']


def test_the_latest_manifest_is_the_last_commit_that_moves_the_cursor(root: str) -> None:
    # Run clocks and commits in different orders: a late retry of an old run commits last.
    for seq, hours, kind in ((1, 0, "full"), (3, 1, "incremental"), (2, 2, "incremental"), (4, 3, "backfill")):
        run = Run.of("ingest_acme", f"r{hours}", NOW + timedelta(hours=hours))
        writer(root, run).commit(manifest(run, seq, kind=kind, cursor_to=f"c{seq}"))
    latest = latest_manifest(root, "acme", "main", "things")
    assert latest is not None
    assert (latest.seq, latest.cursor_to) == (3, "c3")
    assert [found.seq for found in list_manifests(root, "acme", "main", "things")] == [1, 2, 3, 4]
    assert list_manifests(root, "acme", "main", "others") == []
    known = {latest.run_id}
    assert [found.seq for found in list_manifests(root, "acme", "main", "things", known=known)] == [1, 2, 4]


def test_backfills_in_a_row_do_not_hide_the_cursor(root: str) -> None:
    base = Run.of("ingest_acme", "base", NOW)
    writer(root, base).commit(manifest(base, 1, cursor_to="c1"))
    for number in range(40):
        run = Run.of("ingest_acme", f"b{number}", NOW + timedelta(minutes=number))
        writer(root, run).commit(manifest(run, 2 + number, kind="backfill"))
    latest = latest_manifest(root, "acme", "main", "things")
    assert latest is not None
    assert latest.cursor_to == "c1"


def test_a_damaged_manifest_is_named_and_not_passed_over(root: str) -> None:
    target = writer(root)
    target.commit(manifest())
    Files(root).write(f"{target.folder}/_manifest.json", b'{"seq":')
    with pytest.raises(RetryLater, match=r"_manifest\.json"):
        latest_manifest(root, "acme", "main", "things")


_FILLING = """
import resource, signal, sys
from include.connect.errors import RetryLater
from include.connect.files import Files
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
files = Files(sys.argv[1])
files.write("a/small.gz", b"x" * 1000)
try:
    files.write("a/part.gz", b"x" * 1_000_000)
except RetryLater as error:
    print(error)
"""


def test_a_full_disk_is_named_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    """A limit on file size is how a test fills a disk without filling one."""
    assert signal.SIGXFSZ
    assert resource.RLIMIT_FSIZE >= 0
    done = subprocess.run(
        [sys.executable, "-c", _FILLING, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert "the disk is full" in done.stdout
    assert "MiB free" in done.stdout
    assert str(tmp_path) in done.stdout
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["small.gz"]
