"""Which table is made from which, read from the SQL itself: from the files, and from what stitching executes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from functools import cache

from sqlglot import exp

from include.connect.errors import FixSettings
from include.warehouse import models
from include.warehouse.catalog import LAYERS
from include.warehouse.render import parse, references
from include.warehouse.schema import raw_tables

ROAD = ("raw", "staging", "identity", "marts", "segments")
"""Layers whose tables SQL makes from one another; the others are books that are kept about it."""
BOOKS = frozenset(f"identity.{name}" for name in ("inputs", "held", "layers", "touched", "changed_events"))
"""What a generation notes of its own making."""


@cache
def parents() -> Mapping[str, frozenset[str]]:
    """Every table of the road, each with the tables of its own run it is made from; takes seconds, once per process."""
    from include.activate.segment import all_segments
    from include.warehouse.empty_build import empty_warehouse
    from include.warehouse.identity.evidence import rules

    made = {model.name: model.reads for model in (*models.staging_models(), *models.mart_models())}
    made |= {model.name: model.reads for model in models.identity_models().values()}
    made["identity.evidence"] = frozenset().union(*(rule.reads for rule in rules()))
    made |= _stitched(empty_warehouse().stitching, made.keys())
    made |= {segment.table: references(segment.sql) for segment in all_segments().values()}
    read = frozenset(table.name for table in raw_tables()).union(*made.values())
    return {**{name: frozenset() for name in read - made.keys()}, **made}


def text_tree(of: str | None = None) -> str:
    """The graph as indented text: by layer, each table above what it reads; or one table's ancestors, all the way.

    Raises:
        FixSettings: there is no table `of`; suggests the closest name.
    """
    if of is not None:
        return "\n".join(_ancestry(_known(of), 0, set()))
    lines = []
    for layer in ROAD:
        lines.append(layer)
        for table in sorted(name for name in parents() if name.startswith(f"{layer}.")):
            lines.append(f"  {table}")
            lines += [f"    {parent}" for parent in _ordered(parents()[table])]
    return "\n".join(lines)


def mermaid(of: str | None = None) -> str:
    """The graph as a Mermaid flowchart; raw and staging are drawn per source and identity as one, to stay readable.

    Raises:
        FixSettings: there is no table `of`; suggests the closest name.
    """
    tables = set(parents()) if of is None else _with_ancestors(_known(of))
    groups = {table: _group(table) for table in tables}
    arrows = {
        (groups[parent], groups[table])
        for table in tables
        for parent in parents()[table]
        if groups[parent] != groups[table]
    }
    lines = ["flowchart LR"]
    for layer in ROAD:
        inside = sorted({group for group in groups.values() if group.partition(".")[0] == layer})
        if not inside:
            continue
        lines.append(f"  subgraph {layer}")
        lines += [f'    {_id(group)}["{group.partition(".")[2] or group}"]' for group in inside]
        lines.append("  end")
    lines += [f"  {_id(source)} --> {_id(target)}" for source, target in sorted(arrows)]
    return "\n".join(lines)


def _stitched(statements: Iterable[str], known: Iterable[str]) -> dict[str, frozenset[str]]:
    """What each identity table is made from, scratch tables followed to where their rows came from."""
    reads: dict[str, set[str]] = {}
    for sql in statements:
        tree = parse(sql)
        if not isinstance(tree, exp.Create | exp.Insert):
            continue
        target = tree.this.find(exp.Table)
        name = f"{target.db}.{target.name}"
        reads.setdefault(name, set()).update(references(sql) - {name})

    def origins(table: str, seen: set[str]) -> set[str]:
        found: set[str] = set()
        for parent in reads.get(table, set()) - seen:
            seen.add(parent)
            found |= origins(parent, seen) if parent.startswith("scratch.") else {parent}
        return found

    made = {name for name in reads if name.startswith("identity.")} - set(known) - BOOKS
    return {name: frozenset(origins(name, set()) - {name}) for name in made}


def _ancestry(table: str, depth: int, shown: set[str]) -> list[str]:
    above = _ordered(parents()[table])
    indent = "  " * depth
    if table in shown and above:
        return [f"{indent}{table} (see above)"]
    shown.add(table)
    return [f"{indent}{table}", *(line for parent in above for line in _ancestry(parent, depth + 1, shown))]


def _with_ancestors(table: str) -> set[str]:
    found, waiting = {table}, [table]
    while waiting:
        new = parents()[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def _known(table: str) -> str:
    if table not in parents():
        close = difflib.get_close_matches(table, parents(), n=1)
        raise FixSettings(
            f"no table {table!r} is made or read by the SQL",
            where="--of",
            fix=f"Did you mean {close[0]}?" if close else "Write dataset.table, such as marts.customers.",
        )
    return table


def _ordered(tables: Iterable[str]) -> list[str]:
    """Layer by layer from the end of the road, so that the nearest parent comes first."""
    return sorted(tables, key=lambda name: (-LAYERS.index(name.partition(".")[0]), name))


def _group(table: str) -> str:
    layer, _, name = table.partition(".")
    if layer in ("raw", "staging"):
        return f"{layer}.{name.partition('__')[0]}"
    return "identity.who is who" if layer == "identity" else table


def _id(group: str) -> str:
    return group.replace(".", "_").replace(" ", "_")
