from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial

import pytest

from include.connect.errors import FixCredentials, RetryLater
from include.notify import slack as channel
from include.notify.message import Message

MESSAGE = Message(
    title="Credentials refused: connection mailchimp",
    what="Mailchimp answered 401 & said <no>",
    fix="Put a new key into the connection.",
    where="connection mailchimp",
    owner="data-platform",
    runbook="docs/runbooks/credentials.md",
    log_url="http://ui/dags/ingest_mailchimp/runs/r/tasks/pull",
    lists=("at_risk_customers",),
    people=12410,
)


def test_a_message_arrives_with_all_its_parts(slack) -> None:
    channel.send(MESSAGE, slack.url)
    [got] = slack.got
    assert got["path"] == "/services/T000/B000/secret-part"
    assert got["type"].startswith("application/json")
    assert got["text"].endswith("Mailchimp answered 401 &amp; said &lt;no&gt;")
    header, body, context = got["blocks"]
    assert header["text"]["text"] == ":rotating_light: Credentials refused: connection mailchimp"
    assert "401 &amp; said &lt;no&gt;" in body["text"]["text"]
    assert "Put a new key" in body["text"]["text"]
    assert "12,410 people in 1 list (at_risk_customers)" in body["text"]["text"]
    links = context["elements"][0]["text"]
    assert "data-platform" in links
    assert "`docs/runbooks/credentials.md`" in links
    assert "<http://ui/dags/ingest_mailchimp/runs/r/tasks/pull|Task log>" in links


def test_a_long_message_is_cut_to_what_slack_takes() -> None:
    body = channel.payload(replace(MESSAGE, title="t" * 400, what="<" * 5000))
    assert len(body["blocks"][0]["text"]["text"]) <= 150
    assert all(len(block["text"]["text"]) <= 3000 for block in body["blocks"][:2])


@pytest.mark.parametrize(
    ("status", "error"), [(404, FixCredentials), (403, FixCredentials), (429, RetryLater), (503, RetryLater)]
)
def test_a_refusal_says_what_to_do_and_keeps_the_secret(slack, status, error, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    slack.status = status
    with pytest.raises(error, match=str(status)) as refused:
        channel.send(MESSAGE, slack.url)
    assert "secret-part" not in f"{refused.value!r} {refused.value.__context__!r} {caplog.text}"


def test_a_broken_connection_is_tried_later(slack) -> None:
    slack.is_silent = True
    with pytest.raises(RetryLater, match="not reached"):
        channel.send(MESSAGE, slack.url)


def test_a_dead_host_is_tried_later() -> None:
    with pytest.raises(RetryLater, match="not reached"):
        channel.send(MESSAGE, "http://127.0.0.1:1/services/secret-part")


@pytest.mark.parametrize("url", ["", "slack", "file:///etc/passwd"])
def test_what_is_no_web_address_is_refused(url) -> None:
    with pytest.raises(FixCredentials, match="not an http"):
        partial(channel.send, webhook_url=url)(MESSAGE)
