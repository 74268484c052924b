"""Writes into overrides.yaml that two identifiers belong to two people; the file's comments and order stay."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

from include.connect.errors import FixSettings
from include.warehouse.engine import Engine
from include.warehouse.identity.explain import Step, explain, find
from include.warehouse.identity.overrides import Identifier, Overrides, read_overrides
from include.warehouse.identity.preview import Part

SECTION = "cannot_link"


@dataclass(frozen=True, slots=True)
class OnePerson:
    """Two identifiers of one published person, and the evidence that joins them."""

    customer_id: str
    one: Identifier
    other: Identifier
    chain: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A cannot_link that is checked and not written yet: the decisions with it, and the file with it."""

    path: Path
    decided: Overrides
    text: str
    was: str

    def write(self) -> None:
        """Put it in the file, at once or not at all.

        Raises:
            FixSettings: the file cannot be written, or somebody else changed it meanwhile.
        """
        if self.path.read_text() != self.was:
            raise FixSettings("it was changed meanwhile", where=str(self.path), fix="Run the command again.")
        try:
            with _beside(self.path, self.text) as made:
                made.chmod(self.path.stat().st_mode)
                os.replace(made, self.path)
        except OSError:
            raise _not_writable(self.path) from None


def one_person(
    engine: Engine, one: tuple[str | None, str], other: tuple[str | None, str], space: str = ""
) -> OnePerson:
    """Find the person that both identifiers belong to.

    Args:
        engine: reads the published identity.
        one: (kind or None, value), spelled in any way.
        other: the second identifier.
        space: what every value begins with (`@space`).

    Raises:
        FixSettings: they are one identifier or not one person's, or one of them is nobody's.
    """
    found = []
    for kind, value in (one, other):
        row = find(engine, kind, value, space)
        if isinstance(row, Step):
            raise FixSettings(
                f"a {row.left_kind} belongs to nobody ({row.note}), so nothing is joined by it",
                where="identity.blocked_values",
                fix="Name identifiers of one person.",
            )
        found.append(row)
    (left, right), customers = found, {row["customer_id"] for row in found}
    if (left["kind"], left["value"]) == (right["kind"], right["value"]):
        raise FixSettings("both are the same identifier", where="identity unmerge", fix="Name two of one person.")
    if len(customers) > 1:
        raise FixSettings("they belong to two people already", where="identity unmerge", fix="Nothing is to be done.")
    chain = explain(engine, left["kind"], one[1], (right["kind"], other[1]), space)
    first, second = (Identifier(row["kind"], row["value"].removeprefix(space)) for row in found)
    return OnePerson(customers.pop(), first, second, tuple(chain))


def cannot_link(path: Path, one: Identifier, other: Identifier, why: str, by: str, on: date) -> Entry:
    """Make the entry, and check the file that it would give.

    Raises:
        FixSettings: the file is wrong or contradicts the entry, or has a form that nothing can be put into.
    """
    before, was, pair = read_overrides(path), path.read_text(), (one, other)
    if pair in before.cannot_link or pair[::-1] in before.cannot_link:
        raise FixSettings(
            "it says already that the two must not be linked", where=str(path), fix="The next unify applies it."
        )
    these = json.dumps([f"{each.kind}:{each.value}" for each in pair], ensure_ascii=False)
    said = "".join(f", {name}: {json.dumps(text, ensure_ascii=False)}" for name, text in (("why", why), ("by", by)))
    text = _with_entry(was, f"{{these: {these}{said}, on: {on.isoformat()}}}")
    decided = _read(path, text)
    if decided is None or {*decided.cannot_link} != {*before.cannot_link, pair}:
        raise FixSettings(
            "an entry cannot be put into it without changing others",
            where=str(path),
            fix=f"Write {SECTION} as a list of `- {{these: [...], why: ...}}` lines.",
        )
    return Entry(path, decided, text, was)


def check_parted(parts: Iterable[Part], person: OnePerson, space: str = "") -> None:
    """Be sure that a preview parts the two.

    Raises:
        FixSettings: they would stay one person.
    """
    both = {(each.kind, f"{space}{each.value}") for each in (person.one, person.other)}
    if any(both <= {*part.identifiers} for part in parts):
        raise FixSettings(
            "the two would stay one person, and nothing was written",
            where="overrides.yaml",
            fix="Look at the must_link entries, and at `stitchline identity explain` of the two.",
        )


def _read(path: Path, text: str) -> Overrides | None:
    """The decisions of a new text of the file; None where it is no YAML. An error names the file."""
    try:
        yaml.compose(text, Loader=yaml.SafeLoader)
        with _beside(path, text) as made:
            return read_overrides(made)
    except yaml.YAMLError:
        return None
    except OSError:
        raise _not_writable(path) from None
    except FixSettings as error:
        where = error.where.replace(str(made), str(path))
        raise FixSettings(error.what, where=where, fix=error.fix) from None


def _with_entry(text: str, entry: str) -> str:
    """The file with one more entry of `cannot_link`; nothing else of it changes."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    sections = root.value if isinstance(root, yaml.MappingNode) else []
    listed = next((node for name, node in sections if name.value == SECTION), None)
    if listed is None:
        return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{SECTION}:\n  - {entry}\n"
    start, end = listed.start_mark.index, listed.end_mark.index
    if not isinstance(listed, yaml.SequenceNode) or not listed.value:
        # `[]`, `~` or nothing at all stands where the list will be.
        head = text[:start].rstrip(" ")
        return f"{head}\n  - {entry}{text[end:]}"
    if listed.flow_style:
        return f"{text[: end - 1].rstrip().removesuffix(',')}, {entry}{text[end - 1 :]}"
    # A block list ends, for YAML, where the next thing begins: comments between belong to what follows.
    last = _end(listed.value[-1])
    line = text.find("\n", last - text[:last].endswith("\n"))
    place = len(text) if line < 0 else line
    return f"{text[:place]}\n{' ' * listed.start_mark.column}- {entry}{text[place:]}"


def _end(node: yaml.Node) -> int:
    """Where the text of a node ends."""
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


@contextmanager
def _beside(path: Path, text: str) -> Iterator[Path]:
    """A file with that text in the same folder; gone at the end of the block, unless it was moved."""
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    made = Path(name)
    try:
        with os.fdopen(number, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield made
    finally:
        with contextlib.suppress(FileNotFoundError):
            made.unlink()


def _not_writable(path: Path) -> FixSettings:
    return FixSettings(
        "the file cannot be written",
        where=str(path),
        fix="Let STITCHLINE_IDENTITY_OVERRIDES name a copy that can be, and that every worker reads.",
    )
