"""The models' cases: the rows given in `<folder>/<model>.yaml`, and the rows that must come out.

A case names only the columns it is about. What it leaves out is NULL, except flags (FALSE) and the machinery
(`_account` main, `_key` the row's number, `_seq` 1, `_extracted_at` and `_loaded_at` the case's `as_of`).
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from include.activate.segment import read_segment, visible_sql
from include.run import Run
from include.settings import ROOT, Settings
from include.warehouse import models
from include.warehouse.engine import Engine
from include.warehouse.identity.evidence import EVIDENCE, rules
from include.warehouse.identity.tables import TABLES as STITCHED
from include.warehouse.render import parse
from include.warehouse.schema import OPS, raw_table

HERE = Path(__file__).parent
AS_OF = "2026-11-20T12:00:00Z"
KEYS = {"case", "given", "as_of", "timezone", "space", "expect"}
INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})")


DECLARED = {table.name: table for table in (EVIDENCE, *STITCHED, *OPS)}
"""Tables that no model makes."""


@dataclass(frozen=True)
class Case:
    """One case of one model's file."""

    model: str
    name: str
    path: Path
    given: Mapping[str, Sequence[Mapping[str, Any]]]
    expect: Sequence[Mapping[str, Any]]
    as_of: datetime
    timezone: str = "UTC"
    space: str = ""

    @property
    def settings(self) -> Settings:
        """Settings of the run the case describes."""
        return Settings(home=Path("nowhere"), timezone=self.timezone, identity_space=self.space)

    @property
    def run(self) -> Run:
        """The run the case describes."""
        return Run.of("unify", self.name, self.as_of)


def instant(text: str | datetime) -> datetime:
    """An instant as a case writes it, in UTC."""
    value = text if isinstance(text, datetime) else datetime.fromisoformat(text)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


@cache
def every_model() -> dict[str, models.Model]:
    """Every model by the place of its case file: `staging/stripe/stripe__charges`, `rules/segment_sign_in`."""
    found = {f"staging/{model.path.parent.name}/{model.path.stem}": model for model in models.staging_models()}
    found |= {f"rules/{model.path.stem}": model for model in rules()}
    found |= {f"fields/{model.path.stem}": model for model in models.field_models()}
    found |= {f"marts/{model.name.removeprefix('marts.')}": model for model in models.mart_models()}
    found |= {f"identity/{name}": model for name, model in models.identity_models().items()}
    for path in sorted((ROOT / "include" / "segments").glob("*.sql")):
        found[f"segments/{path.stem}"] = models.read_model(path, f"segments.{path.stem}")
    return found


def read_cases(path: Path) -> list[Case]:
    """The cases of one file; a word that is no part of a case is an error, or a typo would test nothing."""
    found = []
    for item in yaml.load(path.read_text(), Loader=yaml.CSafeLoader):
        if item.keys() - KEYS or not {"case", "given", "expect"} <= item.keys():
            raise ValueError(f"{path}: case {item.get('case')!r} has {sorted(item)}, not {sorted(KEYS)}")
        as_of = instant(item.get("as_of", AS_OF))
        model = str(path.relative_to(HERE).with_suffix(""))
        extra = {key: item[key] for key in ("timezone", "space") if key in item}
        found.append(Case(model, item["case"], path, item["given"], item["expect"], as_of, **extra))
    return found


CASES = [case for path in sorted(HERE.rglob("*.yaml")) for case in read_cases(path)]


def seen_sql(model: models.Model, flagged: frozenset[str]) -> str:
    """The model's SQL as the program runs it: a segment sees only what is certain in its `flagged` tables."""
    return visible_sql(read_segment(model.path), flagged) if model.name.startswith("segments.") else model.sql


@dataclass
class Bench:
    """Puts a case's rows into real tables, runs its model as the program does, and empties the tables again."""

    engine: Engine
    made: set[str] = field(default_factory=set)

    def run(self, case: Case) -> list[dict[str, Any]]:
        """What the case's model makes of the case's rows."""
        model = every_model()[case.model]
        try:
            for table in sorted(model.reads | case.given.keys()):
                self.create(table)
            for table, rows in case.given.items():
                self.engine.append(table, complete(self.engine.columns(table), rows, case.as_of))
            if not model.name.startswith("marts."):
                flagged = frozenset(name for name in model.reads if "is_inferred_identity" in self.engine.columns(name))
                return self.engine.query(seen_sql(model, flagged), models.clock(case.run, case.settings))
            self.made.add(model.name)
            models.build(self.engine, [model], case.run, case.settings)
            return self.engine.query(f"SELECT * FROM {model.name}")
        finally:
            for table in case.given.keys() | ({model.name} & self.made):
                self.engine.execute(f"DELETE FROM {table} WHERE TRUE")

    def create(self, table: str) -> None:
        """Create a table empty, with the types that its model or its declaration gives it."""
        if table in self.made:
            return
        made_by = {model.name: model for model in every_model().values()}
        if table.startswith("raw."):
            self.engine.ensure([raw_table(*table.removeprefix("raw.").split("__", 1))])
        elif table in DECLARED:
            self.engine.ensure([DECLARED[table]])
        else:
            for read in sorted(made_by[table].reads):
                self.create(read)
            nothing = f"SELECT * FROM ({made_by[table].sql}) WHERE FALSE"
            self.engine.execute(f"CREATE TABLE IF NOT EXISTS {table} AS {nothing}", models.clock(None, Settings()))
        self.made.add(table)


def complete(types: Mapping[str, str], rows: Sequence[Mapping[str, Any]], as_of: datetime) -> list[dict[str, Any]]:
    """The rows with every column of their table, whose types are given by name."""
    machinery = {
        "_account": "main",
        "_seq": 1,
        "_part": 0,
        "_run_id": "run",
        "_extracted_at": as_of,
        "_loaded_at": as_of,
    }
    whole = []
    for number, row in enumerate(rows, 1):
        flags = {name: False for name, kind in types.items() if kind.startswith("BOOL")}
        given = {name: _text(value) if isinstance(value, dict) else value for name, value in row.items()}
        values = {**flags, **machinery, "_key": str(number), **given}
        whole.append({name: values.get(name) for name in {**types, **given}})
    return whole


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def plain(value: Any) -> Any:
    """A value as two sides compare it: instants in UTC, numbers exact, everything else itself."""
    if isinstance(value, datetime) or (isinstance(value, str) and INSTANT.fullmatch(value)):
        return f"{instant(value):%Y-%m-%dT%H:%M:%S.%fZ}"
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return Decimal(str(value)).normalize()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in sorted(value.items())}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def difference(expected: Sequence[Mapping[str, Any]], got: Sequence[Mapping[str, Any]], *, ordered: bool) -> str:
    """What differs in the expected columns, one row a line (`-` expected, `+` got); empty when nothing does."""
    if not expected or not got:
        return "\n".join([f"- {dict(row)}" for row in expected] + [f"+ {dict(row)}" for row in got])
    columns = list(expected[0])
    if any(list(row) != columns for row in expected):
        return "every expected row must list the same columns in the same order"
    if missing := [name for name in columns if name not in got[0]]:
        return f"the model has no column {', '.join(missing)}; it has {', '.join(got[0])}"
    structured = {name for row in expected for name, value in row.items() if isinstance(value, dict)}

    def line(row: Mapping[str, Any], *, is_json: bool) -> str:
        read = {name: row[name] for name in columns}
        if is_json:
            read |= {name: json.loads(row[name]) for name in structured if row[name] is not None}
        return "{" + ", ".join(f"{name}: {plain(value)!r}" for name, value in read.items()) + "}"

    left = [line(row, is_json=False) for row in expected]
    right = [line(row, is_json=True) for row in got]
    if not ordered:
        left, right = sorted(left), sorted(right)
    return "" if left == right else "\n".join(difflib.ndiff(left, right))


def verdict(case: Case, got: Sequence[Mapping[str, Any]]) -> str:
    """What differs between what a case expects and what came out; empty when nothing does."""
    is_ordered = parse(every_model()[case.model].sql).args.get("order") is not None
    seen = difference(case.expect, got, ordered=is_ordered)
    return f"{case.path.relative_to(ROOT)}: {case.name}\n{seen}" if seen else ""
