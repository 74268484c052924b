"""One process that answers as every vendor does, each under its own prefix, with a control plane for tests."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from include.simulate import (
    airship,
    calendly,
    callrail,
    discourse,
    google,
    hubspot,
    intercom,
    jira,
    kinesis,
    mailchimp,
    mandrill,
    meta,
    phantombuster,
    salesforce,
    segment_tracking,
    sendgrid,
    shopify,
    sns,
    stripe,
    webhook,
    xero,
    zendesk,
)
from include.simulate.airship import Airship
from include.simulate.calendly import Calendly
from include.simulate.callrail import CallRail
from include.simulate.discourse import Discourse
from include.simulate.faults import TRANSPORT, Gate, Stats
from include.simulate.google import Google
from include.simulate.hubspot import HubSpot
from include.simulate.intercom import Intercom
from include.simulate.jira import Jira
from include.simulate.kinesis import Kinesis
from include.simulate.limits import Clock
from include.simulate.mailchimp import Mailchimp
from include.simulate.mandrill import Mandrill
from include.simulate.meta import Meta
from include.simulate.people import Population, advance
from include.simulate.phantombuster import PhantomBuster
from include.simulate.rudderstack import write_rudderstack_tables
from include.simulate.salesforce import Salesforce
from include.simulate.segment import write_segment_tables
from include.simulate.segment_tracking import SegmentTracking
from include.simulate.sendgrid import SendGrid
from include.simulate.shopify import Shopify
from include.simulate.slack import Slack
from include.simulate.snowplow import write_snowplow_tables
from include.simulate.sns import Sns
from include.simulate.stripe import Stripe
from include.simulate.vendor import Faults, Vendor
from include.simulate.webhook import Webhook
from include.simulate.xero import Xero
from include.simulate.zendesk import Zendesk

SEGMENT_FILE = "segment.duckdb"
TABLES = {
    "segment": write_segment_tables,
    "rudderstack": write_rudderstack_tables,
    "snowplow": write_snowplow_tables,
}
"""Vendors that write into the company's warehouse, each into `<name>.duckdb`."""


class Advance(msgspec.Struct, forbid_unknown_fields=True):
    """How the world moves: time, people at risk who place an order, people who unsubscribe."""

    recover: int | list[int] = 0
    days: float = 0.0
    unsubscribe: list[str] = []


class Lost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A record that a vendor deletes for good, telling nobody: stream and key as the source names them."""

    source: str
    stream: str
    key: str


class Simulator:
    """Every vendor over one population, and the handles a test turns."""

    def __init__(
        self,
        population: Population,
        *,
        folder: Path | None = None,
        tables: Sequence[str] = ("segment",),
        unlimited: bool = False,
        hubspot_contacts: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self.population = population
        self.clock = clock or Clock(population.now)
        self._folder = folder
        self._tables = tables
        self._mailchimp = Mailchimp(population, self.clock, unlimited=unlimited)
        self._slack = Slack(population, self.clock, unlimited=unlimited)
        vendors: list[Vendor] = [
            HubSpot(population, self.clock, unlimited=unlimited, synthetic_contacts=hubspot_contacts),
            self._mailchimp,
            Calendly(population, self.clock, unlimited=unlimited),
            Zendesk(population, self.clock, unlimited=unlimited),
            Stripe(population, self.clock, unlimited=unlimited),
            self._slack,
            CallRail(population, self.clock, unlimited=unlimited),
            SendGrid(population, self.clock, unlimited=unlimited),
            Intercom(population, self.clock, unlimited=unlimited),
            Airship(population, self.clock, unlimited=unlimited),
            Salesforce(population, self.clock, unlimited=unlimited),
            Xero(population, self.clock, unlimited=unlimited),
            Webhook(population, self.clock, unlimited=unlimited),
            Meta(population, self.clock, unlimited=unlimited),
            Google(population, self.clock, unlimited=unlimited),
            Sns(population, self.clock, unlimited=unlimited),
            SegmentTracking(population, self.clock, unlimited=unlimited),
            Shopify(population, self.clock, unlimited=unlimited),
            Jira(population, self.clock, unlimited=unlimited),
            Mandrill(population, self.clock, unlimited=unlimited),
            Discourse(population, self.clock, unlimited=unlimited),
            PhantomBuster(population, self.clock, unlimited=unlimited),
            Kinesis(population, self.clock, unlimited=unlimited),
        ]
        self.gates = {vendor.name: Gate(vendor) for vendor in vendors}
        self._lost: dict[Lost, Callable[[], None]] = {}

    def routes(self) -> list[Route | Mount]:
        """The vendors under their prefixes, and the control plane."""
        control = [
            Route("/_control/stats", self._stats, methods=["GET"]),
            Route("/_control/in_flight", self._in_flight, methods=["GET"]),
            Route("/_control/reset_stats", self._reset_stats, methods=["POST"]),
            Route("/_control/faults", self._set_faults, methods=["POST"]),
            Route("/_control/faults", self._clear_faults, methods=["DELETE"]),
            Route("/_control/advance", self._advance, methods=["POST"]),
            Route("/_control/lose", self._lose, methods=["POST"]),
            Route("/_control/restore", self._restore, methods=["POST"]),
            Route("/_control/alerts", self._alerts, methods=["GET"]),
        ]
        return [*control, *(Mount(f"/{name}", app=gate) for name, gate in self.gates.items())]

    def write_tables(self) -> None:
        """Write what vendors write into a warehouse, if there is a folder for it."""
        if self._folder is not None:
            for name in self._tables:
                TABLES[name](self.population, self._folder / f"{name}.duckdb")

    async def _stats(self, request: Request) -> Response:
        return JSONResponse({name: msgspec.to_builtins(gate.stats) for name, gate in self.gates.items()})

    async def _in_flight(self, request: Request) -> Response:
        return JSONResponse({name: gate.in_flight for name, gate in self.gates.items()})

    async def _reset_stats(self, request: Request) -> Response:
        for gate in self.gates.values():
            gate.stats = Stats()
        return JSONResponse({})

    async def _set_faults(self, request: Request) -> Response:
        try:
            wanted = msgspec.json.decode(await request.body(), type=dict[str, Faults])
        except msgspec.ValidationError as error:
            return JSONResponse({"error": str(error)}, 400)
        unknown = sorted(wanted.keys() - self.gates.keys())
        if unknown:
            return JSONResponse({"error": f"no vendor {', '.join(unknown)}; there are {', '.join(self.gates)}"}, 400)
        for name, faults in wanted.items():
            lowered = frozenset(email.strip().lower() for email in faults.reject_emails)
            self.gates[name].set_faults(msgspec.structs.replace(faults, reject_emails=lowered))
        return JSONResponse({})

    async def _clear_faults(self, request: Request) -> Response:
        for gate in self.gates.values():
            gate.set_faults(Faults())
        return JSONResponse({})

    async def _advance(self, request: Request) -> Response:
        try:
            step = msgspec.json.decode(await request.body() or b"{}", type=Advance)
            self.clock.forward(timedelta(days=step.days))
        except (msgspec.ValidationError, ValueError) as error:
            return JSONResponse({"error": str(error)}, 400)
        events = len(self.population.web_events)
        recovered = advance(self.population, self.clock.now(), step.recover)
        for gate in self.gates.values():
            gate.vendor.grow(recovered)
        unsubscribed = self._mailchimp.unsubscribe(step.unsubscribe) if step.unsubscribe else 0
        if len(self.population.web_events) != events:
            self.write_tables()
        now = self.population.now.isoformat()
        return JSONResponse({"now": now, "recovered": list(recovered), "unsubscribed": unsubscribed})

    async def _lose(self, request: Request) -> Response:
        try:
            which = msgspec.json.decode(await request.body(), type=Lost)
            if which not in self._lost:
                self._lost[which] = self.gates[which.source].vendor.lose(which.stream, which.key)
        except (msgspec.ValidationError, KeyError) as error:
            return JSONResponse({"error": f"no such record: {error}"}, 400)
        return JSONResponse({})

    async def _restore(self, request: Request) -> Response:
        which = msgspec.json.decode(await request.body(), type=Lost)
        back = self._lost.pop(which, None)
        if back is not None:
            back()
        return JSONResponse({})

    async def _alerts(self, request: Request) -> Response:
        return JSONResponse(self._slack.alerts)


def build(
    population: Population,
    *,
    folder: Path | None = None,
    tables: Sequence[str] = ("segment",),
    unlimited: bool = False,
    hubspot_contacts: int = 0,
    clock: Clock | None = None,
) -> ASGIApp:
    """The ASGI app over this population; writes the tables of `tables` into `folder`.

    Args:
        population: the world; the app changes it when a test advances it.
        folder: where the warehouse files go; None for none.
        tables: whose files are written, of `TABLES`; a website sends its events to one of them.
        unlimited: turn the vendors' own rate limits off, for load tests.
        hubspot_contacts: that many made-up HubSpot contacts instead of the population's.
        clock: the world's time; by default it starts at the population's now and passes as real time does.
    """
    simulator = Simulator(
        population, folder=folder, tables=tables, unlimited=unlimited, hubspot_contacts=hubspot_contacts, clock=clock
    )
    simulator.write_tables()
    inner = Starlette(routes=simulator.routes())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # uvicorn's `send` is a method of the request's cycle, the only place that knows the connection.
        scope[TRANSPORT] = getattr(getattr(send, "__self__", None), "transport", None)
        await inner(scope, receive, send)

    return app


def serve(app: ASGIApp, *, host: str = "127.0.0.1", port: int = 0, ready: Callable[[int], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called with the port once it accepts."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    # Named as TCP, or the event loop does not turn Nagle off and every chunked answer waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    server = uvicorn.Server(config)

    def leave(*_: object) -> None:
        # uvicorn stops on the signal and raises it again afterwards; by then there is nothing left to do.
        server.should_exit = True

    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, leave)
    asyncio.run(_serve(server, listener, ready))


async def _serve(server: uvicorn.Server, listener: socket.socket, ready: Callable[[int], None] | None) -> None:
    serving = asyncio.create_task(server.serve([listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if ready is not None and not serving.done():
        ready(int(listener.getsockname()[1]))
    await serving


def connections(port: int, folder: Path | str, host: str = "127.0.0.1") -> dict[str, str]:
    """`AIRFLOW_CONN_*` variables that point every connection at the simulator, writes allowed in dev."""

    def http(path: str, /, login: str | None = None, password: str | None = None, **extra: Any) -> dict[str, Any]:
        made = {"conn_type": "http", "host": f"http://{host}:{port}{path}", "login": login, "password": password}
        return {**made, "extra": {**extra, "allow_writes_in": ["dev"]}}

    all_of_them = {
        "mailchimp": http("/mailchimp", "airflow", mailchimp.API_KEY),
        "hubspot": http("/hubspot", None, hubspot.TOKEN),
        "calendly": http("/calendly", None, calendly.TOKEN),
        "zendesk": http("/zendesk", zendesk.EMAIL, zendesk.TOKEN, subdomain="acme"),
        "salesforce": http("/salesforce", salesforce.CLIENT_ID, salesforce.CLIENT_SECRET),
        "stripe": http("/stripe", None, stripe.API_KEY),
        **{name: {"conn_type": "generic", "host": str(Path(folder) / f"{name}.duckdb")} for name in TABLES},
        "callrail": http("/callrail", None, callrail.KEY, account_id=callrail.ACCOUNT),
        "sendgrid": http("/sendgrid", None, sendgrid.KEY),
        "intercom": http("/intercom", None, intercom.TOKEN),
        "xero": http(
            "/xero",
            *(xero.CLIENT_ID, xero.CLIENT_SECRET),
            token_url=f"http://{host}:{port}/xero/connect/token",
            tenant_id=xero.TENANT,
            refresh_token=xero.REFRESH_TOKEN,
        ),
        "airship": http("/airship", airship.KEY, airship.SECRET),
        "shopify": http("/shopify", None, shopify.TOKEN),
        "discourse": http("/discourse", None, discourse.KEY),
        "mandrill": http("/mandrill", None, mandrill.KEY),
        "phantombuster": http("/phantombuster", None, phantombuster.KEY),
        "kinesis": http(
            "/kinesis/api", kinesis.ACCESS_KEY, kinesis.SECRET_KEY, region=kinesis.REGION, stream=kinesis.STREAM
        ),
        "jira": http("/jira", jira.EMAIL, jira.TOKEN),
        "segment_tracking": http("/segment_tracking", None, segment_tracking.WRITE_KEY),
        "meta": http("/meta", None, meta.TOKEN, ad_account_id=meta.AD_ACCOUNT),
        "google": http(
            "/google",
            *(google.CLIENT_ID, google.CLIENT_SECRET),
            token_url=f"http://{host}:{port}/google/token",
            refresh_token=google.REFRESH_TOKEN,
            customer_id=google.CUSTOMER_ID,
            audiences={},
        ),
        "sns": http("/sns/api", sns.ACCESS_KEY, sns.SECRET_KEY, region=sns.REGION),
        "webhook": http("/webhook", None, webhook.SECRET, path="/catch"),
        "slack_alerts": http("/slack/services/T000/B000/demo"),
    }
    return {f"AIRFLOW_CONN_{name.upper()}": msgspec.json.encode(made).decode() for name, made in all_of_them.items()}
