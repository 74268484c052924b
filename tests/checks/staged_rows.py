"""Rows to put into staging tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from include.warehouse.engine import Engine

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)


def loaded(engine: Engine, source: str, stream: str, as_of: datetime, account: str = "main") -> None:
    """Note a complete load."""
    load = {"source": source, "account": account, "stream": stream, "as_of": as_of, "loaded_at": as_of}
    engine.append(
        "ops.loads", [{"seq": 1, "run_id": "load", "kind": "full", "is_complete": True, "records": 1, **load}]
    )


def machinery(key: str) -> dict[str, Any]:
    """The columns every staging table has."""
    return {"_account": "main", "_key": key, "_seq": 1, "_extracted_at": NOW - timedelta(hours=1)}


def members(count: int, changed: Sequence[dict[str, Any]] = ()) -> list[dict[str, Any]]:
    """Good members; the first ones with what is given instead."""
    rows = []
    for number in range(count):
        row = {
            **machinery(f"list-1|member-{number}"),
            "mailchimp_member_id": f"member-{number}",
            "mailchimp_list_id": "list-1",
            "email": f"person{number}@example.com",
            "status": "subscribed",
            "updated_at": NOW - timedelta(days=1),
            "is_deleted": False,
        }
        rows.append({**row, **(changed[number] if number < len(changed) else {})})
    return rows
