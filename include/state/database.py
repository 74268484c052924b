"""Opening the state store's database: SQLite in WAL mode or Postgres, and its forward-only migrations."""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from include.connect.errors import FixSettings
from include.settings import Settings

MIGRATIONS = Path(__file__).with_name("migrations")
BUSY_SECONDS = 60.0


class Database:
    """Reading and writing in short transactions; every write is serialised with all others on its rows."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def _write(self, *, durable: bool = True) -> Iterator[Connection]:
        with self._engine.connect().execution_options(write=True, durable=durable) as connection, connection.begin():
            yield connection

    def _read(self, sql: str, params: Mapping[str, Any] | None = None) -> list[RowMapping]:
        with self._engine.connect() as connection:
            return list(connection.execute(text(sql), params or {}).mappings())


def database_url(settings: Settings) -> URL:
    """Where the store lives; environments never share one (own SQLite folder, own Postgres schema).

    Raises:
        FixSettings: the URL is unreadable, or names neither SQLite nor Postgres.
    """
    if settings.state_url is None:
        return URL.create("sqlite", database=str(settings.root / "state.sqlite"))
    try:
        url = make_url(settings.state_url)
    except ArgumentError:
        raise _bad_url("is not a SQLAlchemy URL") from None
    kind = url.get_backend_name()
    if kind == "sqlite":
        if not url.database or url.database == ":memory:":
            raise _bad_url("is an in-memory SQLite, which other processes cannot see")
        file = Path(url.database)
        return url.set(database=str(file.parent / settings.env / file.name))
    if kind != "postgresql":
        raise _bad_url(f"names {kind}")
    return url


def _bad_url(what: str) -> FixSettings:
    return FixSettings(
        f"the state store's URL {what}",
        where="STITCHLINE_STATE_URL",
        fix="Use sqlite:////path/state.sqlite or postgresql+psycopg://…",
    )


def open_database(settings: Settings) -> Engine:
    """Connect, create what is missing, and bring the schema up to this code's version.

    Raises:
        FixSettings: the database cannot be reached, or its schema is newer than this code.
    """
    url = database_url(settings)
    is_sqlite = url.get_backend_name() == "sqlite"
    engine = _sqlite(url) if is_sqlite else _postgres(url, f"stitchline_{settings.env}")
    try:
        with _alone(Path(str(url.database))) if is_sqlite else nullcontext():
            _prepare(engine)
            migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})
    _speak_sqlite(engine)
    return engine


def _postgres(url: URL, schema: str) -> Engine:
    options = {"options": f"-csearch_path={schema}"}
    return create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=options)


def _prepare(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        Path(str(engine.url.database)).touch(mode=0o600)
        # Switching to WAL ignores the busy timeout, so it happens here, one process at a time, and stays.
        with engine.connect().execution_options(plain=True) as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        return
    with engine.begin() as connection:
        schema = connection.exec_driver_sql("SHOW search_path").scalar_one()
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:schema))"), {"schema": schema})
        connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")


def _speak_sqlite(engine: Engine) -> None:
    """Take over transaction control: writers say so at BEGIN, which is what makes the busy timeout work."""

    @event.listens_for(engine, "connect")
    def _connected(dbapi_connection: Any, _record: Any) -> None:
        dbapi_connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("plain"):
            return
        if not options.get("write"):
            connection.exec_driver_sql("BEGIN")
            return
        # A budget lost in a power cut refills by itself; a counter, an incident or an audit entry does not.
        connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if options.get('durable', True) else 'NORMAL'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name(f"{file.name}.opening").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def migrations(dialect: str, folder: Path = MIGRATIONS) -> dict[int, Path]:
    """Number -> file; `0002_name.sqlite.sql` is for that dialect only, `0002_name.sql` for all."""
    found: dict[int, Path] = {}
    for file in sorted(folder.glob("*.sql")):
        named = re.fullmatch(r"(\d{4})_\w+(?:\.(sqlite|postgresql))?\.sql", file.name)
        if named is None:
            raise ValueError(f"{file.name} is not named NNNN_what[.dialect].sql")
        if named[2] in (None, dialect):
            if int(named[1]) in found:
                raise ValueError(f"two migrations are numbered {named[1]}: {found[int(named[1])].name}, {file.name}")
            found[int(named[1])] = file
    return found


def migrate(engine: Engine, folder: Path = MIGRATIONS) -> int:
    """Apply what is missing, in one transaction, and return the version reached.

    Raises:
        FixSettings: the schema was made by a newer program.
    """
    steps = migrations(engine.dialect.name, folder)
    newest = max(steps, default=0)
    if inspect(engine).has_table("schema_version"):
        with engine.connect() as connection:
            if schema_version(connection) == newest:
                return newest  # Every process of Airflow opens the store; almost none has anything to change.
    with engine.connect().execution_options(write=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext(current_schema()))")
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
        at = schema_version(connection)
        if at > newest:
            raise FixSettings(
                f"the state store's schema is version {at}, this program knows versions up to {newest}",
                where=engine.url.render_as_string(hide_password=True),
                fix="Install the Stitchline release that last ran here, or a later one.",
            )
        for number in sorted(step for step in steps if step > at):
            for statement in _statements(steps[number]):
                connection.exec_driver_sql(statement)
        if newest > at:
            connection.exec_driver_sql("DELETE FROM schema_version")
            connection.execute(text("INSERT INTO schema_version (version) VALUES (:version)"), {"version": newest})
    return newest


def schema_version(connection: Connection) -> int:
    """Version the database is at; 0 before the first migration."""
    return int(connection.exec_driver_sql("SELECT COALESCE(MAX(version), 0) FROM schema_version").scalar_one())


def _statements(file: Path) -> list[str]:
    """Statements of a migration; a blank line ends each, since trigger bodies hold semicolons."""
    return [part.strip() for part in re.split(r"\n\s*\n", file.read_text()) if part.strip()]
