"""Landing the spool: every complete file becomes parts and manifests as a pull writes them, exactly once.

`python -m include.collector.land FOLDER` is the collector's child: it lands whenever it is told to, and
every few seconds by itself, so that compressing and uploading never keep a request waiting.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import select
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from include.collector import NAME
from include.collector.entry import Entry, Segment
from include.collector.spool import DAMAGED, OPEN, closed_segments, opened_at
from include.collector.streams import accounts, collector_source, webhooks
from include.connect.cursor import written
from include.connect.landing import Manifest, Part, Rejected, read_manifest, write_manifest
from include.connect.landing_writer import LandingWriter, PartLimits
from include.connect.pull import MANIFEST_SEQ
from include.connect.records import Body, BrokenAnswer, Lifter
from include.connect.webhook import Webhook
from include.run import Run
from include.settings import Settings, read_settings
from include.state.store import Store

log = logging.getLogger(__name__)

ALIVE_HOURS = 6
"""How often a stream to which nobody sends says that it is complete all the same."""
EVERY_SECONDS = 5.0


class Landed(msgspec.Struct):
    """What one round landed, for the collector's metrics."""

    segments: int = 0
    records: int = 0
    repeated: int = 0
    rejected: int = 0
    waiting: int = 0
    failure: str = ""


@dataclass(slots=True)
class _Stream:
    writer: LandingWriter
    keys: set[str]
    requests: int = 0
    last: float = 0.0


def land_all(settings: Settings, folder: Path, now: datetime | None = None) -> Landed:
    """Land every complete file of the spool, and say of every stream how far it is complete.

    Args:
        settings: where landing and state are.
        folder: the spool.
        now: instead of the machine's clock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "landing.lock").open("w") as lock, Store.open(settings) as store:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a killed collector's child may still be at it
        done = land_files(settings, store, folder)
        left = [opened_at(path) for pattern in (f"*{OPEN}", "*.log") for path in folder.glob(pattern)]
        _say_alive(settings, store, min([now or datetime.now(UTC), *left]))
    return done


def land_files(settings: Settings, store: Store, folder: Path) -> Landed:
    """Land every complete file, oldest first; a file goes only when its manifests are written."""
    done = Landed()
    for path in closed_segments(folder):
        _land(settings, store, path, done)
        done.segments += 1
    return done


def _land(settings: Settings, store: Store, path: Path, done: Landed) -> None:
    run = Run.of(NAME, path.stem, opened_at(path))
    streams: dict[tuple[str, str], _Stream] = {}
    segment = Segment(path)
    for entry in segment:
        hook = webhooks()[entry.webhook]
        place = (entry.account, hook.stream)
        stream = streams.get(place)
        if stream is None:
            writer = LandingWriter(settings.landing_root, NAME, *place, run, PartLimits())
            stream = streams[place] = _Stream(writer, set())
        _add(stream, hook, entry, done)
    for (account, name), stream in streams.items():
        if read_manifest(settings.landing_root, NAME, account, name, run) is None:
            stream.writer.finish_part()
            at = datetime.fromtimestamp(stream.last, UTC)
            manifest = _manifest(store, account, name, run, at, stream)
            done.records += stream.writer.commit(manifest).records
            done.rejected += stream.writer.quarantined
    if segment.left:
        log.error("damaged, the rest is kept aside segment=%s bytes=%d", path.name, segment.left)
        path.rename(path.with_suffix(DAMAGED))
    else:
        path.unlink()


def _add(stream: _Stream, hook: Webhook, entry: Entry, done: Landed) -> None:
    try:
        body = hook.split(entry.body)
    except (BrokenAnswer, RecursionError) as error:  # it could be read when it was taken, by other code
        body = Body([], [(entry.body, str(error))], {}, b"")
    at = written(datetime.fromtimestamp(entry.received_at, UTC))
    lines = []
    lifters = _lifters(hook)
    for record in body.records:
        payload = bytes(record)
        if hook.has_outside:
            payload = b'{"outside":%b,"record":%b}' % (msgspec.json.encode(entry.outside), payload)
        key = _key(hook.stream, bytes(record), payload, lifters)
        if key in stream.keys:
            done.repeated += 1
            continue
        stream.keys.add(key)
        lines.append(LandingWriter.line(key, payload, at))
    stream.requests += 1
    stream.last = max(stream.last, entry.received_at)
    if stream.writer.write(lines, body.rejected, at, time.monotonic()):
        stream.writer.finish_part()


_Lifters = tuple[Lifter | None, Lifter | None]
_made: dict[str, _Lifters] = {}


def _lifters(hook: Webhook) -> _Lifters:
    """Readers of the event's id and of the vendor's time."""
    if hook.stream not in _made:
        _made[hook.stream] = (
            Lifter(hook.event_id) if hook.event_id else None,
            Lifter((hook.timestamp,)) if hook.timestamp else None,
        )
    return _made[hook.stream]


def _key(source: str, record: bytes, payload: bytes, lifters: _Lifters) -> str:
    """The vendor's id of the event, else a hash of source, record and the vendor's time."""
    by_id, by_time = lifters
    found = by_id.lift(payload).key if by_id else None
    if found is not None:
        return found
    at = (by_time.lift(payload).key if by_time else None) or ""
    return hashlib.sha256(b"\0".join((source.encode(), record, at.encode()))).hexdigest()


def _manifest(store: Store, account: str, name: str, run: Run, at: datetime, stream: _Stream | None) -> Manifest:
    parts: Iterable[Part] = stream.writer.parts if stream else ()
    rejected: Iterable[Rejected] = stream.writer.rejected if stream else ()
    return Manifest(
        source=NAME,
        account=account,
        stream=name,
        run_id=run.run_id,
        attempt=stream.writer.attempt if stream else run.attempt,
        kind="incremental",
        seq=store.next_value(MANIFEST_SEQ),
        as_of=at,
        started_at=run.as_of,
        committed_at=datetime.now(UTC),
        cursor_from=None,
        cursor_to=written(at),
        parts=list(parts),
        rejected=list(rejected),
        records=stream.writer.records if stream else 0,
        requests=stream.requests if stream else 0,
        quarantined=stream.writer.quarantined if stream else 0,
    )


_said: set[str] = set()


def _say_alive(settings: Settings, store: Store, complete_to: datetime) -> None:
    """An empty manifest now and then: no events is a fact too, and lists that rest on a stream must not be held."""
    hour = complete_to.hour - complete_to.hour % ALIVE_HOURS
    at = complete_to.replace(hour=hour, minute=0, second=0, microsecond=0)
    for account in accounts(settings):
        for stream in collector_source().streams:
            run = Run.of(NAME, f"alive {account} {stream.name} {at:%Y-%m-%dT%H}", at)
            said = f"{settings.landing_root} {run.run_id}"
            if said in _said:
                continue
            if read_manifest(settings.landing_root, NAME, account, stream.name, run) is None:
                write_manifest(settings.landing_root, _manifest(store, account, stream.name, run, at, None), run)
            _said.add(said)


def main(folder: Path, every: timedelta = timedelta(seconds=EVERY_SECONDS)) -> None:
    """Land until the pipe from the collector closes, and once more then; a line of numbers after each round."""
    settings = read_settings()
    is_last = False
    while not is_last:
        ready, _, _ = select.select([0], [], [], every.total_seconds())
        is_last = bool(ready) and not os.read(0, 65536)
        try:
            landed = land_all(settings, folder)
        except Exception as error:  # whatever it is, the files stay and the next round tries again
            log.error("not landed, tried again soon: %s", error)
            landed = Landed(failure=type(error).__name__)
        landed.waiting = len(closed_segments(folder))
        try:
            os.write(1, msgspec.json.encode(landed) + b"\n")
        except BrokenPipeError:
            is_last = True


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    main(Path(sys.argv[1]))
