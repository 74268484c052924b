"""The secret by which erased people are known again, and the hashes made with it."""

from __future__ import annotations

import hashlib

from include.connect.errors import FixSettings
from include.settings import Settings
from include.warehouse.engine import Engine


def checked_salt(engine: Engine, settings: Settings) -> str:
    """The secret that tombstones are made with.

    Raises:
        FixSettings: there is none, or it is not the one that earlier tombstones were made with.
    """
    if settings.erasure_salt is None:
        raise FixSettings(
            "erased people cannot be known again without the secret salt",
            where="STITCHLINE_ERASURE_SALT",
            fix="Set it to 32 random characters, the same everywhere and for ever: docs/erasure.md.",
        )
    salt = settings.erasure_salt.get_secret_value()
    rows = engine.query("SELECT COUNT(*) AS n FROM ops.erasures WHERE salt_id != @salt_id", {"salt_id": salt_id(salt)})
    if rows[0]["n"]:
        raise FixSettings(
            "the salt is not the one that earlier tombstones were made with",
            where="STITCHLINE_ERASURE_SALT",
            fix="Put the former value back; without it erased people would return.",
        )
    return salt


def hashed(salt: str, kind: str, value: str) -> str:
    """The salted hash of an identifier, as `digest` has it."""
    return hashlib.sha256(f"{salt}:{kind}:{value}".encode()).hexdigest()


def salt_id(salt: str) -> str:
    """What tells two salts apart without telling them."""
    return hashlib.sha256(f"which salt: {salt}".encode()).hexdigest()[:8]


def digest(kind: str, value: str) -> str:
    """GoogleSQL of the salted hash of an identifier; `@salt` is the secret."""
    return f"TO_HEX(SHA256(CONCAT(@salt, ':', {kind}, ':', {value})))"
