"""The real process: kill -9 at any moment, signals, what it refuses to start on."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import psutil
import pytest

from include.collector.serve import serve
from include.connect.errors import FixSettings
from include.settings import Settings
from include.simulate.webhooks import (
    CERTIFICATE,
    SENDERS,
    Outcome,
    connections,
    deliver,
    events_of,
    one,
    sns_envelope,
)
from tests.collector.receiving import lines
from tests.collector.running import Running, WebSite, running


class Unwilling(Exception):
    """A sender that does not try again: what was not acknowledged may be lost, so nothing else can hide a loss."""


async def pour(url: str, seed: int, number: int, acknowledged: set[str], sent: set[str], enough: asyncio.Event) -> None:
    """One sender of many: requests one after the other until the collector is gone."""
    chance, sender = random.Random(f"{seed}/{number}"), SENDERS["sendgrid"]

    async def no_retry(seconds: float) -> None:
        raise Unwilling

    async with aiohttp.ClientSession() as session:
        while True:
            count = chance.randrange(1, 20)
            (batch,) = events_of(sender, count, ["ann@example.com"], datetime.now(UTC), chance)
            sent |= {event["sg_event_id"] for event in batch}
            with suppress(Unwilling):
                outcome: Outcome = await deliver(session, url, sender, batch, wait=no_retry)
                acknowledged |= {event["sg_event_id"] for event in batch}
                assert outcome.attempts == 1
                if len(acknowledged) > 300:
                    enough.set()
                continue
            return


async def round_of(seed: int, one: Running, acknowledged: set[str], sent: set[str]) -> None:
    """Some senders at once, and a kill at a moment that differs each round."""
    enough, before = asyncio.Event(), len(acknowledged)
    mine: set[str] = set()
    senders = [asyncio.create_task(pour(one.url, seed, number, mine, sent, enough)) for number in range(8)]
    await enough.wait()
    if seed % 2:  # the child that lands dies first; it is started again, or not any more
        for child in psutil.Process(one.process.pid).children():
            with suppress(psutil.NoSuchProcess):
                child.kill()
    await asyncio.to_thread(one.kill)
    await asyncio.gather(*senders)
    acknowledged |= mine
    assert len(acknowledged) > before


def killed_again_and_again(home: Path, rounds: int) -> None:
    acknowledged: set[str] = set()
    sent: set[str] = set()
    # Files are closed and landed all the time, so that kills meet that too.
    more = {"STITCHLINE_COLLECTOR_ROLL_BYTES": "100000", "STITCHLINE_COLLECTOR_RATE": "100000"}
    for seed in range(rounds):
        with running(home, more=more) as one:
            asyncio.run(round_of(seed, one, acknowledged, sent))
    with running(home, more=more) as one:
        assert one.stop() == 0

    keys = Counter(line["_key"] for line in lines(Path(one.settings.landing_root), "sendgrid_events"))
    assert acknowledged - keys.keys() == set()
    assert keys.keys() - sent == set()
    assert [key for key, count in keys.items() if count > 1] == []
    assert {path.suffix for path in one.settings.spool.iterdir()} == {".lock"}


def test_kill_9_loses_and_doubles_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    killed_again_and_again(tmp_path, 2)


@pytest.mark.long
def test_many_kills_lose_and_double_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    killed_again_and_again(tmp_path, 30)


def test_sns_is_confirmed_over_the_network(collector: Running, amazon: WebSite) -> None:
    """The certificate and the confirmation are fetched from the host of the connection, as from Amazon."""
    now = datetime.now(UTC)
    for message in (
        sns_envelope("SubscriptionConfirmation", "You have chosen to subscribe", now),
        sns_envelope("Notification", '{"eventType":"Open"}', now),
    ):
        assert collector.post("/webhooks/ses", one([message])) == 200

    assert [entry.webhook for entry in collector.kept()].count("ses") == 1
    assert amazon.asked == [CERTIFICATE, "/?Action=ConfirmSubscription&Token=t0"]


@pytest.mark.long
def test_the_command_reads_secrets_from_airflow_and_again_on_sighup(tmp_path: Path) -> None:
    """Connections in a secrets backend, where the webhook's secret is replaced."""
    secrets = tmp_path / "connections.json"
    extra = json.loads(connections()["AIRFLOW_CONN_STRIPE"])["extra"]

    def write(extra: dict[str, str]) -> None:
        secrets.write_text(json.dumps({"stripe": {"conn_type": "http", "extra": extra}}))

    async def talk(collector: Running) -> None:
        sender = replace(SENDERS["stripe"], retries=())
        batch = events_of(sender, 1, ["ann@example.com"], datetime.now(UTC), random.Random(1))[0]
        async with aiohttp.ClientSession() as session:
            assert (await deliver(session, collector.url, sender, batch)).status == 401
            write(extra)
            collector.process.send_signal(signal.SIGHUP)
            while not (await deliver(session, collector.url, sender, batch)).is_accepted:
                continue

    write({"webhook_secret": "an older secret"})
    command = [sys.executable, "-m", "include.cli", "collector", "--port", "0"]
    more = {
        "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(secrets)}),
        "STITCHLINE_COLLECTOR": "stripe",
    }
    with running(tmp_path, command, more) as collector:
        asyncio.run(asyncio.wait_for(talk(collector), 60))
        assert collector.get("/healthz") == (200, "ok")
        assert 'requests_total{route="stripe",status="200"} 1' in collector.get("/metrics")[1]
        assert collector.stop() == 0
    assert len(list(lines(Path(collector.settings.landing_root), "stripe_events"))) == 1


def test_it_refuses_to_start_on_a_disk_that_does_not_last(tmp_path: Path) -> None:
    folder = Path("/dev/shm") / f"stitchline-{os.getpid()}"
    chosen = Settings(home=tmp_path, collector=("email",), collector_spool=folder)
    try:
        with pytest.raises(FixSettings, match="is on tmpfs"):
            serve(chosen)
    finally:
        shutil.rmtree(folder)
