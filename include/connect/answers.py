"""Reading what vendors say around their answers: when to come back, and which request it was."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import cast

import msgspec
from isal import igzip, isal_zlib

from include.connect.cursor import instant
from include.connect.records import BrokenAnswer

REQUEST_ID_HEADERS = (
    *("x-request-id", "request-id", "x-hubspot-correlation-id", "x-zendesk-request-id", "x-amzn-requestid"),
    *("xero-correlation-id", "x-sfdc-request-id", "x-fb-request-id"),
    "cf-ray",
)
REQUEST_ID_FIELDS = ("correlationId", "instance", "request_id", "operation_id")
RESET_HEADERS = ("x-ratelimit-reset", "ratelimit-reset", "x-rate-limit-reset", "rate-limit-reset")
DAMAGED: tuple[type[Exception], ...] = (EOFError, OSError, cast("type[Exception]", isal_zlib.error))
DELTA_BELOW = 10**6
"""Reset headers below this are seconds to wait; above, a time."""


def decompressed(body: bytes, encoding: str) -> bytes:
    """The body as text bytes.

    Raises:
        BrokenAnswer: it is cut short, damaged, or packed in a way nobody asked for.
    """
    if not encoding or encoding == "identity":
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise BrokenAnswer(f"the answer is packed as {encoding}")
    try:
        return unpacked(body)
    except DAMAGED as error:
        raise BrokenAnswer("the packed answer was cut short") from error


def unpacked(data: bytes) -> bytes:
    """What a gzip file holds."""
    unpack: Callable[[bytes], bytes] = igzip.decompress
    return unpack(data)


def request_id(headers: Mapping[str, str], body: bytes = b"") -> str | None:
    """The vendor's id of a call, from its headers or its error envelope."""
    found: object = next((headers[name] for name in REQUEST_ID_HEADERS if headers.get(name)), None)
    if found is None and body[:1] == b"{":
        try:
            envelope = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
            named = next((envelope[name] for name in REQUEST_ID_FIELDS if name in envelope), None)
            found = msgspec.json.decode(named) if named is not None else None
        except msgspec.DecodeError:
            return None
    # An id is short and plain; anything else may be somebody's data.
    return found if isinstance(found, str) and re.fullmatch(r"[\w.:/-]{4,100}", found) else None


def asked_to_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds a vendor asks to wait: Retry-After (seconds or a date), else its own reset header."""
    retry_after = headers.get("retry-after", "").strip()
    if retry_after:
        try:
            return max(0.0, float(retry_after))
        except ValueError:
            until = _http_date(retry_after)
            if until is not None:
                return max(0.0, until - now)
    for name in RESET_HEADERS:
        value = headers.get(name, "").strip()
        if not value:
            continue
        if re.fullmatch(r"\d+(\.\d+)?", value) and float(value) < DELTA_BELOW:
            return float(value)
        at = instant(value)
        if at is not None:
            return max(0.0, at.timestamp() - now)
    return None


def _http_date(value: str) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError):
        return None
