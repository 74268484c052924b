"""Landing the spool: verbatim records with the vendor's keys, exactly once, whatever step a crash follows."""

from __future__ import annotations

import hashlib
import json
import os
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from include.collector import NAME, land
from include.collector.land import Landed, land_all, land_files
from include.collector.spool import closed_segments
from include.collector.streams import collector_source
from include.connect.files import Files
from include.connect.landing import list_manifests
from include.run import Run
from include.settings import Settings
from include.simulate.webhooks import SENDERS, events_of
from include.state.store import Store
from include.warehouse.engine import connect
from include.warehouse.load import load
from tests.collector.receiving import lines
from tests.collector.spooling import AT, fill

CALL = b'{ "messageId": "m1",\n "event": "Signed up" }'


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, collector=("segment", "mailchimp:eu"))


def land_now(settings: Settings) -> Landed:
    with Store.open(settings) as store:
        return land_files(settings, store, settings.spool)


def landed(settings: Settings, stream: str) -> list[dict[str, Any]]:
    return list(lines(Path(settings.landing_root), stream))


def test_records_are_kept_as_they_came_under_the_vendors_key(settings: Settings) -> None:
    batch = json.dumps({"batch": [{"messageId": "m2", "type": "page"}, {"type": "track"}]}).encode()
    sendgrid = b'[{"sg_event_id":"e1","n":1.0},{"sg_event_id":"e2"},{"sg_event_id":"e1","n":1.0}]\r\n'
    fill(
        settings.spool,
        ("segment", {"type": "track", "write_key": "web"}, CALL),
        ("segment_batch", {"type": "batch", "write_key": "server"}, batch),
        ("sendgrid", {}, sendgrid),
        ("shopify", {"x-shopify-webhook-id": "w1", "x-shopify-topic": "orders/create"}, b'{"id":1}'),
        ("mailchimp", {}, b"type=profile&fired_at=2026-05-28+20%3A26%3A40&data%5Bemail%5D=a%2Bb%40c.de&t=1&t=2"),
        ("hubspot", {}, b'[{"eventId":1,"subscriptionId":2,"occurredAt":3}]'),
    )

    done = land_now(settings)

    assert (done.segments, done.records, done.repeated, done.rejected) == (1, 8, 1, 0)
    assert closed_segments(settings.spool) == []
    hashed = hashlib.sha256(b"segment_calls\0" + json.dumps({"type": "track"}).encode() + b"\0").hexdigest()
    calls = landed(settings, "segment_calls")
    assert [line["_key"] for line in calls] == ["m1", "m2", hashed]
    assert calls[0]["_payload"] == {"outside": {"type": "track", "write_key": "web"}, "record": json.loads(CALL)}
    assert calls[0]["_extracted_at"] == "2026-05-28T20:26:40.000000Z"
    assert [line["_key"] for line in landed(settings, "sendgrid_events")] == ["e1", "e2"]
    assert [line["_key"] for line in landed(settings, "shopify_events")] == ["w1"]
    assert [line["_key"] for line in landed(settings, "hubspot_events")] == ["1|2|3"]
    form = {"type": "profile", "fired_at": "2026-05-28 20:26:40", "data[email]": "a+b@c.de", "t": ["1", "2"]}
    assert landed(settings, "mailchimp_events")[0]["_payload"] == form


@pytest.mark.parametrize("name", sorted(SENDERS))
def test_a_retry_has_the_key_of_the_first_attempt(name: str, settings: Settings) -> None:
    """Also where the body of the retry differs, as HubSpot's count of attempts does."""
    sender = SENDERS[name]
    events = events_of(sender, 2, ["ann@example.com"], AT, random.Random(5))
    body = sender.pack(events[0])
    again = body.replace(b'"attemptNumber":0', b'"attemptNumber":1')
    outside = {"x-shopify-webhook-id": "w1"} if name == "shopify" else {}
    fill(settings.spool, (name, outside, body))
    fill(settings.spool, (name, outside, again))
    done = land_now(settings)

    keys = [line["_key"] for line in landed(settings, f"{name}_events")]
    assert len(keys) == done.records == 2 * len(events[0])
    assert len(set(keys)) == len(events[0])


def test_a_stream_without_events_is_complete_all_the_same(settings: Settings) -> None:
    for hours in (0, 1, 5, 6, 30):
        land_all(settings, settings.spool, AT + timedelta(hours=hours))
        land._said.clear()
    root = settings.landing_root
    for account in ("main", "eu"):
        for stream in collector_source().streams:
            found = list_manifests(root, NAME, account, stream.name)
            assert [manifest.as_of.isoformat()[:13] for manifest in found] == [
                "2026-05-28T18",
                "2026-05-29T00",
                "2026-05-30T00",
            ]
            assert {manifest.records for manifest in found} == {0}


def test_what_is_not_landed_yet_keeps_a_stream_from_calling_itself_complete(settings: Settings) -> None:
    settings.spool.mkdir(parents=True)
    (settings.spool / "20260528T110000.000000Z-00.open").touch()
    land_all(settings, settings.spool, AT)
    found = list_manifests(settings.landing_root, NAME, "main", "hooks")
    assert [manifest.as_of.hour for manifest in found] == [6]


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


STEPS = ((Files, "write"), (Files, "write_new"), (Files, "remove"), (Path, "unlink"), (os, "fsync"))


def test_whatever_step_a_crash_follows_nothing_is_lost_or_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every write, link, removal and fsync of one landing is once the last thing the process did."""
    count = 0
    while True:
        home = Settings(home=tmp_path / str(count), collector=("hook",))
        fill(home.spool, ("hook", {"hook": "a"}, b'{"n":1}'), ("segment", {"type": "track"}, CALL))
        left = [count]
        with monkeypatch.context() as patched:
            for place, name in STEPS:
                patched.setattr(place, name, _dying(getattr(place, name), left))
            try:
                land_now(home)
            except Killed:
                pass
            else:
                break
        land_now(home)
        for stream in ("hooks", "segment_calls"):
            assert len(landed(home, stream)) == 1, (count, stream)
            files = Files(home.landing_root).below(f"{NAME}/main/{stream}")
            assert len([path for path in files if path.endswith(".gz")]) == 1, (count, files)
        assert closed_segments(home.spool) == []
        count += 1
    assert count > 15


def _dying(real: Any, left: list[int]) -> Any:
    def step(*given: Any, **more: Any) -> Any:
        if left[0] < 0:
            raise Killed
        done = real(*given, **more)
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return done

    return step


def test_a_body_nobody_can_split_any_more_is_set_aside(settings: Settings) -> None:
    fill(settings.spool, ("sendgrid", {}, b"not json"), ("sendgrid", {}, b'[{"sg_event_id":"e1"}]'))
    done = land_now(settings)
    assert (done.records, done.rejected) == (1, 1)


def test_a_damaged_file_is_kept_aside_and_the_others_go_on(settings: Settings) -> None:
    fill(settings.spool, ("hook", {}, b'{"n":1}'), ("hook", {}, b'{"n":2}'))
    fill(settings.spool, ("hook", {}, b'{"n":3}'))
    first = closed_segments(settings.spool)[0]
    data = bytearray(first.read_bytes())
    data[-3] ^= 1
    first.write_bytes(data)

    land_now(settings)

    assert [line["_payload"]["record"]["n"] for line in landed(settings, "hooks")] == [1, 3]
    assert [path.suffix for path in settings.spool.iterdir() if "lock" not in path.name] == [".damaged"]


def test_what_landed_reaches_raw_once(settings: Settings) -> None:
    fill(settings.spool, ("segment", {"type": "track"}, CALL), ("hook", {"hook": "a"}, b'{"n":1}'))
    land_all(settings, settings.spool, AT)
    with connect(settings) as engine:
        for number in range(2):
            summary = load(engine, settings, NAME, "main", Run.of("ingest_collector", str(number), AT))
            assert summary.total == (2 if number == 0 else 0)
        rows = engine.query(
            "SELECT _key, JSON_VALUE(_payload, '$.record.event') AS event FROM raw.collector__segment_calls"
        )
        assert rows == [{"_key": "m1", "event": "Signed up"}]
        booked = engine.query("SELECT COUNT(*) AS n, SUM(records) AS records FROM ops.loads WHERE source = 'collector'")
    streams = len(collector_source().streams)
    assert booked == [{"n": streams + 2, "records": 2}]
