"""Writing a run's parts: finished parts are durable, and a later attempt goes on after them."""

from __future__ import annotations

import io
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from isal import igzip
from msgspec import Struct

from include.connect.files import Files
from include.connect.landing import CHECKPOINT, MANIFEST, Manifest, Part, Rejected, Span, digest_of, run_folder
from include.connect.source import Kind
from include.run import Run

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PartLimits:
    """A part is finished after the page that reaches one of these.

    The seconds bound what a slow vendor's pull loses when it is killed.
    """

    records: int = 50_000
    bytes: int = 64 * 2**20
    seconds: float = 60.0


class Checkpoint(Struct):
    """What an attempt has made durable, and where its successor goes on."""

    shape: str
    resume: str
    cursor: str | None
    highest: str | None
    window: Span
    kind: Kind
    parts: list[Part]
    rejected: list[Rejected]
    requests: int
    retries: int
    throttled: int
    throttled_seconds: float
    started_at: datetime
    last_page: dict[str, int]


_gzip_file: Callable[..., Any] = igzip.IGzipFile


class _Growing:
    """A gzip file in memory; parts are small, and a file is only ever written whole."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._gzip = _gzip_file(fileobj=self._buffer, mode="wb", compresslevel=1, mtime=0)
        self.records = 0
        self.bytes = 0

    def add(self, lines: Sequence[bytes]) -> None:
        data = b"".join(lines)
        self._gzip.write(data)
        self.records += len(lines)
        self.bytes += len(data)

    def finish(self) -> bytes:
        self._gzip.close()
        return self._buffer.getvalue()


class LandingWriter:
    """Lands one stream of one run; nothing counts before `commit`."""

    def __init__(self, root: str, source: str, account: str, stream: str, run: Run, limits: PartLimits) -> None:
        self._files = Files(root)
        self._source, self._account, self._stream, self._run = source, account, stream, run
        self._limits = limits
        self.folder = run_folder(source, account, stream, run)
        self.parts: list[Part] = []
        self.rejected: list[Rejected] = []
        self._part = _Growing()
        self._bad = _Growing()
        self._reasons: Counter[str] = Counter()
        self._part_since: float | None = None
        self.attempt = 0

    @property
    def records(self) -> int:
        """Records landed so far, adopted ones included."""
        return sum(part.records for part in self.parts) + self._part.records

    @property
    def has_unfinished(self) -> bool:
        """Whether something is not in a finished part yet."""
        return bool(self._part.records or self._bad.records)

    @property
    def quarantined(self) -> int:
        """Records put aside so far."""
        return sum(part.records for part in self.rejected) + self._bad.records

    def adopt(self, shape: str) -> Checkpoint | None:
        """Take over the finished parts of the last attempt, each verified again; None to start afresh.

        Args:
            shape: what the stream asked for; parts of another question are of no use.
        """
        for name in sorted(self._files.names(self.folder), key=_attempt_number, reverse=True):
            path = f"{self.folder}/{name}/{CHECKPOINT}"
            if not name.startswith("attempt=") or not self._files.exists(path):
                continue
            try:
                found = msgspec.json.decode(self._files.read(path), type=Checkpoint)
            except msgspec.MsgspecError:
                log.warning("unreadable checkpoint, starting afresh path=%s", path)
                return None
            if found.shape != shape or not self._are_whole([*found.parts, *found.rejected]):
                log.warning("parts of an earlier attempt do not fit, starting afresh path=%s", path)
                return None
            self.parts, self.rejected = list(found.parts), list(found.rejected)
            log.info("goes on from %s parts=%d records=%d", name, len(self.parts), self.records)
            return found
        return None

    def forget_adopted(self) -> None:
        """Start afresh after all: the vendor no longer knows the place to go on from."""
        self.parts, self.rejected = [], []

    @staticmethod
    def line(key: str, payload: bytes, extracted_at: str) -> bytes:
        """One record as it lies in a part."""
        return b'{"_key":%b,"_extracted_at":"%b","_payload":%b}\n' % (
            msgspec.json.encode(key),
            extracted_at.encode(),
            payload,
        )

    @staticmethod
    def rejected_line(data: bytes, reason: str, extracted_at: str) -> bytes:
        """What is no usable record, as text, since it may be no JSON that a warehouse takes."""
        text = data.decode("utf-8", "backslashreplace")
        return msgspec.json.encode({"_reason": reason, "_extracted_at": extracted_at, "_text": text}) + b"\n"

    def write(
        self, lines: Sequence[bytes], rejected: Sequence[tuple[bytes, str]], extracted_at: str, now: float
    ) -> bool:
        """Append a page; True where its part has grown enough to be finished."""
        if lines:
            self._part.add(lines)
        if rejected:
            self._bad.add([self.rejected_line(data, reason, extracted_at) for data, reason in rejected])
            self._reasons.update(reason for _, reason in rejected)
        if self._part_since is None:
            self._part_since = now
        return (
            self._part.records >= self._limits.records
            or self._part.bytes >= self._limits.bytes
            or self._bad.bytes >= self._limits.bytes
            or (now - self._part_since >= self._limits.seconds and self._part.records > 0)
        )

    def finish_part(self) -> None:
        """Make what was written so far durable.

        Raises:
            RetryLater: the disk is full.
        """
        self._claim_attempt()
        if self._part.records:
            number, records = len(self.parts), self._part.records
            path = f"{self.folder}/attempt={self.attempt}/part-{number:05}.ndjson.gz"
            data = self._part.finish()
            self._files.write(path, data)
            self.parts.append(Part(path, number, digest_of(data), records, len(data)))
            self._part = _Growing()
        if self._bad.records:
            number, records = len(self.rejected), self._bad.records
            path = f"{self.folder}/attempt={self.attempt}/rejected-{number:05}.ndjson.gz"
            data = self._bad.finish()
            self._files.write(path, data)
            reasons = dict(self._reasons)
            self.rejected.append(Rejected(path, number, digest_of(data), records, len(data), reasons))
            self._bad, self._reasons = _Growing(), Counter()
        self._part_since = None

    def keep_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Note where a later attempt can go on; call it right after `finish_part`."""
        self._files.write(f"{self.folder}/attempt={self.attempt}/{CHECKPOINT}", msgspec.json.encode(checkpoint))

    def commit(self, manifest: Manifest) -> Manifest:
        """Write the manifest, then clear away what it does not name; returns the one that counts."""
        path = f"{self.folder}/{MANIFEST}"
        if not self._files.write_new(path, msgspec.json.encode(manifest)):
            log.warning("another process committed this run first path=%s", path)
        committed = msgspec.json.decode(self._files.read(path), type=Manifest)
        # Parts that do not count hold personal data which erasure would not find.
        named = {path, *(part.path for part in committed.parts), *(part.path for part in committed.rejected)}
        for leftover in self._files.below(self.folder):
            if leftover not in named:
                self._files.remove(leftover)
        for name in self._files.names(self.folder):
            if _attempt_number(name):
                self._files.remove_empty(f"{self.folder}/{name}")
        return committed

    def _claim_attempt(self) -> None:
        """A folder of our own: a run that is started again never writes over what another process has open."""
        if self.attempt:
            return
        taken = [_attempt_number(name) for name in self._files.names(self.folder)]
        number = max([self._run.attempt, *(last + 1 for last in taken)])
        while not self._files.claim(f"{self.folder}/attempt={number}"):
            number += 1
        self.attempt = number

    def _are_whole(self, parts: Sequence[Part | Rejected]) -> bool:
        try:
            return all(digest_of(self._files.read(part.path)) == part.sha256 for part in parts)
        except FileNotFoundError:
            return False


def _attempt_number(name: str) -> int:
    number = name.removeprefix("attempt=")
    return int(number) if number.isdecimal() else 0
