"""The header of a segment: YAML between /* and */, read strictly, every mistake named with file and line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, NoReturn, cast

import yaml

from include.activate.destination import MODES, Destination, Mode
from include.connect.errors import FixSettings
from include.journey.link import JOURNEY_URL, pages_url
from include.settings import read_settings

Removal = Literal["leave", "consent", "keep"]
REMOVALS: tuple[Removal, ...] = ("leave", "consent", "keep")
FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
COLUMN_NAME = re.compile(r"[a-z_][a-z0-9_]*")
UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class Guards:
    """How much one sync may change by itself; past both of a pair a person must approve."""

    max_leaving_share: float = 0.2
    max_leaving: int = 50
    max_entering_share: float = 0.2
    max_entering: int = 50
    allow_empty: bool = False


@dataclass(frozen=True, slots=True)
class SyncSpec:
    """One `sync:` entry of a header."""

    to: str
    mode: Mode
    target: str
    fields: tuple[tuple[str, str], ...]
    consent: str | None
    removal: Removal
    guards: Guards
    first_run_approved: bool
    tolerance: float
    schedule: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Header:
    """Everything the header says."""

    title: str
    why: str
    owner: str
    key: str
    syncs: tuple[SyncSpec, ...]
    max_age: Mapping[str, timedelta] = field(default_factory=dict)
    include_inferred: bool = False
    formerly: str | None = None


class _Reader:
    """Reads one YAML mapping and knows the line of each of its keys."""

    def __init__(self, node: yaml.Node | None, path: Path, what: str) -> None:
        self.path = path
        self.what = what
        self.values: dict[str, Any] = {}
        self.nodes: dict[str, yaml.Node] = {}
        self.lines: dict[str, int] = {}
        self.line = (node.start_mark.line if node else 0) + 1
        if not isinstance(node, yaml.MappingNode):
            self.fail(None, f"{what} must be `name: value` pairs")
        for key, value in node.value:
            self.nodes[key.value] = value
            self.lines[key.value] = key.start_mark.line + 1
            self.values[key.value] = _plain(value)

    def fail(self, key: str | None, what: str, fix: str = "Correct the header.") -> NoReturn:
        line = self.lines.get(key or "", self.line)
        raise FixSettings(what, where=f"{self.path}:{line}", fix=fix)

    def only(self, known: tuple[str, ...]) -> None:
        for name in self.values:
            if name not in known:
                self.fail(name, f"{self.what} has no option {name!r}", f"Known options: {', '.join(known)}.")

    def text(self, key: str) -> str:
        value = self.values.get(key)
        if not isinstance(value, str) or not value.strip():
            self.fail(key, f"{self.what} needs `{key}:` with a text")
        return value.strip()

    def optional_text(self, key: str) -> str | None:
        return self.text(key) if key in self.values else None

    def choice(self, key: str, known: tuple[str, ...], default: str) -> str:
        value = self.values.get(key, default)
        if value not in known:
            self.fail(key, f"{key}: {value!r} is not known", f"Write one of: {', '.join(known)}.")
        return str(value)

    def flag(self, key: str) -> bool:
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            self.fail(key, f"{key} must be true or false")
        return value

    def number(self, key: str, default: float, most: float) -> float:
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            self.fail(key, f"{key} must be a number from 0 to {most:g}")
        return float(value)

    def inside(self, key: str) -> _Reader:
        return _Reader(self.nodes[key], self.path, f"`{key}`")


def read_header(text: str, path: Path, destinations: Mapping[str, Destination]) -> Header:
    """Read the header of a segment file; `text` is the whole file.

    Raises:
        FixSettings: it is missing or wrong; names file and line.
    """
    if not text.startswith("/*") or "*/" not in text:
        raise FixSettings(
            "no header", where=f"{path}:1", fix="Begin the file with /* title: ..., why: ..., owner: ... */."
        )
    # Two blanks in place of the comment mark keep every line and column where the file has them.
    body = "  " + text[2 : text.index("*/")]
    try:
        node = yaml.compose(body, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise FixSettings(
            f"the header is not YAML: {problem}",
            where=f"{path}:{(mark.line if mark else 0) + 1}",
            fix="Correct the header.",
        ) from None
    reader = _Reader(node, path, "the header")
    reader.only(
        ("title", "why", "owner", "key", "sync", "max_age", "include_inferred", "columns", "budget", "formerly")
    )
    key = reader.text("key")
    if key != "customer_id":
        reader.fail("key", f"key {key!r} cannot be synced", "Lists hold people: write `key: customer_id`.")
    return Header(
        title=reader.text("title"),
        why=reader.text("why"),
        owner=reader.text("owner"),
        key=key,
        syncs=_syncs(reader, destinations),
        max_age=_ages(reader),
        include_inferred=reader.flag("include_inferred"),
        formerly=reader.optional_text("formerly"),
    )


def _ages(reader: _Reader) -> dict[str, timedelta]:
    if "max_age" not in reader.values:
        return {}
    inner = reader.inside("max_age")
    ages = {}
    for stream, value in inner.values.items():
        if "." not in stream:
            inner.fail(stream, f"{stream!r} names no stream", "Write `<source>.<stream>: 26h`.")
        match = re.fullmatch(r"(\d+)([mhd])", str(value))
        if not match:
            inner.fail(stream, f"{value!r} is no age", "Write a number and m, h or d: 90m, 26h, 7d.")
        ages[stream] = timedelta(**{UNITS[match[2]]: int(match[1])})
    return ages


def _syncs(reader: _Reader, destinations: Mapping[str, Destination]) -> tuple[SyncSpec, ...]:
    if "sync" not in reader.values:
        return ()
    node = reader.nodes["sync"]
    if not isinstance(node, yaml.SequenceNode):
        reader.fail("sync", "`sync` must be a list of `- {to: ..., mode: ...}`")
    found: dict[str, SyncSpec] = {}
    for entry in node.value:
        item = _Reader(entry, reader.path, "a sync")
        spec = _sync(item, destinations)
        if spec.to in found:
            item.fail(
                "to", f"{spec.to} is named twice", "One list goes to one destination once; write a second segment."
            )
        found[spec.to] = spec
    return tuple(found.values())


def _sync(item: _Reader, destinations: Mapping[str, Destination]) -> SyncSpec:
    item.only(
        ("to", "mode", "tag", "field", "fields", "consent", "removal", "guards", "first_run", "tolerance", "schedule")
    )
    to = item.text("to")
    if to not in destinations:
        item.fail("to", f"no destination {to!r}", f"Known: {', '.join(sorted(destinations))}.")
    destination = destinations[to]
    mode = cast(Mode, item.choice("mode", MODES, "mirror"))
    if mode not in destination.modes:
        item.fail("mode", f"{to} cannot {mode}", f"It can: {', '.join(destination.modes)}.")
    other = "field" if destination.target == "tag" else "tag"
    if other in item.values:
        item.fail(other, f"{to} has no {other}", f"Write `{destination.target}:` instead.")
    fields = _fields(item, destination)
    target = item.optional_text(destination.target) or ""
    if not target and not fields:
        item.fail(None, f"{to} needs `{destination.target}:`", f"Write `{destination.target}: <name>`.")
    if target and destination.target == "field" and not FIELD_NAME.fullmatch(target):
        item.fail("field", f"{target!r} cannot be a field's name", "Use letters, digits and underscores.")
    if target in dict(fields):
        item.fail("fields", f"{target!r} is set by `field:` and by `fields:`", "Keep one of them.")
    first_run = item.choice("first_run", ("approved", "ask"), "ask")
    consent = item.optional_text("consent") or destination.consent
    if consent and not COLUMN_NAME.fullmatch(consent):
        item.fail("consent", f"{consent!r} is no consent channel", "Write a channel such as email_marketing.")
    return SyncSpec(
        to=to,
        mode=mode,
        target=target,
        fields=fields,
        consent=consent,
        removal=cast(Removal, item.choice("removal", REMOVALS, "leave" if mode == "mirror" else "consent")),
        guards=_guards(item),
        first_run_approved=first_run == "approved",
        tolerance=item.number("tolerance", 0.05, 1),
        schedule=item.optional_text("schedule"),
        line=item.line,
    )


def _fields(item: _Reader, destination: Destination) -> tuple[tuple[str, str], ...]:
    if "fields" not in item.values:
        return ()
    if not destination.takes_fields:
        item.fail("fields", f"{destination.name} has no fields", "Remove `fields:`.")
    inner = item.inside("fields")
    for name, column in inner.values.items():
        if not FIELD_NAME.fullmatch(name):
            inner.fail(name, f"{name!r} cannot be a field's name", "Use letters, digits and underscores.")
        if not isinstance(column, str) or not COLUMN_NAME.fullmatch(column):
            inner.fail(
                name, f"{name} must name a column", "Write `field: column_of_the_segment_or_of_marts_customers`."
            )
        if column == JOURNEY_URL:
            _check_address(inner, name)
    return tuple(sorted((name, str(column)) for name, column in inner.values.items()))


def _check_address(inner: _Reader, name: str) -> None:
    try:
        pages_url(read_settings())
    except FixSettings as error:
        inner.fail(name, f"{name}: {error.what}", f"{error.where}: {error.fix}")


def _guards(item: _Reader) -> Guards:
    if "guards" not in item.values:
        return Guards()
    inner = item.inside("guards")
    inner.only(("max_leaving_share", "max_leaving", "max_entering_share", "max_entering", "allow_empty"))
    usual = Guards()
    return Guards(
        max_leaving_share=inner.number("max_leaving_share", usual.max_leaving_share, 1),
        max_leaving=int(inner.number("max_leaving", usual.max_leaving, 10**9)),
        max_entering_share=inner.number("max_entering_share", usual.max_entering_share, 10**9),
        max_entering=int(inner.number("max_entering", usual.max_entering, 10**9)),
        allow_empty=inner.flag("allow_empty"),
    )


def _plain(node: yaml.Node) -> Any:
    """The value of a node: scalars as YAML reads them."""
    return yaml.SafeLoader("").construct_object(node, deep=True)
