"""Files of the landing: a local folder or a bucket, each file written whole or not at all."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from include.connect.errors import FixSettings, RetryLater

log = logging.getLogger(__name__)

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR})


class Files:
    """Paths below one root; a reader sees a file complete or not at all."""

    def __init__(self, root: str) -> None:
        # A cached bucket listing would hide what another process has just committed.
        fs, path = fsspec.core.url_to_fs(root, use_listings_cache=False)
        self._fs: Any = fs
        self._root = str(path).rstrip("/")
        self.root = root.rstrip("/")
        self._is_local = isinstance(fs, LocalFileSystem)

    def uri(self, path: str) -> str:
        """The path as a warehouse loads it."""
        return f"{self.root}/{path}"

    def write(self, path: str, data: bytes) -> None:
        """Write a file durably, replacing what was there.

        Raises:
            RetryLater: the disk is full.
            FixSettings: the folder cannot be written.
        """
        with self._room_for(path):
            if not self._is_local:
                self._fs.pipe_file(self._full(path), data)
                return
            with self._written_aside(path, data) as (aside, target):
                aside.replace(target)
                _sync_folder(target.parent)

    def write_new(self, path: str, data: bytes) -> bool:
        """Write a file durably unless it exists; False where it does.

        Raises:
            RetryLater: the disk is full.
        """
        if self.exists(path):
            return False
        if not self._is_local:
            self.write(path, data)
            return True
        with self._room_for(path), self._written_aside(path, data) as (aside, target):
            try:
                os.link(aside, target)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno in FULL:
                    raise
                # Some file systems have no hard links; there, two processes of one run could both get here.
                aside.replace(target)
            _sync_folder(target.parent)
        return True

    def read(self, path: str) -> bytes:
        """The whole file.

        Raises:
            FileNotFoundError: it does not exist.
        """
        return bytes(self._fs.cat_file(self._full(path)))

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        return bool(self._fs.exists(self._full(path)))

    def names(self, path: str) -> list[str]:
        """Names in a folder, ascending; empty where there is no such folder."""
        try:
            found = self._fs.ls(self._full(path), detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted({str(name).rstrip("/").rpartition("/")[2] for name in found})

    def below(self, path: str) -> list[str]:
        """All files below a folder, as paths below the root."""
        try:
            found = self._fs.find(self._full(path))
        except FileNotFoundError:
            return []
        start = len(self._full("").rstrip("/")) + 1
        return sorted(str(name)[start:] for name in found)

    def claim(self, path: str) -> bool:
        """Make a new folder; False where it already exists (buckets have no folders: always true)."""
        if not self._is_local:
            return True
        with self._room_for(path):
            try:
                Path(self._full(path)).mkdir(parents=True, exist_ok=False)
            except FileExistsError:
                return False
        return True

    def remove(self, path: str) -> None:
        """Remove a file; one that is gone already is fine."""
        try:
            self._fs.rm_file(self._full(path))
        except FileNotFoundError:
            log.debug("already gone path=%s", path)

    def remove_empty(self, path: str) -> None:
        """Remove a local folder if nothing is in it."""
        if not self._is_local:
            return
        try:
            Path(self._full(path)).rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
                raise

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"

    @contextmanager
    def _written_aside(self, path: str, data: bytes) -> Iterator[tuple[Path, Path]]:
        target = Path(self._full(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
        try:
            with aside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield aside, target
        finally:
            aside.unlink(missing_ok=True)

    @contextmanager
    def _room_for(self, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in FORBIDDEN:
                raise FixSettings(
                    f"nothing can be written there ({error.strerror})",
                    where=f"landing {self.uri(path).rpartition('/')[0]}",
                    fix="Check STITCHLINE_HOME or STITCHLINE_LANDING, and who owns the folder.",
                ) from error
            if error.errno not in FULL:
                raise
            raise RetryLater(
                f"the disk is full ({self._free()} free)",
                where=f"landing {self.uri(path).rpartition('/')[0]}",
                fix="Free some space or move STITCHLINE_LANDING; the next attempt goes on from the last finished part.",
            ) from error

    def _free(self) -> str:
        folder = Path(self._root)
        while not folder.exists():
            folder = folder.parent
        return f"{shutil.disk_usage(folder).free // 2**20} MiB"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
