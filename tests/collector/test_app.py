"""What the collector answers to everything else: calls, pixels, links, bad requests, too many of them."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from include.collector.app import leads_to
from include.collector.bounds import BURST_SECONDS, Rates
from include.simulate.webhooks import HOOK
from tests.collector.receiving import NOW, Receiver, receiving

BASIC = {"authorization": "Basic " + base64.b64encode(b"wk-server:").decode()}
TOKEN = HOOK.sign("", b"", NOW)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "one JSON object"),
        (b"{", "JSON"),
        (b'{"a":1} x', "JSON"),
        (b"[" * 100_000, "deep"),
        (b'"text"', "object"),
        (b"7", "object"),
        (b'{"a":1},{"b":2}', "one JSON object"),
        (b"\xff\xfe", "JSON"),
    ],
)
def test_a_malformed_body_is_refused_with_a_reason(body: bytes, reason: str, tmp_path: Path) -> None:
    async def test(receiver: Receiver) -> None:
        answer = await receiver("POST", "/hooks/leads", body, TOKEN)
        assert answer.status == 400
        assert reason in answer.body.decode()
        assert receiver.kept() == []

    receiving(tmp_path, test)


def test_a_body_over_the_limit_is_not_read(tmp_path: Path) -> None:
    async def test(receiver: Receiver) -> None:
        fits = json.dumps({"a": "x" * 991}).encode()
        assert len(fits) == 1000
        for body, headers, chunks, status in (
            (fits, {}, 1, 200),
            (fits, {}, 7, 200),
            (fits + b" ", {}, 1, 413),
            (fits + b" ", {}, 7, 413),
            (b"", {"content-length": "1001"}, 1, 413),
        ):
            answer = await receiver("POST", "/hooks/leads", body, {**TOKEN, **headers}, chunks=chunks)
            assert answer.status == status, (len(body), chunks)
        bomb = gzip.compress(b" " * 10**6)
        for packed, headers, status in (
            (bomb, BASIC, 413),
            (gzip.compress(b'{"messageId":"m"}'), BASIC, 200),
            (gzip.compress(b'{"messageId":"m"}')[:-9], BASIC, 400),
            (b"no gzip", BASIC, 400),
        ):
            answer = await receiver("POST", "/v1/track", packed, {**headers, "content-encoding": "gzip"})
            assert answer.status == status, answer.body
        packed = gzip.compress(fits)
        assert (await receiver("POST", "/hooks/leads", packed, {**TOKEN, "content-encoding": "gzip"})).status == 415
        assert len(receiver.kept()) == 3

    receiving(tmp_path, test, collector_max_bytes=1000)


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    async def test(receiver: Receiver) -> None:
        for path in (
            "/",
            "/webhooks",
            "/webhooks/stripe",
            "/webhooks/zendesk",
            "/v1/delete",
            "/v1/track",
            "/p.gif",
            "/r",
        ):
            assert (await receiver("POST", path, b"{}")).status == 404, path
        assert (await receiver("GET", "/healthz")).status == 200

    receiving(tmp_path, test, collector=("hook",))


def test_each_caller_has_a_rate(tmp_path: Path) -> None:
    async def test(receiver: Receiver) -> None:
        most = int(2 * BURST_SECONDS)
        statuses = [(await receiver("POST", "/hooks/leads", b"{}", TOKEN)).status for _ in range(most + 1)]
        assert statuses == [200] * most + [429]
        refused = await receiver("POST", "/hooks/leads", b"{}", TOKEN)
        assert refused.headers["retry-after"] == "1"
        assert (await receiver("POST", "/hooks/leads", b"{}", TOKEN, caller="203.0.113.8")).status == 200
        assert (await receiver("GET", "/metrics")).status == 200
        receiver.time[0] += 0.5
        statuses = [(await receiver("POST", "/hooks/leads", b"{}", TOKEN)).status for _ in range(2)]
        assert statuses == [200, 429]

    receiving(tmp_path, test, collector_rate=2)


def test_callers_that_stay_away_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.collector.bounds.MOST_CALLERS", 3)
    rates = Rates(1)
    for number in range(100):
        assert rates.take(str(number), 0) == 0
    assert len(rates._left) == 3


def call(**more: Any) -> bytes:
    return json.dumps({"messageId": "m1", "anonymousId": "a1", "event": "Signed up", **more}).encode()


def test_segments_calls_come_by_key_and_by_batch(tmp_path: Path) -> None:
    async def test(receiver: Receiver) -> None:
        many = json.dumps({"batch": [json.loads(call(type="track", messageId=m)) for m in "abc"], "sentAt": "now"})
        for path, body, headers, status in (
            ("/v1/track", call(), BASIC, 200),
            ("/v1/identify", call(writeKey="wk-website"), {"content-type": "text/plain"}, 200),
            ("/v1/batch", many.encode(), BASIC, 200),
            ("/v1/batch", b'{"batch":[]}', BASIC, 200),
            ("/v1/track", call(), {}, 401),
            ("/v1/track", call(writeKey="wk-websit"), {}, 401),
            ("/v1/track", call(writeKey=7), {}, 400),
            ("/v1/batch", call(), BASIC, 400),
            ("/v1/batch", b'{"batch":[1]}', BASIC, 400),
            ("/v1/track", b"[]", BASIC, 400),
        ):
            answer = await receiver("POST", path, body, headers)
            assert answer.status == status, (path, body, answer.body)
        assert [entry.outside for entry in receiver.kept()] == [
            {"type": "track", "write_key": "server"},
            {"type": "identify", "write_key": "website"},
            {"type": "batch", "write_key": "server", "sent_at": "now"},
        ]
        assert 'records_total{route="segment"} 5' in (await receiver("GET", "/metrics")).body.decode()

    receiving(tmp_path, test)


def test_pages_of_other_web_sites_may_not_send(tmp_path: Path) -> None:
    async def test(receiver: Receiver) -> None:
        ours, theirs = {"origin": "https://www.example.com"}, {"origin": "https://evil.example"}
        asked = await receiver("OPTIONS", "/v1/track", b"", ours)
        assert (asked.status, asked.headers["access-control-allow-origin"]) == (204, ours["origin"])
        assert "access-control-allow-origin" not in (await receiver("OPTIONS", "/v1/track", b"", theirs)).headers
        sent = await receiver("POST", "/v1/track", call(), {**BASIC, **ours})
        assert (sent.status, sent.headers["access-control-allow-credentials"]) == (200, "true")
        assert (await receiver("POST", "/v1/track", call(), {**BASIC, **theirs})).status == 403
        assert len(receiver.kept()) == 1

    receiving(tmp_path, test, collector_origins=("https://www.example.com",))


def test_a_pixel_and_a_link_get_an_id_here(tmp_path: Path) -> None:
    async def test(receiver: Receiver) -> None:
        agent = {"user-agent": "Mail", "referer": "https://mail.example/"}
        pixel = await receiver("GET", "/p.gif?c=welcome&e=5f2d", b"", agent)
        assert (pixel.status, pixel.headers["content-type"], pixel.body[:6]) == (200, "image/gif", b"GIF89a")
        assert "no-store" in pixel.headers["cache-control"]
        to = "https://www.example.com/a?x=1&y=%C3%A9#part"
        link = await receiver(
            "GET",
            f"/r?e=5f2d&u={to.replace('&', '%26').replace('%C3', '%25C3').replace('%A9', '%25A9').replace('#', '%23')}",
        )
        assert (link.status, link.headers["location"]) == (302, to)
        assert (await receiver("HEAD", "/p.gif?c=welcome")).body == b""
        assert (await receiver("GET", "/r?u=https://evil.example/")).status == 400
        opened, clicked = [json.loads(entry.body) for entry in receiver.kept()]
        assert opened["query"] == {"c": "welcome", "e": "5f2d"}
        assert (opened["user_agent"], opened["referrer"]) == ("Mail", "https://mail.example/")
        assert clicked["query"]["u"] == to
        assert len({opened["id"], clicked["id"]}) == 2

    receiving(tmp_path, test, collector_redirect_hosts=("www.example.com",))


HOSTS = ("www.example.com", "*.shop.example")


@pytest.mark.parametrize(
    "url",
    [
        "https://www.example.com",
        "http://www.example.com:80/a?b=@c",
        "https://de.shop.example/",
        "HTTPS://WWW.example.com/",
    ],
)
def test_links_lead_to_listed_hosts(url: str) -> None:
    assert leads_to(url, HOSTS)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/local",
        "//www.example.com",
        "javascript:alert(1)//www.example.com",
        "ftp://www.example.com",
        "https://example.com",
        "https://shop.example",
        "https://evilshop.example",
        "https://www.example.com.evil.example",
        "https://www.example.com@evil.example",
        "https://www.example.com:8443/",
        "https://www.example.com:x/",
        "https://evil.example\\@www.example.com",
        "https://evil.example#www.example.com",
        "https://www.example.com/\r\nset-cookie: a=b",
        "https://www.example.com/ x",
        "https://www.ex\u0430mple.com/",
        "https://[::1",
    ],
)
def test_links_lead_nowhere_else(url: str) -> None:
    assert not leads_to(url, HOSTS)
