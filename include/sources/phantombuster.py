"""PhantomBuster API v2: what its agents saw on LinkedIn and X, row by row; people by name only, so nothing certain."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from include.connect.auth import HeaderAuth
from include.connect.http import Session
from include.connect.pages import Listing, Step
from include.connect.records import Body
from include.connect.source import Page, Rate, Source, Stream, Window


class _Agent(Struct):
    id: int | str
    name: str | None = None


class _Container(Struct, rename="camel"):
    id: int | str
    ended_at: int


class _Result(Struct, rename="camel"):
    result_object: str | None = None


@dataclass(frozen=True, slots=True)
class EndedPages:
    """Paging of an agent's runs, the latest first, by when they ended; tokens are milliseconds."""

    size: int = 100
    place: Literal["query", "body"] = "query"

    def ask(self, token: str | None) -> Mapping[str, Any]:
        """Size and place."""
        return {"limit": self.size, **({"beforeEndedAt": token} if token else {})}

    def after(self, token: str | None, body: Body, key_of: Callable[[Any], str | None]) -> Step:
        """A millisecond past the last run, for another that ended in the same one."""
        ended = [run.ended_at for run in _runs(body)]
        if ended and token is not None and max(ended) > int(token):
            return Step(token)  # the page before once more; asked for again
        return Step(str(min(ended) + 1) if ended and body.at("maxLimitReached") is True else None)


def _runs(body: Body) -> list[_Container]:
    found = []
    for record in body.records:
        with suppress(msgspec.ValidationError):  # a run that was never started has no end
            found.append(msgspec.json.decode(record, type=_Container))
    return found


async def read_rows(session: Session, window: Window) -> AsyncIterator[Page]:
    """Rows of the runs that ended in the window, agent by agent, a run's rows as a page.

    A row has no id of its own: it is known by its run and its place in the run's result. The place to go on from is
    the agent, the page of its runs and the last run that was read.
    """
    decode = partial(msgspec.json.decode, type=list[_Agent])
    answer = await session.send("GET", "/agents/fetch-all", label="rows", decode=decode)
    agents = {str(agent.id): agent for agent in answer.value}
    since = int(window.since_at.timestamp() * 1000) if window.since_at is not None else 0
    # Runs that end meanwhile stay out, or pages would move; they are the next window's.
    newest = str(int((window.end or window.until).timestamp() * 1000) + 1)
    first, token, done = msgspec.json.decode(window.resume or '["","",""]', type=tuple[str, str, str])
    for agent_id in sorted(agents):
        if agent_id < first:
            continue
        place = token if agent_id == first else newest
        listing = Listing(
            session,
            "/containers/fetch-all",
            "containers",
            EndedPages(),
            lambda record: None,
            params={"agentId": agent_id, "mode": "finalized"},
            label="rows",
        )
        read: set[str] = set()
        async for body, following in listing.pages(place):
            runs = [run for run in _runs(body) if run.ended_at >= since and str(run.id) not in read]
            if done in (ids := [str(run.id) for run in runs]):
                runs = runs[ids.index(done) + 1 :]
            read = set(ids)
            for run in runs:
                records, rejected = await _rows(session, agents[agent_id], run)
                resume = msgspec.json.encode((agent_id, place, str(run.id))).decode()
                yield Page(records, resume, rejected=rejected)
            if any(run.ended_at < since for run in _runs(body)):
                break
            place = following or place


async def _rows(session: Session, agent: _Agent, run: _Container) -> tuple[list[bytes], list[tuple[bytes, str]]]:
    """A run's result: usually a list of rows, sometimes one object, nothing where the run failed."""
    answer = await session.send(
        "GET",
        "/containers/fetch-result-object",
        params={"id": str(run.id)},
        label="rows",
        decode=partial(msgspec.json.decode, type=_Result),
    )
    text = answer.value.result_object
    if not text:
        return [], []
    try:
        result = msgspec.json.decode(text, type=list[Raw] | dict[str, Raw])
    except msgspec.MsgspecError:
        return [], [(text.encode(), "the run's result is not JSON")]
    about = {"agent_id": str(agent.id), "agent_name": agent.name, "container_id": str(run.id), "ended_at": run.ended_at}
    rows = result if isinstance(result, list) else [result]
    return [msgspec.json.encode({**about, "position": place, "row": row}) for place, row in enumerate(rows)], []


SOURCE = Source(
    name="phantombuster",
    title="PhantomBuster",
    base_url="https://api.phantombuster.com/api/v2",
    auth=HeaderAuth(name="X-Phantombuster-Key-1"),
    budget=Rate(5, seconds=1),  # no limit is written down, but too many calls are refused
    docs_url="https://hub.phantombuster.com/reference",
    not_covered="Launching agents, and results that a run only stored as a file.",
    streams=(
        Stream(
            "rows",
            read=read_rows,
            key=("container_id", "position"),
            cursor="ended_at",
            lookback=timedelta(minutes=10),
            deletes="what was seen is not unseen",
            description="Rows of every agent's finished runs: who liked, who commented, whose profile was looked at",
        ),
    ),
)
