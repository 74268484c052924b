"""What the models cost on BigQuery, told by dry runs before anything is billed, and the budgets of their headers."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import yaml

from include.activate.segment import Segment, all_segments, visible_sql
from include.connect.errors import FixSettings
from include.run import Run
from include.settings import ROOT, Settings
from include.warehouse import models
from include.warehouse.catalog import meanings
from include.warehouse.engine import Engine
from include.warehouse.identity.evidence import rules
from include.warehouse.render import inlined, references

MIB, TIB = 2**20, 2**40
LEAST_PER_TABLE = 10 * MIB
"""BigQuery bills at least this for every table a statement names."""
DAYS_PER_MONTH = 365 / 12
UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


class Estimates(Engine, Protocol):
    """An engine that can tell what a statement would read."""

    def at(self, generation: str | None) -> Estimates:
        """The same, with `identity.*` and `marts.*` meaning that generation's tables."""
        ...

    def estimate(self, sql: str, params: Mapping[str, Any] | None = None) -> int:
        """Bytes that a statement would read; nothing is run."""
        ...


@dataclass(frozen=True, slots=True)
class Priced:
    """One model and the statements that bring it up to date once; `raw` names the partitioned tables it reads."""

    name: str
    statements: tuple[str, ...]
    budget: int | None = None
    raw: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run of a model reads and is billed, in bytes."""

    name: str
    read: int
    billed: int
    budget: int | None = None
    partitions: int | None = None
    """Days of raw it reads; None where it reads no partitioned table."""

    @property
    def is_over(self) -> bool:
        """Whether it is billed more than its header allows."""
        return self.budget is not None and self.billed > self.budget


def cost(name: str, reads: Iterable[tuple[int, int]], budget: int | None = None, partitions: int | None = None) -> Cost:
    """Add up a model's statements, each `(bytes read, tables named)`; every one has a smallest bill."""
    listed = tuple(reads)
    billed = sum(max(-(-read // MIB) * MIB, tables * LEAST_PER_TABLE) for read, tables in listed)
    return Cost(name, sum(read for read, _ in listed), billed, budget, partitions)


def per_month(billed: int, runs_per_day: int) -> int:
    """Bytes billed in a month of 365 / 12 days."""
    return round(billed * runs_per_day * DAYS_PER_MONTH)


def dollars(billed: int, price_per_tib: float) -> float:
    """What bytes cost on demand."""
    return billed / TIB * price_per_tib


def size(count: float) -> str:
    """Bytes as people read them, in BigQuery's units (1 GiB = 2^30 bytes)."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def report(costs: Sequence[Cost], runs_per_day: int, price_per_tib: float) -> list[str]:
    """The lines people read: every model, who is over budget, and all together."""
    lines = [f"{'model':44} {'days':>5} {'reads':>10} {'billed':>10} {'a month':>10} {'USD':>9}"]
    for found in costs:
        month = per_month(found.billed, runs_per_day)
        over = f"  OVER its budget of {size(found.budget or 0)} a run" if found.is_over else ""
        days = "-" if found.partitions is None else str(found.partitions)
        lines.append(
            f"{found.name:44} {days:>5} {size(found.read):>10} {size(found.billed):>10} {size(month):>10} "
            f"{dollars(month, price_per_tib):>9.2f}{over}"
        )
    total = sum(per_month(found.billed, runs_per_day) for found in costs)
    lines.append(f"{'together':72} {size(total):>10} {dollars(total, price_per_tib):>9.2f}")
    lines.append(
        "days: day partitions of raw that a run reads; it follows the loads of the run, not history. "
        f"{runs_per_day} runs a day, {price_per_tib:g} USD per TiB. Every table a statement names is billed 10 MiB at "
        "least. Stitching, and the transactions around staging, cost this or more: what they read exists only then."
    )
    return lines


def read_budget(path: Path) -> int | None:
    """The bytes a header allows one run to be billed (`budget: 10 GB`); None where it names no budget.

    Raises:
        FixSettings: it is no amount; names file and line.
    """
    head = path.read_text().partition("*/")[0]
    node = yaml.compose(f"  {head[2:]}", Loader=yaml.SafeLoader)
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if key.value != "budget":
            continue
        words = value.value if isinstance(value, yaml.ScalarNode) else "..."
        amount = re.fullmatch(r"(\d+(?:\.\d+)?) ?(\w+)", words)
        if amount is None or amount[2] not in UNITS or float(amount[1]) == 0:
            shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
            raise FixSettings(
                f"budget {words!r} is no amount",
                where=f"{shown}:{key.start_mark.line + 1}",
                fix=f"Write a number and one of {', '.join(UNITS)}, such as 10 GB.",
            )
        return int(float(amount[1]) * UNITS[amount[2]])
    return None


def priced_models(only: Iterable[str] = ()) -> list[Priced]:
    """Every model with its statements, or those of these names.

    Raises:
        FixSettings: a budget is no amount, or there is no model of a name.
    """
    segments = [_segment(segment) for segment in all_segments().values()]
    found = {model.name: model for model in (*_staging(), *_evidence(), *_marts(), *segments)}
    wanted = tuple(only) or tuple(found)
    for name in wanted:
        if name not in found:
            close = difflib.get_close_matches(name, found, n=1)
            raise FixSettings(
                f"no model {name!r}",
                where="models cost",
                fix=f"Did you mean {close[0]}?" if close else "Write dataset.table, such as marts.customers.",
            )
    return [found[name] for name in wanted]


def estimate_models(
    engine: Estimates, priced: Iterable[Priced], settings: Settings, run: Run, runs_per_day: int
) -> list[Cost]:
    """Dry-run models: staging and trusted evidence over the loads of one run, everything else over all there is.

    Raises:
        FixSettings: nothing is published yet.
    """
    state = models.published(engine)
    if state is None:
        raise FixSettings("nothing is published yet", where="ops.published", fix="Run the unify DAG once.")
    here = engine.at(state.generation)
    window = one_window(engine, runs_per_day)
    params = {**models.clock(run, settings), **window}
    days = raw_partitions(engine, window)
    return [
        cost(
            model.name,
            [(here.estimate(sql, params), len(references(sql))) for sql in model.statements],
            model.budget,
            sum(days.get(table, 0) for table in model.raw) if model.raw else None,
        )
        for model in priced
    ]


def stitching_floor() -> Cost:
    """The smallest bill of stitching: its scratch tables exist only while it runs, so there is nothing to dry-run."""
    from include.warehouse.empty_build import empty_warehouse

    return cost("stitching", ((0, len(references(sql))) for sql in empty_warehouse().stitching))


def one_window(engine: Engine, runs_per_day: int) -> dict[str, Any]:
    """Parameters of the loads that one run at this pace takes in: those that came after the run before it."""
    newest = engine.query("SELECT MAX(loaded_at) AS at FROM ops.loads")[0]["at"]
    seq_from = 0
    if newest is not None:
        before = {"before": newest - timedelta(days=1) / runs_per_day}
        rows = engine.query("SELECT COALESCE(MAX(seq), 0) AS seq FROM ops.loads WHERE loaded_at <= @before", before)
        seq_from = int(rows[0]["seq"])
    return models.window(engine, seq_from, models.frontier(engine))


def raw_partitions(engine: Engine, window: Mapping[str, Any]) -> dict[str, int]:
    """Raw table -> day partitions that a window of loads lies in: what `_loaded_at >= @loaded_from` lets be read."""
    rows = engine.query(
        "SELECT source, stream, COUNT(DISTINCT DATE(loaded_at)) AS days FROM ops.loads "
        "WHERE loaded_at >= @loaded_from AND seq <= @seq_to GROUP BY source, stream",
        window,
    )
    return {f"raw.{row['source']}__{row['stream']}": int(row["days"]) for row in rows}


def _staging() -> list[Priced]:
    """The typed rows of the window, and the rewriting of the table they go into."""
    return [
        Priced(
            model.name,
            (models.windowed(model.sql), f"DELETE FROM {model.name} AS s WHERE s._account = '' AND s._key = ''"),
            read_budget(model.path),
            _raw(model.reads),
        )
        for model in models.staging_models()
    ]


def _evidence() -> list[Priced]:
    staged = {model.name: model for model in models.staging_models()}
    staging = {name: models.windowed(model.sql) for name, model in staged.items()}
    return [
        Priced(
            rule.name,
            (rule.sql if rule.header["inferred"] else inlined(rule.sql, {name: staging[name] for name in rule.reads}),),
            read_budget(rule.path),
            frozenset() if rule.header["inferred"] else _raw(*(staged[name].reads for name in rule.reads)),
        )
        for rule in rules()
    ]


def _raw(*reads: frozenset[str]) -> frozenset[str]:
    return frozenset(name for names in reads for name in names if name.startswith("raw."))


def _marts() -> list[Priced]:
    others = models.identity_models().values()
    return [
        Priced(model.name, (model.sql,), read_budget(model.path) if model.path.is_file() else None)
        for model in (*others, *models.mart_models())
    ]


def _segment(segment: Segment) -> Priced:
    flagged = {name for name in references(segment.sql) if "is_inferred_identity" in meanings()[name].columns}
    return Priced(segment.table, (visible_sql(segment, frozenset(flagged)),), read_budget(segment.path))
