"""The part of `stitchline doctor` that tries the landing and the warehouse."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from include.connect.errors import StitchlineError
from include.doctor import ASK_SECONDS, Finding, try_file
from include.settings import Settings

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.cloud import bigquery

    from include.warehouse.engine import Engine

ROLES = "The README lists the roles under 'On BigQuery'."
FIXES = {
    401: "The credentials are refused: renew the key in the connection.",
    403: f"The account may not run jobs there: give it roles/bigquery.jobUser. {ROLES}",
    404: "There is no such project: correct STITCHLINE_BIGQUERY_PROJECT, or the connection's project.",
}


def check_landing(settings: Settings) -> Iterator[Finding]:
    """Whether a tiny file can be written to the landing and removed."""
    root = settings.landing_root
    is_bucket = "://" in root
    try:
        try_file(root)
    except Exception as error:  # every file system has errors of its own, and their texts may hold URLs with tokens
        who = "Application Default Credentials" if root.startswith("gs://") else "this user"
        fix = f"Check that it exists and that {who} may write and delete there (on Cloud Storage: objectUser)."
        yield Finding("BAD", "landing", f"{root} cannot be written to ({type(error).__name__}). {fix}")
        return
    yield Finding("ok", "landing", f"{root} can be written to")
    if settings.warehouse == "bigquery" and not is_bucket:
        yield Finding("note", "landing", "a folder: parts are uploaded from here, and every worker must see it")


def check_warehouse(settings: Settings) -> Iterator[Finding]:
    """Whether the configured warehouse can be opened and is what this code expects; nothing is migrated."""
    yield from _duckdb(settings) if settings.warehouse == "duckdb" else _bigquery(settings)


def _duckdb(settings: Settings) -> Iterator[Finding]:
    import duckdb

    from include.warehouse.duckdb import DuckDBEngine

    path = settings.root / "warehouse.duckdb"
    if not path.exists():
        yield Finding("note", "warehouse", f"{path} is made by the first load, or by `stitchline migrate`")
        return
    try:
        connection = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        if isinstance(error, duckdb.IOException) and "lock" in str(error):
            yield Finding("note", "warehouse", f"{path} is in use by another process, so it is not looked into")
            return
        fix = "Restore it, or move it away and load everything again from the landing."
        yield Finding("BAD", "warehouse", f"{path} cannot be opened ({type(error).__name__}). {fix}")
        return
    try:
        yield Finding("ok", "warehouse", f"{path} can be opened")
        yield from _pending(DuckDBEngine(connection, path))
        yield from _erased(DuckDBEngine(connection, path), settings)
    finally:
        connection.close()


def _bigquery(settings: Settings) -> Iterator[Finding]:
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import RequestException

    from include.connect.connection import read_connection
    from include.warehouse.bigquery import BigQueryEngine, open_client
    from include.warehouse.render import Names

    try:
        read_connection(settings.bigquery_connection)
    except StitchlineError as error:
        yield Finding("BAD", "warehouse", str(error))
        return
    where = f"connection {settings.bigquery_connection}"
    with ExitStack() as opened:
        try:
            client = opened.enter_context(open_client(settings))
        except Exception as error:  # what is wrong with a key file comes as errors of many kinds
            fix = "Correct its extra (key_path or keyfile_dict, and project), or the machine's default credentials."
            yield Finding("BAD", "warehouse", f"{where} gives no client ({type(error).__name__}). {fix}")
            return
        yield Finding("ok", "warehouse", f"{where}, project {client.project}")
        try:
            _try_job(client)
            yield Finding("ok", "query jobs", f"may be run in {client.project}")
            datasets = list(_datasets(client, settings))
            yield from datasets
            if any(found.state == "BAD" for found in datasets):
                return
            engine = BigQueryEngine(client, settings, Names("bigquery", prefix=settings.dataset_prefix))
            yield from _pending(engine)
            yield from _erased(engine, settings)
        except GoogleAuthError as error:
            fix = f"Renew the key in {where}, or the machine's default credentials."
            yield Finding("BAD", "warehouse", f"the credentials are not accepted ({type(error).__name__}). {fix}")
        except RequestException as error:
            fix = "Check the network, the proxy and BIGQUERY_EMULATOR_HOST."
            yield Finding("BAD", "warehouse", f"BigQuery cannot be reached ({type(error).__name__}). {fix}")
        except GoogleAPICallError as error:
            yield Finding(
                "BAD", "warehouse", f"{client.project}: HTTP {error.code}. {FIXES.get(int(error.code or 0), ROLES)}"
            )


def _try_job(client: bigquery.Client) -> None:
    """A query job that is only planned: it costs nothing and needs the permission to run jobs."""
    from google.cloud import bigquery

    config = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False)
    client.query("SELECT 1 AS one", job_config=config, retry=_once(), job_retry=None, timeout=ASK_SECONDS)


def _datasets(client: bigquery.Client, settings: Settings) -> Iterator[Finding]:
    """Whether each dataset is there, in the right location, or can be made."""
    from google.api_core.exceptions import Forbidden, NotFound

    from include.warehouse.bigquery import PARTS
    from include.warehouse.engine import DATASETS

    wanted = settings.bigquery_location.upper()
    missing, right = [], 0
    for name in (f"{settings.dataset_prefix}{dataset}" for dataset in (*DATASETS, PARTS)):
        try:
            location = str(client.get_dataset(name, retry=_once(), timeout=ASK_SECONDS).location or "").upper()
        except NotFound:
            missing.append(name)
        except Forbidden:
            fix = f"Give the account roles/bigquery.dataEditor on it. {ROLES}"
            yield Finding("BAD", f"dataset {name}", f"may not be read. {fix}")
        else:
            right += location == wanted
            if location != wanted:
                fix = f"Set STITCHLINE_BIGQUERY_LOCATION to {location}, or move the dataset: a job sees one location."
                yield Finding("BAD", f"dataset {name}", f"is in {location}, not in {wanted}. {fix}")
    if right:
        yield Finding("ok", "datasets", f"{right} in {wanted}")
    if missing:
        yield _creatable(client, settings, missing)


def _creatable(client: bigquery.Client, settings: Settings, missing: list[str]) -> Finding:
    """Whether the missing datasets can be made: one of another name is, and is taken away."""
    from google.api_core.exceptions import GoogleAPICallError
    from google.cloud import bigquery

    probe = bigquery.Dataset(f"{client.project}.{settings.dataset_prefix}stitchline_doctor_{uuid.uuid4().hex[:8]}")
    probe.location = settings.bigquery_location
    listed = ", ".join(missing)
    try:
        client.create_dataset(probe, retry=_once(), timeout=ASK_SECONDS)
        client.delete_dataset(probe, not_found_ok=True, retry=_once(), timeout=ASK_SECONDS)
    except GoogleAPICallError as error:
        fix = f"Give the account roles/bigquery.dataEditor on {client.project}, or make them. {ROLES}"
        return Finding("BAD", "datasets", f"{listed} cannot be made in {probe.location} (HTTP {error.code}). {fix}")
    return Finding("ok", "datasets", f"{listed} are missing and can be made in {probe.location}: the first start does")


def _once() -> Retry:
    """No retries: a doctor says what happened the first time."""
    from google.api_core.retry import Retry

    return Retry(predicate=lambda error: False)


def _pending(engine: Engine) -> Iterator[Finding]:
    """What `stitchline migrate` would change."""
    from include.warehouse.schema import OPS, raw_tables

    tables = [*OPS, *raw_tables()]
    have = {table.name: engine.columns(table.name) for table in tables}
    old = [
        f"{table.name} lacks {column.name}"
        for table in tables
        for column in table.columns
        if have[table.name] and column.name not in have[table.name]
    ]
    missing = [name for name, columns in have.items() if not columns]
    if old:
        more = f", and {len(old) - 1} more" if len(old) > 1 else ""
        yield Finding("BAD", "migrations", f"{old[0]}{more}. Run `stitchline migrate`.")
    elif missing:
        yield Finding(
            "note", "migrations", f"{len(missing)} tables are made by the first start, or `stitchline migrate`"
        )
    else:
        yield Finding("ok", "migrations", "none is pending")


def _erased(engine: Engine, settings: Settings) -> Iterator[Finding]:
    """Whether people who were erased would be known again."""
    from include.privacy.salt import checked_salt

    if not engine.columns("ops.erasures"):
        return
    rows = engine.query("SELECT COUNT(*) AS n, COUNTIF(status = 'started') AS open FROM ops.erasures")[0]
    if not rows["n"]:
        return
    try:
        checked_salt(engine, settings)
    except StitchlineError as error:
        yield Finding("BAD", "erasures", str(error))
    else:
        waiting = f", {rows['open']} wait for the next unify" if rows["open"] else ""
        yield Finding("ok", "erasures", f"{rows['n']}{waiting}; the salt is theirs")
