"""How calls say who we are; templates are filled from the connection."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Protocol

from include.connect.connection import Connection


class Auth(Protocol):
    """Adds credentials to calls."""

    def headers(self, connection: Connection) -> dict[str, str]:
        """Headers to send; FixCredentials where the connection lacks a field."""
        ...


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """HTTP Basic authentication."""

    user: str
    password: str = ""

    def headers(self, connection: Connection) -> dict[str, str]:
        """The Authorization header."""
        pair = f"{connection.fill(self.user)}:{connection.fill(self.password)}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


@dataclass(frozen=True, slots=True)
class BearerAuth:
    """A fixed token."""

    token: str = "{password}"

    def headers(self, connection: Connection) -> dict[str, str]:
        """The Authorization header."""
        return {"Authorization": f"Bearer {connection.fill(self.token)}"}


@dataclass(frozen=True, slots=True)
class HeaderAuth:
    """A header of the vendor's own, or the Authorization header with a scheme of its own."""

    value: str = "{password}"
    name: str = "Authorization"

    def headers(self, connection: Connection) -> dict[str, str]:
        """The header."""
        return {self.name: connection.fill(self.value)}
