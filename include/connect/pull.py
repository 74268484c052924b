"""Pulling a source: every stream in order, page by page into the landing, committed by a manifest each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from include.connect.budget import Clock, WallClock
from include.connect.connection import Connection, read_connection
from include.connect.cursor import written
from include.connect.errors import FixSettings, StitchlineError
from include.connect.http import TOTAL_SECONDS, CallRefused, Session
from include.connect.landing import Manifest, latest_manifest, read_manifest, write_manifest
from include.connect.landing_writer import PartLimits
from include.connect.pull_stream import Progress, StreamPull
from include.connect.source import Kind, Source, Stream, Window
from include.connect.window import span_of, window_of
from include.run import Run
from include.settings import Settings
from include.state.store import Store

log = logging.getLogger(__name__)

MANIFEST_SEQ = "manifest_seq"


def pull(
    source: Source,
    account: str,
    settings: Settings,
    run: Run,
    *,
    kind: Kind = "incremental",
    start: datetime | None = None,
    end: datetime | None = None,
    stream: str | None = None,
    accept_deletions: bool = False,
    connection: Connection | None = None,
    limits: PartLimits | None = None,
    on_progress: Progress | None = None,
    clock: Clock | None = None,
    total_seconds: float = TOTAL_SECONDS,
) -> list[Manifest]:
    """Pull a source's streams and return their manifests, parents before children.

    A stream whose manifest of this run exists is not pulled again. A stream the vendor refuses does not
    keep the others from being pulled; its error is raised at the end.

    Args:
        source: what to pull.
        account: account of the connection.
        settings: where landing and state are.
        run: whose run this is; its clock bounds the cursor.
        kind: incremental, full, backfill or sweep; a sweep reads the keys of streams that declare one.
        start: lower bound of a backfill, or of a first full run.
        end: upper bound of a backfill.
        stream: one stream only (and its parents).
        accept_deletions: let a sweep mark however many records it does not find.
        connection: instead of the Airflow connection.
        limits: when a part is finished.
        on_progress: called with stream, records and requests after every page.
        clock: instead of the machine's.
        total_seconds: how long one call may be repeated before the task gives up.

    Raises:
        StitchlineError: named by what to do next; what was finished before stays durable.
    """
    wanted = _wanted(source, stream) if kind != "sweep" else _swept(source, stream)
    root = settings.landing_root
    done = {one.name: read_manifest(root, source.name, account, one.name, run) for one in wanted}
    found = [manifest for manifest in done.values() if manifest is not None]
    if len(found) == len(wanted):
        log.info("already pulled source=%s account=%s run=%s", source.name, account, run.run_id)
        return found
    clock = clock or WallClock()

    def plan(one: Stream) -> tuple[Window, Manifest | None]:
        latest = latest_manifest(root, source.name, account, one.name)
        return window_of(one, latest, run.as_of, account, kind=kind, start=start, end=end), latest

    with Store.open(settings) as store:
        if source.tables is not None:
            return [done[one.name] or _commit_window(source, one, root, run, store, plan(one), clock) for one in wanted]
        connection = connection or read_connection(source.name, account)
        session = Session(source, connection, store, clock=clock, total_seconds=total_seconds)
        parts = limits or PartLimits()
        return asyncio.run(
            _pull_all(session, root, run, store, wanted, done, plan, parts, on_progress, accept_deletions)
        )


async def _pull_all(
    session: Session,
    root: str,
    run: Run,
    store: Store,
    wanted: list[Stream],
    done: dict[str, Manifest | None],
    plan: Callable[[Stream], tuple[Window, Manifest | None]],
    limits: PartLimits,
    on_progress: Progress | None,
    accept_deletions: bool,
) -> list[Manifest]:
    manifests: dict[str, Manifest] = {}
    refused: dict[str, CallRefused] = {}
    async with session:
        for stream in wanted:
            existing = done[stream.name]
            if existing is not None:
                manifests[stream.name] = existing
                continue
            if stream.parent in refused:
                log.warning("skipped where=%s stream=%s: its parent was refused", session.where, stream.name)
                continue
            parent = manifests[stream.parent] if stream.parent else None
            window, latest = plan(stream)
            if parent is not None and stream.cursor is None and window.kind not in ("backfill", "sweep"):
                # Its parents decide how much of it is read.
                window = replace(window, kind=parent.kind)
            pulling = StreamPull(
                session, stream, window, latest, parent, root, run, limits, on_progress, accept_deletions
            )
            try:
                manifests[stream.name] = await pulling.run(lambda: store.next_value(MANIFEST_SEQ))
            except CallRefused as error:
                log.error("refused where=%s stream=%s status=%d", session.where, stream.name, error.status)
                refused[stream.name] = error
            except StitchlineError as error:
                log.error("stopped where=%s stream=%s: %s", session.where, stream.name, type(error).__name__)
                raise
    for refusal in refused.values():
        raise refusal
    return list(manifests.values())


def _wanted(source: Source, name: str | None) -> list[Stream]:
    if name is None:
        return list(source.streams)
    chosen: list[Stream] = []
    while name is not None:
        try:
            stream = source.stream(name)
        except KeyError as error:
            raise FixSettings(str(error.args[0]), where=f"source {source.name}", fix="Name one of them.") from None
        chosen.insert(0, stream)
        name = stream.parent
    return chosen


def _swept(source: Source, name: str | None) -> list[Stream]:
    """The streams that a sweep reads, their parents first."""
    chosen = [one.name for one in source.swept if name in (None, one.name)]
    if not chosen:
        what = f"{source.name} has nothing to sweep" if name is None else f"{source.name}.{name} is not swept"
        having = ", ".join(one.name for one in source.swept)
        raise FixSettings(
            f"{what}: its records tell themselves when they are deleted, or never are",
            where=f"source {source.name}",
            fix=f"Streams with a sweep: {having}." if having else "Pull it as kind incremental or full.",
        )
    needed = {each.name for one in chosen for each in _wanted(source, one)}
    if strange := needed - {one.name for one in source.swept}:
        raise FixSettings(
            f"{', '.join(sorted(strange))} has children that are swept, and is not swept itself",
            where=f"source {source.name}",
            fix="Declare a sweep on it too.",
        )
    return [one for one in source.streams if one.name in needed]


def _commit_window(
    source: Source,
    stream: Stream,
    root: str,
    run: Run,
    store: Store,
    planned: tuple[Window, Manifest | None],
    clock: Clock,
) -> Manifest:
    """Fix which rows of a warehouse table belong to this run; loading them is the warehouse's work."""
    window, latest = planned
    now = datetime.fromtimestamp(clock.now(), UTC)
    moves = window.kind in ("incremental", "full")
    before = latest.cursor_to if latest is not None else None
    manifest = Manifest(
        source=source.name,
        account=window.account,
        stream=stream.name,
        run_id=run.run_id,
        attempt=run.attempt,
        kind=window.kind,
        seq=store.next_value(MANIFEST_SEQ),
        as_of=run.as_of,
        started_at=now,
        committed_at=now,
        cursor_from=before if moves else None,
        cursor_to=max(written(run.as_of), before or "") if moves else None,
        window=span_of(window),
    )
    return write_manifest(root, manifest, run)
