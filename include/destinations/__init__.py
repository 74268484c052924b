"""Destinations: one writable thing per file; a new file is a new `to:` that headers may name."""

from __future__ import annotations

import difflib
import pkgutil
from functools import cache
from importlib import import_module

from include.activate.destination import Destination
from include.connect.errors import FixSettings
from include.connect.source import Source


@cache
def all_destinations() -> dict[str, Destination]:
    """Every destination in this folder, by name.

    Raises:
        FixSettings: a file declares no `DESTINATION`, or one of another name.
    """
    found: dict[str, Destination] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        declared = getattr(import_module(f"{__name__}.{module.name}"), "DESTINATION", None)
        if not isinstance(declared, Destination) or declared.name != module.name:
            raise FixSettings(
                "the file declares no destination of its own name",
                where=f"include/destinations/{module.name}.py",
                fix=f'Write `DESTINATION = Destination("{module.name}", ...)`.',
            )
        found[declared.name] = declared
    return found


def get_destination(name: str) -> Destination:
    """The destination of that name.

    Raises:
        FixSettings: there is none; suggests the closest.
    """
    known = all_destinations()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        raise FixSettings(
            f"no destination {name!r}",
            where="include/destinations",
            fix=f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(sorted(known))}.",
        )
    return known[name]


def api_of(destination: Destination) -> Source:
    """Where a destination's calls go and how they sign in: its own API, or that of the source it shares."""
    from include.sources import get_source

    return destination.api or get_source(destination.connection)
