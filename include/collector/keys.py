"""Who may send: one route per webhook and account, with its secrets, read from Airflow connections."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from include.collector import NAME
from include.collector.streams import HOOK, vendor_names, webhooks
from include.connect.connection import DEFAULT_ACCOUNT, Connection, environment_variable, read_connection
from include.connect.errors import FixCredentials, FixSettings
from include.connect.signatures import EcdsaSignature, Signature, public_key
from include.connect.webhook import Webhook
from include.settings import Settings

SEGMENT, EMAIL = "segment", "email"

Read = Callable[[str, str], Connection]


@dataclass(frozen=True, slots=True)
class Route:
    """One address that takes requests.

    Args:
        name: name of the webhook.
        account: account of the connection.
        webhook: what is sent there.
        signature: how it is proved, with the connection's own tolerance.
        secrets: any of them will do, so that one can be replaced without a gap.
        outside: facts that the address itself says.
        host: replaces the vendor's own host where the collector has to call it, for simulators.
    """

    name: str
    account: str
    webhook: Webhook
    signature: Signature
    secrets: tuple[str, ...] = field(repr=False)
    outside: Mapping[str, str] = field(default_factory=dict)
    host: str | None = None


@dataclass(frozen=True, slots=True)
class Keys:
    """Everything the collector needs from connections: routes by path, and write keys by name."""

    routes: Mapping[str, Route]
    write_keys: Mapping[str, str] = field(repr=False)
    takes_email: bool = False


def read_keys(settings: Settings, read: Read = read_connection) -> Keys:
    """Read the connections of everything `STITCHLINE_COLLECTOR` names.

    Raises:
        FixSettings: it names something unknown, or nothing.
        FixCredentials: a connection is missing, or has no usable secret.
    """
    known = [*vendor_names(), SEGMENT, HOOK, EMAIL]
    if not settings.collector:
        raise FixSettings("it is empty", where="STITCHLINE_COLLECTOR", fix=f"Name some of: {', '.join(known)}.")
    routes: dict[str, Route] = {}
    write_keys: dict[str, str] = {}
    for entry in settings.collector:
        name, _, account = entry.partition(":")
        if name not in known:
            raise FixSettings(f"there is no {name!r}", where="STITCHLINE_COLLECTOR", fix=f"Known: {', '.join(known)}.")
        account = account or DEFAULT_ACCOUNT
        if name == SEGMENT:
            write_keys |= _named(read(NAME, account), "write_keys")
        elif name == HOOK:
            for hook, token in _named(read(NAME, account), "hooks").items():
                kept = _route(HOOK, account, {"webhook_secret": token}, None)
                routes[f"/hooks/{hook}"] = replace(kept, outside={"hook": hook})
        elif name != EMAIL:
            connection = read(name, account)
            route = _route(name, account, connection.extra, connection.base_url)
            routes[f"/webhooks/{name}/{account}"] = route
            if account == DEFAULT_ACCOUNT:
                routes[f"/webhooks/{name}"] = route
    return Keys(routes, write_keys, EMAIL in settings.collector)


def _route(name: str, account: str, extra: Mapping[str, Any], host: str | None) -> Route:
    webhook = webhooks()[name]
    signature = webhook.signature
    assert signature is not None
    given = extra.get("webhook_secret")
    secrets = tuple(str(one) for one in (given if isinstance(given, list) else [given]) if one)
    if not secrets:
        raise FixCredentials(
            "its extra has no webhook_secret",
            where=f"connection {name if account == DEFAULT_ACCOUNT else f'{name}__{account}'}",
            fix=f"Add it to {environment_variable(name, account)} or under Admin > Connections of Airflow.",
        )
    seconds = extra.get("webhook_tolerance_seconds")
    if seconds is not None:
        signature = replace(signature, tolerance=timedelta(seconds=float(seconds)))  # type: ignore[type-var]
    if isinstance(signature, EcdsaSignature):
        for secret in secrets:
            public_key(secret)
    return Route(name, account, webhook, signature, secrets, host=host)


def _named(connection: Connection, field_name: str) -> dict[str, str]:
    found = connection.extra.get(field_name)
    if not isinstance(found, dict) or not all(isinstance(value, str) and value for value in found.values()):
        raise FixCredentials(
            f"its extra has no {field_name}",
            where=f"connection {connection.id}",
            fix=f'Write {{"{field_name}": {{"<name>": "<a long random text>"}}}} into its extra.',
        )
    return {str(name): str(value) for name, value in found.items()}
