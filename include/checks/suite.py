"""The language in which a table's expectations are declared; predicates are GoogleSQL and the row is called `t`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

Severity = Literal["critical", "warning"]
CRITICAL: Severity = "critical"
"""Bad rows are set aside; more of them than `mostly` allows, and what depends on the table waits."""
WARNING: Severity = "warning"
"""Reported only; rows stay."""

ALMOST_ALL = 0.99
EMAIL = r"^[^@\s<>]+@[^@\s<>]+[.][^@\s<>.]+$"


@dataclass(frozen=True, slots=True)
class Rows:
    """Something every row must fulfil; `bad` is true for a row that does not."""

    name: str
    bad: str
    severity: Severity = CRITICAL
    mostly: float = ALMOST_ALL
    native: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unique:
    """No two rows share these columns. Which copy would be wrong cannot be known, so none is set aside."""

    columns: tuple[str, ...]
    severity: Severity = CRITICAL

    @property
    def name(self) -> str:
        """How results call it."""
        return f"unique {', '.join(self.columns)}"


@dataclass(frozen=True, slots=True)
class Columns:
    """The table has these columns, of these GoogleSQL types."""

    types: Mapping[str, str]
    severity: Severity = CRITICAL
    name: str = "columns"


@dataclass(frozen=True, slots=True)
class Freshness:
    """Each account's last complete load is at most this old; `sources` have a stream of the table's name each."""

    max_age: timedelta
    sources: tuple[str, ...]
    severity: Severity = WARNING
    name: str = "freshness"


@dataclass(frozen=True, slots=True)
class Volume:
    """The table is no fraction and no multiple of what it was at the last checks."""

    max_drop: float = 0.2
    max_growth: float = 10.0
    severity: Severity = CRITICAL
    name: str = "volume"


Expectation = Rows | Unique | Columns | Freshness | Volume


@dataclass(frozen=True, slots=True)
class Suite:
    """What must hold for one table before anything is computed from it."""

    table: str
    expectations: tuple[Expectation, ...]

    def __post_init__(self) -> None:
        names = [expectation.name for expectation in self.expectations]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"{self.table}: two expectations are called {sorted(twice)[0]!r}")
        quoted = [name for name in names if "'" in name or "\\" in name]
        if quoted:
            raise ValueError(f"{self.table}: {quoted[0]!r} becomes a text in SQL; give it a name without quotes")

    @property
    def stream(self) -> str:
        """Stream the table comes from."""
        return self.table.partition("__")[2]


def staged(
    table: str,
    *,
    types: Mapping[str, str],
    key: str,
    expectations: Sequence[Expectation],
    max_age: timedelta | None,
    sources: tuple[str, ...] = (),
) -> Suite:
    """What every staging table promises (columns, one row per key, freshness, volume), and what is its own.

    Args:
        table: `mailchimp__members`.
        types: its own columns with their types.
        key: the vendor's id column.
        expectations: what else must hold.
        max_age: how old the last complete load may be; None for what comes only when something happens.
        sources: whose streams of that name the table holds; by default the one it is named for.
    """
    machinery = {"_account": "STRING", "_key": "STRING", "_seq": "INT64", "_extracted_at": "TIMESTAMP"}
    every: tuple[Expectation, ...] = (
        Columns({**machinery, **types, "is_deleted": "BOOL"}),
        Unique(("_account", "_key")),
        not_null(key),
        not_null("_extracted_at"),
        *([Freshness(max_age, sources or (table.partition("__")[0],))] if max_age is not None else []),
        Volume(),
    )
    return Suite(f"staging.{table}", (*every, *expectations))


def not_null(column: str, severity: Severity = CRITICAL, mostly: float = ALMOST_ALL) -> Rows:
    """The column has a value."""
    arguments = {"column": column}
    return Rows(f"{column} is set", f"t.{column} IS NULL", severity, mostly, "ExpectColumnValuesToNotBeNull", arguments)


def accepted_values(column: str, *values: str, severity: Severity = CRITICAL, mostly: float = ALMOST_ALL) -> Rows:
    """The column, where set, is one of the values."""
    listed = ", ".join(f"'{value}'" for value in values)
    arguments = {"column": column, "value_set": list(values)}
    bad = f"t.{column} IS NOT NULL AND t.{column} NOT IN ({listed})"
    return Rows(f"{column} is a known value", bad, severity, mostly, "ExpectColumnValuesToBeInSet", arguments)


def matches_email(column: str, severity: Severity = WARNING, mostly: float = 0.95) -> Rows:
    """The column, where set, looks like an address."""
    bad = f"t.{column} IS NOT NULL AND NOT REGEXP_CONTAINS(TRIM(t.{column}), r'{EMAIL}')"
    return Rows(f"{column} looks like an address", bad, severity, mostly)


def row_condition(name: str, bad: str, severity: Severity = CRITICAL, mostly: float = ALMOST_ALL) -> Rows:
    """Whatever else: `bad` is a GoogleSQL predicate over the row `t`; `@as_of` is the run's clock."""
    return Rows(name, bad, severity, mostly)


def not_in_future(column: str, severity: Severity = WARNING, mostly: float = ALMOST_ALL) -> Rows:
    """The moment is not after the run's clock, a day of slack for clocks that are off."""
    return Rows(f"{column} is past", f"t.{column} > TIMESTAMP_ADD(@as_of, INTERVAL 1 DAY)", severity, mostly)


def references(
    column: str, table: str, other: str | None = None, severity: Severity = WARNING, mostly: float = ALMOST_ALL
) -> Rows:
    """The column, where set, is found in another table of the same account."""
    bad = (
        f"t.{column} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {table} AS other "
        f"WHERE other._account = t._account AND other.{other or column} = t.{column})"
    )
    return Rows(f"{column} exists in {table}", bad, severity, mostly)
