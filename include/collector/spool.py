"""The spool: requests appended to a file, one fsync for all that wait; what is acknowledged survives any crash."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from include.collector.entry import MAGIC, Segment
from include.connect.errors import FixSettings

log = logging.getLogger(__name__)

OPEN, CLOSED, DAMAGED = ".open", ".log", ".damaged"
VOLATILE = frozenset({"tmpfs", "ramfs", "overlay", "overlayfs", "aufs"})
MOST_WAITING = 64 * 2**20
"""Bytes that may wait for a slow disk before requests are turned away."""


class Busy(Exception):
    """Nothing can be appended now: the disk is full, broken or too slow; the sender should come again."""


class Spool:
    """Appends entries durably and closes the file by size or age, so that it can be landed.

    Args:
        folder: where the files are; one process at a time.
        roll_bytes: a file that reaches this is closed.
        roll_seconds: a file this old is closed.
        on_close: called, in the writer's thread, when a file is complete.
        is_durable: False leaves out the fsync, to measure what it costs.
        sync: what makes a file's data durable.
    """

    def __init__(
        self,
        folder: Path,
        *,
        roll_bytes: int,
        roll_seconds: float,
        on_close: Callable[[], None] = lambda: None,
        is_durable: bool = True,
        sync: Callable[[int], None] = os.fdatasync,
    ) -> None:
        self._folder = folder
        self._roll_bytes, self._roll_seconds = roll_bytes, roll_seconds
        self._on_close = on_close
        self._sync: Callable[[int], None] = sync if is_durable else lambda descriptor: None
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._waiting_bytes = 0
        self._committing: asyncio.Task[None] | None = None
        self._writer = ThreadPoolExecutor(1, "spool")
        self._path: Path | None = None
        self._descriptor = -1
        self._durable = 0
        self._opened = 0.0
        self._lock = _take(folder)
        self.commits = self.commit_seconds = self.failures = 0.0
        self.failure = ""
        self.recovered = recover(folder)

    def append(self, data: bytes) -> asyncio.Future[None]:
        """Append an entry; the future is done when it is durable, and fails with `Busy` when it cannot be.

        Raises:
            Busy: too much waits for the disk already.
        """
        if self._waiting_bytes > MOST_WAITING:
            raise Busy("the disk is too slow")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((data, future))
        self._waiting_bytes += len(data)
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit())
        return future

    async def roll(self, *, now: bool = False) -> None:
        """Close the file if it is old enough, or `now`."""
        await asyncio.get_running_loop().run_in_executor(self._writer, self._roll, now)

    async def close(self) -> None:
        """Write what waits, close the file, let another process have the folder."""
        while self._committing is not None:
            await asyncio.wait([self._committing])
        await self.roll(now=True)
        self._writer.shutdown()
        os.close(self._lock)

    async def _commit(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await loop.run_in_executor(self._writer, self._write, [data for data, _ in batch])
            except OSError as error:
                self.failures += 1
                self.failure = os.strerror(error.errno) if error.errno else type(error).__name__
                log.error("nothing can be appended folder=%s: %s", self._folder, self.failure)
                self._answer(batch, Busy(self.failure))
            else:
                self.failure = ""
                self._answer(batch, None)
        self._committing = None

    def _answer(self, batch: list[tuple[bytes, asyncio.Future[None]]], error: Busy | None) -> None:
        for data, future in batch:
            self._waiting_bytes -= len(data)
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
                future.exception()  # whoever asked may have gone away

    def _write(self, frames: list[bytes]) -> None:
        began = time.perf_counter()
        if self._path is None:
            self._open()
        data = b"".join(frames)
        try:
            _write_all(self._descriptor, data)
            self._sync(self._descriptor)
        except OSError:
            self._give_up()
            raise
        self._durable += len(data)
        self.commits += 1
        self.commit_seconds += time.perf_counter() - began
        if self._durable >= self._roll_bytes:
            self._close()

    def _open(self) -> None:
        self._opened = time.time()
        name = f"{datetime.fromtimestamp(self._opened, UTC):%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(4)}"
        path = self._folder / f"{name}{OPEN}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            _write_all(descriptor, MAGIC)
            self._sync(descriptor)
            _sync_folder(self._folder)
        except OSError:
            os.close(descriptor)
            path.unlink()
            raise
        self._path, self._descriptor, self._durable = path, descriptor, len(MAGIC)

    def _give_up(self) -> None:
        """After a failed write nobody knows what is on the disk past the last commit: cut it off, begin a new file."""
        try:
            os.ftruncate(self._descriptor, self._durable)
        except OSError as error:
            log.error("could not be cut back segment=%s: %s", self._path, error.strerror)
        self._close()

    def _roll(self, now: bool) -> None:
        if self._path is not None and (now or time.time() - self._opened >= self._roll_seconds):
            self._close()

    def _close(self) -> None:
        path, descriptor = self._path, self._descriptor
        self._path, self._descriptor = None, -1
        assert path is not None
        os.close(descriptor)
        try:
            finish(path)
        except OSError as error:
            log.error("could not be closed, the next start does it segment=%s: %s", path.name, error.strerror)
            return
        self._on_close()


def recover(folder: Path) -> int:
    """Close what a killed process left open, cut back to what was whole; returns how many entries that were."""
    count = 0
    for path in sorted(folder.glob(f"*{OPEN}")):
        segment = Segment(path)
        entries = sum(1 for _ in segment)
        if segment.left:
            log.warning("cut off what was not acknowledged segment=%s bytes=%d", path.name, segment.left)
            os.truncate(path, path.stat().st_size - segment.left)
        count += entries
        finish(path)
    return count


def finish(path: Path) -> None:
    """Give a file the name of a complete one, or remove it if nothing is in it."""
    if path.stat().st_size <= len(MAGIC):
        path.unlink(missing_ok=True)
        return
    path.rename(path.with_suffix(CLOSED))
    _sync_folder(path.parent)


def closed_segments(folder: Path) -> list[Path]:
    """Files that are complete, oldest first."""
    return sorted(folder.glob(f"*{CLOSED}"))


def opened_at(path: Path) -> datetime:
    """When the file was begun, which its name says."""
    return datetime.strptime(path.name.split("-")[0], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)


def check_volume(folder: Path, mounts: str | None = None) -> None:
    """Refuse a folder that would not outlive the container.

    Args:
        folder: the spool.
        mounts: the text of /proc/self/mountinfo; by default this process's own.

    Raises:
        FixSettings: it is on tmpfs or on the container's own layer.
    """
    if mounts is None:
        table = Path("/proc/self/mountinfo")
        if not table.exists():
            return  # not Linux: a developer's machine, where nothing is mounted over
        mounts = table.read_text()
    best, kind = Path("/"), ""
    for line in mounts.splitlines():
        words = line.split()
        point = Path(words[4].replace("\\040", " "))  # how the kernel writes a space
        if folder.is_relative_to(point) and point.is_relative_to(best):
            best, kind = point, words[words.index("-") + 1]
    if kind in VOLATILE:
        raise FixSettings(
            f"the spool {folder} is on {kind}, which does not outlive the machine or the container",
            where="STITCHLINE_COLLECTOR_SPOOL",
            fix="Put it on a real volume; or set STITCHLINE_COLLECTOR_ANY_DISK=true and accept that events get lost.",
        )


def _take(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / "collector.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        raise FixSettings(
            f"another collector uses the spool {folder}",
            where="STITCHLINE_COLLECTOR_SPOOL",
            fix="End it, or give each collector a spool of its own.",
        ) from None
    return descriptor


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
