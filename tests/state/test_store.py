"""What each part of the store promises, on SQLite and on Postgres."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from include.connect.errors import FixSettings
from include.state.store import Store


def reserve(store: Store, key: str, limit: int, per_seconds: float, burst: int, now: float) -> float:
    return store.reserve(key, limit, per_seconds, burst, now)[1]


def test_counters_are_separate(store) -> None:
    assert [store.next_value("a"), store.next_value("a"), store.next_value("b")] == [1, 2, 1]


def test_calls_start_at_twice_the_mean_pace_and_a_full_window_holds_them_back(store) -> None:
    waits = [reserve(store, "k", 4, 8, 1, 100.0) for _ in range(6)]
    assert waits == pytest.approx([0, 1, 2, 3, 8, 9])
    assert reserve(store, "k", 4, 8, 1, 500.0) == 0


def test_a_burst_goes_at_once(store) -> None:
    waits = [reserve(store, "k", 10, 20, 3, 100.0) for _ in range(11)]
    assert waits == pytest.approx([0, 0, 0, 3, 3, 3, 6, 6, 6, 9, 20])


def test_time_lost_is_made_up_within_the_window(store) -> None:
    """Ten calls a second, and a second in which only the first four came in time."""
    moments = [100 + 0.1 * number for number in range(4)]
    assert [reserve(store, "k", 10, 1, 10, now) for now in moments] == pytest.approx([0, 0, 0, 0])
    assert [reserve(store, "k", 10, 1, 10, 100.9) for _ in range(6)] == pytest.approx([0] * 6)
    assert reserve(store, "k", 10, 1, 10, 100.9) == pytest.approx(0.1)


def test_calls_count_from_when_the_ones_before_really_went(store) -> None:
    number, wait = store.reserve("k", 1, 10, 1, 100.0)
    assert wait == 0
    store.went("k", number, 104.0)
    store.went("k", number, 103.0)
    assert reserve(store, "k", 1, 10, 1, 105.0) == pytest.approx(9)


def test_a_limit_that_changes_holds_from_the_next_call_on(store) -> None:
    assert [reserve(store, "k", 4, 8, 4, 100.0) for _ in range(4)] == [0] * 4
    assert reserve(store, "k", 2, 8, 2, 101.0) == pytest.approx(7)


def test_only_the_bookings_of_a_window_are_kept(store) -> None:
    for number in range(50):
        store.reserve("k", 5, 1, 1, float(number))
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM bookings").scalar_one() == 5


@pytest.mark.parametrize(("limit", "per_seconds", "burst"), [(0, 1, 1), (5, 0, 1), (5, 1, 0)])
def test_a_booking_that_cannot_be_honoured_is_refused(store, limit, per_seconds, burst) -> None:
    with pytest.raises(ValueError, match="cannot reserve"):
        store.reserve("k", limit, per_seconds, burst, 1.0)


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limit=st.integers(1, 12),
    burst=st.integers(1, 12),
    steps=st.lists(st.floats(0, 3), min_size=1, max_size=30),
    data=st.data(),
)
def test_no_window_exceeds_the_rate_whatever_the_rhythm(store, limit, burst, steps, data) -> None:
    key, now, moments = f"k{data.draw(st.uuids())}", 0.0, []
    for step in steps:
        now += step
        moments.append(now + reserve(store, key, limit, 5.0, burst, now))
    for moment in moments:
        assert sum(moment <= other < moment + 5.0 - 1e-6 for other in moments) <= limit


def test_leases_are_counted_renewed_and_given_back(store) -> None:
    first = store.acquire_lease("k", 2, "a", 10, 0.0)
    second = store.acquire_lease("k", 2, "a", 10, 0.0)
    assert store.acquire_lease("k", 2, "b", 10, 0.0) is None
    assert store.acquire_lease("other", 1, "b", 10, 0.0) is not None
    assert store.renew_lease(first, 10, 9.0)
    store.release_lease(second)
    assert store.acquire_lease("k", 2, "b", 10, 9.0) is not None
    assert store.acquire_lease("k", 2, "c", 10, 18.9) is None
    assert not store.renew_lease(first, 10, 19.0)
    assert store.acquire_lease("k", 2, "c", 10, 19.0) is not None


def test_a_circuit_opens_probes_and_closes(store) -> None:
    assert store.circuit("h").state == "closed"
    for moment in range(4):
        store.circuit_failed("h", float(moment))
    assert store.circuit("h").state == "closed"
    assert store.circuit_probe("h", "me", 4.0)
    store.circuit_failed("h", 4.0)
    opened = store.circuit("h")
    assert (opened.state, opened.failures, opened.opened_at, opened.retry_at) == ("open", 5, 4.0, 64.0)
    store.circuit_failed("h", 20.0)
    assert store.circuit("h").retry_at == 64.0, "a straggler does not put the probe off"
    assert store.circuit_probe("h", "me", 64.0)
    assert store.circuit("h").state == "half-open"
    store.circuit_failed("h", 65.0)
    assert store.circuit("h").retry_at == 125.0
    assert store.circuit_probe("h", "me", 125.0)
    store.circuit_succeeded("h")
    assert (store.circuit("h").state, store.circuit("h").failures) == ("closed", 0)


def test_a_success_forgets_earlier_failures(store) -> None:
    for _ in range(3):
        for moment in range(4):
            store.circuit_failed("h", float(moment))
        store.circuit_succeeded("h")
    assert store.circuit("h").state == "closed"


def test_a_killed_probe_frees_its_place(store) -> None:
    for _ in range(5):
        store.circuit_failed("h", 0.0)
    assert store.circuit_probe("h", "doomed", 60.0)
    assert not store.circuit_probe("h", "next", 119.0)
    assert store.circuit_probe("h", "next", 120.0)


def test_a_lock_is_renewed_only_by_who_has_it(store) -> None:
    assert store.acquire_lock("sync", "a", 10, 0.0)
    assert not store.acquire_lock("sync", "a", 10, 1.0), "a retry of the holder is another holder"
    assert not store.renew_lock("sync", "b", 10, 5.0)
    assert store.renew_lock("sync", "a", 10, 5.0)
    assert not store.acquire_lock("sync", "b", 10, 14.0)
    store.release_lock("sync", "b")
    assert not store.acquire_lock("sync", "b", 10, 14.0)
    assert store.acquire_lock("sync", "b", 10, 15.0)
    assert not store.renew_lock("sync", "a", 10, 15.0)


def test_a_lock_is_freed_when_its_work_fails(store) -> None:
    with pytest.raises(KeyError), store.lock("sync", "a", 10, 0.0):
        raise KeyError
    assert store.acquire_lock("sync", "b", 10, 0.0)


def test_an_incident_lives_from_first_failure_to_recovery(store) -> None:
    first, is_new = store.open_incident("c", "Mailchimp is down", "HTTP 503", "tier_1", 1.0)
    again, is_new_again = store.open_incident("c", "Mailchimp is down", "HTTP 503", "tier_1", 2.0)
    assert (is_new, is_new_again) == (True, False)
    assert again.incident_id == first.incident_id
    assert (again.opened_at, again.last_seen_at, again.occurrences) == (1.0, 2.0, 2)
    store.open_incident("d", "other", "", "tier_2", 3.0)
    assert [incident.cause for incident in store.incidents()] == ["d", "c"]
    closed = store.resolve_incident("c", 4.0)
    assert closed is not None
    assert closed.resolved_at == 4.0
    assert store.resolve_incident("c", 5.0) is None
    assert [incident.cause for incident in store.incidents()] == ["d"]
    assert len(store.incidents(open_only=False)) == 2
    assert store.open_incident("c", "Mailchimp is down", "", "tier_1", 6.0)[1], "a relapse is a new incident"


def test_a_message_that_failed_may_be_tried_again_later(store) -> None:
    incident, _ = store.open_incident("c", "t", "", "tier_1", 0.0)
    assert store.claim_alert(incident.incident_id, 0.0)
    store.record_alert(incident.incident_id, 1.0, "HTTP 404")
    assert store.incidents()[0].alert_error == "HTTP 404"
    assert not store.claim_alert(incident.incident_id, 299.0)
    assert store.claim_alert(incident.incident_id, 300.0)
    store.record_alert(incident.incident_id, 301.0)
    assert (store.incidents()[0].alert_error, store.incidents()[0].alerted_at) == (None, 301.0)
    assert not store.claim_alert(incident.incident_id, 9999.0)


def test_a_token_is_kept_encrypted(store) -> None:
    assert store.get_token("hubspot") is None
    store.put_token("hubspot", "first", 1.0)
    store.put_token("hubspot", "refresh-me", 2.0)
    assert store.get_token("hubspot") == "refresh-me"
    [row] = store._read("SELECT * FROM tokens")
    assert "refresh-me" not in str(dict(row))


@pytest.mark.parametrize(("key", "what"), [(None, "missing"), ("short", "not a Fernet key")])
def test_a_token_needs_a_key(settings, key, what) -> None:
    keyless = settings.model_copy(update={"encryption_key": key})
    with Store.open(keyless) as store, pytest.raises(FixSettings, match=what) as refused:
        store.put_token("hubspot", "secret-token", 1.0)
    assert "STITCHLINE_ENCRYPTION_KEY" in str(refused.value)
    assert "secret-token" not in str(refused.value)


def test_a_token_of_another_key_says_so(store, settings) -> None:
    store.put_token("hubspot", "refresh-me", 1.0)
    rotated = settings.model_copy(update={"encryption_key": Fernet.generate_key().decode()})
    with Store.open(rotated) as other, pytest.raises(FixSettings, match="another key"):
        other.get_token("hubspot")


def test_audit_entries_are_numbered_and_cannot_be_changed(store) -> None:
    store.audit("ada", "read", "customer 7", 1.0)
    store.audit("dag erase_person", "erase", "customer 7", 2.0)
    entries = store.audit_entries()
    assert [(entry.audit_id, entry.who) for entry in entries] == [(1, "ada"), (2, "dag erase_person")]
    assert store.audit_entries(after=1) == entries[1:]
    for statement in ("UPDATE audit SET who = 'eve'", "DELETE FROM audit"):
        with pytest.raises(DBAPIError, match="append-only"), store._write() as connection:
            connection.exec_driver_sql(statement)
    assert store.audit_entries() == entries
