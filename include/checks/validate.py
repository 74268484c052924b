"""Runs suites with Great Expectations, pushed down to the engine: it counts, the engine computes."""

from __future__ import annotations

import logging
import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Any

from include.checks.docs import project_config
from include.checks.suite import Columns, Expectation, Freshness, Rows, Suite, Unique, Volume
from include.connect.errors import FixSettings
from include.run import Run
from include.warehouse.engine import Engine
from include.warehouse.render import quoted, render

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)
NO_ROWS_KEPT = {"result_format": "BASIC", "partial_unexpected_count": 0}
"""Counts only: results and Data Docs must not quote rows, which are about people."""
SAYS_WHERE = ("Binder Error", "Catalog Error", "Parser Error")
"""Engine errors about names and syntax; their text holds no values of rows."""


class ExtraDialect(StrEnum):
    """What Great Expectations does not list."""

    DUCKDB = "duckdb"


@dataclass(frozen=True, slots=True)
class Counted:
    """What Great Expectations answered for one expectation."""

    is_success: bool
    unexpected: int
    error: str = ""


def keep_connections_open() -> None:
    """Let Great Expectations read its results before it closes the connection, as it does for other embedded engines.

    Without this every result on DuckDB is empty (great_expectations 1.24.1).
    """
    engines: Any = import_module("great_expectations.execution_engine.sqlalchemy_execution_engine")
    if ExtraDialect.DUCKDB not in engines._PERSISTED_CONNECTION_DIALECTS:
        engines._PERSISTED_CONNECTION_DIALECTS = (*engines._PERSISTED_CONNECTION_DIALECTS, ExtraDialect.DUCKDB)


def validate(
    engine: Engine, run: Run, suites: Mapping[str, Suite], usual: Mapping[str, int], docs: Path
) -> dict[tuple[str, str], Counted]:
    """Count what breaks each expectation of each suite, and build Data Docs.

    Args:
        engine: the warehouse; it must be in no transaction.
        run: whose clock is `@as_of`.
        suites: table -> suite.
        usual: table -> rows it usually has; a table without a past has no volume to judge.
        docs: folder of the Data Docs.

    Returns:
        (table, expectation's name) -> what was counted.
    """
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    gx: Any = import_module("great_expectations")
    keep_connections_open()
    # It tells of its own fields at INFO, hundreds of lines in every task's log.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    building = docs.with_name(f".{docs.name}.{os.getpid()}")
    context = gx.get_context(mode="ephemeral", project_config=project_config(building))
    context.variables.progress_bars = {"globally": False}
    run_id = gx.RunIdentifier(run_name=run.run_id, run_time=run.as_of)
    counted: dict[tuple[str, str], Counted] = {}
    with ExitStack() as opened:
        datasources = {
            dataset: opened.enter_context(_datasource(context, engine, dataset))
            for dataset in sorted({_physical(engine, table)[-2] for table in suites})
        }
        for table, suite in suites.items():
            found = gx.ExpectationSuite(table)
            for expectation in suite.expectations:
                translated = _translate(engine, run, suite, expectation, usual.get(table))
                if translated is not None:
                    found.add_expectation(translated)
            *_, dataset, name = _physical(engine, table)
            asset = datasources[dataset].add_table_asset(table, table_name=name)
            definition = gx.ValidationDefinition(
                name=table, data=asset.add_batch_definition_whole_table("all rows"), suite=context.suites.add(found)
            )
            validation = context.validation_definitions.add(definition)
            for result in validation.run(result_format=NO_ROWS_KEPT, run_id=run_id).results:
                counted[table, result.expectation_config.meta["name"]] = _read(result)
        _build_docs(context, building, docs)
    return counted


def _build_docs(context: Any, building: Path, docs: Path) -> None:
    """Replace the documents by this run's; the past is in `ops.check_results`."""
    try:
        docs.parent.mkdir(parents=True, exist_ok=True)
        context.build_data_docs()
        shutil.rmtree(docs, ignore_errors=True)
        os.replace(building, docs)
    except OSError as error:
        log.warning("Data Docs could not be written to %s (%s); results are in ops.check_results", docs, error.strerror)
        shutil.rmtree(building, ignore_errors=True)


@contextmanager
def _datasource(context: Any, engine: Engine, dataset: str) -> Iterator[Any]:
    from include.warehouse.duckdb import DuckDBEngine

    if isinstance(engine, DuckDBEngine):
        from duckdb_sqlalchemy import ConnectionWrapper

        # A connection of its own to the same open database. duckdb_sqlalchemy would open the file again, with other
        # settings, which DuckDB refuses; and one left open would keep the file locked after the engine closed it.
        with ExitStack() as opened:

            def connect() -> Any:
                cursor = engine.connection.cursor()
                opened.callback(cursor.close)
                cursor.execute(f"SET TimeZone = 'UTC'; SET schema = '{dataset}'")
                return ConnectionWrapper(cursor)

            kwargs: dict[str, Any] = {"creator": connect}
            yield context.data_sources.add_sql(dataset, connection_string="duckdb:///", kwargs=kwargs)
        return
    from google.cloud import bigquery

    from include.warehouse.bigquery import BigQueryEngine

    assert isinstance(engine, BigQueryEngine)
    client = engine.client
    own = client.default_query_job_config
    # A client handed over ignores the URL's dataset; names without one are looked up where its queries say.
    client.default_query_job_config = bigquery.QueryJobConfig(
        default_dataset=f"{client.project}.{dataset}",
        labels=engine.jobs.labels,
        maximum_bytes_billed=engine.settings.bigquery_max_bytes,
    )
    kwargs = {"connect_args": {"client": client, "prefer_bqstorage_client": False}}
    url = f"bigquery://{client.project}/{dataset}?user_supplied_client=True"
    try:
        yield context.data_sources.add_bigquery(dataset, connection_string=url, kwargs=kwargs)
    finally:
        client.default_query_job_config = own


def _physical(engine: Engine, table: str) -> tuple[str, ...]:
    dataset, _, name = table.partition(".")
    return engine.names.physical(dataset, name)


def _translate(engine: Engine, run: Run, suite: Suite, expectation: Expectation, usual: int | None) -> Any | None:
    """Our expectation as one of theirs; native where it works on both engines, else a query for the bad rows."""
    gxe: Any = import_module("great_expectations.expectations")
    about = {"severity": expectation.severity, "meta": {"name": expectation.name}, "description": expectation.name}
    if isinstance(expectation, Unique):
        return gxe.ExpectCompoundColumnsToBeUnique(column_list=list(expectation.columns), **about)
    if isinstance(expectation, Columns):
        return gxe.ExpectTableColumnsToMatchSet(column_set=list(expectation.types), exact_match=False, **about)
    if isinstance(expectation, Volume):
        if usual is None:
            return None
        least, most = volume_limits(expectation, usual)
        return gxe.ExpectTableRowCountToBeBetween(min_value=least, max_value=most, **about)
    if isinstance(expectation, Freshness):
        return gxe.UnexpectedRowsExpectation(
            unexpected_rows_query=_query(engine, run, suite, late(suite, expectation)), **about
        )
    if expectation.native is not None:
        return getattr(gxe, expectation.native)(mostly=expectation.mostly, **expectation.arguments, **about)
    return gxe.UnexpectedRowsExpectation(
        unexpected_rows_query=_query(engine, run, suite, bad_rows(suite, expectation)), **about
    )


def volume_limits(volume: Volume, usual: int) -> tuple[int, int]:
    """Fewest and most rows that do not surprise; a small table may grow by a thousand."""
    return math.ceil(usual * (1 - volume.max_drop)), max(math.floor(usual * volume.max_growth), usual + 1000)


def bad_rows(suite: Suite, rows: Rows) -> str:
    """GoogleSQL that lists the keys of bad rows: for Great Expectations, and for the person who looks into it."""
    return f"SELECT t._account, t._key FROM {suite.table} AS t WHERE {rows.bad}"


def late(suite: Suite, freshness: Freshness) -> str:
    """GoogleSQL that lists the accounts whose last complete load is too old."""
    sources = ", ".join(f"'{source}'" for source in freshness.sources)
    return (
        f"SELECT l.source, l.account FROM ops.loads AS l WHERE l.source IN ({sources}) AND l.stream = '{suite.stream}' "
        # A backfill or a sweep says nothing about today.
        f"AND l.is_complete AND l.kind IN ('incremental', 'full') AND (SELECT COUNT(*) FROM {suite.table} AS t) >= 0 "
        "GROUP BY l.source, l.account "
        f"HAVING MAX(l.as_of) < TIMESTAMP_SUB(@as_of, INTERVAL {int(freshness.max_age.total_seconds())} SECOND)"
    )


def _query(engine: Engine, run: Run, suite: Suite, sql: str) -> str:
    """The query in the engine's words, with the batch where the table stood."""
    literal = sql.replace("@as_of", f"TIMESTAMP '{run.as_of:%Y-%m-%d %H:%M:%S}+00:00'")
    names = engine.names
    rendered = render(literal, names).replace("{", "{{").replace("}", "}}")
    table = quoted(_physical(engine, suite.table), names.dialect)
    if table not in rendered:
        raise FixSettings(f"a query of its suite does not read {table}", where=suite.table, fix="Call the row `t`.")
    # The text goes through SQLAlchemy, where a colon before a word would be a parameter.
    rendered = re.sub(r"(?<![:\w\\]):(?=\w)", r"\\:", rendered)
    # Great Expectations puts a subquery with an alias of its own there, so ours needs one more level.
    return rendered.replace(table, "(SELECT * FROM {batch})", 1)


def _read(result: Any) -> Counted:
    raised = result.exception_info or {}
    # One entry, or one per metric that failed.
    details = [raised] if "raised_exception" in raised else list(raised.values())
    failed = [each for each in details if isinstance(each, dict) and each.get("raised_exception")]
    if failed:
        message = str(failed[0].get("exception_message") or "")
        says = message.split("\n")[0][:300] if any(name in message for name in SAYS_WHERE) else "the query failed"
        return Counted(False, 0, says)
    values = result.result
    if result.expectation_config.type == "unexpected_rows_expectation":
        return Counted(bool(result.success), int(values["observed_value"] or 0))
    return Counted(bool(result.success), int(values.get("unexpected_count") or 0))
