"""From a signed request to a person's activities: the collector's process, landing, load, unify, on DuckDB."""

from __future__ import annotations

import hashlib
import json
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include import steps
from include.collector.ingest import load_collected
from include.run import Run
from include.settings import Settings
from include.simulate import webhook_events
from include.simulate.webhooks import SENDERS, connections, sns_certificate
from include.warehouse.engine import Engine, connect
from include.warehouse.models import published
from tests.collector.running import Running, WebSite, running

MARA, BO = "Mara@Oak.example", "bo@elm.example"
OFFER = "https://www.example.com/offer"
TAKES = "segment,email,sendgrid,mandrill,mailchimp,ses"
Json = webhook_events.Json


@dataclass
class Site:
    """Who sends to one collector, all at one moment."""

    collector: Running
    now: datetime

    def send(self, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> None:
        """One request, which must be taken."""
        request = urllib.request.Request(self.collector.url + path, body, headers or {})
        with urllib.request.build_opener(_Stay()).open(request, timeout=30) as answer:
            assert answer.status in (200, 302)

    def call(self, kind: str, *, key: str = "wk-website", **call: Any) -> None:
        """A call of stitchline.js."""
        at = self.at(-1)
        self.send(f"/v1/{kind}", json.dumps({"writeKey": key, "timestamp": at, "sentAt": at, **call}).encode())

    def hook(self, vendor: str, *events: Json) -> None:
        """A webhook as its vendor signs it."""
        sender = SENDERS[vendor]
        body, path = sender.pack(events), f"/webhooks/{vendor}"
        signed = sender.sign(self.collector.url + path, body, time.time())
        self.send(path, body, {**signed, "Content-Type": sender.content_type})

    def at(self, seconds: float) -> str:
        """A time as most vendors write it."""
        return (self.now + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def epoch(self, seconds: int) -> int:
        """A time in seconds."""
        return int(self.now.timestamp()) + seconds


class _Stay(urllib.request.HTTPRedirectHandler):
    """A link that is followed no further."""

    def redirect_request(self, *_: Any) -> None:
        return None

    def http_error_302(self, request: Any, answer: Any, *_: Any) -> Any:
        return answer


def visit(site: Site) -> None:
    """Mara looks around, signs in, buys; the shop's server tells it too, and one call is sent twice."""
    page = {"url": OFFER, "path": "/offer"}
    site.call("page", messageId="page-1", anonymousId="anon-1", name="Offer", context={"page": page})
    site.call("page", messageId="page-1", anonymousId="anon-1", name="Offer", context={"page": page})
    site.call("identify", messageId="identify-1", anonymousId="anon-1", userId="u-1", traits={"email": MARA})
    calls = [{"type": "track", "messageId": "track-1", "userId": "u-1", "event": "Order Completed"}]
    site.call("batch", key="wk-server", batch=[{**calls[0], "timestamp": site.at(-1)}])


def mails(site: Site) -> None:
    """What became of mails to Mara and to Bo, of whom nothing else is known."""
    digest = hashlib.sha256(MARA.lower().encode()).hexdigest()
    site.send(f"/p.gif?c=welcome&e={digest}")
    site.send(f"/r?e={digest}&c=welcome&u={urllib.parse.quote(OFFER, safe='')}")
    about = {"email": MARA, "sg_message_id": "m1.x", "category": "welcome"}
    site.hook(
        "sendgrid",
        {**about, "event": "processed", "timestamp": site.epoch(-60), "sg_event_id": "s0"},
        {**about, "event": "delivered", "timestamp": site.epoch(-50), "sg_event_id": "s1"},
        {**about, "event": "open", "timestamp": site.epoch(-40), "sg_event_id": "s2", "sg_machine_open": True},
        {**about, "event": "click", "timestamp": site.epoch(-30), "sg_event_id": "s3", "url": OFFER},
    )
    receipt = {"_id": "m2", "ts": site.epoch(-60), "email": MARA.lower(), "tags": ["receipt"]}
    site.hook("mandrill", {"event": "open", "_id": "m2", "ts": site.epoch(-20), "msg": receipt})
    form = {"type": "unsubscribe", "data[email]": BO, "data[list_id]": "l1"}
    site.hook("mailchimp", {**form, "fired_at": f"{site.now:%Y-%m-%d %H:%M:%S}"})
    mail = {"messageId": "m3", "destination": [BO], "timestamp": site.at(-60)}
    site.hook("ses", {"eventType": "Open", "open": {"timestamp": site.at(-10)}, "mail": mail})
    bounced = {"bounceType": "Permanent", "bouncedRecipients": [{"emailAddress": BO}], "timestamp": site.at(-5)}
    site.hook("ses", {"eventType": "Bounce", "bounce": bounced, "mail": mail})


Ask = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Asks the warehouse in which everything that was sent has arrived."""
    home = tmp_path_factory.mktemp("home")
    with WebSite(lambda path: sns_certificate()) as amazon, pytest.MonkeyPatch.context() as patch:
        ses = json.dumps({**json.loads(connections()["AIRFLOW_CONN_SES"]), "host": amazon.url})
        more = {"STITCHLINE_COLLECTOR": TAKES, "STITCHLINE_COLLECTOR_REDIRECT_HOSTS": "www.example.com"}
        with running(home, more={**more, "AIRFLOW_CONN_SES": ses}) as collector:
            site = Site(collector, datetime.now(UTC))
            visit(site)
            mails(site)
            assert collector.stop() == 0
        patch.setenv("STITCHLINE_HOME", str(home))
        unify(home)
        yield lambda sql: query(home, sql)


def unify(home: Path) -> None:
    """The bodies of ingest_collector's and unify's tasks."""
    now = datetime.now(UTC) + timedelta(minutes=1)
    load_collected(Run.of("ingest_collector", "one", now))
    with connect(Settings(home=home)) as engine:
        page_of_segment(engine)
    run = Run.of("unify", "one", now)
    steps.unify_stage(run)
    steps.unify_identity(run)
    steps.unify_marts(run)
    steps.unify_publish(run)


def page_of_segment(engine: Engine) -> None:
    """Segment's warehouse has the same page view, with a name that Segment corrected."""
    from include.warehouse.schema import raw_tables

    engine.ensure(raw_tables())
    seq = int(engine.query("SELECT MAX(seq) AS n FROM ops.loads")[0]["n"]) + 1
    now = datetime.now(UTC)
    machinery = {"_account": "main", "_run_id": "r", "_part": 0, "_seq": seq, "_extracted_at": now, "_loaded_at": now}
    record = {"id": "page-1", "anonymous_id": "anon-1", "name": "The offer", "timestamp": now.isoformat()}
    payload = json.dumps({**record, "loaded_at": now.isoformat()})
    engine.append("raw.segment__pages", [{**machinery, "_key": "page-1", "_payload": payload}])
    load = {"seq": seq, "source": "segment", "account": "main", "stream": "pages", "loaded_at": now, "as_of": now}
    engine.append("ops.loads", [{**load, "run_id": "r", "kind": "full", "records": 1, "is_complete": True}])


def query(home: Path, sql: str) -> list[dict[str, Any]]:
    """Rows, as published."""
    with connect(Settings(home=home)) as engine:
        state = published(engine)
        assert state is not None
        return engine.at(state.generation).query(sql)


def activities_of(ask: Ask, email: str) -> set[tuple[str, str, str]]:
    """What the person with that address did: activity, source, and the page or campaign it is about."""
    rows = ask(
        "SELECT a.activity, a.source, a.link, JSON_VALUE(a.feature_json, '$.name') AS name, "
        "JSON_VALUE(a.feature_json, '$.campaign') AS campaign FROM marts.activities AS a "
        f"INNER JOIN identity.identifiers AS i ON i.customer_id = a.customer_id AND i.kind = 'email' "
        f"AND i.value = '{email.lower()}'"
    )
    found = [(row["activity"], row["source"], row["name"] or row["campaign"] or "") for row in rows]
    assert len(found) == len(set(found)), "something counts twice"
    return set(found)


def test_calls_clicks_and_webhooks_become_one_persons_activities(ask: Ask) -> None:
    assert activities_of(ask, MARA) == {
        ("viewed_page", "segment", "The offer"),
        ("identified_themselves", "segment", ""),
        ("order_completed", "segment", "Order Completed"),
        ("opened_email", "email", "welcome"),
        ("clicked_email", "email", "welcome"),
        ("received_email", "sendgrid", "welcome"),
        ("fetched_email", "sendgrid", "welcome"),
        ("clicked_email", "sendgrid", "welcome"),
        ("opened_email", "mandrill", "receipt"),
    }
    assert ask("SELECT email, user_id FROM marts.customers ORDER BY user_id NULLS LAST") == [
        {"email": MARA.lower(), "user_id": "u-1"},
        {"email": None, "user_id": None},
    ]


def test_who_refused_is_not_written_to_again(ask: Ask) -> None:
    assert activities_of(ask, BO) == {
        ("unsubscribed", "mailchimp", ""),
        ("opened_email", "ses", ""),
        ("bounced_email", "ses", ""),
    }
    rows = ask("SELECT address, source, status FROM marts.consents ORDER BY source")
    assert rows == [
        {"address": BO, "source": "mailchimp", "status": "denied"},
        {"address": BO, "source": "ses", "status": "denied"},
    ]
