"""Many real processes on one store: nothing doubled, nothing exceeded, nothing held by the dead."""

from __future__ import annotations

from bisect import bisect_left
from itertools import chain

import pytest

from include.connect.errors import RetryLater


def test_a_number_is_given_once(crowd) -> None:
    numbers = sorted(chain.from_iterable(crowd(4, "count", counter="manifest_seq", times=50)))
    assert numbers == list(range(1, 201))


def test_a_killed_process_loses_no_number_and_doubles_none(store, start) -> None:
    said: list[int] = []
    for _ in range(5):
        worker = start("count_aloud", counter="seq")
        said += [worker.hear() for _ in range(20)]
        said += worker.kill()
    assert len(set(said)) == len(said)
    assert store.next_value("seq") > max(said)


def test_a_write_cut_short_by_a_kill_never_happened(store, start) -> None:
    store.next_value("seq")
    worker = start("half_write", counter="seq")
    assert worker.hear() == "inside"
    worker.kill()
    assert store.next_value("seq") == 2


@pytest.mark.parametrize(("limit", "per_seconds", "burst"), [(40, 2.0, 1), (190, 10.0, 10), (3, 1.0, 3)])
def test_no_window_holds_more_calls_than_the_limit(crowd, limit, per_seconds, burst) -> None:
    arguments = {"key": "hubspot", "limit": limit, "per_seconds": per_seconds, "burst": burst, "times": 60}
    moments = sorted(chain.from_iterable(crowd(4, "book", **arguments)))
    assert len(moments) == 240
    # A hair of slack: the moments are floats of 1.8e9 with microseconds behind the point.
    busiest = max(bisect_left(moments, moment + per_seconds - 1e-4) - i for i, moment in enumerate(moments))
    assert busiest <= limit


def test_no_more_places_are_held_than_there_are(start) -> None:
    workers = [start("occupy", key="mailchimp", limit=2, holder=f"worker-{i}", times=40) for i in range(4)]
    held = list(chain.from_iterable(worker.hear() for worker in workers))
    assert len(held) == 160
    edges = sorted([(since, 1) for since, _ in held] + [(until, -1) for _, until in held])
    now = most = 0
    for _, change in edges:
        now += change
        most = max(most, now)
    assert most <= 2


def test_a_killed_holder_frees_its_place_when_its_time_is_up(store, start) -> None:
    worker = start("hold", key="mailchimp", holder="doomed", ttl_seconds=30, now=1000.0)
    assert worker.hear() is not None
    worker.kill()
    assert store.acquire_lease("mailchimp", 1, "next", 30, 1029.9) is None
    assert store.acquire_lease("mailchimp", 1, "next", 30, 1030.0) is not None


def test_a_killed_holder_frees_its_lock_when_its_time_is_up(store, start) -> None:
    worker = start("hold_lock", name="sync", holder="doomed", ttl_seconds=30, now=1000.0)
    assert worker.hear() == "held"
    worker.kill()
    with pytest.raises(RetryLater, match="doomed") as refused, store.lock("sync", "next", 30, 1020.0):
        pass
    assert refused.value.after == 10.0
    with store.lock("sync", "next", 30, 1030.0):
        assert not store.acquire_lock("sync", "third", 30, 1031.0)
    assert store.acquire_lock("sync", "third", 30, 1031.0)


def test_forty_failures_are_one_incident_with_one_message(store, crowd) -> None:
    firsts = list(chain.from_iterable(crowd(4, "report", cause="vendor down", times=10)))
    assert firsts.count(True) == 1
    [incident] = store.incidents()
    assert incident.occurrences == 40
    claims = list(chain.from_iterable(crowd(3, "claim", incident_id=incident.incident_id, times=5)))
    assert claims.count(True) == 1


def test_one_process_probes_an_open_circuit(store, crowd) -> None:
    for moment in range(5):
        store.circuit_failed("api.example", float(moment))
    assert crowd(3, "probe", host="api.example", now=63.9) == [False] * 3
    assert crowd(4, "probe", host="api.example", now=64.0).count(True) == 1


def test_processes_that_open_a_new_store_together_agree(crowd) -> None:
    assert crowd(5, "version") == [3] * 5
