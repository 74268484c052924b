"""A customer's journey as a page: behind Airflow's login, or in a frame of another tool by a signed address.

Reading is all these pages do; what they read is the published generation, and each reading of a person is noted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import get_user, requires_access_view
from fastapi import Depends, FastAPI, Form, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException as StarletteHTTPException

from include.connect.errors import FixSettings, StitchlineError
from include.journey.embed import embed_url, frame_ancestors, lasting, read_token
from include.journey.person import (
    PAGE,
    Activity,
    Person,
    Place,
    masked_activity,
    masked_person,
    read_activities,
    read_person,
    standing,
)
from include.journey.search import find_customer
from include.settings import Settings, read_settings
from include.state.store import Store
from include.warehouse.engine import Engine, connect
from include.warehouse.models import Published, at_published

FOLDER = Path(__file__).parent
CONTENT = "default-src 'none'; style-src 'self'; base-uri 'none'"
GONE = {
    "erased": ("This person was erased", "They asked to be forgotten. Nothing is kept of them."),
    "gone": (
        "This customer is no more",
        "No record leads to this id any longer. Search by an address, a number or another id.",
    ),
    "unknown": ("No such customer", "Check the address of this page, or search by an e-mail address, number or id."),
}
"""Why there is no page: a heading, and what to do."""
REFUSED = (
    "This link does not open",
    "It has expired, or is not whole. Reload the page that shows it, or ask whoever gave it to you for a new one.",
)

app = FastAPI(title="Stitchline", docs_url=None, redoc_url=None, openapi_url=None)
templates = Environment(loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined)
User = Annotated[BaseUser, Depends(get_user)]


@dataclass(frozen=True, slots=True)
class Looking:
    """How somebody looks at a page: inside the UI, or in a frame where nothing leads elsewhere."""

    who: str
    is_masked: bool
    is_embed: bool
    query: str = ""


@app.get("/style.css")
def style() -> Response:
    """What pages look like; the one thing everybody may read."""
    return FileResponse(FOLDER / "style.css", headers={"Cache-Control": "max-age=3600"})


@app.get("/customers", dependencies=[Depends(requires_access_view(AccessView.WEBSITE))])
def customers(request: Request) -> Response:
    """The search."""
    return _page(request, "message.html", heading="Customers", text="Search by an e-mail address, phone number or id.")


@app.post("/customers", dependencies=[Depends(requires_access_view(AccessView.WEBSITE))])
def search(request: Request, identifier: Annotated[str, Form(max_length=1000)] = "") -> Response:
    """Lead from an identifier to its customer; in the body, so that no log of addresses holds it."""
    settings = read_settings()
    with _published(settings) as (engine, _):
        try:
            customer_id = find_customer(engine, settings, identifier)
        except FixSettings as error:
            text = f"{error.what[:1].upper()}{error.what[1:]}. {error.fix}"
            return _page(request, "message.html", 404, heading="Nobody found", text=text, sought=identifier[:200])
    return RedirectResponse(f"{request.scope['root_path']}/customers/{customer_id}", 303)


@app.get("/customers/{customer_id}", dependencies=[Depends(requires_access_view(AccessView.WEBSITE))])
def journey(request: Request, customer_id: str, user: User, before: str = "") -> Response:
    """One customer: who they are, and what they did, the newest first."""
    looking = Looking(user.get_name(), not _may_read(user), is_embed=False)
    settings = read_settings()
    with _published(settings) as (engine, state):
        return _journey(request, settings, engine, state, customer_id, before, looking)


@app.get("/embed")
def embed(request: Request) -> Response:
    """The same for a frame in another tool: who has the token sees this one customer until it expires."""
    settings = read_settings()
    # As a parameter of this name, and not as part of the path, Airflow keeps it out of its log of requests.
    token = request.query_params.get("token", "")
    link = read_token(settings, token, datetime.now(UTC))
    if link is None:
        return _page(request, "message.html", 403, is_embed=True, heading=REFUSED[0], text=REFUSED[1])
    looking = Looking(f"embed {link.link_id}", is_masked=False, is_embed=True, query=f"token={token}&")
    with _published(settings) as (engine, state):
        before = request.query_params.get("before", "")
        return _journey(request, settings, engine, state, link.customer_id, before, looking)


@app.post("/embed-links")
def embed_links(user: User, identifier: Annotated[str, Form()], expires: Annotated[str, Form()] = "1h") -> Response:
    """A signed address for a frame, for tools that sign in to Airflow's API; only for who may read personal data."""
    if not _may_read(user):
        raise HTTPException(403, "Only who may read personal data may let others read it")
    settings, now = read_settings(), datetime.now(UTC)
    with _published(settings) as (engine, _), Store.open(settings) as store:
        try:
            url, link = embed_url(engine, store, settings, identifier, lasting(expires), user.get_name(), now)
        except FixSettings as error:
            raise HTTPException(404, str(error)) from None
    body = {"url": url, "customer_id": link.customer_id, "expires_at": link.expires_at.isoformat()}
    return JSONResponse(body, 201, headers={"Cache-Control": "no-store"})


@app.exception_handler(StarletteHTTPException)
def refused(request: Request, error: StarletteHTTPException) -> Response:
    """Who is not signed in, may not, or asks for what is not there."""
    headings = {401: "Sign in first", 403: "You may not see this", 404: "No such page"}
    texts = {401: "This page is for people with a login.", 403: "Ask an administrator for a role that may."}
    heading = headings.get(error.status_code, "That did not work")
    text = texts.get(error.status_code, str(error.detail))
    return _page(request, "message.html", error.status_code, heading=heading, text=text, has_search=False)


@app.exception_handler(RequestValidationError)
def misread(request: Request, error: RequestValidationError) -> Response:
    """A request that is not one of ours; what it held is not repeated."""
    return _page(request, "message.html", 422, heading="That did not work", text="Check the address.", has_search=False)


@app.exception_handler(StitchlineError)
def unready(request: Request, error: StitchlineError) -> Response:
    """Nothing is published yet, or a setting is wrong: who is signed in reads what to do."""
    is_embed = request.url.path.endswith("/embed")
    text = "Try again later." if is_embed else str(error)
    return _page(request, "message.html", 503, is_embed=is_embed, heading="Not ready", text=text, has_search=False)


def _journey(
    request: Request,
    settings: Settings,
    engine: Engine,
    state: Published,
    customer_id: str,
    before: str,
    looking: Looking,
) -> Response:
    place = Place.read(before) if before else None
    if before and place is None:
        text = "The address of this page is not whole."
        return _page(request, "message.html", 400, is_embed=looking.is_embed, heading="No such page", text=text)
    person = read_person(engine, customer_id)
    if person is None:
        became = standing(engine, customer_id)
        if became.status == "moved" and looking.is_embed:
            return _journey(request, settings, engine, state, became.customer_id, before, looking)
        if became.status == "moved":
            # Not for ever: two people who were taken for one may be parted again.
            return RedirectResponse(f"{request.scope['root_path']}/customers/{became.customer_id}", 307)
        heading, text = GONE.get(became.status, GONE["unknown"])
        code = 404 if became.status == "unknown" else 410
        return _page(request, "message.html", code, is_embed=looking.is_embed, heading=heading, text=text)
    found = read_activities(engine, customer_id, place, PAGE + 1)
    with Store.open(settings) as store:
        action = "read, masked" if looking.is_masked else "read"
        store.audit(looking.who, action, f"customer {customer_id}", time.time())
    if looking.is_masked:
        person, found = masked_person(person), [masked_activity(one) for one in found]
    older = found[PAGE - 1].place if len(found) > PAGE else None
    return _page(
        request,
        "journey.html",
        is_embed=looking.is_embed,
        looking=looking,
        person=person,
        head=_head(person),
        days=_days(found[:PAGE], settings),
        older=older,
        is_first=place is None,
        as_of=_shown(state.as_of, settings),
        zone=settings.timezone,
        entered={row["segment"]: _day(row["entered_at"], settings) for row in person.lists},
        decided=[{**row, "decided": _day(row["decided_at"], settings)} for row in person.consents],
    )


def _head(person: Person) -> dict[str, Any]:
    """What stands at the top, and the ids other systems know the person by."""
    golden = person.golden
    emails = [email for email in golden["emails"] or () if email != golden["email"]]
    ids = {
        name.removesuffix("_id").replace("_", " "): value
        for name, value in golden.items()
        if name.endswith("_id") and name != "customer_id" and value
    }
    name = golden["full_name"] or golden["email"] or ("Somebody" if golden["is_identified"] else "A visitor")
    return {"name": name, "emails": [golden["email"], *emails] if golden["email"] else emails, "ids": ids}


def _days(activities: list[Activity], settings: Settings) -> list[tuple[str, list[dict[str, Any]]]]:
    """Activities under the day they happened on, in the order they came."""
    zone = ZoneInfo(settings.timezone)
    rows = [
        {
            "day": f"{one.ts.astimezone(zone):%A, %-d %B %Y}" if one.ts else "At an unknown time",
            "time": f"{one.ts.astimezone(zone):%H:%M}" if one.ts else "",
            "iso": one.ts.isoformat() if one.ts else "",
            "words": one.activity.replace("_", " ")[:200],
            # An address of another kind would run what it says.
            "href": one.link if one.link and one.link.startswith(("https://", "http://")) else None,
            # Tracked events repeat their own name.
            "features": {k: v for k, v in one.features.items() if v.replace(" ", "_").lower() != one.activity.lower()},
            "one": one,
        }
        for one in activities
    ]
    return [(day, list(group)) for day, group in groupby(rows, key=lambda row: str(row["day"]))]


def _shown(moment: datetime, settings: Settings) -> str:
    return f"{moment.astimezone(ZoneInfo(settings.timezone)):%-d %b %Y, %H:%M}"


def _day(moment: datetime | None, settings: Settings) -> str:
    return f"{moment.astimezone(ZoneInfo(settings.timezone)):%-d %b %Y}" if moment else ""


def _may_read(user: BaseUser) -> bool:
    """Whether somebody may read personal data: who may read the connections, whose credentials show the same people.

    In Airflow's own terms these are the roles Op and Admin, or any that was given `can read on Connections`.
    """
    return bool(get_auth_manager().is_authorized_connection(method="GET", user=user))


@contextmanager
def _published(settings: Settings) -> Iterator[tuple[Engine, Published]]:
    with connect(settings, read_only=True) as engine:
        yield at_published(engine)


def _sites() -> str:
    try:
        return frame_ancestors(read_settings())
    except FixSettings:
        return "'none'"  # the page may be about that very setting


def _page(
    request: Request,
    template: str,
    status: int = 200,
    *,
    is_embed: bool = False,
    has_search: bool = True,
    **values: Any,
) -> Response:
    root = request.scope["root_path"]
    # Inside the UI a page stands in a frame of Airflow's own.
    frames = _sites() if is_embed else "'self'"
    forms = "'none'" if is_embed else "'self'"
    text = templates.get_template(template).render(
        root=root, is_embed=is_embed, has_search=has_search and not is_embed, sought=values.pop("sought", ""), **values
    )
    return Response(
        text,
        status,
        media_type="text/html; charset=utf-8",
        headers={
            "Content-Security-Policy": f"{CONTENT}; form-action {forms}; frame-ancestors {frames}",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "X-Robots-Tag": "noindex",
        },
    )
