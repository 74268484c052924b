"""Reads what people decided: overrides.yaml (links, cuts, blocks) and blocked.yaml (values that are nobody)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from include.connect.errors import FixSettings

FOLDER = Path(__file__).parent
OVERRIDES = FOLDER / "overrides.yaml"
BLOCKED = FOLDER / "blocked.yaml"
SECTIONS = {"must_link": "these", "cannot_link": "these", "block": "this", "allow": "this"}


@dataclass(frozen=True, slots=True)
class Identifier:
    """One identifier as a person wrote it."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Overrides:
    """Decisions that stand above the evidence."""

    must_link: tuple[tuple[Identifier, Identifier], ...] = ()
    cannot_link: tuple[tuple[Identifier, Identifier], ...] = ()
    block: tuple[Identifier, ...] = ()
    allow: tuple[Identifier, ...] = ()


@dataclass(frozen=True, slots=True)
class BlockLists:
    """Values and patterns that identify nobody."""

    placeholders: tuple[str, ...]
    emails: tuple[str, ...]
    inboxes: tuple[str, ...]
    patterns: dict[str, tuple[str, ...]]


def read_overrides(path: Path = OVERRIDES) -> Overrides:
    """Read and check an overrides file.

    Raises:
        FixSettings: the file is not as it should be; `where` is file and line, the text names no value.
    """
    root = _load(path)
    if root is None:
        return Overrides()
    found: dict[str, list[tuple[Identifier, ...]]] = {name: [] for name in SECTIONS}
    for name_node, section in _pairs(root, path, "the file"):
        name = str(name_node.value)
        if name not in SECTIONS:
            raise _wrong(path, name_node, f"unknown section {name!r}", f"Use {', '.join(SECTIONS)}.")
        if isinstance(section, yaml.ScalarNode) and section.value in ("", "null", "~"):
            continue
        if not isinstance(section, yaml.SequenceNode):
            raise _wrong(path, section, f"{name} is not a list", "Write one `- {...}` per decision.")
        found[name] += [_entry(path, name, node) for node in section.value]
    # A must-link of three is two links; a cannot-link of three keeps each pair apart.
    must = tuple((these[0], other) for these in found["must_link"] for other in these[1:])
    apart = tuple(
        (one, other)
        for these in found["cannot_link"]
        for number, one in enumerate(these)
        for other in these[number + 1 :]
    )
    if {frozenset(pair) for pair in must} & {frozenset(pair) for pair in apart}:
        raise FixSettings(
            "the same two identifiers must and must not be linked",
            where=str(path),
            fix="Keep one of the two decisions.",
        )
    return Overrides(must, apart, tuple(i for (i,) in found["block"]), tuple(i for (i,) in found["allow"]))


def _entry(path: Path, section: str, node: yaml.Node) -> tuple[Identifier, ...]:
    wanted = SECTIONS[section]
    fields = {str(key.value): value for key, value in _pairs(node, path, f"an entry of {section}")}
    unknown = sorted(set(fields) - {wanted, "why", "by", "on"})
    if unknown:
        raise _wrong(path, node, f"unknown field {unknown[0]!r} in {section}", f"Use {wanted}, why, by, on.")
    if wanted not in fields:
        raise _wrong(path, node, f"an entry of {section} has no `{wanted}`", f"Add `{wanted}`.")
    why = fields.get("why")
    if not isinstance(why, yaml.ScalarNode) or not why.value.strip():
        raise _wrong(path, node, f"an entry of {section} does not say why", "Add `why`: the next reader needs it.")
    if wanted == "this":
        return (_identifier(path, fields["this"]),)
    listed = fields["these"]
    if not isinstance(listed, yaml.SequenceNode) or len(listed.value) < 2:
        raise _wrong(
            path, listed, f"`these` of {section} needs two identifiers", 'Write these: ["kind:value", "kind:value"].'
        )
    these = tuple(_identifier(path, item) for item in listed.value)
    if len(set(these)) < len(these):
        raise _wrong(path, listed, f"an entry of {section} names one identifier twice", "Name different identifiers.")
    return these


def _identifier(path: Path, node: yaml.Node) -> Identifier:
    text = node.value if isinstance(node, yaml.ScalarNode) else ""
    kind, colon, value = str(text).partition(":")
    if not colon or not re.fullmatch(r"[a-z][a-z0-9_]*", kind.strip()) or not value.strip():
        raise _wrong(path, node, "not an identifier", 'Write "kind:value", e.g. "user_id:42".')
    return Identifier(kind.strip(), value.strip())


def read_block_lists(path: Path = BLOCKED) -> BlockLists:
    """Read the lists of placeholder values and shared inboxes.

    Raises:
        FixSettings: the file is not as it should be; names file and, where known, line.
    """
    try:
        text = yaml.safe_load(path.read_text()) or {}
    except yaml.YAMLError as error:
        raise _not_yaml(path, error) from None
    patterns = text.get("patterns") or {}
    for kind, listed in patterns.items():
        for pattern in listed:
            try:
                re.compile(pattern)
            except re.error as error:
                raise FixSettings(
                    f"a pattern for {kind} is no regular expression: {error}",
                    where=str(path),
                    fix="Correct the pattern.",
                ) from None
            if "'" in pattern:
                raise FixSettings(f"a pattern for {kind} has a quote", where=str(path), fix=r"Write \x27 for a quote.")

    def words(name: str) -> tuple[str, ...]:
        return tuple(str(word).lower() for word in text.get(name) or ())

    kinds = {str(kind): tuple(listed) for kind, listed in patterns.items()}
    return BlockLists(words("placeholders"), words("emails"), words("inboxes"), kinds)


def _load(path: Path) -> yaml.Node | None:
    try:
        node: yaml.Node | None = yaml.compose(path.read_text(), Loader=yaml.SafeLoader)
    except OSError:
        raise FixSettings("the file cannot be read", where=str(path), fix="Restore it; an empty one is fine.") from None
    except yaml.YAMLError as error:
        raise _not_yaml(path, error) from None
    return node


def _pairs(node: yaml.Node, path: Path, what: str) -> list[tuple[Any, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        raise _wrong(path, node, f"{what} is not a mapping", "Write `name: value`.")
    return list(node.value)


def _wrong(path: Path, node: yaml.Node, what: str, fix: str) -> FixSettings:
    return FixSettings(what, where=f"{path}:{node.start_mark.line + 1}", fix=fix)


def _not_yaml(path: Path, error: yaml.YAMLError) -> FixSettings:
    line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
    return FixSettings("not valid YAML", where=f"{path}:{line}", fix="Correct the file.")
