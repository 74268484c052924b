"""BigQuery, the production warehouse: load jobs and query jobs through Airflow's BigQueryHook."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from isal import igzip
from sqlglot import exp

from include.connect.errors import FixCredentials, FixSettings, RetryLater, StopSync
from include.settings import Settings
from include.warehouse.engine import DATASETS, Statement, Table
from include.warehouse.render import Names, parameters, parse, quoted, render

if TYPE_CHECKING:
    from google.cloud import bigquery

SCRATCH_HOURS = 24
RETRYABLE = frozenset(
    {"backendError", "internalError", "rateLimitExceeded", "jobRateLimitExceeded", "tableUnavailable"}
)
PART_FIELDS = (("_key", "STRING"), ("_extracted_at", "TIMESTAMP"), ("_payload", "JSON"))


class BigQueryEngine:
    """The `Engine` protocol on one `google.cloud.bigquery.Client`."""

    name = "bigquery"
    is_exclusive = False

    def __init__(self, client: bigquery.Client, settings: Settings, names: Names, labels: Mapping[str, str]) -> None:
        self.client = client
        self.settings = settings
        self.names = names
        self.labels = dict(labels)

    @property
    def generation(self) -> str | None:
        """The generation that `identity.*` and `marts.*` mean."""
        return self.names.generation

    def at(self, generation: str | None) -> BigQueryEngine:
        """The same client reading and writing that generation."""
        return BigQueryEngine(self.client, self.settings, replace(self.names, generation=generation), self.labels)

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Rows of a SELECT as dicts; JSON columns as text."""
        rows = self._run(render(sql, self.names), _used(sql, params)).result()
        json_columns = {field.name for field in rows.schema if field.field_type == "JSON"}
        return [
            {
                name: msgspec.json.encode(value).decode() if name in json_columns and value is not None else value
                for name, value in row.items()
            }
            for row in rows
        ]

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> int:
        """Run one statement as one query job; returns the rows it changed."""
        job = self._run(render(sql, self.names), _used(sql, params))
        return int(job.num_dml_affected_rows or 0)

    def atomically(self, statements: Sequence[Statement | str]) -> None:
        """DDL first, in order, then all DML as one transaction in one script.

        BigQuery takes no DDL on permanent tables inside a transaction; every caller's DDL is repeatable.
        """
        script: list[str] = []
        params: dict[str, Any] = {}
        for number, item in enumerate(statements):
            statement = Statement(item) if isinstance(item, str) else item
            if isinstance(parse(statement.sql), (exp.Create, exp.Drop, exp.Alter)):
                self.execute(statement.sql, statement.params)
                continue
            tree = parse(statement.sql).copy()
            for node in tree.find_all(exp.Parameter):
                params[f"{node.name}_{number}"] = statement.params[node.name]
                node.set("this", exp.Var(this=f"{node.name}_{number}"))
            script.append(render(tree.sql(dialect="bigquery"), self.names))
        if script:
            body = ";\n".join(script)
            self._run(f"BEGIN TRANSACTION;\n{body};\nCOMMIT TRANSACTION;", params)

    def ensure(self, tables: Iterable[Table]) -> None:
        """Create missing tables with their layout; add declared columns."""
        from google.api_core.exceptions import Conflict
        from google.cloud import bigquery

        for table in tables:
            fields = [_field(column.name, column.type, column.description) for column in table.columns]
            made = bigquery.Table(self._id(table.name), schema=fields)
            made.description = table.description or None
            made.labels = self.labels
            if table.partition_by:
                made.time_partitioning = bigquery.TimePartitioning(field=_partition_field(table.partition_by))
            made.clustering_fields = list(table.cluster_by) or None
            try:
                self.client.create_table(made)
            except Conflict:
                have = self.client.get_table(self._id(table.name))
                missing = [field for field in fields if field.name not in {kept.name for kept in have.schema}]
                if missing:
                    have.schema = [*have.schema, *missing]
                    self.client.update_table(have, ["schema"])

    def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows by one load job: atomic, free, and visible at once (row streaming is neither)."""
        from google.cloud import bigquery

        if not rows:
            return
        have = {field.name: field for field in self.client.get_table(self._id(table)).schema}
        unknown = [name for name in rows[0] if name not in have]
        if unknown:
            raise FixSettings(
                f"no column {unknown[0]!r}",
                where=table,
                fix="Run `stitchline migrate`; the table is older than the code.",
            )
        config = bigquery.LoadJobConfig(
            schema=[have[name] for name in rows[0]], write_disposition="WRITE_APPEND", labels=self.labels
        )
        plain = [{name: _plain(value) for name, value in row.items()} for row in rows]
        self._wait(self.client.load_table_from_json(plain, self._id(table), job_config=config))

    def load_parts(
        self, table: str, parts: Sequence[tuple[int, str]], stamp: Mapping[str, Any], also: Sequence[Statement] = ()
    ) -> int:
        """Load each part into a table of its own, then swap them all in with one transaction."""
        statements: list[Statement | str] = [
            Statement(f"DELETE FROM {table} WHERE _run_id = @run", {"run": stamp["_run_id"]})
        ]
        for number, uri in parts:
            staged = f"scratch.load_{hashlib.sha256(f'{table} {uri}'.encode()).hexdigest()[:20]}"
            self._load_part(staged, uri, f"{stamp['_run_id']}-{number}")
            statements.append(
                Statement(
                    f"INSERT INTO {table} (_account, _run_id, _part, _seq, _key, _extracted_at, _loaded_at, _payload) "
                    f"SELECT @account, @run, @part, @seq, _key, _extracted_at, @loaded, _payload FROM {staged}",
                    {
                        "account": stamp["_account"],
                        "run": stamp["_run_id"],
                        "part": number,
                        "seq": stamp["_seq"],
                        "loaded": stamp["_loaded_at"],
                    },
                )
            )
        self.atomically([*statements, *also])
        counted = self.query(f"SELECT COUNT(*) AS n FROM {table} WHERE _run_id = @run", {"run": stamp["_run_id"]})
        return int(counted[0]["n"])

    def columns(self, table: str) -> dict[str, str]:
        """Column name -> BigQuery type; empty when there is no such table."""
        from google.api_core.exceptions import NotFound

        try:
            return {field.name: field.field_type for field in self.client.get_table(self._id(table)).schema}
        except NotFound:
            return {}

    def tables(self, dataset: str) -> list[str]:
        """Tables and views of a dataset, sorted."""
        return sorted(
            item.table_id for item in self.client.list_tables(f"{self.client.project}.{self.names.prefix}{dataset}")
        )

    def attach(self, name: str, uri: str) -> None:
        """Make `project.dataset` readable as dataset `name`."""
        project, mark, dataset = uri.partition(".")
        if not mark:
            project, dataset = self.client.project, uri
        self.names = replace(self.names, foreign={**self.names.foreign, name: (project, dataset)})

    def publish(self, generation: str) -> None:
        """Nothing to copy: readers query the views themselves."""

    def prepare(self) -> None:
        """Create the datasets; scratch tables expire by themselves."""
        from google.cloud import bigquery

        for dataset in (*DATASETS, "scratch"):
            made = bigquery.Dataset(f"{self.client.project}.{self.names.prefix}{dataset}")
            made.location = self.settings.bigquery_location
            if dataset == "scratch":
                made.default_table_expiration_ms = SCRATCH_HOURS * 3600 * 1000
            self.client.create_dataset(made, exists_ok=True)

    def _load_part(self, staged: str, uri: str, name: str) -> None:
        from google.api_core.exceptions import Conflict
        from google.cloud import bigquery

        config = bigquery.LoadJobConfig(
            schema=[_field(field, kind) for field, kind in PART_FIELDS],
            source_format="NEWLINE_DELIMITED_JSON",
            write_disposition="WRITE_TRUNCATE",
            labels=self.labels,
        )
        # The id is the part's: a job that is already done, or still runs, is found again instead of started twice.
        stem = f"stitchline_{hashlib.sha256(f'{name} {staged} {self._id(staged)}'.encode()).hexdigest()[:32]}"
        job: Any
        for attempt in range(1, 10):
            job_id = f"{stem}_{attempt}"
            try:
                if uri.startswith("gs://"):
                    job = self.client.load_table_from_uri(uri, self._id(staged), job_id=job_id, job_config=config)
                else:  # sent unpacked: not every endpoint unpacks an upload
                    with igzip.open(uri, "rb") as body:  # type: ignore[no-untyped-call]
                        job = self.client.load_table_from_file(body, self._id(staged), job_id=job_id, job_config=config)
            except Conflict:
                job = self.client.get_job(job_id, location=self.settings.bigquery_location)
                if job.state == "DONE" and (job.error_result or not self.columns(staged)):
                    continue  # that attempt failed, or its table expired: the next number is a new job
            self._wait(job)
            return
        raise StopSync(
            "nine load jobs of this part failed",
            where=uri,
            fix="Read their errors under Job history in the BigQuery console.",
        )

    def _run(self, sql: str, params: Mapping[str, Any]) -> Any:
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(
            query_parameters=[_parameter(name, value) for name, value in params.items()],
            maximum_bytes_billed=self.settings.bigquery_max_bytes,
            labels=self.labels,
            use_legacy_sql=False,
        )
        return self._wait(self.client.query(sql, job_config=config))

    def _wait(self, job: Any) -> Any:
        from google.api_core.exceptions import Forbidden, GoogleAPICallError, Unauthorized

        try:
            job.result()
        except (Unauthorized, Forbidden) as error:
            if _reason(error) in RETRYABLE:
                raise RetryLater(f"BigQuery asked to wait ({_reason(error)})", where=f"job {job.job_id}") from None
            raise FixCredentials(
                f"BigQuery refused the job ({_reason(error) or 'permission denied'})",
                where=f"connection {self.settings.bigquery_connection!r}, job {job.job_id}",
                fix="Give its service account the roles listed under 'On BigQuery' in the README.",
            ) from None
        except GoogleAPICallError as error:
            if _reason(error) in RETRYABLE:
                raise RetryLater(f"BigQuery failed for now ({_reason(error)})", where=f"job {job.job_id}") from None
            raise
        except BaseException:
            job.cancel()  # a killed task must not go on paying
            raise
        return job

    def _id(self, table: str) -> str:
        dataset, _, name = table.partition(".")
        parts = self.names.physical(dataset, name)
        return ".".join(parts if len(parts) == 3 else (self.client.project, *parts))

    def _name(self, table: str) -> str:
        dataset, _, name = table.partition(".")
        return quoted(self.names.physical(dataset, name), "bigquery")


@contextmanager
def open_bigquery(settings: Settings) -> Iterator[BigQueryEngine]:
    """An engine on the client of the Airflow connection `settings.bigquery_connection`, datasets created."""
    from airflow.providers.google.cloud.hooks.bigquery import BigQueryHook

    hook = BigQueryHook(
        gcp_conn_id=settings.bigquery_connection, location=settings.bigquery_location, use_legacy_sql=False
    )
    client = hook.get_client(
        project_id=settings.bigquery_project or hook.project_id, location=settings.bigquery_location
    )
    try:
        engine = BigQueryEngine(
            client,
            settings,
            Names("bigquery", prefix=settings.dataset_prefix),
            {"app": "stitchline", "env": settings.env},
        )
        engine.prepare()
        yield engine
    finally:
        client.close()  # type: ignore[no-untyped-call]


def _used(sql: str, params: Mapping[str, Any] | None) -> dict[str, Any]:
    wanted = parameters(sql) if params else set()
    return {name: value for name, value in (params or {}).items() if name in wanted}


def _parameter(name: str, value: Any) -> Any:
    from google.cloud import bigquery

    if isinstance(value, (list, tuple)):
        return bigquery.ArrayQueryParameter(name, _kind(value[0]) if value else "STRING", list(value))
    return bigquery.ScalarQueryParameter(name, _kind(value), value)


def _kind(value: Any) -> str:
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "BOOL"),
        (int, "INT64"),
        (float, "FLOAT64"),
        (Decimal, "NUMERIC"),
        (datetime, "TIMESTAMP"),
        (date, "DATE"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "STRING")


def _field(name: str, kind: str, description: str = "") -> Any:
    from google.cloud import bigquery

    repeated = kind.startswith("ARRAY<")
    return bigquery.SchemaField(
        name,
        kind.removeprefix("ARRAY<").removesuffix(">") if repeated else kind,
        mode="REPEATED" if repeated else "NULLABLE",
        description=description,
    )


def _partition_field(clause: str) -> str:
    return clause.removeprefix("DATE(").removesuffix(")")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return str(value) if isinstance(value, (date, Decimal)) else value


def _reason(error: Exception) -> str:
    errors = getattr(error, "errors", None) or [{}]
    return str(errors[0].get("reason", "")) if isinstance(errors[0], dict) else ""
