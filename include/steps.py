"""The body of every task: open what the step needs, call the part, answer with numbers.

What a step returns goes to XCom and into the UI, so it never holds anything about a person.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from include.run import Run
from include.settings import read_settings

Summary = dict[str, Any]
LOOK_AGAIN_SECONDS = 5
"""How soon unify looks again while pulls are under way; between looks it holds no worker slot."""


def ingest_pull(
    source: str,
    account: str,
    run: Run,
    *,
    kind: str,
    start: str | None = None,
    end: str | None = None,
    accept_deletions: bool = False,
) -> Summary:
    """Pull every stream of an account into landing; of a sweep, the keys of those that declare one."""
    from include.connect.pull import pull
    from include.sources import get_source

    manifests = pull(
        get_source(source),
        account,
        read_settings(),
        run,
        kind=_kind(kind),
        start=_moment(start),
        end=_moment(end),
        accept_deletions=accept_deletions,
    )
    return {
        "records": {manifest.stream: manifest.records for manifest in manifests},
        "requests": sum(manifest.requests for manifest in manifests),
        "throttled": sum(manifest.throttled for manifest in manifests),
        "quarantined": sum(manifest.quarantined for manifest in manifests),
    }


def ingest_load(source: str, account: str, run: Run) -> Summary:
    """Load what landed and is not in the warehouse yet.

    Raises:
        AirflowSkipException: nothing waits for unify, so no asset event may start it.
        StopSync: a sweep misses more records than can be believed, and marked none.
    """
    from include.warehouse.engine import connect
    from include.warehouse.load import load
    from include.warehouse.models import published

    settings = read_settings()
    with connect(settings) as engine:
        summary = load(engine, settings, source, account, run)
        state = published(engine)
        # Not "did this run bring rows": rows of a run whose unify failed still wait, and the first
        # complete load of a stream counts even when it is empty.
        waiting = engine.query(
            "SELECT COUNT(*) AS n FROM ops.loads AS l WHERE l.source = @source AND l.account = @account "
            "AND l.seq > @seq_to AND (l.records > 0 OR NOT EXISTS (SELECT 1 FROM ops.loads AS e "
            "WHERE e.source = l.source AND e.account = l.account AND e.stream = l.stream AND e.seq < l.seq))",
            {"source": source, "account": account, "seq_to": state.seq_to if state else 0},
        )[0]["n"]
    if not waiting:
        raise AirflowSkipException(f"{source}: nothing new arrived")
    return {"records": summary.records, "landings": summary.runs}


def unify_turn(run: Run, *, is_manual: bool, count_pulls: Callable[[], int]) -> datetime | None:
    """Let unify start (None), or say when to ask again: not too soon, not in the middle of pulls, not for nothing.

    Raises:
        AirflowSkipException: an earlier unify has already taken in everything that is loaded.
    """
    from include.privacy.erase import is_started
    from include.warehouse.engine import connect
    from include.warehouse.models import frontier, published
    from include.warehouse.stage import ensure_all

    settings = read_settings()
    every = timedelta(seconds=settings.unify_every_seconds)
    now = datetime.now(UTC)
    if not is_manual and now < run.as_of + every and count_pulls():
        return now + timedelta(seconds=LOOK_AGAIN_SECONDS)
    with connect(settings) as engine:
        ensure_all(engine, settings)
        state = published(engine)
        loaded = frontier(engine)
        is_erasing = is_started(engine)
    if state is not None and not is_manual and not is_erasing:
        if loaded <= state.seq_to:
            raise AirflowSkipException(f"generation {state.generation} already holds everything that is loaded")
        if now < state.published_at + every:
            return state.published_at + every
    return None


def unify_stage(run: Run, *, full_refresh: bool = False) -> Summary:
    """Bring the staging tables up to the latest load, without erased people; `full_refresh` types all of raw again.

    Raises:
        FixSettings: people were erased, and the salt by which they are known again is missing.
    """
    from include.privacy.erase import keep_out
    from include.warehouse.engine import connect
    from include.warehouse.models import frontier
    from include.warehouse.stage import ensure_all, stage

    settings = read_settings()
    with connect(settings) as engine:
        ensure_all(engine, settings)
        seq_to = frontier(engine)
        erased = keep_out(engine, settings, run, seq_to)
        summary = stage(engine, run, settings, full_refresh=full_refresh, seq_to=seq_to)
    return {"rows": {table: rows for table, rows in summary.rows.items() if rows}, "erased": sum(erased.values())}


def unify_check(run: Run) -> Summary:
    """Check the staging tables.

    Raises:
        CheckFailed: a critical check failed; the published generation stays.
    """
    from include.checks.run import check_tables
    from include.warehouse.engine import connect

    settings = read_settings()
    with connect(settings) as engine:
        summary = check_tables(engine, run, settings)
    return {"summary": str(summary)}


def unify_identity(run: Run, *, full_refresh: bool = False, accept_identity_changes: bool = False) -> Summary:
    """Work out who is who; `full_refresh` takes the evidence of every record ever loaded again.

    Raises:
        ReviewIdentity: many more people changed than usual, and no person has accepted that; no marts are built.
    """
    from include.privacy.erase import is_started
    from include.warehouse.engine import connect
    from include.warehouse.identity.generation import identify
    from include.warehouse.identity.jumps import look_for_jumps

    settings = read_settings()
    with connect(settings) as engine:
        summary = identify(engine, run, settings, full_refresh=full_refresh or is_started(engine))
        look = look_for_jumps(engine, run, settings, is_accepted=accept_identity_changes)
    return {**asdict(summary), "largest": look.largest, "accepted": list(look.too_much)}


def unify_marts(run: Run) -> Summary:
    """Build customers, activities and the other marts of this generation."""
    from include.warehouse.engine import connect
    from include.warehouse.models import build_marts

    settings = read_settings()
    with connect(settings) as engine:
        return {"rows": build_marts(engine, run, settings)}


def unify_publish(run: Run) -> Summary:
    """Make this generation the one everybody reads; no other one stays where somebody is being erased.

    Raises:
        CheckFailed: somebody was erased while the generation was made; the next unify makes one without them.
    """
    from include.privacy.erase import finish, forget_sent, is_started, scrub
    from include.warehouse.engine import connect
    from include.warehouse.models import publish

    settings = read_settings()
    with connect(settings) as engine:
        forget_sent(engine.at(run.run_id))
        kept = 1 if is_started(engine) else settings.generations_kept
        state = publish(engine, run, settings.model_copy(update={"generations_kept": kept}))
        has_bytes_left = finish(engine)
    if has_bytes_left:
        scrub(settings)
    return {"generation": state.generation, "people": state.people, "events": state.events}


def erase_request(kind: str | None, value: str, run: Run) -> Summary:
    """Write down that a person is to be erased; the next unify does it."""
    from include.privacy.request import request
    from include.warehouse.engine import connect

    settings = read_settings()
    with connect(settings) as engine:
        erasure = request(engine, settings, run, kind, value)
    return {"erasure_id": erasure.erasure_id, "rows": dict(erasure.counts)}


def segment_compute(name: str, run: Run) -> Summary:
    """Compute a list from the published generation.

    Raises:
        AirflowSkipException: the list is held; the last one stays and no sync starts.
    """
    from include.activate.segment import compute, get_segment
    from include.warehouse.engine import connect

    settings = read_settings()
    with connect(settings) as engine:
        result = compute(engine, get_segment(name), run, settings)
    if result.status == "held":
        raise AirflowSkipException(f"held: {result.reason}")
    return {"members": result.members, "entered": result.entered, "left": result.left, "generation": result.generation}


def sync_plan(segment: str, destination: str, run: Run, *, approve: str | None) -> Summary:
    """Work out what a sync would do, and keep it; `status` is `held` where a person must look first.

    Raises:
        AirflowSkipException: there is no list to send, or a person refused the same rows before.
    """
    from include.activate.sync import make_plan
    from include.warehouse.engine import connect

    settings = read_settings()
    plan = make_plan(segment, destination, settings, run, lambda: connect(settings))
    if plan.plan_id is None:
        raise AirflowSkipException(str(plan.reason))
    if plan.refused and not approve:
        raise AirflowSkipException(
            f"{plan.refused}. To send them after all, trigger this DAG with approve = {plan.plan_id} within 24 h."
        )
    counts = {
        name: getattr(plan.counts, name) for name in ("enter", "update", "leave", "unchanged", "suppressed", "invalid")
    }
    return {"sync": plan.sync, "plan_id": plan.plan_id, "status": plan.status, "reason": plan.reason, **counts}


def sync_refuse(plan_id: str, by: str) -> None:
    """Note that a person refused a held plan: the same rows are not asked about again."""
    from include.activate.plan_book import refuse
    from include.warehouse.engine import connect

    with connect(read_settings()) as engine:
        refuse(engine, plan_id, by, datetime.now(UTC))


def sync_deliver(
    segment: str, destination: str, run: Run, *, plan_id: str, approve: str | None, approved_by: str | None = None
) -> Summary:
    """Send the plan and keep a receipt of every row.

    Args:
        segment: name of the segment.
        destination: name of the destination.
        run: the run.
        plan_id: the plan that the run made.
        approve: id of an earlier plan with the same rows, which a person approved by starting the run with it.
        approved_by: who approved the run's own plan in Airflow.

    Raises:
        AirflowSkipException: outside production, where the destination does not allow writes.
    """
    from include.activate.sync import apply_plan, sync
    from include.warehouse.engine import Engine, connect

    settings = read_settings()

    def open_engine() -> AbstractContextManager[Engine]:
        return connect(settings)

    if approve:
        # The approval names the plan a person saw; this compares it with the plan as it is now.
        result = sync(segment, destination, settings, run, open_engine, approve=approve)
    else:
        approved = plan_id if approved_by else None
        result = apply_plan(
            segment, destination, plan_id, settings, run, open_engine, approve=approved, approved_by=approved_by
        )
    if result.is_dry_run:
        raise AirflowSkipException(str(result.held))
    names = ("status", "sent", "accepted", "rejected", "deferred", "suppressed", "calls")
    return {name: getattr(result, name) for name in names}


def sync_verify(segment: str, destination: str, run: Run) -> Summary:
    """Read a destination back: how many people it should hold because of us, how many are gone, how many are others.

    Raises:
        AirflowSkipException: nothing of this sync is there yet.
        StopSync: far more is gone than people take away by hand.
    """
    from include.activate.read_back import verify
    from include.activate.segment import get_segment
    from include.destinations import get_destination
    from include.warehouse.engine import connect

    settings = read_settings()
    found = verify(get_segment(segment), get_destination(destination), settings, run, lambda: connect(settings))
    if not found:
        raise AirflowSkipException("nothing of this sync is at the destination")
    return {name: sum(getattr(one, name) for one in found) for name in ("expected", "missing", "others")}


def _kind(value: str) -> Any:
    from typing import get_args

    from include.connect.errors import FixSettings
    from include.connect.source import Kind

    if value not in get_args(Kind):
        raise FixSettings(
            f"unknown kind {value!r}", where="DAG parameter kind", fix=f"Use {', '.join(get_args(Kind))}."
        )
    return value


def _moment(value: str | None) -> datetime | None:
    """A DAG parameter as a time; a bare date means its first instant in UTC."""
    from include.connect.errors import FixSettings

    if not value:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise FixSettings(
            f"{value!r} is no date",
            where="DAG parameters start and end",
            fix="Write 2026-01-31 or 2026-01-31T08:00:00Z.",
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
