"""The landing: what a pull leaves behind, committed by its manifest, which is written last."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct, field

from include.connect.answers import unpacked
from include.connect.errors import RetryLater
from include.connect.files import Files
from include.connect.source import Kind
from include.run import Run

log = logging.getLogger(__name__)

MANIFEST = "_manifest.json"
CHECKPOINT = "_checkpoint.json"
MOVES_CURSOR = frozenset({"incremental", "full"})
LOOK_BACK = 20
"""Manifests that are compared to find the latest; run folders sort by time, commits nearly so."""


class Part(Struct, frozen=True):
    """One file of records; `bytes` is the size of the file as it lies there."""

    path: str
    number: int
    sha256: str
    records: int
    bytes: int


class Rejected(Struct, frozen=True):
    """One file of what could not be landed as records, with how often which reason."""

    path: str
    number: int
    sha256: str
    records: int
    bytes: int
    reasons: dict[str, int]


class Span(Struct, frozen=True, rename={"from_": "from"}):
    """The window that was asked for, as text; None = no bound."""

    from_: str | None = None
    to: str | None = None


class Manifest(Struct, frozen=True):
    """What one run landed of one stream. Its existence is the commit; only the parts it names count.

    `accept_deletions`: a person has agreed to however many deletions a sweep finds.
    """

    source: str
    account: str
    stream: str
    run_id: str
    attempt: int
    kind: Kind
    seq: int
    as_of: datetime
    started_at: datetime
    committed_at: datetime
    cursor_from: str | None
    cursor_to: str | None
    parts: list[Part] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    records: int = 0
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    throttled_seconds: float = 0.0
    quarantined: int = 0
    window: Span = Span()
    accept_deletions: bool = False
    rewrites: list[dict[str, Any]] = field(default_factory=list)
    version: int = 1


def stream_folder(source: str, account: str, stream: str) -> str:
    """Folder of a stream below the landing root."""
    return f"{source}/{account}/{stream}"


def run_folder(source: str, account: str, stream: str, run: Run) -> str:
    """Folder of one run of a stream below the landing root."""
    return f"{stream_folder(source, account, stream)}/dt={run.as_of:%Y-%m-%d}/run={run.run_id}"


def read_manifest(root: str, source: str, account: str, stream: str, run: Run) -> Manifest | None:
    """The manifest of a run; None while it has not committed."""
    return _read_manifest(Files(root), f"{run_folder(source, account, stream, run)}/{MANIFEST}")


def write_manifest(root: str, manifest: Manifest, run: Run) -> Manifest:
    """Commit a run that has no parts of its own; returns the manifest that counts, which may be an earlier one."""
    files = Files(root)
    path = f"{run_folder(manifest.source, manifest.account, manifest.stream, run)}/{MANIFEST}"
    files.write_new(path, msgspec.json.encode(manifest))
    return msgspec.json.decode(files.read(path), type=Manifest)


def latest_manifest(root: str, source: str, account: str, stream: str) -> Manifest | None:
    """The last committed manifest that moves the cursor (incremental or full)."""
    found: list[Manifest] = []
    for manifest in _newest_first(Files(root), stream_folder(source, account, stream)):
        if manifest.kind in MOVES_CURSOR:
            found.append(manifest)
        if len(found) == LOOK_BACK:
            break
    return max(found, key=lambda manifest: manifest.seq, default=None)


def list_manifests(root: str, source: str, account: str, stream: str, *, known: Collection[str] = ()) -> list[Manifest]:
    """Every committed manifest of a stream, in order of commit; runs that are `known` are not even read."""
    found = _newest_first(Files(root), stream_folder(source, account, stream), known)
    return sorted(found, key=lambda manifest: manifest.seq)


def landed_records(root: str, manifest: Manifest) -> Iterator[bytes]:
    """The vendor's bytes of every record of a manifest, part by part."""
    files = Files(root)
    for part in manifest.parts:
        for line in unpacked(files.read(part.path)).splitlines():
            yield bytes(msgspec.json.decode(line, type=_Line).payload)


class _Line(Struct, rename={"payload": "_payload"}):
    payload: msgspec.Raw


def _newest_first(files: Files, folder: str, known: Collection[str] = ()) -> Iterator[Manifest]:
    for day in reversed(files.names(folder)):
        for name in reversed(files.names(f"{folder}/{day}")):
            if name.removeprefix("run=") in known:
                continue
            manifest = _read_manifest(files, f"{folder}/{day}/{name}/{MANIFEST}")
            if manifest is not None:
                yield manifest


def _read_manifest(files: Files, path: str) -> Manifest | None:
    try:
        data = files.read(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as error:
        raise RetryLater(
            f"a manifest cannot be read ({type(error).__name__})",
            where=files.uri(path),
            fix="Restore it from a backup, or remove its run folder to pull that run again.",
        ) from error


def digest_of(data: bytes) -> str:
    """What manifests keep of a file's bytes."""
    return hashlib.sha256(data).hexdigest()
