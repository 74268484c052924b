"""Sets bad rows aside; the staging step takes them back, so only what is bad now stays out."""

from __future__ import annotations

from collections.abc import Sequence

from include.checks.suite import Rows
from include.run import Run
from include.warehouse.engine import Engine, Statement


def set_aside(engine: Engine, run: Run, table: str, broken: Sequence[Rows]) -> None:
    """Move the rows that break an expectation from staging to quarantine, all or none.

    Args:
        engine: the warehouse.
        run: its clock is noted with each row.
        table: staging table.
        broken: expectations with bad rows; a row that breaks several carries the first one's name.
    """
    quarantine = table.replace("staging.", "quarantine.")
    listed = ", ".join(engine.columns(table))
    reasons = " ".join(f"WHEN {rows.bad} THEN '{rows.name}'" for rows in broken)
    any_bad = " OR ".join(f"COALESCE({rows.bad}, FALSE)" for rows in broken)
    clock = {"as_of": run.as_of}
    engine.atomically(
        [
            Statement(
                f"INSERT INTO {quarantine} ({listed}, _reason, _quarantined_at) "
                f"SELECT {', '.join(f't.{name}' for name in engine.columns(table))}, CASE {reasons} END, @as_of "
                f"FROM {table} AS t WHERE {any_bad}",
                clock,
            ),
            f"DELETE FROM {table} AS t WHERE EXISTS (SELECT 1 FROM {quarantine} AS q "
            "WHERE q._account = t._account AND q._key = t._key)",
        ]
    )


def held(engine: Engine, table: str) -> dict[str, int]:
    """How many rows of a table are set aside, per reason."""
    quarantine = table.replace("staging.", "quarantine.")
    rows = engine.query(f"SELECT _reason, COUNT(*) AS row_count FROM {quarantine} GROUP BY _reason")
    return {str(row["_reason"]): int(row["row_count"]) for row in rows}
