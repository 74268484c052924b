"""The operational store: budgets, leases, circuits, locks, incidents, tokens and audit, shared by every process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from include.connect.errors import FixSettings
from include.settings import Settings
from include.state import database
from include.state.incidents import Incidents
from include.state.locks import Locks
from include.state.records import AuditEntry
from include.state.traffic import Traffic


class Store(Traffic, Locks, Incidents):
    """Small facts many processes write at once; each method is one transaction.

    The store never reads a clock: `now` is epoch seconds, given by the caller. Cursors and receipts
    are not here: they stay beside the data they speak of.
    """

    def __init__(self, engine: Engine, encryption_key: str | None = None) -> None:
        super().__init__(engine)
        self._key = encryption_key

    @classmethod
    @contextmanager
    def open(cls, settings: Settings) -> Iterator[Store]:
        """Open the store of this environment, created and migrated if need be.

        Raises:
            FixSettings: it cannot be opened, or its schema is newer than this program.
        """
        try:
            engine = database.open_database(settings)
        except (DBAPIError, OSError) as error:
            raise FixSettings(
                f"the state store cannot be opened ({type(error).__name__})",
                where=database.database_url(settings).render_as_string(hide_password=True),
                fix="Check STITCHLINE_STATE_URL, that the server is up, and that this user may write there.",
            ) from error
        try:
            yield cls(engine, settings.encryption_key)
        finally:
            engine.dispose()

    @property
    def schema_version(self) -> int:
        """Number of the last migration applied."""
        with self._engine.connect() as connection:
            return database.schema_version(connection)

    def next_value(self, counter: str) -> int:
        """The next number of a counter: 1, 2, 3 ... over all processes, never given twice."""
        with self._write() as connection:
            return _next(connection, counter)

    def put_token(self, name: str, token: str, now: float) -> None:
        """Keep an OAuth token, encrypted.

        Raises:
            FixSettings: there is no usable encryption key.
        """
        ciphertext = self._fernet().encrypt(token.encode()).decode()
        with self._write() as connection:
            connection.execute(
                text(
                    "INSERT INTO tokens (name, ciphertext, updated_at) VALUES (:name, :ciphertext, :now) "
                    "ON CONFLICT (name) DO UPDATE "
                    "SET ciphertext = excluded.ciphertext, updated_at = excluded.updated_at"
                ),
                {"name": name, "ciphertext": ciphertext, "now": float(now)},
            )

    def get_token(self, name: str) -> str | None:
        """The token kept under a name, or None.

        Raises:
            FixSettings: there is no encryption key, or the token was encrypted with another one.
        """
        fernet = self._fernet()  # first: whoever finds no token buys one, and must be able to keep it
        rows = self._read("SELECT ciphertext FROM tokens WHERE name = :name", {"name": name})
        if not rows:
            return None
        try:
            return fernet.decrypt(rows[0]["ciphertext"].encode()).decode()
        except InvalidToken:
            raise FixSettings(
                f"the token {name} was encrypted with another key",
                where="STITCHLINE_ENCRYPTION_KEY",
                fix="Set the key that was in use when it was stored, or authorize the connection again.",
            ) from None

    def _fernet(self) -> Fernet:
        try:
            return Fernet((self._key or "").encode())
        except ValueError:
            raise FixSettings(
                "tokens cannot be kept: the encryption key is " + ("not a Fernet key" if self._key else "missing"),
                where="STITCHLINE_ENCRYPTION_KEY",
                fix="Set it to what `Fernet.generate_key()` of the cryptography package returns, the same everywhere.",
            ) from None

    def audit(self, who: str, action: str, what: str, now: float) -> None:
        """Note who did what to which personal data; entries can be neither changed nor removed."""
        with self._write() as connection:
            connection.execute(
                text(
                    "INSERT INTO audit (audit_id, at, who, action, what) VALUES (:audit_id, :now, :who, :action, :what)"
                ),
                {"audit_id": _next(connection, "audit"), "now": float(now), "who": who, "action": action, "what": what},
            )

    def audit_entries(self, after: int = 0) -> list[AuditEntry]:
        """Entries past a number, oldest first; `after` lets a copier continue where it stopped."""
        rows = self._read("SELECT * FROM audit WHERE audit_id > :after ORDER BY audit_id", {"after": after})
        return [AuditEntry(**row) for row in rows]


def _next(connection: Connection, counter: str) -> int:
    value = connection.execute(
        text(
            "INSERT INTO counters (name, value) VALUES (:name, 1) ON CONFLICT (name) DO UPDATE "
            "SET value = counters.value + 1 RETURNING value"
        ),
        {"name": counter},
    ).scalar_one()
    return int(value)
