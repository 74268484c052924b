"""The connection of one account: address, credentials and fields, read from Airflow."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from include.connect.errors import FixCredentials

DEFAULT_ACCOUNT = "main"


@dataclass(frozen=True, slots=True)
class Connection:
    """What a call needs to know about the account it is made for; printing it shows no secret."""

    name: str
    account: str = DEFAULT_ACCOUNT
    base_url: str | None = None
    login: str = ""
    password: str = field(default="", repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def id(self) -> str:
        """The Airflow connection id: `mailchimp`, or `mailchimp__eu` for another account."""
        return connection_id(self.name, self.account)

    def __repr__(self) -> str:
        return f"Connection({self.id!r}, base_url={self.base_url!r})"

    def allows_writes(self, env: str) -> bool:
        """Whether something may be written there: always in prod, elsewhere only where the connection says so."""
        return env == "prod" or env in self.extra.get("allow_writes_in", ())

    def fill(self, template: str, derive: Callable[[Connection], Mapping[str, str]] | None = None) -> str:
        """Fill `{field}`s from login, password, extra and derived fields.

        Raises:
            FixCredentials: a field is missing or empty; the message names it, never a value.
        """
        fields = {key: str(value) for key, value in self.extra.items() if isinstance(value, str | int)}
        fields |= {"login": self.login, "password": self.password}
        if derive is not None:
            fields |= derive(self)
        needed = [name for _, name, _, _ in string.Formatter().parse(template) if name]
        missing = [name for name in needed if not fields.get(name)]
        if missing:
            variable = environment_variable(self.name, self.account)
            raise FixCredentials(
                f"the connection has no {' and no '.join(missing)}",
                where=f"connection {self.id}",
                fix=f"Add it to {variable} or under Admin > Connections of Airflow.",
            )
        return template.format_map({name: fields[name] for name in needed})


def connection_id(name: str, account: str = DEFAULT_ACCOUNT) -> str:
    """The Airflow connection id of an account of a source."""
    return name if account == DEFAULT_ACCOUNT else f"{name}__{account}"


def environment_variable(name: str, account: str = DEFAULT_ACCOUNT) -> str:
    """The environment variable in which Airflow looks for the connection."""
    return f"AIRFLOW_CONN_{connection_id(name, account).upper()}"


def read_connection(name: str, account: str = DEFAULT_ACCOUNT) -> Connection:
    """Read a connection through Airflow, whatever secrets backend holds it.

    Raises:
        FixCredentials: there is none, or its extra is not a JSON object.
    """
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError

    where = f"connection {connection_id(name, account)}"
    try:
        found = BaseHook.get_connection(connection_id(name, account))
    except (AirflowNotFoundException, AirflowRuntimeError) as error:
        raise FixCredentials(
            "there is no such Airflow connection",
            where=where,
            fix=f"Set {environment_variable(name, account)}, or add it under Admin > Connections in Airflow.",
        ) from error
    try:
        extra = found.extra_dejson
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        raise FixCredentials(
            "its extra is not a JSON object", where=where, fix='Write the extra as {"field": "value"}.'
        )
    return Connection(name, account, _base_url(found), found.login or "", found.password or "", extra)


def _base_url(found: Any) -> str | None:
    host = (found.host or "").strip()
    if not host:
        return None
    if "://" not in host and found.schema in ("http", "https"):
        host = f"{found.schema}://{host}"
    if found.port and "://" in host and host.count(":") == 1:
        scheme, _, rest = host.partition("://")
        name, slash, path = rest.partition("/")
        host = f"{scheme}://{name}:{found.port}{slash}{path}"
    return host.rstrip("/")
