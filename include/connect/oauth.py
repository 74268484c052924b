"""OAuth 2.0: access tokens bought at a vendor's token endpoint, kept encrypted, renewed by one process at a time."""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import random
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import msgspec

from include.connect.answers import request_id
from include.connect.connection import Connection
from include.connect.errors import FixCredentials, RetryLater, StitchlineError
from include.state.store import Store

log = logging.getLogger(__name__)

PURCHASE_SECONDS = 60.0
"""How long a token endpoint that fails is asked again."""
LOCK_SECONDS = 240.0
"""A killed buyer's turn ends after this; longer than buying can take, a last slow call included."""
EARLY_SECONDS = 60.0
"""A token this close to its end is renewed before it is used."""
ASSERTION_SECONDS = 180
"""Salesforce refuses assertions that live longer."""


class Grant(Protocol):
    """What an application shows to be given a token."""

    needs: ClassVar[tuple[str, ...]]
    """Fields of the connection; the last one is the credential by which the grant is recognised."""
    stands_for: ClassVar[tuple[str, ...]]
    """Fields that decide which authorization it is; where one changes, the kept tokens are another's."""
    remedy: ClassVar[str]

    def form(self, connection: Connection, refresh_token: str | None, now: float) -> dict[str, str]:
        """The body of the call."""
        ...


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """The application signs in as itself: login is the client id, password its secret."""

    needs: ClassVar[tuple[str, ...]] = ("login", "password")
    stands_for: ClassVar[tuple[str, ...]] = needs
    remedy: ClassVar[str] = "Check client id (login) and client secret (password), and that the flow is switched on."

    def form(self, connection: Connection, refresh_token: str | None, now: float) -> dict[str, str]:
        """Nothing but the grant's name; id and secret go into the header."""
        return {"grant_type": "client_credentials"}


@dataclass(frozen=True, slots=True)
class JwtBearer:
    """The application signs, with its private key, that it acts for a user (RFC 7523).

    `login` is the client id; `username` and `private_key` (PEM) are in the extra, and `audience` where it differs.
    """

    audience: str

    needs: ClassVar[tuple[str, ...]] = ("login", "username", "private_key")
    stands_for: ClassVar[tuple[str, ...]] = needs
    remedy: ClassVar[str] = "Check login, username, private_key and audience, and that the user may use the app."

    def form(self, connection: Connection, refresh_token: str | None, now: float) -> dict[str, str]:
        """A freshly signed assertion.

        Raises:
            FixCredentials: the private key is none.
        """
        audience = connection.extra.get("audience") or self.audience
        return _assertion(connection, now, {"sub": connection.fill("{username}"), "aud": audience})


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """The application signs, with its private key, that it is itself, and says what for (Google's way of RFC 7523).

    `login` is the account's address; `private_key` (PEM) is in the extra.
    """

    audience: str
    scope: str

    needs: ClassVar[tuple[str, ...]] = ("login", "private_key")
    stands_for: ClassVar[tuple[str, ...]] = needs
    remedy: ClassVar[str] = "Check login and private_key, and that the service account may use the API."

    def form(self, connection: Connection, refresh_token: str | None, now: float) -> dict[str, str]:
        """A freshly signed assertion.

        Raises:
            FixCredentials: the private key is none.
        """
        return _assertion(connection, now, {"aud": self.audience, "scope": self.scope, "iat": int(now)})


def _assertion(connection: Connection, now: float, claims: Mapping[str, Any]) -> dict[str, str]:
    """The body of a call that shows a signed assertion instead of a secret."""
    import jwt

    signed = {"iss": connection.login, "exp": int(now) + ASSERTION_SECONDS, **claims}
    try:
        assertion = jwt.encode(signed, connection.fill("{private_key}"), algorithm="RS256")
    except (ValueError, TypeError, jwt.PyJWTError) as error:
        raise FixCredentials(
            f"the private key cannot be used ({type(error).__name__})",
            where=f"connection {connection.id}",
            fix="Put the RSA key in PEM form, line breaks included, into private_key of the extra.",
        ) from None
    return {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A person authorized the application once; `refresh_token` in the extra is what that gave.

    Where the vendor rotates it, the extra keeps the first one and the store the newest.
    """

    needs: ClassVar[tuple[str, ...]] = ("login", "password", "refresh_token")
    # Not the secret: renewing it leaves the authorization, and the rotated token, as they are.
    stands_for: ClassVar[tuple[str, ...]] = ("login", "refresh_token")
    remedy: ClassVar[str] = "Authorize the app again and put the refresh token it gives into the connection's extra."

    def form(self, connection: Connection, refresh_token: str | None, now: float) -> dict[str, str]:
        """The newest refresh token."""
        return {"grant_type": "refresh_token", "refresh_token": refresh_token or connection.fill("{refresh_token}")}


@dataclass(frozen=True, slots=True)
class OAuth2:
    """Bearer tokens that are bought, run out and are bought again.

    Args:
        token_url: the token endpoint; a path stands for one on the API's own host. `token_url` in the connection's
            extra replaces it.
        grants: ways to get a token; the first whose credential the connection has is used, else the last.
        sends: further headers, filled from the connection.
    """

    token_url: str
    grants: tuple[Grant, ...]
    sends: Mapping[str, str] = field(default_factory=dict)

    def headers(self, connection: Connection) -> dict[str, str]:
        """What goes with every call besides the token; FixCredentials where the connection lacks a field."""
        for name in self.grant_of(connection).needs:
            connection.fill(f"{{{name}}}")
        return {name: connection.fill(template) for name, template in self.sends.items()}

    def grant_of(self, connection: Connection) -> Grant:
        """The grant this connection uses."""
        held = {**connection.extra, "login": connection.login, "password": connection.password}
        return next((grant for grant in self.grants if held.get(grant.needs[-1])), self.grants[-1])


class Kept(msgspec.Struct, frozen=True):
    """What the store keeps of an authorization, encrypted; `ends_at` in epoch seconds, None where nobody says."""

    access: str
    refresh: str | None = None
    ends_at: float | None = None


class _Clock(Protocol):
    def now(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class _Answer(Protocol):
    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def body(self) -> bytes: ...


Post = Callable[[str, Mapping[str, str], Mapping[str, str]], Awaitable[_Answer]]
"""Posts a form (address, headers, fields), through passing faults for `PURCHASE_SECONDS`."""


class Tokens:
    """The tokens of one authorization, shared through the store by all processes and accounts that use it.

    A refresh token that rotates works once. So one process at a time spends it, under a lock, and what the vendor
    gave for it is stored before it is used.
    """

    def __init__(
        self, auth: OAuth2, connection: Connection, root: str, store: Store, clock: _Clock, post: Post
    ) -> None:
        self._connection = connection
        self._grant = auth.grant_of(connection)
        address = str(connection.extra.get("token_url") or auth.token_url)
        self._url = root + address if address.startswith("/") else connection.fill(address)
        said = [connection.fill(f"{{{name}}}") for name in self._grant.stands_for]
        self._name = f"oauth/{connection.name}/{hashlib.sha256(msgspec.json.encode([self._url, *said])).hexdigest()}"
        self._me = f"{socket.gethostname()}/{os.getpid()}/{id(self):x}"
        self._store, self._clock, self._post = store, clock, post
        self._kept: Kept | None = None

    async def access(self, refused: str | None = None) -> str:
        """An access token to use now.

        Args:
            refused: a token the vendor has just answered 401 to.

        Raises:
            FixCredentials: the vendor gives no token any more.
            FixSettings: tokens cannot be kept: there is no encryption key.
            RetryLater: the token endpoint kept failing, or another process is at it for too long.
        """
        if not self._is_good(self._kept, refused):
            self._kept = self._stored()
        deadline = self._clock.now() + 2 * LOCK_SECONDS
        while not self._is_good(self._kept, refused):
            if self._store.acquire_lock(self._name, self._me, LOCK_SECONDS, self._clock.now()):
                try:
                    # Somebody may have bought one between the look and the lock.
                    self._kept = self._stored()
                    if not self._is_good(self._kept, refused):
                        self._kept = await self._buy(self._kept)
                        return self._kept.access
                finally:
                    self._store.release_lock(self._name, self._me)
                continue
            if self._clock.now() > deadline:
                raise RetryLater("another process is renewing the access token", where=self._where, after=LOCK_SECONDS)
            await self._clock.sleep(random.uniform(0.1, 0.5))
            self._kept = self._stored()
        assert self._kept is not None
        return self._kept.access

    @property
    def _where(self) -> str:
        return f"connection {self._connection.id}"

    def _is_good(self, kept: Kept | None, refused: str | None) -> bool:
        if kept is None or kept.access == refused:
            return False
        return kept.ends_at is None or self._clock.now() < kept.ends_at - EARLY_SECONDS

    def _stored(self) -> Kept | None:
        text = self._store.get_token(self._name)
        return None if text is None else msgspec.json.decode(text, type=Kept)

    async def _buy(self, old: Kept | None) -> Kept:
        now = self._clock.now()
        form = self._grant.form(self._connection, old.refresh if old else None, now)
        headers = {} if "assertion" in form else {"Authorization": _basic(self._connection)}
        answer = await self._post(self._url, headers, form)
        given = _fields(answer.body)
        token = given.get("access_token")
        if answer.status >= 300 or not isinstance(token, str) or not token:
            raise self._refusal(answer, given)
        lasts, refresh = given.get("expires_in"), given.get("refresh_token")
        kept = Kept(
            token,
            refresh if isinstance(refresh, str) and refresh else (old.refresh if old else None),
            now + float(lasts) if isinstance(lasts, int | float) else None,
        )
        self._store.put_token(self._name, msgspec.json.encode(kept).decode(), self._clock.now())
        log.info("renewed the access token where=%s", self._where)
        return kept

    def _refusal(self, answer: _Answer, given: Mapping[str, Any]) -> StitchlineError:
        code = given.get("error")
        # A code is one of a short list; anything else may be somebody's data.
        said = code if isinstance(code, str) and re.fullmatch(r"[a-z_]{3,40}", code) else f"status {answer.status}"
        return FixCredentials(
            f"the vendor gives no access token ({said})",
            where=self._where,
            fix=self._grant.remedy,
            request_id=request_id(answer.headers, answer.body),
        )


def _basic(connection: Connection) -> str:
    pair = f"{connection.login}:{connection.password}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _fields(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}
