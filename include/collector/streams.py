"""Every webhook by name, and the collector as a source whose streams they are."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from include.collector import NAME, vendors
from include.connect.connection import DEFAULT_ACCOUNT
from include.connect.signatures import SharedToken
from include.connect.source import Source, Stream
from include.connect.webhook import Webhook, objects_at
from include.settings import Settings

CALL, BATCH, HOOK, OPEN, CLICK = "segment", "segment_batch", "hook", "email_open", "email_click"

_OWN = {
    CALL: Webhook(
        "segment_calls",
        None,
        event_id=("record.messageId",),
        timestamp="record.timestamp",
        is_wrapped=True,
        description="Calls of Segment's HTTP API: track, identify, page, screen, group, alias",
    ),
    BATCH: Webhook(
        "segment_calls",
        None,
        split=objects_at("batch"),
        event_id=("record.messageId",),
        timestamp="record.timestamp",
        is_wrapped=True,
        description="The same calls, many in a request",
    ),
    HOOK: Webhook(
        "hooks",
        SharedToken(),
        is_wrapped=True,
        answers_get=True,
        description="Whatever a catch hook was sent, with the hook's name; kept raw, as no two are alike",
    ),
    OPEN: Webhook("email_opens", None, event_id=("id",), timestamp="at", description="Loads of the tracking pixel"),
    CLICK: Webhook("email_clicks", None, event_id=("id",), timestamp="at", description="Uses of a redirecting link"),
}


@cache
def webhooks() -> dict[str, Webhook]:
    """Every webhook: those of the sources, of `vendors/`, and the collector's own."""
    from include.sources import all_sources

    found = dict(_OWN)
    for module in pkgutil.iter_modules(vendors.__path__):
        found[module.name] = importlib.import_module(f"{vendors.__name__}.{module.name}").WEBHOOK
    found |= {name: source.webhook for name, source in all_sources().items() if source.webhook is not None}
    return found


def vendor_names() -> list[str]:
    """Vendors whose webhooks can be switched on."""
    return sorted(webhooks().keys() - _OWN.keys())


def accounts(settings: Settings) -> list[str]:
    """Accounts that `STITCHLINE_COLLECTOR` names; visitors, calls and hooks belong to the default one."""
    return sorted({DEFAULT_ACCOUNT, *(entry.partition(":")[2] or DEFAULT_ACCOUNT for entry in settings.collector)})


@cache
def collector_source() -> Source:
    """The collector as the loader sees it: one stream per vendor."""
    by_stream = {hook.stream: hook for _, hook in reversed(webhooks().items())}
    streams = [
        Stream(name, key=hook.event_id or ("_key",), description=hook.description)
        for name, hook in sorted(by_stream.items())
    ]
    return Source(NAME, "Collector", streams=tuple(streams))
