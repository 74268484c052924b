"""How calls say who we are; templates are filled from the connection."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Protocol

from include.connect.connection import Connection


class Auth(Protocol):
    """Adds credentials to calls. Where they can be renewed, a 401 asks for that once before giving up."""

    def headers(self, connection: Connection) -> dict[str, str]:
        """Headers to send; FixCredentials where the connection lacks a field."""
        ...

    async def refresh(self, connection: Connection) -> bool:
        """Renew what `headers` sends; False where there is nothing to renew."""
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

    async def refresh(self, connection: Connection) -> bool:
        """A password cannot be renewed."""
        return False


@dataclass(frozen=True, slots=True)
class BearerAuth:
    """A fixed token."""

    token: str = "{password}"

    def headers(self, connection: Connection) -> dict[str, str]:
        """The Authorization header."""
        return {"Authorization": f"Bearer {connection.fill(self.token)}"}

    async def refresh(self, connection: Connection) -> bool:
        """A fixed token cannot be renewed."""
        return False
