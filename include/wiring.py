"""What every DAG shares: names, tags, assets, retries, and the run a task belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow.sdk import (
    Asset,
    BaseOperator,
    RetryAction,
    RetryDecision,
    RetryPolicy,
    get_current_context,
    get_parsing_context,
)

from include.connect.errors import CheckFailed, FixCredentials, FixSettings, RetryLater, StopSync
from include.launcher import POOL as POOL
from include.run import Run
from include.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.activate.header import SyncSpec

NEEDS_A_PERSON = (FixCredentials, FixSettings, StopSync, CheckFailed)


class Tag(StrEnum):
    """The kinds of tags a DAG carries; a tag is `<kind>:<value>`."""

    SOURCE = "source"
    LAYER = "layer"
    SEGMENT = "segment"
    DESTINATION = "destination"
    IMPACT = "impact"

    def of(self, value: str) -> str:
        """The tag of this kind with a value."""
        return f"{self.value}:{value}"


class ByRemedy(RetryPolicy):
    """Retries by what the error asks for: a stated wait is kept, what needs a person is not tried again."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide in the worker, where the exception itself is at hand."""
        if isinstance(exception, NEEDS_A_PERSON):
            return RetryDecision.fail(str(exception))
        if isinstance(exception, RetryLater) and exception.after is not None:
            return RetryDecision.retry(timedelta(seconds=exception.after), str(exception))
        return RetryDecision.default()


class OnlyWhenAsked(ByRemedy):
    """Where somebody waits for the answer: only what asks to be tried again is, everything else ends the task."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide as the scheduler's policy does, and fail where that would fall back on the task's own delays."""
        decision = super().evaluate(exception, try_number, max_tries, context)
        is_open = decision.action is RetryAction.DEFAULT and not isinstance(exception, RetryLater)
        return RetryDecision.fail(str(exception)) if is_open else decision


def task_defaults(owner: str = "data-platform") -> dict[str, Any]:
    """`default_args` of every DAG."""
    return {
        "owner": owner,
        "retries": 4,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": 3.0,
        "max_retry_delay": timedelta(minutes=10),
        "retry_policy": ByRemedy(),
        "execution_timeout": timedelta(hours=6),
    }


def raw_asset(source: str) -> Asset:
    """New rows of a source reached raw."""
    return _asset(f"raw/{source}")


def erasures_asset() -> Asset:
    """Somebody is to be erased."""
    return _asset("privacy/erasures")


def marts_asset() -> Asset:
    """A new generation was published."""
    return _asset("marts")


def segment_asset(segment: str) -> Asset:
    """A list was computed."""
    return _asset(f"segments/{segment}")


def drift_asset() -> Asset:
    """Destinations were read back."""
    return _asset("activation/drift")


def _asset(path: str) -> Asset:
    # For a scheme that does not start with x-, Airflow loads every provider to look for its owner, at each parse.
    return Asset(name=f"stitchline://{path}", uri=f"x-stitchline://{path}", group="stitchline")


def current_run() -> Run:
    """The run of the task that is executing; its clock is the DAG run's, so a retry keeps it."""
    context = get_current_context()
    run, instance = context["dag_run"], context["ti"]
    return Run.of(run.dag_id, run.run_id, run.run_after, instance.try_number)


def count_active(context: Context, dag_ids: Sequence[str]) -> int:
    """How many runs of these DAGs are waiting or running."""
    instance: Any = context["ti"]
    return sum(instance.get_dr_count(dag_id=dag_id, states=["queued", "running"]) for dag_id in dag_ids)


class WaitTurn(BaseOperator):
    """Waits until unify may start, deferred to the triggerer, so that no worker slot is held meanwhile."""

    ui_color = "#e8f0fe"

    def __init__(self, *, pulls: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pulls = tuple(pulls)

    def execute(self, context: Context) -> None:
        """Ask for the turn the first time."""
        self.ask(context)

    def ask(self, context: Context, event: Any = None) -> None:
        """Ask for the turn; put the task to sleep until it is worth asking again."""
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger

        from include.steps import unify_turn

        again = unify_turn(
            current_run(),
            is_manual=context["dag_run"].run_type == "manual",
            count_pulls=lambda: count_active(context, self.pulls),
        )
        if again is not None:
            self.defer(trigger=DateTimeTrigger(moment=again), method_name="ask")


def is_wanted(dag_id: str) -> bool:
    """Whether to build this DAG: always when parsing a file, only its own DAG in a task's process."""
    return get_parsing_context().dag_id in (None, dag_id)


def enabled_accounts(settings: Settings) -> Iterator[tuple[str, str]]:
    """(source, account) pairs that `STITCHLINE_SOURCES` switches on: `mailchimp`, `mailchimp:eu`, or `*`.

    Raises:
        FixSettings: it names a source that does not exist.
    """
    from include.connect.connection import DEFAULT_ACCOUNT
    from include.sources import all_sources

    known = all_sources()
    entries = sorted(known) if "*" in settings.sources else settings.sources
    for entry in dict.fromkeys(entries):
        source, _, account = entry.partition(":")
        if source not in known:
            raise FixSettings(
                f"there is no source {source!r}",
                where="STITCHLINE_SOURCES",
                fix=f"Known: {', '.join(sorted(known))}, or *.",
            )
        yield source, account or DEFAULT_ACCOUNT


def ingests(settings: Settings) -> Iterator[tuple[str, str, str, str, str | None]]:
    """DAG id, source, account, kind and schedule of every DAG that pulls: one per account, one more where it sweeps."""
    from include.sources import get_source

    for source, account in enabled_accounts(settings):
        yield ingest_dag_id(source, account), source, account, "incremental", "@hourly"
        if get_source(source).swept:
            yield sweep_dag_id(source, account), source, account, "sweep", settings.sweep_schedule or None


def enabled_syncs(settings: Settings, syncs: Iterable[SyncSpec]) -> Iterator[SyncSpec]:
    """Those of a segment's syncs whose destination `STITCHLINE_SYNCS` switches on by name, or by `*`."""
    return (spec for spec in syncs if "*" in settings.syncs or spec.to in settings.syncs)


def ingest_dag_id(source: str, account: str) -> str:
    """Id of the DAG that pulls one account of a source."""
    from include.connect.connection import connection_id

    return f"ingest_{connection_id(source, account)}"


def sweep_dag_id(source: str, account: str) -> str:
    """Id of the DAG that sweeps one account of a source for records the vendor deleted."""
    from include.connect.connection import connection_id

    return f"sweep_{connection_id(source, account)}"


def segment_dag_id(segment: str) -> str:
    """Id of the DAG that computes a list."""
    return f"segment_{segment}"


def sync_dag_id(segment: str, destination: str) -> str:
    """Id of the DAG that sends a list to a destination."""
    return f"sync_{segment}__{destination}"
