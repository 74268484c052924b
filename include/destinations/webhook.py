"""Any webhook (Zapier, Make, a service of your own): changes of a list, 500 people a call, signed.

The address of the receiver is the connection's host and, in its extra, `path`. Its password, if any, is the secret
of the signature: header `X-Stitchline-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`.

`row` and `body` in the extra are JSON that `$names` fill in: in a row `$list`, `$operation` (enter, update or leave),
`$customer_id` and the names of mapped fields; in the body `$rows`, `$list` and `$id`. `{"body": "$rows"}` sends a
bare array, for which Zapier starts one run per person. `hooks` holds other values for single lists:
`{"hooks": {"at-risk": {"path": "/hooks/catch/1/abc/"}}}`.

A call is repeated until it is answered, so a receiver may see it twice; header `X-Stitchline-Id` tells.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import uuid
from collections.abc import Mapping, Sequence
from string import Template
from typing import TYPE_CHECKING, Any

import msgspec

from include.activate.calls import REFUSALS
from include.activate.destination import BatchRejected, Change, Destination, RowResult, Target
from include.connect.errors import FixSettings, RetryLater
from include.connect.source import Rate, Source

if TYPE_CHECKING:
    from include.connect.http import Answer, Session

ROW = {"customer_id": "$customer_id", "operation": "$operation", "fields": "$fields"}
BODY = {"id": "$id", "list": "$list", "rows": "$rows"}
TRIES = 6
WHOLE = re.compile(r"\$(\w+)|\$\{(\w+)\}")


async def read_hook(session: Session, target: Target) -> Target:
    """Check the templates before anything is sent; calls nothing."""
    hook = _hook(target)
    known = {"row": {"list", "operation", "customer_id", "fields", *target.fields}, "body": {"rows", "list", "id"}}
    for part, names in known.items():
        unknown = sorted(_names(hook[part]) - names)
        if unknown:
            raise FixSettings(
                f"the {part} of the hook names ${unknown[0]}, which nothing fills in",
                where=f"connection {session.connection.id}",
                fix=f"Map it under `fields:` of the list, or write one of: {', '.join(sorted(names))}.",
            )
    if "rows" not in _names(hook["body"]):
        raise FixSettings(
            "the body of the hook has no $rows",
            where=f"connection {session.connection.id}",
            fix='Write it where the people belong, as in {"people": "$rows"}.',
        )
    return target


async def post(session: Session, target: Target, changes: Sequence[Change]) -> list[RowResult]:
    """Post a batch; a receiver takes it whole, or refuses it whole with 400, 404, 409, 413 or 422."""
    hook, number = _hook(target), str(uuid.uuid4())
    empty = dict.fromkeys(target.fields)
    rows = [
        _filled(
            hook["row"],
            {
                **(empty | dict(change.fields)),
                **{"list": target.name, "operation": change.operation, "customer_id": change.customer_id},
                "fields": dict(change.fields),
            },
        )
        for change in changes
    ]
    body = msgspec.json.encode(_filled(hook["body"], {"rows": rows, "list": target.name, "id": number}))
    answer = await _posted(session, "/" + str(hook["path"]).lstrip("/"), body, number)
    if answer.status in REFUSALS:
        raise BatchRejected(f"http_{answer.status}", answer.body[:200].decode("utf-8", "replace"), answer.request_id)
    return [RowResult(change.address, True, request_id=answer.request_id) for change in changes]


async def _posted(session: Session, path: str, body: bytes, number: str) -> Answer:
    """Post until it is answered; each try is signed anew, since receivers refuse a signature that is minutes old."""
    attempt = 0
    while True:
        headers = {"X-Stitchline-Id": number, **_signed(session, body)}
        try:
            return await session.send(
                "POST", path, json=msgspec.Raw(body), headers=headers, accept=REFUSALS, label="post changes"
            )
        except RetryLater as error:
            attempt += 1
            if error.after is None or attempt > TRIES:
                await session.back_off(attempt, "the receiver failed", "post changes")
            else:
                await session.clock.sleep(error.after)


def _signed(session: Session, body: bytes) -> dict[str, str]:
    secret = session.connection.password
    if not secret:
        return {}
    at = int(session.clock.now())
    proof = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Stitchline-Signature": f"t={at},v1={proof}"}


def _hook(target: Target) -> dict[str, Any]:
    """Path, row and body for a list."""
    usual = {"path": "/", "row": ROW, "body": BODY}
    given = {**target.extra, **(target.extra.get("hooks") or {}).get(target.name, {})}
    return usual | {name: given[name] for name in usual if name in given}


def _filled(template: Any, values: Mapping[str, Any]) -> Any:
    """The template with its names filled in; a text that is one name alone becomes the value, whatever its type."""
    if isinstance(template, Mapping):
        return {key: _filled(inner, values) for key, inner in template.items()}
    if isinstance(template, list):
        return [_filled(inner, values) for inner in template]
    if not isinstance(template, str):
        return template
    alone = WHOLE.fullmatch(template)
    if alone is not None:
        return values[alone[1] or alone[2]]
    return Template(template).substitute({name: "" if value is None else value for name, value in values.items()})


def _names(template: Any) -> set[str]:
    if isinstance(template, Mapping):
        template = list(template.values())
    if isinstance(template, list):
        return {name for inner in template for name in _names(inner)}
    return set(Template(template).get_identifiers()) if isinstance(template, str) else set()


API = Source(
    name="webhook",
    title="Webhooks",
    budget=Rate(10),  # receivers differ: rate_limit in the extra
    docs_url="https://help.zapier.com/hc/en-us/articles/8496288690317",
)
DESTINATION = Destination(
    name="webhook",
    title="Any webhook, signed",
    connection="webhook",
    key="customer_id",
    batch=500,
    target="tag",
    prepare=read_hook,
    enter=post,
    leave=post,
    takes_fields=True,
    api=API,
)
