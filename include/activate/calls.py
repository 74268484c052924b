"""Writing calls as destinations make them: repeated safely, and a refusal read as a refused batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from include.activate.destination import BatchRejected
from include.connect.errors import RetryLater

if TYPE_CHECKING:
    from include.connect.http import Answer, Params, Session

REFUSALS = (400, 404, 409, 413, 422)
CODES = ("category", "errorCode", "error_code", "error", "title", "code", "field", "type")
QUICK_SECONDS = 60.0
"""A call that failed sooner than this was not yet waited for; it is repeated here."""


async def write(
    session: Session,
    method: str,
    path: str,
    body: Any = None,
    *,
    form: Params | None = None,
    label: str,
    decode: Callable[[bytes], Any] = msgspec.json.decode,
) -> Answer:
    """Make a call whose effect is the same when it arrives twice; its decoded answer is `.value`.

    Raises:
        BatchRejected: the vendor refused its content.
        RetryLater: the vendor kept failing.
    """
    attempt = 0
    while True:
        started = time.monotonic()
        try:
            answer = await session.send(
                method,
                path,
                json=body,
                form=form,
                safe_to_repeat=True,
                accept=REFUSALS,
                label=label,
                decode=decode,
            )
            break
        except RetryLater:
            if time.monotonic() - started > QUICK_SECONDS:
                raise
            attempt += 1
            await session.back_off(attempt, "the vendor failed", label)
    if answer.status in REFUSALS:
        raise BatchRejected(*refusal(answer), answer.request_id)
    return answer


def refusal(answer: Answer) -> tuple[str, str]:
    """Code and message of a vendor's error envelope: of its own, else of the first error inside."""
    try:
        said = answer.json()
    except msgspec.DecodeError:
        said = None
    layers = said[:1] if isinstance(said, list) else [said]
    if isinstance(said, dict):
        inner = said.get("error") or said.get("errors")
        layers += inner[:1] if isinstance(inner, list) else [inner]
    for layer in layers:
        code = _first(layer, CODES) if isinstance(layer, dict) else None
        if code is not None:
            return code, _first(layer, ("message", "description", "detail", "error")) or ""
    return f"http_{answer.status}", ""


def _first(said: dict[str, Any], names: tuple[str, ...]) -> str | None:
    found = (said.get(name) for name in names)
    return next((str(value) for value in found if isinstance(value, str | int) and not isinstance(value, bool)), None)
