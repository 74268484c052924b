"""The spool: acknowledged means on disk, whatever the disk or a crash does."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from include.collector.entry import MAGIC, Entry, Segment, frame
from include.collector.spool import MOST_WAITING, Busy, Spool, check_volume, closed_segments, recover
from include.connect.errors import FixSettings


def entry(name: str, size: int = 100) -> bytes:
    return frame(Entry("hook", "main", 0.0, {"hook": name}, b'{"a":"%b"}' % (b"x" * size)))


def names(folder: Path) -> list[str]:
    files = sorted(path for path in folder.iterdir() if path.suffix in (".open", ".log"))
    return [one.outside["hook"] for path in files for one in Segment(path)]


def spool(folder: Path, sync: Callable[[int], None] = os.fdatasync, **more: float) -> Spool:
    return Spool(folder, sync=sync, **{"roll_bytes": 2**26, "roll_seconds": 3600, **more})  # type: ignore[arg-type]


def test_one_commit_serves_all_that_wait(tmp_path: Path) -> None:
    async def run() -> float:
        made = spool(tmp_path)
        await asyncio.gather(*(made.append(entry(str(number))) for number in range(500)))
        await made.close()
        return made.commits

    assert asyncio.run(run()) <= 2
    assert names(tmp_path) == [str(number) for number in range(500)]


def test_nothing_is_acknowledged_before_the_disk_has_it(tmp_path: Path) -> None:
    """A slow disk: requests wait, then too many are turned away, and none of either is acknowledged."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(descriptor: int) -> None:
        os.fdatasync(descriptor)
        begun.set()
        go_on.wait()

    async def run() -> None:
        made = spool(tmp_path, slow)
        first = made.append(entry("first"))
        await asyncio.to_thread(begun.wait)
        large = entry("large", 2**20)
        try:
            waiting = [made.append(large) for _ in range(MOST_WAITING // len(large) + 1)]
            with pytest.raises(Busy, match="slow"):
                made.append(large)
            assert not any(one.done() for one in [first, *waiting])
        finally:
            go_on.set()
        await asyncio.gather(first, *waiting)
        await made.append(entry("after"))
        await made.close()

    asyncio.run(run())
    assert names(tmp_path)[0] == "first"
    assert names(tmp_path)[-1] == "after"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_failed_fsync_acknowledges_nothing_and_the_next_file_goes_on(code: int, tmp_path: Path) -> None:
    fails = [False]

    def sync(descriptor: int) -> None:
        if fails[0]:
            raise OSError(code, os.strerror(code))
        os.fdatasync(descriptor)

    async def run() -> None:
        made = spool(tmp_path, sync)
        await made.append(entry("kept"))
        fails[0] = True
        for _ in range(2):  # the second cannot even begin a file
            with pytest.raises(Busy, match=os.strerror(code)):
                await made.append(entry("lost"))
        assert made.failure == os.strerror(code)
        fails[0] = False
        await made.append(entry("again"))
        assert made.failure == ""
        await made.close()

    asyncio.run(run())
    assert names(tmp_path) == ["kept", "again"]
    assert len(closed_segments(tmp_path)) == 2


def test_a_full_disk_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    """The kernel's own limit on file size: a write ends half way, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    async def run() -> list[str]:
        made, kept = spool(tmp_path), []
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
        try:
            for number in range(40):
                try:
                    await made.append(entry(str(number), 900))
                except Busy:
                    continue
                kept.append(str(number))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        await made.close()
        return kept

    try:
        kept = asyncio.run(run())
    finally:
        signal.signal(signal.SIGXFSZ, before)
    assert 30 <= len(kept) < 40
    assert names(tmp_path) == kept


def test_whatever_a_kill_cuts_off_the_whole_entries_stay(tmp_path: Path) -> None:
    data = MAGIC
    ends = {}
    for name in ("a", "b", "c"):
        data += entry(name, 5)
        ends[len(data)] = name
    for length in range(len(data) + 1):
        folder = tmp_path / str(length)
        folder.mkdir()
        file = folder / "20260101T000000.000000Z-00.open"
        file.write_bytes(data[:length])
        whole = [name for end, name in ends.items() if end <= length]

        assert recover(folder) == len(whole)
        assert [path.suffix for path in folder.iterdir()] == ([".log"] if whole else [])
        assert names(folder) == whole
    spoilt = bytearray(data)
    spoilt[-1] ^= 1
    file = tmp_path / "20260101T000000.000000Z-01.open"
    file.write_bytes(spoilt)
    assert recover(tmp_path) == 2


def test_a_file_is_closed_by_size_and_by_age(tmp_path: Path) -> None:
    closed = []

    async def run() -> None:
        made = Spool(tmp_path, roll_bytes=1000, roll_seconds=0, on_close=lambda: closed.append(1))
        for number in range(10):
            await made.append(entry(str(number), 500))
        assert len(closed) == len(closed_segments(tmp_path)) == 5
        await made.append(entry("old"))
        await made.roll()
        assert len(closed) == 6
        await made.roll()
        await made.close()

    asyncio.run(run())
    assert len(closed) == 6


def test_a_spool_has_one_collector(tmp_path: Path) -> None:
    async def run() -> None:
        made = spool(tmp_path)
        with pytest.raises(FixSettings, match="another collector"):
            spool(tmp_path)
        await made.close()
        await spool(tmp_path).close()

    asyncio.run(run())


MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - {root} /dev/root rw
23 22 0:5 / /dev rw,nosuid shared:2 - devtmpfs udev rw
24 22 254:1 / /var/lib/stitchline rw shared:3 - ext4 /dev/vdb rw
25 24 0:30 / /var/lib/stitchline/fast\\040disk rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("folder", "root", "kind"),
    [
        ("/srv/spool", "ext4", None),
        ("/srv/spool", "overlay", "overlay"),
        ("/var/lib/stitchline/prod/spool", "overlay", None),
        ("/var/lib/stitchline/fast disk/spool", "overlay", "tmpfs"),
        ("/var/lib/stitchline-other", "overlay", "overlay"),
    ],
)
def test_a_spool_that_would_not_outlive_the_container_is_refused(folder: str, root: str, kind: str | None) -> None:
    mounts = MOUNTS.format(root=root)
    if kind is None:
        check_volume(Path(folder), mounts)
        return
    with pytest.raises(FixSettings, match=f"is on {kind}.*STITCHLINE_COLLECTOR_ANY_DISK"):
        check_volume(Path(folder), mounts)
