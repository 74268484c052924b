"""Which record carries which identifiers: every row of raw, by a number that finds it again, and what it holds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from sqlglot import exp

from include.warehouse.identity.evidence import rules
from include.warehouse.identity.kinds import KINDS, Role
from include.warehouse.identity.normalize import normalized
from include.warehouse.models import Model, identity_models, staging_models
from include.warehouse.render import inlined, parse
from include.warehouse.schema import raw_tables

ADDRESS = r"[a-z0-9.!#$%&*+/=?^_{|}~-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+"
"""What looks like an address in a payload that no staging SQL reads."""
WINDOW = "_loaded_at >= @loaded_from AND _seq > @seq_from AND _seq <= @seq_to"


_STAGED = tuple(model.name for model in staging_models())


def number(table: str) -> str:
    """GoogleSQL of a row's number: equal for the versions of one record that one run brought."""
    said = f"CONCAT('{table}/', _account, '/', _run_id, '/', _key)"
    return f"CAST(CONCAT('0x', SUBSTR(TO_HEX(SHA256({said})), 1, 15)) AS INT64)"


def typed(model: Model) -> str:
    """A staging model's SELECT over the window's rows of raw, with their numbers for `_seq`."""
    return inlined(model.sql, {table: _numbered(table) for table in model.reads})


def carried(model: Model) -> str:
    """SELECT of (number, kind, value, event_id): what each row of `scratch.typed` carries, normalized."""
    found = [*_by_rules(model.name), *_by_events(model.name), *_by_columns(model)]
    if not found:
        return ""
    value = normalized("f.kind", "f.value")
    return f"""SELECT DISTINCT number, kind, value, event_id
        FROM (
          SELECT f.number, f.kind, CONCAT(@space, {value}) AS value, f.event_id FROM ({" UNION ALL ".join(found)}) AS f
        ) AS n
        WHERE value IS NOT NULL"""


def mentioned(table: str) -> str:
    """The same of a raw table that no staging SQL reads: the addresses in its payloads."""
    return f"""SELECT DISTINCT r._seq AS number, 'email' AS kind, CONCAT(@space, address) AS value,
          CAST(NULL AS STRING) AS event_id
        FROM ({_numbered(table)}) AS r, UNNEST(REGEXP_EXTRACT_ALL(LOWER(TO_JSON_STRING(r._payload)), r'{ADDRESS}'))
          AS address"""


@cache
def unstaged() -> tuple[str, ...]:
    """Raw tables whose records staging does not take apart."""
    read = frozenset().union(*(model.reads for model in staging_models())) - {"raw.kinesis__records"}
    return tuple(sorted(table.name for table in raw_tables() if table.name not in read))


def _numbered(table: str) -> str:
    return f"SELECT * REPLACE ({number(table)} AS _seq) FROM {table} AS r WHERE {WINDOW}"


def _by_rules(table: str) -> Iterator[str]:
    for rule in rules():
        for leaf in _leaves(rule, table) if table in rule.reads and not rule.header["inferred"] else ():
            for side in ("left", "right"):
                yield _row(f"{side}_kind", f"{side}_value", "CAST(NULL AS STRING)", leaf)


def _by_events(table: str) -> Iterator[str]:
    for leaf in _leaves(identity_models()["occurrences"], table):
        yield _row("kind", "value", "event_id", leaf.select(exp.column("_seq"), append=True))


def _by_columns(model: Model) -> Iterator[str]:
    """Columns that are named for a kind, rules or not: a vendor's own ids stand behind their account."""
    tree = parse(model.sql)
    have = set(tree.named_selects) if isinstance(tree, exp.Query) else set()
    for kind in KINDS:
        if kind.name in have:
            is_record = kind.role is Role.RECORD
            value = f"CONCAT(_account, '/', {kind.name})" if is_record else kind.name
            rows = parse(f"SELECT _seq, {value} AS value FROM {model.name}")
            yield _row(f"'{kind.name}'", "CAST(value AS STRING)", "CAST(NULL AS STRING)", rows)


def _row(kind: str, value: str, event_id: str, rows: exp.Expr) -> str:
    over = inlined(rows.sql(dialect="bigquery"), dict.fromkeys(_STAGED, "SELECT * FROM scratch.typed"))
    return f"SELECT _seq AS number, {kind} AS kind, {value} AS value, {event_id} AS event_id FROM ({over}) AS o"


def _leaves(model: Model, table: str) -> Iterator[exp.Select]:
    """The SELECTs of a UNION that read one staging table."""
    waiting: list[exp.Expr] = [parse(model.sql)]
    while waiting:
        tree = waiting.pop()
        if isinstance(tree, exp.SetOperation):
            waiting += [tree.this, tree.expression]
        elif isinstance(tree, exp.Select):
            read = {f"{found.db}.{found.name}" for found in tree.find_all(exp.Table) if found.db}
            if read == {table}:
                yield tree.copy()
