"""docs/sources/<name>.md, written from what each source declares; nobody edits the pages by hand."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from include.connect.connection import environment_variable
from include.connect.oauth import OAuth2
from include.connect.source import Budget, Connections, Source, Stream, Sweep
from include.settings import ROOT
from include.sources import all_sources

FOLDER = ROOT / "docs" / "sources"
COMMAND = "stitchline source docs"
SWEEPS = (
    "By `STITCHLINE_SWEEP_SCHEDULE`, each week by default, `sweep_{0}` reads the keys of all records and marks "
    "those that are gone; `ingest_{0}` does so once when started with `kind` `sweep`."
)


def write(folder: Path = FOLDER) -> int:
    """Write a page per source; returns how many."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.md"):
        old.unlink()
    for name, source in all_sources().items():
        (folder / f"{name}.md").write_text(text(source))
    return len(all_sources())


def text(source: Source) -> str:
    """The whole page."""
    return "\n\n".join(filter(None, (*_beginning(source), *_streams(source), *_pushed(source), *_end(source)))) + "\n"


def _beginning(source: Source) -> Iterator[str]:
    yield f"# {source.title}"
    yield f"Written by `{COMMAND}` from `include/sources/{source.name}.py`. {_link(source.docs_url)}".rstrip()
    yield "## Connection"
    variable = environment_variable(source.name)
    for connection in _connections(source):
        yield f"```\n{variable}='{json.dumps(connection)}'\n```"
    if source.tables:
        yield "The host is the dataset where the tables are, `project.dataset` on BigQuery or a DuckDB file."
    elif not source.base_url.startswith("https://{"):
        yield f"Leave the host empty for `{source.base_url}`."
    if source.fields is not None:
        yield "Fields of the address that are not given are found by Stitchline itself."
    yield f"Limit: {_limit(source.budget)}." if source.budget else ""


def _streams(source: Source) -> Iterator[str]:
    yield "## Streams"
    rows = [
        "| stream | key | later runs ask for | what is deleted there | late after | what |",
        "|---|---|---|---|---|---|",
    ]
    for stream in source.streams:
        key = ", ".join(f"`{path}`" for path in stream.key)
        late = _span(stream.max_age)
        deleted = "is found by the key sweep" if isinstance(stream.deletes, Sweep) else stream.deletes
        rows.append(
            f"| `{stream.name}` | {key} | {_asks(source, stream)} | {deleted} | {late} | {stream.description} |"
        )
    yield "\n".join(rows)
    yield SWEEPS.format(source.name) if source.swept else ""
    own = [f"`{stream.name}`: {_limit(stream.budget)}" for stream in source.streams if stream.budget]
    yield f"Limits of their own: {'; '.join(own)}." if own else ""


def _pushed(source: Source) -> Iterator[str]:
    if source.webhook is not None:
        yield "## Webhook"
        yield f"{source.webhook.description}: `raw.collector__{source.webhook.stream}`, by the collector."


def _end(source: Source) -> Iterator[str]:
    yield "## Not covered"
    yield source.not_covered


def _link(url: str) -> str:
    return f"The vendor's reference: <{url}>." if url else ""


def _connections(source: Source) -> Iterator[dict[str, Any]]:
    """An example connection for each way to sign in."""
    if source.tables:
        yield {"conn_type": "generic", "host": "<project>.<dataset>"}
        return
    grants = source.auth.grants if isinstance(source.auth, OAuth2) else ()
    for needs in [set(grant.needs) for grant in grants] or [set()]:
        yield _example(needs | _placeholders(source))


def _example(needs: set[str]) -> dict[str, Any]:
    own = [name for name in ("login", "password") if name in needs]
    example: dict[str, Any] = {"conn_type": "http"} | {name: f"<{name}>" for name in own}
    extra = {name: f"<{name}>" for name in sorted(needs.difference(own))}
    return example | {"extra": extra} if extra else example


def _placeholders(source: Source) -> set[str]:
    """Fields of the connection that the address, the credentials and the paths are filled with."""
    derived = set() if source.fields is None else _in_text(source.base_url)
    found = _in_text(source.base_url) | set(_in(source.auth))
    for stream in source.streams:
        found |= {name for each in (stream.path or "", *map(str, stream.params.values())) for name in _in_text(each)}
    # Without a scheme of its own the credential is the password, put where the source's file says.
    return {name for name in found - derived if "." not in name} | ({"password"} if source.auth is None else set())


def _in(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield from _in_text(value)
    elif is_dataclass(value):
        for each in fields(value):
            yield from _in(getattr(value, each.name))
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _in(each)


def _in_text(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def _asks(source: Source, stream: Stream) -> str:
    """What a run after the first one asks for."""
    again = f", and the {_span(stream.lookback)} before again" if stream.lookback else ""
    if stream.rescan:
        return f"the last {_span(stream.rescan)} again"
    if source.tables:
        return f"rows with a later `{source.tables.cursor}`{again}"
    if stream.cursor:
        return f"what changed, by `{stream.cursor}`{again}"
    if stream.parent:
        return f"what belongs to the `{stream.parent}` that were read"
    if stream.read is not None:
        return f"what its own reader in the source's file asks for{again}"
    return "everything"


def _span(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds % size == 0 and seconds >= size:
            count = seconds // size
            return f"{count} {name}" if count == 1 else f"{count} {name}s"
    return "0 seconds"


def _limit(budget: Budget) -> str:
    if isinstance(budget, Connections):
        return f"{budget.limit} calls at the same time"
    return f"{budget.limit:,g} calls in {_span(timedelta(seconds=budget.seconds))}"
