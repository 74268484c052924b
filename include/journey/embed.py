"""Signed addresses of a customer's page, for frames in other tools: each expires and opens one customer only."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import jwt

from include.connect.errors import FixSettings
from include.journey.link import PREFIX
from include.journey.search import find_customer
from include.settings import Settings
from include.state.store import Store
from include.warehouse.engine import Engine

AUDIENCE = "stitchline-embed"
LONGEST = timedelta(days=31)
MOST_CHARACTERS = 2000
"""Of a token; ours have about 250."""
UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class EmbedLink:
    """What a token opens; `link_id` stands for it in the audit, since a token is a secret."""

    customer_id: str
    link_id: str
    expires_at: datetime


def lasting(text: str) -> timedelta:
    """How long a link lasts: `30m`, `8h`, `7d`.

    Raises:
        FixSettings: it is no such time, or longer than 31 days.
    """
    match = re.fullmatch(r"(\d{1,5})([mhd])", text)
    found = timedelta(**{UNITS[match[2]]: int(match[1])}) if match else timedelta()
    if not timedelta() < found <= LONGEST:
        raise FixSettings(
            f"a link cannot last {text!r}", where="expires", fix="Write 30m, 8h or 7d; 31d is the longest."
        )
    return found


def embed_url(
    engine: Engine, store: Store, settings: Settings, identifier: str, expires: timedelta, who: str, now: datetime
) -> tuple[str, EmbedLink]:
    """A signed address of one customer's page, for a frame; who asked for it is noted in the audit.

    Args:
        engine: reads the published generation.
        store: keeps the audit.
        settings: give the key and the UI's address.
        identifier: any of the person's, as for a search; `zendesk_user_id:main/123` for Zendesk's requester.
        expires: how long it opens.
        who: the user who asked.
        now: the time, UTC.

    Raises:
        FixSettings: there is no key, or the identifier is nobody's or several people's.
    """
    _keys(settings)
    customer_id = find_customer(engine, settings, identifier)
    link = EmbedLink(customer_id, secrets.token_hex(6), (now + expires).replace(microsecond=0))
    until = f"embed until {link.expires_at:%Y-%m-%dT%H:%M:%SZ} as {link.link_id}"
    store.audit(who, until, f"customer {customer_id}", now.timestamp())
    query = urlencode({"token": sign(settings, link)})
    return f"{settings.public_url or settings.ui_url.rstrip('/')}{PREFIX}/embed?{query}", link


def sign(settings: Settings, link: EmbedLink) -> str:
    """The token of a link, signed with the first key.

    Raises:
        FixSettings: there is no key.
    """
    claims = {"aud": AUDIENCE, "sub": link.customer_id, "jti": link.link_id, "exp": int(link.expires_at.timestamp())}
    return jwt.encode(claims, _keys(settings)[0], algorithm="HS256")


def read_token(settings: Settings, token: str, now: datetime) -> EmbedLink | None:
    """What a token opens; None for one that is expired, cut short, changed, or signed with a key that is gone.

    Every key is tried, and each signature is compared in constant time: how long it takes tells nothing.
    """
    claims: dict[str, object] = {}
    for key in settings.embed_key if len(token) <= MOST_CHARACTERS else ():
        try:
            claims = jwt.decode(
                token,
                key.get_secret_value(),
                algorithms=["HS256"],
                audience=AUDIENCE,
                # Against the caller's clock, below.
                options={"require": ["aud", "sub", "jti", "exp"], "verify_exp": False},
            )
        except jwt.InvalidTokenError:
            continue
    if not claims or now.timestamp() >= int(str(claims["exp"])):
        return None
    expires_at = datetime.fromtimestamp(int(str(claims["exp"])), UTC)
    return EmbedLink(str(claims["sub"]), str(claims["jti"]), expires_at)


def frame_ancestors(settings: Settings) -> str:
    """Who may show embedded pages, as Content-Security-Policy says it."""
    return " ".join(settings.embed_hosts) or "'none'"


def _keys(settings: Settings) -> list[str]:
    if not settings.embed_key:
        raise FixSettings(
            "pages cannot be embedded: there is no key to sign them",
            where="STITCHLINE_EMBED_KEY",
            fix="Set it to `openssl rand -hex 32`, alike here and in the api-server.",
        )
    return [key.get_secret_value() for key in settings.embed_key]
