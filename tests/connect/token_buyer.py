"""What a process of its own does in the OAuth tests: one call to the vendor, then say how it went."""

from __future__ import annotations

import asyncio
from multiprocessing.connection import Connection as Pipe
from typing import Any

from include.connect.connection import Connection
from include.connect.http import Session
from include.connect.oauth import ClientCredentials, JwtBearer, OAuth2, RefreshToken
from include.connect.source import Source
from include.settings import Settings
from include.state.store import Store

GRANTS = (RefreshToken(), JwtBearer("https://login.acme.example"), ClientCredentials())
ACME = Source("acme", "Acme", "https://acme.example/api/v1", OAuth2("/token", GRANTS, {"tenant": "{tenant}"}))


def get(connection: Connection, settings: Settings, clock: Any = None) -> Any:
    """One GET in a session of its own."""

    async def run(store: Store) -> Any:
        async with Session(ACME, connection, store, clock=clock) as session:
            return await session.get_json("/things")

    with Store.open(settings) as store:
        return asyncio.run(run(store))


def get_and_say(pipe: Pipe, connection: Connection, settings: Settings, clock: Any = None) -> None:
    """Where a process starts."""
    try:
        pipe.send(get(connection, settings, clock))
    except Exception as error:
        pipe.send(str(error))
