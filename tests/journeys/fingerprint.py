"""What a home holds, in a form that two runs can be compared by: no run ids, no clock, no order."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import duckdb

from include.settings import Settings
from include.warehouse.engine import Engine, connect
from include.warehouse.models import mart_models, published, staging_models

MACHINERY = {"_seq", "_extracted_at", "_loaded_at", "_run_id"}
"""What differs between any two runs."""


TOUCHED = {"updated_at", "seen_at"}
"""What a write of ours moves at a vendor: differs where a delivery came before the last pull."""


def fingerprint(settings: Settings, without: Collection[str] = ()) -> dict[str, Any]:
    """Tables as sorted rows; people are named by the least identifier they have, since an id depends on load order."""

    def rows(engine: Engine, sql: str, names: dict[str, str]) -> list[str]:
        return _rows(engine, sql, names, MACHINERY | set(without))

    with connect(settings) as engine:
        state = published(engine)
        assert state is not None, "nothing is published"
        built = engine.at(state.generation)
        names = {
            row["customer_id"]: row["name"]
            for row in built.query(
                "SELECT customer_id, MIN(CONCAT(kind, ':', value)) AS name "
                "FROM identity.identifiers GROUP BY customer_id"
            )
        }
        found: dict[str, Any] = {}
        for model in staging_models():
            found[model.name] = rows(engine, f"SELECT * FROM {model.name}", names)
        for model in mart_models():
            found[model.name] = rows(built, f"SELECT * FROM {model.name}", names)
        found["identifiers"] = rows(
            built, "SELECT kind, value, customer_id, is_inferred FROM identity.identifiers", names
        )
        found["members"] = rows(engine, "SELECT customer_id FROM segments.at_risk_customers", names)
        found["sent"] = rows(engine, "SELECT sync, customer_id, address, fields_hash FROM activation.state", names)
        return found


def differences(one: dict[str, Any], other: dict[str, Any]) -> dict[str, str]:
    """Names of what differs, with how many rows each side has alone: readable when a test fails."""
    result = {}
    for name in sorted(one.keys() | other.keys()):
        left, right = one.get(name, []), other.get(name, [])
        if left != right:
            only_left, only_right = set(left) - set(right), set(right) - set(left)
            result[name] = (
                f"{len(left)} and {len(right)} rows; {sorted(only_left)[:2]} against {sorted(only_right)[:2]}"
            )
    return result


def _rows(engine: Engine, sql: str, names: dict[str, str], without: Collection[str]) -> list[str]:
    lines = []
    for row in engine.query(sql):
        kept = {key: _plain(value) for key, value in row.items() if key not in without}
        if "customer_id" in kept:
            kept["customer_id"] = names.get(kept["customer_id"], "a visitor without an identifier of their own")
        # Addresses of records hold the port of the simulators, which each test has its own of.
        lines.append(re.sub(r"127\.0\.0\.1:\d+", "vendor", repr(sorted(kept.items(), key=lambda item: item[0]))))
    return sorted(lines)


def _plain(value: Any) -> Any:
    """A value as both engines can say it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Decimal):
        return str(value.normalize())
    return [_plain(one) for one in value] if isinstance(value, list) else value


def duplicate_raw_rows(settings: Settings) -> int:
    """Rows of raw that came twice by the same landing: what exactly-once must keep at zero."""
    path = settings.root / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        tables = connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw'").fetchall()
        total = 0
        for (table,) in tables:
            row = connection.execute(
                f'SELECT COALESCE(SUM(n - 1), 0) FROM (SELECT COUNT(*) AS n FROM raw."{table}" '
                "GROUP BY _account, _run_id, _part, _key, CAST(_payload AS VARCHAR))"
            ).fetchone()
            total += int(row[0]) if row else 0
        return total
