"""What every destination promises, tried on all of them against the simulator's process."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from seen import SEEN

from include.activate.read_back import verify
from include.connect.errors import FixSettings, RetryLater, StopSync
from include.destinations import all_destinations

if TYPE_CHECKING:
    from destination_bench import Bench


def test_every_destination_is_tried() -> None:
    assert SEEN.keys() == all_destinations().keys()


def test_an_empty_plan_makes_no_call(bench: Bench) -> None:
    segment = bench.publish([])
    result = bench.send(segment)
    assert (result.status, result.calls, bench.stats()["requests"]) == ("unchanged", 0, 0)


def test_everybody_enters_in_batches_of_the_vendors_maximum_then_nothing_is_called(bench: Bench) -> None:
    batch = bench.batch
    people = bench.everybody[: batch * 2 + 7]
    assert len(people) > batch
    segment = bench.publish(people)
    result = bench.send(segment)
    assert (result.status, result.accepted, result.rejected) == ("applied", len(people), 0)
    assert bench.flagged() == bench.addresses(people)
    assert bench.stats()["writes"] == math.ceil(len(people) / batch) + bench.seen.makes
    bench.simulator.reset_stats()
    again = bench.send(segment)
    assert (again.status, again.calls, again.counts.unchanged) == ("unchanged", 0, len(people))
    assert bench.stats()["requests"] == 0


def test_only_what_we_sent_is_ever_removed(bench: Bench) -> None:
    people, by_hand = bench.everybody[:30], bench.everybody[30]
    segment = bench.publish(people)
    bench.send(segment)
    bench.seen.flag_by_hand(bench.simulator, bench.target, by_hand[bench.key])
    segment = bench.publish(people[10:])
    result = bench.send(segment)
    assert (result.counts.leave, result.accepted) == (10, 10)
    assert bench.flagged() == bench.addresses([*people[10:], by_hand])
    assert bench.held() == bench.addresses(people[10:])


def test_a_row_the_vendor_refuses_is_told_from_its_neighbours(bench: Bench) -> None:
    people = bench.everybody[:60]
    bad = [people[3], people[17], people[41]]
    bench.simulator.faults(bench.vendor, reject_emails=[row["email"].lower() for row in bad])
    segment = bench.publish(people, tolerance="0.1")
    result = bench.send(segment)
    assert (result.accepted, result.rejected) == (57, 3)
    assert bench.flagged() == bench.addresses(people) - bench.addresses(bad)
    rejected = bench.warehouse.rows("SELECT * FROM activation.receipts WHERE status = 'rejected'")
    assert {row["address"] for row in rejected} == bench.addresses(bad)
    assert all(row["code"] and row["message"] and row["vendor_request_id"] for row in rejected)
    bench.simulator.no_faults()
    later = bench.send(segment)
    assert (later.sent, later.accepted) == (3, 3)
    assert bench.flagged() == bench.addresses(people)


def test_too_many_refusals_end_in_an_error_that_names_nobody(bench: Bench) -> None:
    people = bench.everybody[:10]
    bench.simulator.faults(bench.vendor, reject_emails=[row["email"].lower() for row in people[:4]])
    segment = bench.publish(people)
    with pytest.raises(StopSync, match="4 of 10 rows were rejected") as caught:
        bench.send(segment)
    assert "@" not in str(caught.value)
    assert len(bench.held()) == 6


def test_too_many_calls_is_obeyed(bench: Bench) -> None:
    people = bench.everybody[: bench.seen.most]
    bench.simulator.faults(bench.vendor, throttle_every=3, retry_after=1)
    segment = bench.publish(people)
    result = bench.send(segment)
    assert result.accepted == len(people)
    stats = bench.stats()
    assert stats["throttled"] > 0
    # One more try for each refusal, and no refused call counted as a write.
    assert stats["writes"] == math.ceil(len(people) / bench.batch) + bench.seen.makes
    assert result.calls == stats["requests"]
    bench.simulator.no_faults()
    assert bench.flagged() == bench.addresses(people)


@pytest.mark.parametrize("faults", [{"error_every": 3}, {"reset_every": 3}, {"truncate_every": 3}])
def test_a_failing_vendor_loses_nobody_and_doubles_nobody(bench: Bench, faults: dict[str, int]) -> None:
    people = bench.everybody[: bench.seen.most]
    bench.simulator.faults(bench.vendor, **faults)
    segment = bench.publish(people)
    for _ in range(20):
        try:
            result = bench.send(segment)
        except RetryLater:
            continue
        break
    assert result.status == "applied"
    bench.simulator.no_faults()
    assert bench.flagged() == bench.addresses(people)
    assert bench.held() == bench.addresses(people)
    accepted = bench.warehouse.rows("SELECT address FROM activation.receipts WHERE status = 'accepted'")
    assert sorted(row["address"] for row in accepted) == sorted(bench.addresses(people))
    assert bench.send(segment).calls == 0


def test_a_killed_sync_ends_as_if_it_had_not_been(bench: Bench) -> None:
    people = bench.everybody[: max(bench.batch * 2, 40)]
    segment = bench.publish(people)
    bench.simulator.faults(bench.vendor, slow_seconds=0.3)
    worker = Path(__file__).parent / "sync_worker.py"
    told = (bench.warehouse.settings.home, segment.path, bench.name, bench.batch)
    command = [sys.executable, str(worker), *map(str, told)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2]) as process:
        until = time.monotonic() + 240
        while bench.stats()["writes"] < 2:
            assert time.monotonic() < until
            with pytest.raises(subprocess.TimeoutExpired):  # it must not end before it is killed
                process.wait(0.2)
        process.kill()
    bench.simulator.no_faults()
    result = bench.send(segment)
    assert result.rejected == 0
    assert bench.flagged() == bench.addresses(people)
    assert bench.held() == bench.addresses(people)
    assert bench.send(segment).calls == 0


def test_without_permission_no_write_call_is_made(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"AIRFLOW_CONN_{bench.vendor.upper()}"
    connection = json.loads(bench.simulator.connections()[name])
    connection["extra"].pop("allow_writes_in")
    monkeypatch.setenv(name, json.dumps(connection))
    segment = bench.publish(bench.everybody[:20])
    result = bench.send(segment)
    assert (result.is_dry_run, result.counts.enter, result.calls) == (True, 20, 0)
    assert bench.stats()["requests"] == 0
    assert bench.flagged() == set()


def test_a_first_sync_that_waits_reads_and_writes_nothing(bench: Bench) -> None:
    people = bench.everybody[:5]
    segment = bench.publish(people[:3])
    bench.send(segment)
    assert bench.flagged() == bench.addresses(people[:3])
    with bench.warehouse.open() as engine:
        for table in ("plans", "state", "receipts", "plan_rows"):
            engine.execute(f"DELETE FROM activation.{table} WHERE TRUE")
    segment = bench.publish(people[2:], first_run="ask")
    bench.simulator.reset_stats()
    held = bench.send(segment)
    assert held.status == "held"
    baseline = "the destination holds 3 already, 1 of them on the list"
    known = f"; {baseline}" if bench.destination.read_back else ""
    assert held.held == f"first sync of this list: 3 people enter{known}"
    assert bench.stats()["writes"] == 0
    assert bench.send(segment, approve=held.plan_id).accepted == 3


def test_what_was_taken_away_by_hand_is_told_and_nothing_is_changed(bench: Bench) -> None:
    people = bench.everybody[:6]
    segment = bench.publish(people)
    bench.send(segment)
    settings, run, opened = bench.warehouse.settings, bench.warehouse.run(bench.days), bench.warehouse.open
    if bench.destination.read_back is None:
        with pytest.raises(FixSettings, match="cannot be read back"):
            verify(segment, bench.destination, settings, run, opened)
        return
    [calm] = verify(segment, bench.destination, settings, run, opened)
    assert (calm.expected, calm.missing, calm.others) == (6, 0, 0)
    # Seen from here, one whom we forgot was put there by hand, and one who is nobody was taken away.
    with bench.warehouse.open() as engine:
        here, gone = bench.addresses(people[:1]).pop(), bench.addresses(bench.everybody[10:11]).pop()
        engine.execute(f"UPDATE activation.state SET address = '{gone}' WHERE address = '{here}'")
    bench.simulator.reset_stats()
    [drift] = verify(segment, bench.destination, settings, run, opened)
    assert (drift.expected, drift.missing, drift.others) == (6, 1, 1)
    assert bench.stats()["writes"] == 0
    with bench.warehouse.open() as engine:
        engine.execute(f"UPDATE activation.state SET address = CONCAT('no', address) WHERE address != '{gone}'")
    with pytest.raises(StopSync, match="6 of 6 people sent to"):
        verify(segment, bench.destination, settings, run, opened)
    kept = bench.warehouse.rows("SELECT expected, missing, others FROM activation.drift ORDER BY checked_at")
    assert [tuple(row.values()) for row in kept] == [(6, 0, 0), (6, 1, 1), (6, 6, 6)]
