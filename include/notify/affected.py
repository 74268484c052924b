"""Which lists go stale when a DAG fails, and how many people are in them now."""

from __future__ import annotations

import logging
from pathlib import Path

from include.notify.incident import Affected
from include.settings import Settings

log = logging.getLogger(__name__)
SEGMENTS = Path(__file__).resolve().parents[1] / "segments"


def affected_by(settings: Settings, dag_id: str, segments: Path = SEGMENTS) -> Affected:
    """What a failure of this DAG touches; what cannot be found out is left out, since an alert must not wait."""
    try:
        lists = _lists(dag_id, segments)
    except Exception as error:
        log.warning("could not find the lists behind %s (%s)", dag_id, type(error).__name__)
        return Affected()
    if not lists:
        return Affected()
    try:
        return Affected(lists, _people(settings, lists))
    except Exception as error:
        log.warning("could not count the people behind %s (%s)", dag_id, type(error).__name__)
        return Affected(lists)


def _lists(dag_id: str, segments: Path) -> tuple[str, ...]:
    found = {file.stem: file for file in sorted(segments.glob("*.sql"))}
    verb, _, rest = dag_id.partition("_")
    if verb in ("segment", "sync"):
        return tuple(name for name in found if rest == name or rest.startswith(f"{name}__"))
    if verb == "unify":
        return tuple(found)
    if verb == "ingest":
        source = f"staging.{rest.partition('__')[0]}__"
        return tuple(name for name, file in found.items() if any(table.startswith(source) for table in _behind(file)))
    return ()


def _behind(segment: Path) -> set[str]:
    """Every table a segment is computed from, through all the models between."""
    from include.warehouse.models import depends_on
    from include.warehouse.render import references

    behind: set[str] = set()
    waiting = set(references(segment.read_text().partition("*/")[2], str(segment)))
    while waiting:
        table = waiting.pop()
        if table not in behind:
            behind.add(table)
            waiting |= depends_on(table)
    return behind


def _people(settings: Settings, lists: tuple[str, ...]) -> int:
    from include.warehouse.engine import connect

    with connect(settings, read_only=True) as engine:
        rows = engine.query(
            "SELECT COUNT(DISTINCT customer_id) AS people FROM segments.memberships "
            "WHERE left_at IS NULL AND segment IN UNNEST(@lists)",
            {"lists": list(lists)},
        )
    return int(rows[0]["people"])
