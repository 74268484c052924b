"""What is appended for one request, and how it lies in a segment of the spool."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
from isal import isal_zlib

MAGIC = b"stitchline spool 1\n"
_HEAD = struct.Struct(">II")


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """One accepted request.

    Args:
        webhook: name of the webhook it came by.
        account: account of the connection that verified it.
        received_at: epoch seconds.
        outside: what it said outside its body: headers, path, name of the key.
        body: its bytes, unchanged.
    """

    webhook: str
    account: str
    received_at: float
    outside: dict[str, str]
    body: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


def frame(entry: Entry) -> bytes:
    """The entry with its length and checksum."""
    data = _encoder.encode(entry)
    return _HEAD.pack(len(data), isal_zlib.crc32(data)) + data


class Segment:
    """Entries of one file of the spool; once read, `left` is how many bytes after the last whole entry are none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.left = 0

    def __iter__(self) -> Iterator[Entry]:
        place = 0
        with self.path.open("rb") as file:
            if file.read(len(MAGIC)) == MAGIC:
                place = len(MAGIC)
                while (entry := _next(file)) is not None:
                    place = file.tell()
                    yield entry
        self.left = self.path.stat().st_size - place


def _next(file: BinaryIO) -> Entry | None:
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    length, checksum = _HEAD.unpack(head)
    data = file.read(length)
    if len(data) < length or not length or isal_zlib.crc32(data) != checksum:
        return None
    return _decoder.decode(data)
