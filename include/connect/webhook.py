"""The language in which a webhook is declared: how it is signed, how its body splits into records, what names one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

import msgspec

from include.connect.records import Body, BrokenAnswer, decode_page
from include.connect.signatures import Delivery, Signature

Split = Callable[[bytes], Body]


def one_object(body: bytes) -> Body:
    """The body is one record."""
    found = _decoded(b"[%b]" % body)
    if len(found.records) + len(found.rejected) != 1:
        raise BrokenAnswer("the body is not one JSON object")
    return found


def objects(body: bytes) -> Body:
    """The body is a list of records."""
    return _decoded(body.strip())  # a line break at the end would have every record looked through for more


def one_or_many(body: bytes) -> Body:
    """The body is a record, a list of them, or a record a line."""
    start = body.lstrip()[:1]
    if start == b"[":
        return objects(body)
    try:
        return one_object(body)
    except BrokenAnswer:
        return _decoded(b"[%b]" % b",".join(line for line in body.splitlines() if line.strip()))


def objects_at(path: str) -> Split:
    """The body is an object that holds the records in a list."""
    return lambda body: _decoded(body, path)


def form_fields(body: bytes) -> Body:
    """The body is a form: one record, its fields by name; a name that comes twice has a list."""
    found: dict[str, str | list[str]] = {}
    for name, value in _form(body):
        known = found.get(name)
        found[name] = value if known is None else [*([known] if isinstance(known, str) else known), value]
    return one_object(msgspec.json.encode(found))


def objects_in_form(field: str) -> Split:
    """The body is a form with a JSON list of records in one field."""

    def split(body: bytes) -> Body:
        for name, value in _form(body):
            if name == field:
                return objects(value.encode())
        raise BrokenAnswer(f"the form has no field {field}")

    return split


def _decoded(body: bytes, path: str = "") -> Body:
    try:
        return decode_page(body, path)
    except BrokenAnswer as error:
        raise BrokenAnswer(str(error).replace("the answer", "the body")) from None


def _form(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True)
    except ValueError:
        raise BrokenAnswer("the body is not a form") from None


class _Object(msgspec.Struct):
    """Any object: its fields are read over, not kept."""


_objects = msgspec.json.Decoder(list[_Object])


def _count_objects(body: bytes) -> int | None:
    """How many objects a list holds; None where the slow way has to say why not, or can read it all the same."""
    try:
        return len(_objects.decode(body))
    except msgspec.MsgspecError:
        return None


@dataclass(frozen=True, slots=True)
class Webhook:
    """What one vendor sends by itself; it becomes a stream of the collector.

    Args:
        stream: plural, snake_case; the raw table is `raw.collector__<stream>`.
        signature: how the vendor proves that a request is its own; None where the collector itself decides.
        split: the body's records.
        event_id: dotted paths of the fields that name an event, the same on every retry; none where the vendor has
            none, and then the key is a hash of the record.
        timestamp: dotted path of the vendor's own time.
        headers: headers without which a record says too little; the payload is then `{"outside", "record"}`.
        is_wrapped: the payload has that form for other facts from outside the body (the path, a key's name).
        answers_get: the vendor tries the address with GET or HEAD before it uses it.
        is_probe: tells the vendor's unsigned trial request, which is answered and not kept.
        certificate_url: where the signer's certificate is, where the body names it.
        confirm_url: what has to be called, once the request is verified, before the vendor sends anything.
        description: one line for people.
    """

    stream: str
    signature: Signature | None
    split: Split = one_object
    event_id: tuple[str, ...] = ()
    timestamp: str | None = None
    headers: tuple[str, ...] = ()
    is_wrapped: bool = False
    answers_get: bool = False
    is_probe: Callable[[Delivery], bool] | None = None
    certificate_url: Callable[[Delivery, Sequence[str]], str] | None = None
    confirm_url: Callable[[bytes], str | None] | None = None
    description: str = ""

    @property
    def has_outside(self) -> bool:
        """Whether a record's payload is `{"outside": {..}, "record": ..}` instead of the record itself."""
        return self.is_wrapped or bool(self.headers)

    def count(self, body: bytes) -> int:
        """How many records a body holds.

        Raises:
            BrokenAnswer: it is not what this vendor sends, or a record is no object.
        """
        if self.split is objects and (quickly := _count_objects(body)) is not None:
            return quickly
        found = self.split(body)
        for record in found.records:
            if bytes(memoryview(record)[:1]) != b"{":
                raise BrokenAnswer("a record is not a JSON object")
        return len(found.records)
