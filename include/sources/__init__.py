"""One API per file; a new file is a new DAG."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cache

from include.collector import NAME as COLLECTOR
from include.connect.errors import FixSettings
from include.connect.source import Source


def source_names() -> tuple[str, ...]:
    """Names of the shipped sources, without importing them."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")))


@cache
def _load(name: str) -> Source:
    source: Source = importlib.import_module(f"{__name__}.{name}").SOURCE
    return source


def all_sources() -> dict[str, Source]:
    """Every source in this folder, by name."""
    return {name: _load(name) for name in source_names()}


def get_source(name: str) -> Source:
    """The source of that name.

    Raises:
        FixSettings: there is none; names the known ones, and the one that was probably meant.
    """
    if name == COLLECTOR:  # no API to pull: the streams are what vendors send by themselves
        from include.collector.streams import collector_source

        return collector_source()
    names = source_names()
    if name in names:
        return _load(name)
    close = difflib.get_close_matches(name, names, n=1)
    meant = f"Did you mean {close[0]}? " if close else ""
    raise FixSettings(
        f"there is no source {name!r}", where="STITCHLINE_SOURCES", fix=f"{meant}Known: {', '.join(names)}."
    )
