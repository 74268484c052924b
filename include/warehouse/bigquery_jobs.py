"""BigQuery jobs: started with labels and limits, waited for, repeated where that helps, cancelled with their task."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from isal import igzip

from include.connect.errors import FixCredentials, RetryLater, StopSync
from include.settings import Settings

if TYPE_CHECKING:
    from google.cloud import bigquery

RETRYABLE = frozenset(
    {
        "backendError",
        "internalError",
        "jobBackendError",
        "jobInternalError",
        "jobRateLimitExceeded",
        "rateLimitExceeded",
        "tableUnavailable",
    }
)
"""cloud.google.com/bigquery/docs/error-messages: what the same job may do without."""
OLDER_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "BIGNUMERIC": "NUMERIC"}
LOAD_ATTEMPTS = 9
CONTEXT = {"dag": "AIRFLOW_CTX_DAG_ID", "task": "AIRFLOW_CTX_TASK_ID", "run": "AIRFLOW_CTX_DAG_RUN_ID"}
"""Labels, and where Airflow says them to a task's process."""


class Jobs:
    """Every job one process sends through one client."""

    def __init__(self, client: bigquery.Client, settings: Settings) -> None:
        self.client = client
        self.settings = settings
        self.labels = labels(settings)
        self.session: str | None = None

    def query(self, sql: str, params: Mapping[str, Any], *, dry_run: bool = False, in_session: bool = False) -> Any:
        """Run one statement or script; returns the job once it ended.

        Args:
            sql: what BigQuery is to run.
            params: values of its `@parameters`.
            dry_run: only say what it would read.
            in_session: run it in this process's session, where its temporary tables are; the first one begins it.

        Raises:
            FixCredentials: the account may not.
            RetryLater: BigQuery failed for now, for longer than the client's own retries.
        """
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(
            query_parameters=[_parameter(name, value) for name, value in params.items()],
            maximum_bytes_billed=self.settings.bigquery_max_bytes,
            labels=self.labels,
            use_legacy_sql=False,
            dry_run=dry_run,
        )
        config.job_timeout_ms = self.settings.bigquery_timeout_seconds * 1000
        if in_session and self.session is not None:
            config.connection_properties = [bigquery.ConnectionProperty("session_id", self.session)]
        elif in_session:
            config.create_session = True
        job = self.client.query(sql, job_config=config, job_retry=_retry())
        if dry_run:
            return job
        self.wait(job)
        if config.create_session and job.session_info is not None:
            self.session = job.session_info.session_id
        return job

    def end_session(self) -> None:
        """Drop this process's temporary tables and undo an open transaction; a killed process's end by themselves."""
        if self.session is None:
            return
        self.query("CALL BQ.ABORT_SESSION()", {}, in_session=True)
        self.session = None

    def load_rows(self, rows: Sequence[Mapping[str, Any]], target: str, schema: Sequence[Any]) -> None:
        """Append rows by one load job: atomic, free, and visible at once (row streaming is neither)."""
        from google.cloud import bigquery

        config = bigquery.LoadJobConfig(schema=list(schema), write_disposition="WRITE_APPEND", labels=self.labels)
        plain = [{name: _plain(value) for name, value in row.items()} for row in rows]
        self.wait(self.client.load_table_from_json(plain, target, job_config=config))

    def start_load(self, uri: str, target: str, schema: Sequence[Any], identity: str) -> Any:
        """Start the load of one landing part into a table of its own, or find the job that already does it.

        The job's id is a hash of `identity` (what the part is) with a number that only grows when the job of
        that id ended in error: a part whose job is done is not loaded twice, whoever died before knowing.

        Raises:
            StopSync: nine jobs of this part failed.
        """
        from google.api_core.exceptions import Conflict, NotFound
        from google.cloud import bigquery

        config = bigquery.LoadJobConfig(
            schema=list(schema),
            source_format="NEWLINE_DELIMITED_JSON",
            write_disposition="WRITE_TRUNCATE",
            labels=self.labels,
        )
        stem = f"stitchline_{hashlib.sha256(f'{identity} {target}'.encode()).hexdigest()[:32]}"
        for attempt in range(1, LOAD_ATTEMPTS + 1):
            job_id = f"{stem}_{attempt}"
            try:
                if uri.startswith("gs://"):
                    return self.client.load_table_from_uri(uri, target, job_id=job_id, job_config=config)
                with igzip.open(uri, "rb") as body:  # type: ignore[no-untyped-call]
                    # Sent unpacked: not every endpoint unpacks an upload.
                    return self.client.load_table_from_file(body, target, job_id=job_id, job_config=config)
            except Conflict:
                job = self.client.get_job(job_id, location=self.client.location)
            if job.state != "DONE":
                return job
            if not job.error_result:
                try:
                    self.client.get_table(target)
                    return job
                except NotFound:  # its table has expired since: the next number is a new job
                    continue
        raise StopSync(
            f"{LOAD_ATTEMPTS} load jobs of this part failed",
            where=uri,
            fix="Read their errors under Job history in the BigQuery console.",
        )

    def wait(self, job: Any) -> Any:
        """Return the job once it ended well; a task that is killed meanwhile does not go on paying for it."""
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
            job.cancel()
            raise
        return job


def labels(settings: Settings) -> dict[str, str]:
    """What every job carries: the app, the environment, and the DAG, task and run it belongs to."""
    found = {name: os.environ[variable] for name, variable in CONTEXT.items() if os.environ.get(variable)}
    # A label value takes lower-case letters, digits, _ and -, at most 63 of them.
    return {
        name: re.sub(r"[^a-z0-9_-]", "_", value.lower())[:63]
        for name, value in ({"app": "stitchline", "env": settings.env} | found).items()
    }


def field(name: str, kind: str, description: str = "", policy_tag: str | None = None) -> bigquery.SchemaField:
    """A column of a table's schema; `kind` is GoogleSQL's word, `ARRAY<STRING>` included."""
    from google.cloud import bigquery

    repeated = kind.startswith("ARRAY<")
    return bigquery.SchemaField(
        name,
        kind.removeprefix("ARRAY<").removesuffix(">") if repeated else kind,
        mode="REPEATED" if repeated else "NULLABLE",
        description=description,
        policy_tags=bigquery.PolicyTagList([policy_tag]) if policy_tag else None,
    )


def google_type(column: bigquery.SchemaField) -> str:
    """GoogleSQL's word for a column's type; the API calls some by their older names."""
    kind = OLDER_NAMES.get(column.field_type, column.field_type)
    return f"ARRAY<{kind}>" if column.mode == "REPEATED" else kind


def _retry() -> Any:
    """Retries of whole jobs, where BigQuery itself says the same one may work; its own id each time."""
    from google.api_core.retry import Retry

    return Retry(predicate=lambda error: _reason(error) in RETRYABLE, timeout=600)


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


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return str(value) if isinstance(value, (date, Decimal)) else value


def _reason(error: BaseException) -> str:
    errors = getattr(error, "errors", None) or [{}]
    return str(errors[0].get("reason", "")) if isinstance(errors[0], dict) else ""
