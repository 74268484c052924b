from __future__ import annotations

import logging
from functools import partial

import pytest

from include.connect.errors import FixCredentials, RetryLater
from include.notify import slack as slack_channel
from include.notify.incident import Affected, TaskSeen, report_failure, report_recovery
from include.notify.message import Message

ERROR = FixCredentials(
    "Mailchimp answered 401", where="connection mailchimp, mailchimp/main members", fix="Mend the key."
)


def seen(task: str = "ingest_mailchimp.pull") -> TaskSeen:
    return TaskSeen(task, "data-platform", "tier_1", "http://ui/task")


@pytest.fixture
def told() -> list[Message]:
    return []


def test_forty_failures_are_one_message_and_the_last_recovery_is_one_more(store, told) -> None:
    affected = Affected(("at_risk",), 7)
    for task in range(40):
        report_failure(store, ERROR, seen(f"ingest.pull[{task}]"), [told.append], 1000.0 + task, lambda: affected)
    [message] = told
    assert message.title == "Credentials refused: connection mailchimp, mailchimp/main members"
    assert (message.what, message.fix, message.owner) == ("Mailchimp answered 401", "Mend the key.", "data-platform")
    assert (message.runbook, message.log_url) == ("docs/runbooks/credentials.md", "http://ui/task")
    assert (message.lists, message.people) == (("at_risk",), 7)
    [incident] = store.incidents()
    assert (incident.occurrences, incident.tier, incident.alert_error) == (40, "tier_1", None)
    for task in range(39):
        assert report_recovery(store, seen(f"ingest.pull[{task}]"), [told.append], 4000.0) == []
    [closed] = report_recovery(store, seen("ingest.pull[39]"), [told.append], 4600.0)
    assert closed.incident_id == incident.incident_id
    assert report_recovery(store, seen("ingest.pull[39]"), [told.append], 4601.0) == []
    assert [each.is_recovery for each in told] == [False, True]
    assert told[1].title.startswith("Recovered: Credentials refused")
    assert told[1].what == "over after 60 min and 40 failures"
    assert told[1].runbook == "docs/runbooks/credentials.md"
    assert store.incidents() == []


def test_another_cause_is_another_message(store, told) -> None:
    report_failure(store, ERROR, seen(), [told.append], 1.0)
    report_failure(store, RetryLater("503", where="mailchimp/main members"), seen(), [told.append], 2.0)
    assert len(told) == len(store.incidents()) == 2
    assert len(report_recovery(store, seen(), [told.append], 3.0)) == 2


def test_a_success_of_a_healthy_task_closes_nothing(store, told) -> None:
    report_failure(store, ERROR, seen(), [told.append], 1.0)
    report_recovery(store, seen("ingest_mailchimp.load"), [told.append], 2.0)
    assert len(store.incidents()) == 1


def test_a_channel_that_fails_is_recorded_and_raises_nothing(store, slack, told, caplog) -> None:
    slack.status = 404
    broken = partial(slack_channel.send, webhook_url=slack.url)
    incident = report_failure(store, ERROR, seen(), [broken, told.append], 1000.0)
    assert len(told) == 1, "the other channel is told all the same"
    [kept] = store.incidents()
    assert kept.incident_id == incident.incident_id
    assert "refused with 404" in str(kept.alert_error)
    assert "not delivered" in caplog.text
    assert "secret-part" not in f"{kept} {caplog.text}"


def test_a_message_that_was_not_delivered_goes_out_with_a_later_failure(store, slack) -> None:
    broken = partial(slack_channel.send, webhook_url=slack.url)
    slack.status = 503
    report_failure(store, ERROR, seen(), [broken], 1000.0)
    slack.status = 200
    report_failure(store, ERROR, seen(), [broken], 1010.0)
    assert len(slack.got) == 1, "not at once again"
    report_failure(store, ERROR, seen(), [broken], 1400.0)
    assert len(slack.got) == 2
    assert store.incidents()[0].alert_error is None
    report_failure(store, ERROR, seen(), [broken], 9000.0)
    assert len(slack.got) == 2


def test_the_end_of_what_nobody_heard_of_is_not_told(store, slack) -> None:
    slack.status = 503
    broken = partial(slack_channel.send, webhook_url=slack.url)
    report_failure(store, ERROR, seen(), [broken], 1000.0)
    assert len(report_recovery(store, seen(), [broken], 1001.0)) == 1
    assert len(slack.got) == 1


def test_any_error_of_a_channel_stays_with_it(store) -> None:
    def explode(message: Message) -> None:
        raise KeyError(message.title)

    report_failure(store, ERROR, seen(), [explode], 1.0)
    assert store.incidents()[0].alert_error == "explode failed (KeyError)"


def test_without_a_channel_the_log_says_it_once(store, caplog) -> None:
    caplog.set_level(logging.WARNING)
    report_failure(store, ERROR, seen(), [], 1.0)
    report_failure(store, ERROR, seen(), [], 999.0)
    assert caplog.text.count("no alert channel is set up") == 1
    assert "Mailchimp answered 401" in caplog.text
