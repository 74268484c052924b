from __future__ import annotations

import asyncio
import gzip
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, TypeVar

import pytest
from aiohttp import web

from include.connect.auth import BearerAuth
from include.connect.budget import CIRCUIT_THRESHOLD, JITTER_SECONDS, Gate
from include.connect.connection import Connection
from include.connect.errors import FixCredentials, FixSettings, RetryLater, StopSync
from include.connect.http import CallRefused, Session
from include.connect.source import Connections, Rate, Source
from include.state.store import Store
from tests.connect.vendor import Vendor, cut_short, js, reset

T = TypeVar("T")
SOURCE = Source("acme", "Acme", "https://acme.example", BearerAuth())


class Calls:
    """Opens sessions and runs calls in them."""

    def __init__(self, connection: Connection, store: Store, clock: Any) -> None:
        self.connection, self.store, self.clock = connection, store, clock
        self.session: Session | None = None

    def __call__(self, act: Callable[[Session], Awaitable[T]], source: Source = SOURCE, **options: Any) -> T:
        async def run() -> T:
            async with Session(source, self.connection, self.store, clock=self.clock, **options) as self.session:
                return await act(self.session)

        return asyncio.run(run())

    def get(self, source: Source = SOURCE, **options: Any) -> Any:
        return self(lambda session: session.get_json("/things", label="things"), source, **options)


@pytest.fixture
def calls(connection: Connection, store: Store, clock: Any) -> Calls:
    return Calls(connection, store, clock)


# -- waiting and repeating ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "{date}"}, 30.0),
        ({"X-RateLimit-Reset": "42"}, 42.0),
        ({"X-RateLimit-Reset": "{epoch}"}, 30.0),
        ({"ratelimit-reset": "5"}, 5.0),
        ({"Retry-After": "3", "X-RateLimit-Reset": "60"}, 3.0),
    ],
)
def test_what_the_vendor_asks_for_wins_over_backoff(
    calls: Calls, vendor: Vendor, headers: dict[str, str], seconds: float
) -> None:
    until = calls.clock.at + 30
    date = format_datetime(datetime.fromtimestamp(until, UTC), usegmt=True)
    filled = {name: value.format(date=date, epoch=int(until)) for name, value in headers.items()}
    vendor.script = [web.json_response({}, status=429, headers=filled), js({"ok": 1})]
    assert calls.get() == {"ok": 1}
    assert calls.clock.slept == [pytest.approx(seconds, abs=0.01)]
    assert calls.session is not None
    counters = calls.session.counters
    assert (counters.requests, counters.retries, counters.throttled) == (2, 1, 1)
    assert counters.throttled_seconds == pytest.approx(seconds, abs=0.01)


def test_backoff_is_exponential_with_full_jitter_and_bounded_by_a_total_time(calls: Calls, vendor: Vendor) -> None:
    random.seed(3)
    vendor.handler = lambda request, body: js({}, 429)
    with pytest.raises(RetryLater, match="too many calls") as failed:
        calls.get(total_seconds=300)
    waits = calls.clock.slept
    assert sum(waits) <= 300
    assert 8 < len(waits) < 40
    assert all(wait <= min(60, 0.5 * 2**number) for number, wait in enumerate(waits))
    assert len({round(wait, 6) for wait in waits}) == len(waits)
    assert "acme/main things" in str(failed.value)


def test_a_pause_longer_than_the_time_left_ends_at_once_and_says_how_long(calls: Calls, vendor: Vendor) -> None:
    vendor.handler = lambda request, body: js({}, 429, Retry_After="3600")
    with pytest.raises(RetryLater) as failed:
        calls.get()
    assert failed.value.after == 3600
    assert calls.clock.slept == []
    assert len(vendor.asked) == 1


def test_retry_after_zero_is_no_tight_loop(calls: Calls, vendor: Vendor) -> None:
    vendor.script = [js({}, 429, Retry_After="0"), js({}, 429, Retry_After="0"), js({})]
    calls.get()
    assert all(wait > 0 for wait in calls.clock.slept)


@pytest.mark.parametrize("fault", [cut_short, reset, "half", "gzip", "html", 500, 502, 503, 504, 423, 477, 522])
def test_passing_faults_of_reads_are_repeated(calls: Calls, vendor: Vendor, fault: Any) -> None:
    packed = gzip.compress(json.dumps({"results": list(range(500))}).encode())
    special = {
        "half": web.Response(body=b'{"results":[1,2', content_type="application/json"),
        "gzip": web.Response(body=packed[:-20], headers={"Content-Encoding": "gzip"}),
        "html": web.Response(text="<html>busy</html>"),
    }
    bad = fault if callable(fault) else special[fault] if isinstance(fault, str) else js({"error": "x"}, fault)
    # aiohttp itself repeats a read once when the connection breaks before any answer.
    vendor.script = [bad, *([bad] if fault is reset else []), js({"ok": 1})]
    assert calls.get() == {"ok": 1}
    assert calls.session is not None
    assert (calls.session.counters.retries, calls.session.counters.throttled) == (1, 0)


def test_packed_answers_are_unpacked(calls: Calls, vendor: Vendor) -> None:
    vendor.script = [web.Response(body=gzip.compress(b'{"ok":1}'), headers={"Content-Encoding": "gzip"})]
    assert calls.get() == {"ok": 1}
    assert vendor.asked[0].headers["Accept-Encoding"] == "gzip"


# -- who we are -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_end_at_once_and_name_the_connection(calls: Calls, vendor: Vendor, status: int) -> None:
    vendor.handler = lambda request, body: js({"message": "jane@example.com may not"}, status, X_Request_Id="req-123")
    with pytest.raises(FixCredentials) as failed:
        calls.get()
    text = str(failed.value)
    assert len(vendor.asked) == 1
    assert "connection acme" in text
    assert "req-123" in text
    assert "s3cret" not in text
    assert "jane" not in text


def test_an_empty_credential_is_found_before_any_call(vendor: Vendor, store: Store) -> None:
    with pytest.raises(FixCredentials, match="AIRFLOW_CONN_ACME__EU"):
        Session(SOURCE, Connection("acme", "eu", vendor.url), store)
    assert vendor.asked == []


def test_a_bare_403_after_calls_that_worked_is_throttling(calls: Calls, vendor: Vendor) -> None:
    source = replace(SOURCE, is_bare_403_throttling=True)

    async def twice(session: Session) -> Any:
        await session.get_json("/things")
        return await session.get_json("/things")

    vendor.script = [js({}), web.Response(status=403, text="Forbidden"), js({"ok": 1})]
    assert calls(twice, source) == {"ok": 1}
    vendor.script = [web.Response(status=403, text="Forbidden")]
    with pytest.raises(FixCredentials):
        calls.get(source)
    vendor.script = [js({}), js({"message": "scope missing"}, 403)]
    with pytest.raises(FixCredentials):
        calls(twice, source)


def test_a_used_up_daily_quota_stops(calls: Calls, vendor: Vendor) -> None:
    vendor.handler = lambda request, body: js({"policyName": "DAILY"}, 429, Retry_After="1")
    source = replace(SOURCE, is_quota_used_up=lambda headers, body: b"DAILY" in body)
    with pytest.raises(StopSync, match="daily quota"):
        calls.get(source)
    assert len(vendor.asked) == 1


# -- refusals and writes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_a_refused_call_names_the_request_and_shows_no_payload(calls: Calls, vendor: Vendor, status: int) -> None:
    body = {"message": "jane@example.com is already subscribed", "correlationId": "abcd-1234"}
    vendor.handler = lambda request, _: js(body, status)
    with pytest.raises(CallRefused) as failed:
        calls.get()
    assert failed.value.status == status
    assert failed.value.request_id == "abcd-1234"
    assert "jane" not in str(failed.value)
    assert len(vendor.asked) == 1


def test_accepted_statuses_come_back(calls: Calls, vendor: Vendor) -> None:
    vendor.handler = lambda request, body: js({"title": "gone"}, 404)
    answer = calls(lambda session: session.send("GET", "/x", accept=(404,)))
    assert (answer.status, answer.json()) == (404, {"title": "gone"})


def test_nothing_is_written_where_writing_is_not_allowed(calls: Calls, vendor: Vendor) -> None:
    vendor.handler = lambda request, body: js({"found": 1})
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        with pytest.raises(StopSync, match="not allowed in this environment"):
            calls(lambda session, method=method: session.send(method, "/x", json={}))  # type: ignore[misc]
    assert vendor.asked == []
    assert calls(lambda session: session.post_json("/search", {"q": 1}, reads=True)) == {"found": 1}


def test_a_search_whose_answer_was_cut_short_is_asked_again(calls: Calls, vendor: Vendor) -> None:
    vendor.script = [web.Response(body=b'{"found": [1,', content_type="application/json"), js({"found": 1})]
    assert calls(lambda session: session.post_json("/search", {"q": 1}, reads=True)) == {"found": 1}
    assert len(vendor.asked) == 2


def test_a_write_is_repeated_only_when_that_is_safe(calls: Calls, vendor: Vendor) -> None:
    vendor.script = [js({}, 503)]
    with pytest.raises(RetryLater, match="503"):
        calls(lambda session: session.send("POST", "/x", json={}), writable=True)
    vendor.script = [js({}, 503), reset, js({}, 429), js({"ok": 1})]
    answer = calls(lambda session: session.send("POST", "/x", json={"a": 1}, safe_to_repeat=True), writable=True)
    assert answer.json() == {"ok": 1}
    assert vendor.bodies[-1] == b'{"a":1}'
    vendor.script = [js({}, 500)]
    with pytest.raises(RetryLater, match="500"):
        calls(lambda session: session.send("POST", "/x", json={}, safe_to_repeat=True), writable=True)
    assert len(vendor.asked) == 6


def test_a_form_is_sent_as_a_form(calls: Calls, vendor: Vendor) -> None:
    vendor.handler = lambda request, body: js({})
    calls(lambda session: session.send("POST", "/x", form={"metadata[a]": "1 2"}), writable=True)
    assert vendor.bodies == [b"metadata%5Ba%5D=1+2"]
    assert vendor.asked[0].content_type == "application/x-www-form-urlencoded"


def test_credentials_follow_absolute_urls_only_to_where_they_belong(calls: Calls, vendor: Vendor) -> None:
    vendor.handler = lambda request, body: js({"path": request.path_qs})
    assert calls(lambda session: session.get_json(f"{vendor.url}/next?page=2", {"a": "b"})) == {
        "path": "/next?page=2&a=b"
    }
    for url in ("http://evil.example/next", f"{vendor.url}.evil.example/next"):
        with pytest.raises(StopSync, match="another host"):
            calls(lambda session, url=url: session.get_json(url))  # type: ignore[misc]


def test_an_unusable_address_is_a_setting_to_fix(store: Store, clock: Any) -> None:
    wrong = Calls(Connection("acme", base_url="http://127.0.0.1:99999", password="x"), store, clock)
    with pytest.raises(FixSettings, match="connection acme"):
        wrong.get()


# -- sharing --------------------------------------------------------------------------------------------------


def test_two_sessions_share_the_rate_of_an_account(
    connection: Connection, vendor: Vendor, store: Store, clock: Any
) -> None:
    source = replace(SOURCE, budget=Rate(20, seconds=10))
    at: list[float] = []

    def answer(request: web.Request, body: bytes) -> web.Response:
        at.append(clock.at)
        return js({})

    vendor.handler = answer

    async def run() -> None:
        async with (
            Session(source, connection, store, clock=clock) as one,
            Session(source, connection, store, clock=clock) as two,
        ):
            for _ in range(40):
                await one.get_json("/x")
                await two.get_json("/x")

    asyncio.run(run())
    most = max(sum(start <= moment < start + 9.999 for moment in at) for start in at)
    assert len(at) == 80
    assert 15 <= most <= 20


@pytest.mark.parametrize("rate", [Rate(10), Rate(25), Rate(50), Rate(100, seconds=10), Rate(60, seconds=60)])
def test_calls_use_nearly_all_of_a_rate_and_late_ones_are_not_one_too_many(
    store: Store, clock: Any, rate: Rate
) -> None:
    gate, rng, reached = Gate(store, "acme/main", "acme.example", clock), random.Random(7), []

    async def run() -> None:
        for _ in range(4 * int(rate.limit)):
            async with gate.passing(rate, clock.at + 900):
                reached.append(clock.at + rng.uniform(0, JITTER_SECONDS))

    asyncio.run(run())
    reached.sort()
    permitted = int(rate.limit)
    assert all(late - early >= rate.seconds for early, late in zip(reached, reached[permitted:], strict=False))
    assert (len(reached) - 1) / (reached[-1] - reached[0]) >= 0.95 * rate.limit / rate.seconds


def test_a_plan_with_another_limit_is_one_field_of_the_connection(vendor: Vendor, store: Store, clock: Any) -> None:
    generous = Calls(Connection("acme", base_url=vendor.url, password="x", extra={"rate_limit": 100_000}), store, clock)
    vendor.handler = lambda request, body: js({})

    async def many(session: Session) -> None:
        for _ in range(50):
            await session.get_json("/x")

    generous(many, replace(SOURCE, budget=Rate(1, seconds=60)))
    assert sum(clock.slept) < 1


def test_open_connections_of_an_account_stay_below_the_limit(
    connection: Connection, vendor: Vendor, store: Store
) -> None:
    source = replace(SOURCE, budget=Connections(3))

    async def meeting(request: web.Request, body: bytes) -> web.Response:
        # The first ones stay until three are here; later ones let the loop turn, so that a fourth would be seen.
        while vendor.most_in_flight < 3:
            await asyncio.sleep(0.001)
        for _ in range(200):
            await asyncio.sleep(0)
        return js({})

    vendor.handler = meeting

    async def run() -> None:
        async with Session(source, connection, store) as one, Session(source, connection, store) as two:
            calls = (session.get_json("/x") for session in (one, two) for _ in range(12))
            await asyncio.wait_for(asyncio.gather(*calls), timeout=60)

    asyncio.run(run())
    assert len(vendor.asked) == 24
    assert vendor.most_in_flight == 3
    assert store.acquire_lease("acme/main", 3, "next", 60, 4e9) is not None


def test_a_failing_host_is_left_alone_and_tried_by_one(calls: Calls, vendor: Vendor, store: Store) -> None:
    vendor.handler = lambda request, body: js({}, 500)
    with pytest.raises(RetryLater):
        calls.get(total_seconds=400)
    host = vendor.url.removeprefix("http://")
    assert store.circuit(host).state == "open"
    asked = len(vendor.asked)
    # Without the circuit, 400 seconds would be room for far more calls than the threshold and a probe a minute.
    assert asked <= CIRCUIT_THRESHOLD + 400 / 60 + 1
    with pytest.raises(RetryLater, match="nobody calls it"):
        calls.get(total_seconds=1)
    assert len(vendor.asked) == asked
    vendor.handler = lambda request, body: js({"ok": 1})
    assert calls.get() == {"ok": 1}
    assert store.circuit(host).state == "closed"
