"""Taking records out of a committed landing: new parts, then the manifest that names them, then the old ones go."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from isal import igzip
from msgspec import Struct, structs

from include.connect.answers import unpacked
from include.connect.files import Files
from include.connect.landing import MANIFEST, Manifest, Part, Rejected, digest_of, stream_folder

_pack: Callable[..., bytes] = igzip.compress
_File = TypeVar("_File", Part, Rejected)


class _Keyed(Struct, rename={"key": "_key"}):
    key: str


class _Text(Struct, rename={"text": "_text"}):
    text: str


def take_out(
    root: str,
    source: str,
    account: str,
    stream: str,
    run_id: str,
    keys: Collection[str] | None,
    is_theirs: Callable[[str], bool],
    erasure_id: str,
    now: datetime,
) -> int:
    """Rewrite the landing of one run without some records; doing it again, or after a kill, ends the same.

    A manifest stays where it was in the order of commits, even when nothing is left in it.

    Args:
        root: landing root.
        source: source of the run.
        account: account of the source.
        stream: stream of the source.
        run_id: the run.
        keys: `_key` of the records that go; None for all.
        is_theirs: whether a text goes that could not be landed as a record.
        erasure_id: noted in the manifest, beside the hashes and counts of each file before and after.
        now: when.

    Returns:
        Records taken out by this call.
    """
    files = Files(root)
    folder = _folder(files, stream_folder(source, account, stream), run_id)
    if folder is None:
        return 0
    manifest = msgspec.json.decode(files.read(f"{folder}/{MANIFEST}"), type=Manifest)
    wanted = None if keys is None else frozenset(keys)

    def goes(line: bytes) -> bool:
        return wanted is None or msgspec.json.decode(line, type=_Keyed).key in wanted

    def goes_as_text(line: bytes) -> bool:
        return is_theirs(msgspec.json.decode(line, type=_Text).text)

    parts, rewrites = _without(files, manifest.parts, goes, erasure_id, now)
    rejected, more = _without(files, manifest.rejected, goes_as_text, erasure_id, now)
    if rewrites or more:
        manifest = structs.replace(
            manifest,
            parts=parts,
            rejected=rejected,
            records=sum(part.records for part in parts),
            quarantined=sum(part.records for part in rejected),
            rewrites=[*manifest.rewrites, *rewrites, *more],
        )
        files.write(f"{folder}/{MANIFEST}", msgspec.json.encode(manifest))
    # Also what an earlier try left: the old parts, once the manifest names the new ones.
    named = {f"{folder}/{MANIFEST}", *(part.path for part in manifest.parts), *(one.path for one in manifest.rejected)}
    for leftover in files.below(folder):
        if leftover not in named:
            files.remove(leftover)
    return sum(each["records_before"] - each["records_after"] for each in (*rewrites, *more))


def _folder(files: Files, folder: str, run_id: str) -> str | None:
    """Folder of a committed run; None where it landed nothing, as tables of a warehouse do not."""
    for day in files.names(folder):
        found = f"{folder}/{day}/run={run_id}"
        if files.exists(f"{found}/{MANIFEST}"):
            return found
    return None


def _without(
    files: Files, parts: list[_File], goes: Callable[[bytes], bool], erasure_id: str, now: datetime
) -> tuple[list[_File], list[dict[str, Any]]]:
    """The parts without the lines that go, written under new names, and what to note of it; empty parts are dropped."""
    kept: list[_File] = []
    rewrites: list[dict[str, Any]] = []
    for part in parts:
        lines = unpacked(files.read(part.path)).splitlines(keepends=True)
        left = [line for line in lines if not goes(line)]
        if len(left) == len(lines):
            kept.append(part)
            continue
        data = _pack(b"".join(left), compresslevel=1, mtime=0)
        note = {"erasure_id": erasure_id, "at": now, "part": part.number, "sha256_before": part.sha256}
        note |= {"records_before": len(lines), "records_after": len(left)}
        if left:
            path = f"{part.path.partition('.ndjson')[0]}-{digest_of(data)[:8]}.ndjson.gz"
            files.write(path, data)
            kept.append(structs.replace(part, path=path, sha256=digest_of(data), records=len(left), bytes=len(data)))
        rewrites.append({**note, "sha256_after": digest_of(data) if left else None})
    return kept, rewrites
