"""BigQuery, the production warehouse: load jobs and query jobs through Airflow's BigQueryHook."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
from sqlglot import exp

from include.connect.errors import FixSettings
from include.settings import Settings
from include.warehouse.bigquery_jobs import Jobs, field, google_type
from include.warehouse.engine import DATASETS, Part, Statement, Table
from include.warehouse.personal import is_personal
from include.warehouse.render import Names, literal, parameters, parse, quoted, references, render

if TYPE_CHECKING:
    from google.cloud import bigquery

PARTS = "parts"
"""Dataset of landing parts on their way into raw tables; its tables expire by themselves."""
PARTS_HOURS = 24
PART_FIELDS = (("_key", "STRING"), ("_extracted_at", "TIMESTAMP"), ("_payload", "JSON"))


class BigQueryEngine:
    """The `Engine` protocol on one `google.cloud.bigquery.Client`."""

    name = "bigquery"
    is_exclusive = False

    def __init__(self, client: bigquery.Client, settings: Settings, names: Names, jobs: Jobs | None = None) -> None:
        self.client = client
        self.settings = settings
        self.names = names
        self.jobs = jobs or Jobs(client, settings)

    @property
    def generation(self) -> str | None:
        """The generation that `identity.*` and `marts.*` mean."""
        return self.names.generation

    def at(self, generation: str | None) -> BigQueryEngine:
        """The same client reading and writing that generation."""
        return BigQueryEngine(self.client, self.settings, replace(self.names, generation=generation), self.jobs)

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Rows of a SELECT as dicts; JSON columns as text."""
        rows = self._job(sql, params).result()
        json_columns = {column.name for column in rows.schema if column.field_type == "JSON"}
        return [
            {
                name: msgspec.json.encode(value).decode() if name in json_columns and value is not None else value
                for name, value in row.items()
            }
            for row in rows
        ]

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> int:
        """Run one statement as one query job; returns the rows it changed."""
        job = self._job(sql, params)
        return int(job.num_dml_affected_rows or 0)

    def estimate(self, sql: str, params: Mapping[str, Any] | None = None) -> int:
        """Bytes a statement would read, by a dry run: free, and nothing is written."""
        job = self.jobs.query(*self._spelled(sql, params), dry_run=True)
        return int(job.total_bytes_processed or 0)

    def atomically(self, statements: Sequence[Statement | str]) -> None:
        """DDL first, in order, then all DML as one transaction in one script.

        BigQuery takes no DDL on permanent tables inside a transaction; every caller's DDL is repeatable.
        """
        script: list[str] = []
        params: dict[str, Any] = {}
        in_session = False
        for number, item in enumerate(statements):
            statement = Statement(item) if isinstance(item, str) else item
            if isinstance(parse(statement.sql), (exp.Create, exp.Drop, exp.Alter)):
                self.execute(statement.sql, statement.params)
                continue
            tree = parse(statement.sql).copy()
            for node in tree.find_all(exp.Parameter):
                node.set("this", exp.Var(this=f"{node.name}_{number}"))
            own = {f"{name}_{number}": value for name, value in statement.params.items()}
            spelled, used = self._spelled(tree.sql(dialect="bigquery"), own)
            script.append(spelled)
            params |= used
            in_session = in_session or _uses_scratch(statement.sql)
        if not script:
            return
        body = ";\n".join(script)
        try:
            self.jobs.query(f"BEGIN TRANSACTION;\n{body};\nCOMMIT TRANSACTION;", params, in_session=in_session)
        except BaseException:
            # In a session a transaction outlives the statement that failed in it.
            self.jobs.end_session()
            raise

    def ensure(self, tables: Iterable[Table]) -> None:
        """Create missing tables with their layout; add declared columns.

        A label holds a hash of what is declared, so that one listing per dataset tells what there is to do.
        """
        from google.api_core.exceptions import Conflict
        from google.cloud import bigquery

        known: dict[str, dict[str, str]] = {}
        for table in tables:
            *_, dataset, name = self.names.physical(*table.name.split(".", 1))
            if dataset not in known:
                listed = self.client.list_tables(f"{self.client.project}.{dataset}")
                known[dataset] = {item.table_id: item.labels.get("schema", "") for item in listed}
            schema = _schema_hash(table, self.settings.bigquery_policy_tag)
            if known[dataset].get(name) == schema:
                continue
            fields = [self._field(table.name, column.name, column.type, column.description) for column in table.columns]
            made = bigquery.Table(self._id(table.name), schema=fields)
            made.description = table.description or None
            made.labels = {**self.jobs.labels, "schema": schema}
            if table.partition_by:
                column = table.partition_by.removeprefix("DATE(").removesuffix(")")
                made.time_partitioning = bigquery.TimePartitioning(field=column)
                made.require_partition_filter = table.needs_partition_filter
                if table.expires_days:
                    made.time_partitioning.expiration_ms = table.expires_days * 86_400_000
            made.clustering_fields = list(table.cluster_by) or None
            try:
                self.client.create_table(made)
            except Conflict:
                have = self.client.get_table(self._id(table.name))
                declared = {one.name: one for one in fields}
                there = {one.name for one in have.schema}
                kept = [declared.get(one.name, one) for one in have.schema]
                have.schema = [*kept, *(one for one in fields if one.name not in there)]
                have.description, have.labels = made.description, made.labels
                self.client.update_table(have, ["schema", "description", "labels"])

    def describe(self, table: str, description: str, columns: Mapping[str, str]) -> None:
        """Give a table and its columns their descriptions, labels and policy tags; what has them is left alone."""
        have = self.client.get_table(self._id(table))
        have.description, have.labels = description, self.jobs.labels
        have.schema = [self._described(table, one, columns.get(one.name, one.description)) for one in have.schema]
        self.client.update_table(have, ["description", "labels", "schema"])

    def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows by one load job."""
        if not rows:
            return
        if table.startswith("scratch."):
            self._insert(table, rows)
            return
        have = {column.name: column for column in self.client.get_table(self._id(table)).schema}
        unknown = [name for name in rows[0] if name not in have]
        if unknown:
            raise FixSettings(
                f"no column {unknown[0]!r}",
                where=table,
                fix="Run `stitchline migrate`; the table is older than the code.",
            )
        self.jobs.load_rows(rows, self._id(table), [have[name] for name in rows[0]])

    def _insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows into a temporary table, which no load job reaches."""
        names = list(rows[0])
        values = exp.values([tuple(literal(row[name]) for name in names) for row in rows]).sql(dialect="bigquery")
        self.execute(f"INSERT INTO {table} ({', '.join(names)}) {values}")

    def load_parts(
        self, table: str, parts: Sequence[Part], stamp: Mapping[str, Any], also: Sequence[Statement] = ()
    ) -> int:
        """Load each part into a table of its own, all at once, then swap them all in with one transaction."""
        schema = [field(name, kind) for name, kind in PART_FIELDS]
        # Whoever repeats the load finds the same tables.
        staged = [f"{PARTS}.{table.partition('.')[2]}__{part.sha256[:20]}" for part in parts]
        jobs = [
            self.jobs.start_load(part.uri, self._id(name), schema, f"{stamp['_run_id']} {part.number} {part.sha256}")
            for part, name in zip(parts, staged, strict=True)
        ]
        for job in jobs:
            self.jobs.wait(job)
        run = {"run": stamp["_run_id"], "loaded": stamp["_loaded_at"]}
        mine = "_loaded_at = @loaded AND _run_id = @run"  # the time says which partition to read
        statements: list[Statement | str] = [Statement(f"DELETE FROM {table} WHERE {mine}", run)]
        statements += [
            Statement(
                f"INSERT INTO {table} (_account, _run_id, _part, _seq, _key, _extracted_at, _loaded_at, _payload) "
                f"SELECT @account, @run, @part, @seq, _key, _extracted_at, @loaded, _payload FROM {name}",
                {**run, "account": stamp["_account"], "part": part.number, "seq": stamp["_seq"]},
            )
            for part, name in zip(parts, staged, strict=True)
        ]
        self.atomically([*statements, *also])
        return int(self.query(f"SELECT COUNT(*) AS n FROM {table} WHERE {mine}", run)[0]["n"])

    def columns(self, table: str) -> dict[str, str]:
        """Column name -> GoogleSQL type; empty when there is no such table."""
        from google.api_core.exceptions import NotFound

        if table.startswith("scratch."):
            answer = self._job(f"SELECT * FROM {table} LIMIT 0", None).result()
            return {column.name: google_type(column) for column in answer.schema}
        try:
            return {column.name: google_type(column) for column in self.client.get_table(self._id(table)).schema}
        except NotFound:
            return {}

    def types(self, sql: str, params: Mapping[str, Any] | None = None) -> dict[str, str]:
        """Column name -> GoogleSQL type of what a SELECT would answer, by a dry run."""
        job = self.jobs.query(*self._spelled(sql, params), dry_run=True)
        return {column.name: google_type(column) for column in job.schema}

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

    def drop(self, table: str) -> None:
        """Drop a table or a view."""
        self.client.delete_table(self._id(table), not_found_ok=True)

    def publish(self, generation: str, base: str) -> None:
        """Nothing to copy: readers query the views themselves."""

    def publish_lists(self) -> None:
        """Nothing to copy: readers query the lists themselves."""

    def prepare(self) -> None:
        """Create the datasets that are missing."""
        from google.cloud import bigquery

        have = {item.dataset_id for item in self.client.list_datasets()}
        for dataset in (*DATASETS, PARTS):
            name = f"{self.names.prefix}{dataset}"
            if name in have:
                continue
            made = bigquery.Dataset(f"{self.client.project}.{name}")
            made.location = self.settings.bigquery_location
            made.labels = {key: value for key, value in self.jobs.labels.items() if key in ("app", "env")}
            if dataset == PARTS:
                made.default_table_expiration_ms = PARTS_HOURS * 3600 * 1000
            self.client.create_dataset(made, exists_ok=True)

    def _job(self, sql: str, params: Mapping[str, Any] | None) -> Any:
        return self.jobs.query(*self._spelled(sql, params), in_session=_uses_scratch(sql))

    def _spelled(self, sql: str, params: Mapping[str, Any] | None) -> tuple[str, dict[str, Any]]:
        """The statement in BigQuery's names, and the parameters it uses; NULL is written out, for it has no type."""
        wanted = parameters(sql) if params else set()
        used = {name: value for name, value in (params or {}).items() if name in wanted}
        nothing = {name: None for name, value in used.items() if value is None}
        return render(sql, self.names, nothing), {name: value for name, value in used.items() if name not in nothing}

    def _field(self, table: str, name: str, kind: str, description: str) -> bigquery.SchemaField:
        tag = self.settings.bigquery_policy_tag if is_personal(table, name) else None
        return field(name, kind, description, tag)

    def _described(self, table: str, have: bigquery.SchemaField, description: str | None) -> bigquery.SchemaField:
        return self._field(table, have.name, google_type(have), description or "")

    def _id(self, table: str) -> str:
        dataset, _, name = table.partition(".")
        parts = self.names.physical(dataset, name)
        return ".".join(parts if len(parts) == 3 else (self.client.project, *parts))

    def _name(self, table: str) -> str:
        dataset, _, name = table.partition(".")
        return quoted(self.names.physical(dataset, name), "bigquery")


@contextmanager
def open_client(settings: Settings) -> Iterator[bigquery.Client]:
    """The client of the Airflow connection `settings.bigquery_connection`."""
    from airflow.providers.google.cloud.hooks.bigquery import BigQueryHook

    hook = BigQueryHook(
        gcp_conn_id=settings.bigquery_connection, location=settings.bigquery_location, use_legacy_sql=False
    )
    client = hook.get_client(
        project_id=settings.bigquery_project or hook.project_id, location=settings.bigquery_location
    )
    try:
        yield client
    finally:
        client.close()  # type: ignore[no-untyped-call]


@contextmanager
def open_bigquery(settings: Settings) -> Iterator[BigQueryEngine]:
    """An engine on BigQuery, datasets created; its temporary tables are its own and go with it."""
    with open_client(settings) as client:
        engine = BigQueryEngine(client, settings, Names("bigquery", prefix=settings.dataset_prefix))
        engine.prepare()
        try:
            yield engine
        finally:
            engine.jobs.end_session()


def _uses_scratch(sql: str) -> bool:
    """Whether a statement needs the temporary tables of this process's session."""
    return any(name.startswith("scratch.") for name in references(sql))


def _schema_hash(table: Table, policy_tag: str | None) -> str:
    """What is declared of a table, as a label can hold it."""
    columns = [(column.name, column.type, column.description) for column in table.columns]
    return hashlib.sha256(repr((columns, table.description, policy_tag)).encode()).hexdigest()[:32]
