"""Checks staging tables: counts what breaks their suites, sets bad rows aside, and stops what must not go on."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from include.checks.docs import docs_folder
from include.checks.quarantine import held, set_aside
from include.checks.results import CHECK_RESULTS, Finding, keep, usual_rows
from include.checks.schema import wrong_columns
from include.checks.suite import Columns, Expectation, Freshness, Rows, Suite, Volume
from include.checks.suites import all_suites
from include.checks.validate import Counted, bad_rows, late, validate, volume_limits
from include.connect.errors import CheckFailed, FixSettings
from include.run import Run
from include.settings import Settings
from include.warehouse.engine import Engine
from include.warehouse.models import staging_models
from include.warehouse.stage import latest_loads

log = logging.getLogger(__name__)
RUNBOOK = "docs/runbooks/check-failed.md"


@dataclass(frozen=True, slots=True)
class CheckSummary:
    """What a run of checks found."""

    findings: tuple[Finding, ...]
    docs: Path

    @property
    def blocked(self) -> tuple[str, ...]:
        """Tables with a critical failure."""
        return tuple(sorted({finding.table for finding in self.findings if finding.blocks}))

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What is reported and stops nothing."""
        return tuple(each for each in self.findings if not each.is_success and not each.blocks)

    @property
    def quarantined(self) -> dict[str, int]:
        """Table -> rows set aside now."""
        tables = {each.table: 0 for each in self.findings if each.quarantined}
        for each in self.findings:
            if each.quarantined:
                tables[each.table] += each.quarantined
        return tables

    def __str__(self) -> str:
        tables = len({finding.table for finding in self.findings})
        return (
            f"{len(self.findings)} expectations of {tables} tables: {len(self.blocked)} tables blocked, "
            f"{len(self.warnings)} warnings, {sum(self.quarantined.values())} rows set aside"
        )


def check_tables(
    engine: Engine,
    run: Run,
    settings: Settings,
    tables: Sequence[str] | None = None,
    suites: Mapping[str, Suite] | None = None,
) -> CheckSummary:
    """Check staging tables, all in one go: starting Great Expectations costs more than running it.

    Args:
        engine: the warehouse, in no transaction.
        run: its clock decides freshness and is noted with the results.
        settings: where Data Docs go.
        tables: which to check; by default every one with a suite for which anything was ever loaded.
        suites: by default those under `great_expectations/suites`.

    Raises:
        CheckFailed: a critical expectation failed by more than it allows; its results are kept all the same.
        FixSettings: a table that was named has no suite.
    """
    known = all_suites() if suites is None else suites
    engine.ensure([CHECK_RESULTS])
    chosen = _choose(engine, known, tables)
    docs = docs_folder(settings)
    if not chosen:
        return CheckSummary((), docs)
    rows = _count(engine, chosen)
    usual = usual_rows(engine, run, list(chosen))
    counted = validate(engine, run, chosen, usual, docs)
    findings: list[Finding] = []
    for table, suite in chosen.items():
        findings += _judge(engine, run, suite, rows[table], usual.get(table), counted)
    keep(engine, run, findings)
    summary = CheckSummary(tuple(findings), docs)
    for finding in findings:
        if not finding.is_success or finding.quarantined:
            log.warning(
                "check table=%s expectation=%r severity=%s unexpected=%d rows=%d quarantined=%d",
                finding.table,
                finding.expectation,
                finding.severity,
                finding.unexpected,
                finding.rows,
                finding.quarantined,
            )
    _stop(summary)
    return summary


def _choose(engine: Engine, suites: Mapping[str, Suite], tables: Sequence[str] | None) -> dict[str, Suite]:
    if tables is not None:
        unknown = sorted(set(tables) - suites.keys())
        if unknown:
            raise FixSettings(
                "it has no suite",
                where=unknown[0],
                fix=f"Write great_expectations/suites/{unknown[0].replace('.', '/')}.py.",
            )
        return {table: suites[table] for table in tables}
    loaded = latest_loads(engine)
    return {
        model.name: suites[model.name]
        for model in staging_models()
        if model.name in suites and model.reads & loaded.keys()
    }


def _count(engine: Engine, tables: Iterable[str]) -> dict[str, int]:
    counts = " UNION ALL ".join(
        f"SELECT '{table}' AS table_name, COUNT(*) AS row_count FROM {table}" for table in tables
    )
    return {str(row["table_name"]): int(row["row_count"]) for row in engine.query(counts)}


def _judge(
    engine: Engine, run: Run, suite: Suite, rows: int, usual: int | None, counted: Mapping[tuple[str, str], Counted]
) -> list[Finding]:
    """Turn counts into findings, and set aside the bad rows of critical expectations that hold for most rows."""
    answers = {each.name: counted.get((suite.table, each.name), Counted(True, 0)) for each in suite.expectations}
    broken = [
        each
        for each in suite.expectations
        if isinstance(each, Rows)
        and each.severity == "critical"
        and 0 < answers[each.name].unexpected <= allowed(each, rows)
    ]
    if broken:
        set_aside(engine, run, suite.table, broken)
    aside = held(engine, suite.table)
    return [
        _finding(engine, suite, each, rows, usual, answers[each.name], aside.get(each.name, 0))
        for each in suite.expectations
    ]


def allowed(rows: Rows, row_count: int) -> float:
    """How many rows may break it."""
    return (1 - rows.mostly) * row_count + 1e-9


def _finding(
    engine: Engine, suite: Suite, each: Expectation, rows: int, usual: int | None, counted: Counted, quarantined: int
) -> Finding:
    def found(is_success: bool, unexpected: int = 0, detail: str = "") -> Finding:
        return Finding(suite.table, each.name, each.severity, is_success, rows, unexpected, quarantined, detail)

    if isinstance(each, Columns):
        wrong = wrong_columns(engine, suite.table, each)
        return found(not wrong, 0, "; ".join(wrong))
    if counted.error:
        return found(False, 0, f"could not be checked: {counted.error}")
    if isinstance(each, Rows):
        detail = f"at most {1 - each.mostly:.1%} of rows; {bad_rows(suite, each)}"
        return found(counted.unexpected <= allowed(each, rows), counted.unexpected, detail)
    if isinstance(each, Volume):
        if usual is None:
            return found(True, 0, "first check of this table")
        least, most = volume_limits(each, usual)
        return found(
            counted.is_success, 0, f"{rows:,} rows, usually {usual:,}; {least:,} to {most:,} would be no surprise"
        )
    if isinstance(each, Freshness):
        return found(counted.is_success, counted.unexpected, f"accounts later than {each.max_age}; {late(suite, each)}")
    return found(counted.is_success, counted.unexpected, "no row may share the key with another")


def _stop(summary: CheckSummary) -> None:
    blocking = [finding for finding in summary.findings if finding.blocks]
    if not blocking:
        return
    first = blocking[0]
    counts = f": {first.unexpected:,} of {first.rows:,} rows" if first.unexpected else f" ({first.detail})"
    others = f"; {len(blocking) - 1} more critical checks failed" if len(blocking) > 1 else ""
    raise CheckFailed(
        f"the expectation {first.expectation!r} failed{counts}{others}",
        where=", ".join(summary.blocked),
        fix=f"The published state stays. Look at ops.check_results or at {summary.docs}; {RUNBOOK} says what then.",
    )
