"""What the checks found, kept in `ops.check_results`, and the history that volume is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from include.checks.suite import Severity
from include.run import Run
from include.warehouse.engine import Column, Engine, Table

CHECK_RESULTS = Table(
    "ops.check_results",
    (
        Column("run_id", "STRING", "run that checked"),
        Column("as_of", "TIMESTAMP", "clock of that run"),
        Column("table_name", "STRING", "table, as the SQL names it"),
        Column("expectation", "STRING", "name of the expectation in the table's suite"),
        Column("severity", "STRING", "critical or warning"),
        Column("is_success", "BOOL", "whether the table kept it"),
        Column("rows", "INT64", "rows of the table when it was checked"),
        Column("unexpected", "INT64", "rows that broke the expectation"),
        Column("quarantined", "INT64", "rows set aside for it"),
        Column("detail", "STRING", "what was allowed, and the query that shows the rows"),
    ),
    "One row per run, table and expectation.",
)
REMEMBERED = 7


@dataclass(frozen=True, slots=True)
class Finding:
    """What one expectation found in one table."""

    table: str
    expectation: str
    severity: Severity
    is_success: bool
    rows: int
    unexpected: int = 0
    quarantined: int = 0
    detail: str = ""

    @property
    def blocks(self) -> bool:
        """Whether what depends on the table must wait."""
        return self.severity == "critical" and not self.is_success


def usual_rows(engine: Engine, run: Run, tables: Sequence[str]) -> dict[str, int]:
    """Rows of each table at its last checks that passed: the median of the last few."""
    rows = engine.query(
        """
        WITH
          past AS (
            SELECT table_name, `rows` AS row_count, as_of
            FROM ops.check_results
            WHERE expectation = 'volume' AND is_success AND run_id != @run_id AND table_name IN UNNEST(@tables)
            QUALIFY ROW_NUMBER() OVER (PARTITION BY table_name ORDER BY as_of DESC) <= @remembered
          ),
          ranked AS (
            SELECT
              table_name,
              row_count,
              ROW_NUMBER() OVER (PARTITION BY table_name ORDER BY row_count ASC) AS place,
              COUNT(*) OVER (PARTITION BY table_name) AS places
            FROM past
          )
        SELECT table_name, row_count
        FROM ranked
        WHERE place * 2 IN (places, places + 1)
        """,
        {"run_id": run.run_id, "tables": list(tables), "remembered": REMEMBERED},
    )
    return {str(row["table_name"]): int(row["row_count"]) for row in rows}


def keep(engine: Engine, run: Run, findings: Sequence[Finding]) -> None:
    """Write the findings; a repeat of the run replaces them."""
    tables = sorted({finding.table for finding in findings})
    engine.execute(
        "DELETE FROM ops.check_results WHERE run_id = @run_id AND table_name IN UNNEST(@tables)",
        {"run_id": run.run_id, "tables": tables},
    )
    engine.append(
        CHECK_RESULTS.name,
        [
            {
                "run_id": run.run_id,
                "as_of": run.as_of,
                "table_name": finding.table,
                "expectation": finding.expectation,
                "severity": finding.severity,
                "is_success": finding.is_success,
                "rows": finding.rows,
                "unexpected": finding.unexpected,
                "quarantined": finding.quarantined,
                "detail": finding.detail,
            }
            for finding in findings
        ],
    )
