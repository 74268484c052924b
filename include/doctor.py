"""Everything a deployment needs, tried one by one: what is right, what is not, and what to do about it.

Nothing is changed but for two probes that are taken away again: a file in the home and in the landing, and, where a
BigQuery dataset is missing, a dataset. No vendor is called unless asked for, and no secret is printed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from include.connect.errors import StitchlineError
from include.settings import ROOT, Settings, read_settings

if TYPE_CHECKING:
    from include.connect.connection import Connection
    from include.connect.source import Source

LEAST_FREE_BYTES = 2**30
"""Logs, a landing's parts and Airflow's database need this much at least."""
MOST_SKEW_SECONDS = 60.0
"""Tokens are refused, and cursors pass records by, on machines whose clock is further off."""
ASK_SECONDS = 10.0
BIGQUERY_API = "https://bigquery.googleapis.com"
FERNET = "AIRFLOW__CORE__FERNET_KEY"
ENCRYPTION = "STITCHLINE_ENCRYPTION_KEY"


class Finding(NamedTuple):
    """One thing that was tried; a `note` is neither right nor wrong."""

    state: Literal["ok", "BAD", "note"]
    check: str
    detail: str


def doctor(online: Annotated[bool, typer.Option("--online", help="also call every vendor once")] = False) -> None:
    """Try everything a deployment needs, and say what to do about what is wrong; exit 2 when something is."""
    is_bad = False
    for found in examine(online=online):
        print(f"{found.state:4} {found.check}: {found.detail}", flush=True)
        is_bad = is_bad or found.state == "BAD"
    if is_bad:
        raise typer.Exit(2)


def examine(*, online: bool = False) -> Iterator[Finding]:
    """Every finding, in the order they are made; what needs something that is wrong is left out."""
    from include import doctor_warehouse

    given = {name: os.environ.get(name, "") for name in (FERNET, ENCRYPTION)}
    try:
        settings = _recalled()
    except StitchlineError as error:
        yield Finding("BAD", "settings", str(error))
        return
    yield Finding("ok", "settings", f"environment {settings.env}, warehouse {settings.warehouse}")
    home = list(check_home(settings))
    yield from home
    if any(found.state == "BAD" for found in home):
        yield Finding("note", "everything else", "not tried: it is kept in the home")
        return
    yield from check_keys(settings, given)
    os.environ.update(_airflow(settings))
    yield from check_state(settings)
    yield check_clock(_to_ask(settings, online=online))
    yield from check_sources(settings, online=online)
    yield from check_destinations(settings)
    yield from doctor_warehouse.check_landing(settings)
    yield from doctor_warehouse.check_warehouse(settings)
    yield check_dags()


def check_home(settings: Settings, least: int = LEAST_FREE_BYTES) -> Iterator[Finding]:
    """Whether the home can be written to and has room for a second copy of the warehouse beside `least` bytes."""
    home = settings.home.resolve()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home) as probe:
            probe.write(b"stitchline")
    except OSError as error:
        fix = "Point STITCHLINE_HOME at a folder this user may write to."
        yield Finding("BAD", "home", f"{home} cannot be written to ({error.strerror}). {fix}")
        return
    yield Finding("ok", "home", f"{home} can be written to")
    file = settings.root / "warehouse.duckdb"
    needed = least + (file.stat().st_size if file.exists() else 0)
    free = shutil.disk_usage(home).free
    if free < needed:
        detail = f"{_gibibytes(free)} free, {_gibibytes(needed)} needed. Make room, or move STITCHLINE_HOME."
        yield Finding("BAD", "disk", detail)
    else:
        yield Finding("ok", "disk", f"{_gibibytes(free)} free, {_gibibytes(needed)} needed")


def check_keys(settings: Settings, given: dict[str, str]) -> Iterator[Finding]:
    """Airflow's Fernet key and that of the state store's tokens: given by the environment, or the home's own."""
    from cryptography.fernet import Fernet

    kept = settings.home.resolve() / "airflow" / "secrets.json"
    for check, name in (("fernet key", FERNET), ("encryption key", ENCRYPTION)):
        make = f"Set {name} to what `Fernet.generate_key()` of the cryptography package returns, alike everywhere."
        if not given[name]:
            if any(f"{name}{how}" in os.environ for how in ("_CMD", "_SECRET")):
                yield Finding("note", check, f"Airflow reads it by {name}_CMD or {name}_SECRET; not tried")
            elif settings.env == "prod" and not kept.exists():
                yield Finding("BAD", check, f"not set. {make}")
            else:
                yield Finding("ok", check, f"this home's own, in {kept}")
            continue
        try:
            for key in given[name].split(","):
                Fernet(key.strip().encode())
        except ValueError:
            yield Finding("BAD", check, f"{name} is no Fernet key. {make}")
        else:
            yield Finding("ok", check, f"set by {name}")


def check_state(settings: Settings) -> Iterator[Finding]:
    """Whether the state store answers and has the schema of this code; nothing is migrated."""
    from sqlalchemy import create_engine, inspect
    from sqlalchemy.engine import URL
    from sqlalchemy.exc import DBAPIError

    from include.state.database import database_url, migrations

    try:
        url = database_url(settings)
    except StitchlineError as error:
        yield Finding("BAD", "state store", str(error))
        return
    where = url.render_as_string(hide_password=True)
    is_sqlite = url.get_backend_name() == "sqlite"
    if is_sqlite and not Path(str(url.database)).exists():
        yield Finding("note", "state store", f"{where} is made by the first start, or by `stitchline migrate`")
        return
    schema = None if is_sqlite else f"stitchline_{settings.env}"
    if is_sqlite:
        url = URL.create("sqlite", database=f"file:{url.database}", query={"mode": "ro", "uri": "true"})
    limit = {"timeout": ASK_SECONDS} if is_sqlite else {"connect_timeout": int(ASK_SECONDS)}
    try:
        engine = create_engine(url, hide_parameters=True, connect_args=limit)
    except ModuleNotFoundError as error:
        fix = "Install the `production` extra: `uv sync --frozen --all-extras`."
        yield Finding("BAD", "state store", f"{where} needs {error.name}. {fix}")
        return
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table("schema_version", schema=schema):
                yield Finding("note", "state store", f"{where} is empty; the first start fills it")
                return
            table = f"{schema}.schema_version" if schema else "schema_version"
            version = int(connection.exec_driver_sql(f"SELECT COALESCE(MAX(version), 0) FROM {table}").scalar_one())
    except DBAPIError as error:
        fix = "Check STITCHLINE_STATE_URL, that the server is up, and that this user may read there."
        yield Finding("BAD", "state store", f"{where} cannot be opened ({type(error.orig).__name__}). {fix}")
        return
    finally:
        engine.dispose()
    newest = max(migrations("sqlite" if is_sqlite else "postgresql"), default=0)
    if version < newest:
        yield Finding("BAD", "state store", f"{where} is at version {version} of {newest}. Run `stitchline migrate`.")
    elif version > newest:
        fix = "Install the release that last ran here, or a later one."
        yield Finding("BAD", "state store", f"{where} is at version {version}, this code knows {newest}. {fix}")
    else:
        yield Finding("ok", "state store", f"{where} is at version {version}")


def check_clock(url: str | None) -> Finding:
    """How far this machine's clock is from that of whoever answers at `url`; any answer will do, a refusal too."""
    if url is None:
        return Finding("note", "clock", "nobody to ask; with --online a vendor is")
    before = time.time()
    try:
        with urllib.request.urlopen(url, timeout=ASK_SECONDS) as answer:
            said = answer.headers.get("Date")
    except urllib.error.HTTPError as error:
        said = error.headers.get("Date")
    except (OSError, ValueError) as error:
        return Finding("note", "clock", f"{url} does not answer ({type(error).__name__}), so nobody could be asked")
    now = (before + time.time()) / 2
    try:
        skew = now - parsedate_to_datetime(said or "").timestamp()
    except ValueError:
        return Finding("note", "clock", f"{url} answers without a date")
    detail = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} {url}"
    if abs(skew) > MOST_SKEW_SECONDS:
        return Finding("BAD", "clock", f"{detail}. Let the machine keep its time by NTP (chrony, systemd-timesyncd).")
    return Finding("ok", "clock", detail)


def check_sources(settings: Settings, *, online: bool = False) -> Iterator[Finding]:
    """Whether each enabled source's connection is there with its credentials; `online` tries the first pages too."""
    from include.connect.check import check
    from include.connect.connection import connection_id
    from include.sources import get_source
    from include.wiring import enabled_accounts

    try:
        accounts = list(enabled_accounts(settings))
    except StitchlineError as error:
        yield Finding("BAD", "sources", str(error))
        return
    if not accounts:
        yield Finding("note", "sources", "none is switched on; STITCHLINE_SOURCES names them")
    for name, account in accounts:
        found, _ = _connection(f"source {connection_id(name, account)}", get_source(name), account)
        yield found
        if online and found.state == "ok":
            for tried in check(get_source(name), account, settings)[1:]:
                yield Finding("ok" if tried.ok else "BAD", f"{found.check}, {tried.check}", tried.detail)


def check_destinations(settings: Settings) -> Iterator[Finding]:
    """Whether each enabled destination's connection is there, with its credentials, and may be written to."""
    from include.connect.connection import read_connection
    from include.destinations import all_destinations, api_of, get_destination

    if not settings.syncs:
        yield Finding("note", "destinations", "none is switched on; STITCHLINE_SYNCS names them")
    for name in sorted(all_destinations()) if "*" in settings.syncs else settings.syncs:
        try:
            destination = get_destination(name)
        except StitchlineError as error:
            yield Finding("BAD", f"destination {name}", str(error))
            continue
        found, connection = _connection(f"destination {name}", api_of(destination))
        if found.state == "ok" and connection is not None and not connection.allows_writes(settings.env):
            wanted = f'{{"allow_writes_in": ["{settings.env}"]}}'
            found = found._replace(detail=f"{found.detail}; only planned, until its extra holds {wanted}")
        yield found
    try:
        read_connection(settings.alert_connection)
    except StitchlineError:
        yield Finding("note", "alerts", f"no connection {settings.alert_connection!r}: incidents reach nobody in Slack")
    else:
        yield Finding("ok", "alerts", f"connection {settings.alert_connection} found")


def check_dags() -> Finding:
    """Whether Airflow can read every DAG file under these settings."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(ROOT / "dags"))
    if bag.import_errors:
        file, trace = next(iter(bag.import_errors.items()))
        others = f" (and {len(bag.import_errors) - 1} other files)" if len(bag.import_errors) > 1 else ""
        return Finding("BAD", "DAG files", f"{Path(file).name} does not load{others}: {trace.strip().splitlines()[-1]}")
    return Finding("ok", "DAG files", f"{len(bag.dags)} DAGs")


def try_file(root: str) -> None:
    """Write a tiny file below a folder or bucket, and take it away.

    Raises:
        Exception: whatever the file system says.
    """
    import fsspec

    fs, path = fsspec.core.url_to_fs(root, use_listings_cache=False)
    probe = f"{str(path).rstrip('/')}/.stitchline-doctor-{uuid.uuid4().hex}"
    if "://" not in root:
        fs.makedirs(path, exist_ok=True)
    fs.pipe_file(probe, b"stitchline")
    fs.rm_file(probe)


def _recalled() -> Settings:
    """Settings as the home's Airflow has them, what a demo of this home set included."""
    from include.world import recall

    home = read_settings().home.resolve()
    recall(home)
    os.environ["STITCHLINE_HOME"] = str(home)
    return read_settings()


def _airflow(settings: Settings) -> dict[str, str]:
    """What the home's Airflow has in its environment, where this one says nothing."""
    from include.launcher import base_environment

    wanted = {**base_environment(settings.home, "server"), "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
    return {name: value for name, value in wanted.items() if not os.environ.get(name)}


def _to_ask(settings: Settings, *, online: bool) -> str | None:
    """Who can say what time it is: the warehouse, or a vendor when vendors may be called."""
    from include.connect.connection import read_connection
    from include.sources import get_source
    from include.wiring import enabled_accounts

    if settings.warehouse == "bigquery":
        return os.environ.get("BIGQUERY_EMULATOR_HOST") or BIGQUERY_API
    try:
        for name, account in enabled_accounts(settings) if online else ():
            source = get_source(name)
            if source.tables is None:
                return source.base_url_of(read_connection(name, account))
    except StitchlineError:
        return None  # the check of that connection says why
    return None


def _connection(check: str, source: Source, account: str = "main") -> tuple[Finding, Connection | None]:
    """Whether the connection is there and holds what the source signs in with."""
    from include.connect.connection import read_connection

    try:
        connection = read_connection(source.name, account)
        if source.tables is not None and connection.base_url is None:
            fix = "Put the dataset's name (project.dataset, or a DuckDB file) into its host."
            return Finding("BAD", check, f"connection {connection.id} has no host. {fix}"), connection
        if source.tables is None:
            source.base_url_of(connection)
        if source.auth is not None:
            source.auth.headers(connection)
    except StitchlineError as error:
        return Finding("BAD", check, str(error)), None
    held = "found" if source.auth is None else "found, with credentials"
    return Finding("ok", check, f"connection {connection.id} {held}"), connection


def _gibibytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
