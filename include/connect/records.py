"""Reading answers only as far as record boundaries: the vendor's bytes of each record stay untouched."""

from __future__ import annotations

import json
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

LARGEST_RECORD = 15 * 2**20
"""Warehouses refuse JSON values past 16 MiB; a larger record is quarantined."""
TOO_LARGE = f"is larger than {LARGEST_RECORD} bytes"


class BrokenAnswer(Exception):
    """An answer that is not the whole JSON document it should be; asking again may help."""


class Throttled(BrokenAnswer):
    """An answer with a status of success that says "too many calls"; `after` is how many seconds to wait."""

    def __init__(self, after: float) -> None:
        super().__init__("the vendor said: too many calls")
        self.after = after


class Body:
    """One decoded page; `text` is the vendor's list as it came, by which a page sent twice is known."""

    __slots__ = ("_top", "records", "rejected", "text")

    def __init__(
        self, records: list[Raw | bytes], rejected: list[tuple[bytes, str]], top: dict[str, Any], text: Raw | bytes
    ) -> None:
        self.records = records
        self.rejected = rejected
        self.text = text
        self._top = top

    @property
    def is_empty(self) -> bool:
        """Whether the page holds nothing at all."""
        return not self.records and not self.rejected

    def at(self, path: str) -> Any:
        """The value at a dotted path outside the records; None where there is none."""
        value: Any = self._top
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
            if isinstance(value, Raw):
                value = msgspec.json.decode(value)
        return value


_top_decoder = msgspec.json.Decoder(dict[str, Raw])
_list_decoder = msgspec.json.Decoder(list[Raw] | None)


def decode_page(data: bytes, path: str) -> Body:
    """Split an answer into records.

    Raises:
        BrokenAnswer: it is not JSON, was cut short, or has no list at `path`.
    """
    try:
        if not data.isascii():
            data.decode()
        top: dict[str, Any] = {}
        inner: Any = Raw(data)
        for name in path.split(".") if path else ():
            members = _top_decoder.decode(inner)
            top, inner = top or members, members.get(name)
            if inner is None:
                raise BrokenAnswer(f"the answer has no list at {path}")
        raws = _list_decoder.decode(inner) or []
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode_leniently(data, path)
    records: list[Raw | bytes] = list(raws)
    if b"\n" in data or b"\r" in data:
        records = [_on_one_line(record) for record in raws]
    return Body(records, [], top, inner)


def _on_one_line(record: Raw) -> bytes:
    """A pretty-printed record without its white space: each landed line is one record."""
    text = bytes(record)
    return msgspec.json.format(text, indent=-1) if b"\n" in text or b"\r" in text else text


def _decode_leniently(data: bytes, path: str) -> Body:
    """Whole JSON with odd text in it (half a surrogate, a broken byte): save every record that can be saved."""
    try:
        top = json.loads(data.decode("utf-8", "surrogateescape"), strict=False)
        found = top
        for name in path.split(".") if path else ():
            found = found[name]
    except ValueError:
        raise BrokenAnswer("the answer is not whole JSON") from None
    except (KeyError, TypeError):
        raise BrokenAnswer(f"the answer has no list at {path}") from None
    if not isinstance(found, list):
        raise BrokenAnswer(f"the answer has no list at {path}")
    records: list[Raw | bytes] = []
    rejected: list[tuple[bytes, str]] = []
    for record in found:
        try:
            records.append(json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode())
        except ValueError:
            rejected.append((json.dumps(record).encode(), "holds text or numbers that JSON cannot carry"))
    top = top if isinstance(top, dict) else {}
    return Body(records, rejected, top, data)


class Lifted(NamedTuple):
    """What is read out of a record: its key or the reason why it has none, and its cursor value."""

    key: str | None
    cursor: Any
    reason: str


class Lifter:
    """Reads key and cursor out of a record's bytes, and nothing else."""

    def __init__(self, key: Sequence[str], cursor: str | None = None) -> None:
        self._key = tuple(tuple(path.split(".")) for path in key)
        self._cursor = tuple(cursor.split(".")) if cursor else None
        paths = [*self._key, *([self._cursor] if self._cursor else [])]
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_struct(paths))
        names = [".".join(_attribute(name) for name in path) for path in paths]
        # attrgetter of one name gives the value itself, of several a tuple; a constant second keeps it a tuple.
        self._values = attrgetter(*names, *(names[:1] if len(names) == 1 else ()))
        self._parts = len(self._key)

    def lift(self, record: Raw | bytes) -> Lifted:
        """Key and cursor of one record; never raises on what a vendor sends."""
        try:
            values = self._values(self._decoder.decode(record))
        except (msgspec.ValidationError, AttributeError):
            return self._lift_odd(record)
        if self._parts == 1 and type(values[0]) is str and values[0]:
            return Lifted(values[0], values[1] if self._cursor else None, "")
        return self._lifted(values[: self._parts], values[self._parts] if self._cursor else None)

    def _lift_odd(self, record: Raw | bytes) -> Lifted:
        """A record whose shape is not the expected one on the way to key or cursor: look at it as a whole."""
        try:
            whole = msgspec.json.decode(record)
        except msgspec.ValidationError:
            return Lifted(None, None, "holds a number out of range")
        if not isinstance(whole, dict):
            return Lifted(None, None, "is not an object")
        parts = tuple(_walk(whole, path) for path in self._key)
        return self._lifted(parts, _walk(whole, self._cursor) if self._cursor else None)

    def _lifted(self, parts: tuple[Any, ...], cursor: Any) -> Lifted:
        for number, part in enumerate(parts):
            if (type(part) is not str and type(part) is not int) or part == "":
                path = ".".join(self._key[number])
                return Lifted(None, cursor, f"has no usable key at {path}")
        return Lifted(str(parts[0]) if self._parts == 1 else "|".join(map(str, parts)), cursor, "")


def _struct(paths: Sequence[tuple[str, ...]]) -> type:
    """A struct type with just these nested fields, all optional; unknown fields are skipped unread."""
    heads: dict[str, list[tuple[str, ...]]] = {}
    for path in paths:
        heads.setdefault(path[0], []).append(path[1:])
    fields: list[Any] = []
    for name, rests in heads.items():
        nested = [rest for rest in rests if rest]
        kind: Any = (_struct(nested) | None) if nested and len(nested) == len(rests) else Any
        fields.append((_attribute(name), kind, msgspec.field(default=None, name=name)))
    return msgspec.defstruct("Lift", fields)


def _attribute(name: str) -> str:
    return f"f_{name.encode().hex()}"


def _walk(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
