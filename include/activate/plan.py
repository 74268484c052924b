"""The plan of a sync: what the list wants against what the destination last accepted, worked out in the warehouse."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from include.activate.destination import Destination, FieldKind
from include.activate.header import SyncSpec
from include.activate.segment import Segment
from include.connect.errors import FixSettings
from include.journey.link import JOURNEY_URL, pages_url
from include.run import Run
from include.settings import Settings
from include.warehouse.engine import Engine

SENT = ("enter", "update", "leave")
GIVE_UP_DAYS = 14
PATIENCE = 3
"""Rejections in a row after which a row with the same value waits between tries, 1 h, 2 h, 4 h ... 12 h at most."""
ALIVE_DAYS = 7
"""A list that was not computed for so long holds nobody's tag any more."""
ROW_COLUMNS = "customer_id, place, address, operation, intended, fields_json, previous_json, fields_hash, reason"


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows of each kind; `holding` is what the destination holds because of us."""

    enter: int = 0
    update: int = 0
    leave: int = 0
    unchanged: int = 0
    suppressed: int = 0
    invalid: int = 0
    deferred: int = 0
    members: int = 0
    holding: int = 0

    @property
    def to_send(self) -> int:
        """Rows that cost a place in a call."""
        return self.enter + self.update + self.leave


@dataclass(frozen=True, slots=True)
class Drawing:
    """A plan as worked out now, not yet kept: its rows are in `scratch.plan_rows`."""

    generation: str
    counts: Counts
    content: str

    def plan_id(self, sync: str, run: Run) -> str:
        """Hash of the run and of every row that would be sent."""
        return hashlib.sha256(f"{sync}\n{run.run_id}\n{self.content}".encode()).hexdigest()[:16]


def sync_id(segment: Segment, destination: Destination) -> str:
    """Name of a sync in every table: `<segment>__<destination>`."""
    return f"{segment.name}__{destination.name}"


def no_list(engine: Engine, segment: Segment) -> tuple[str, str | None]:
    """The generation of the latest list, and why there is none to sync (None when there is one)."""
    rows = engine.query(
        "SELECT generation, status, members, reason FROM segments.runs WHERE segment = @segment "
        "ORDER BY as_of DESC, run_id DESC LIMIT 1",
        {"segment": segment.name},
    )
    if not rows:
        return "", f"{segment.name} was never computed"
    latest = rows[0]
    generation = latest["generation"] or ""
    if latest["status"] != "computed":
        return generation, f"{segment.name} is held: {latest['reason']}"
    have = (
        int(engine.query(f"SELECT COUNT(*) AS n FROM {segment.table}")[0]["n"])
        if engine.columns(segment.table)
        else None
    )
    if have != latest["members"]:
        return generation, f"{segment.table} has {have} rows where its run wrote {latest['members']}; compute it again"
    if not engine.at(generation).columns("marts.customers"):
        return generation, f"{segment.name} rests on generation {generation}, which is gone; compute it again"
    return generation, None


def field_kinds(engine: Engine, segment: Segment, spec: SyncSpec, generation: str) -> dict[str, FieldKind]:
    """Every field the sync writes, with its kind."""
    kinds: dict[str, FieldKind] = {}
    if spec.target and _is_field(spec):
        kinds[spec.target] = "bool"
    for name, kind, _ in _mapped(engine.at(generation), segment, spec):
        kinds[name] = kind
    return kinds


def draw(
    engine: Engine,
    segment: Segment,
    spec: SyncSpec,
    destination: Destination,
    run: Run,
    generation: str,
    extra: Mapping[str, Any],
    settings: Settings,
) -> Drawing:
    """Work the plan out into `scratch.plan_rows`; nothing that lasts is written.

    Raises:
        FixSettings: the header names a column or a consent that does not exist, or links and nobody said to where.
    """
    sync = sync_id(segment, destination)
    reader = engine.at(generation)
    params: dict[str, Any] = {
        "sync": sync,
        "as_of": run.as_of,
        "target": spec.target,
        "channel": spec.consent or "",
        "suffix": f"__{destination.name}",
        "container": str(extra.get(destination.default_container or "") or ""),
        "give_up_days": GIVE_UP_DAYS,
        "patience": PATIENCE,
    }
    if any(column == JOURNEY_URL for _, column in spec.fields):
        params["pages"] = pages_url(settings)
    reader.execute(_desired_sql(reader, segment, spec, destination), params)
    reader.execute(_state_sql(reader, spec), params)
    reader.execute(_compared_sql(spec), params)
    reader.execute(_rows_sql(), params)
    tally = {
        row["operation"]: row
        for row in reader.query(
            "SELECT operation, COUNT(*) AS n, BIT_XOR(CAST(CONCAT('0x', SUBSTR(TO_HEX(SHA256(CONCAT("
            "operation, '|', place, '|', address, '|', customer_id, '|', fields_hash))), 1, 15)) AS INT64)) AS content "
            "FROM scratch.plan_rows GROUP BY operation"
        )
    }
    sizes = reader.query(
        f"SELECT (SELECT COUNT(*) FROM {segment.table}) AS members, "
        "(SELECT COUNT(*) FROM activation.state WHERE sync = @sync) AS holding, "
        "(SELECT COUNT(*) FROM scratch.plan_compared WHERE intended = 'unchanged') AS unchanged",
        params,
    )[0]
    numbers = {name: int(row["n"]) for name, row in tally.items()} | {name: int(value) for name, value in sizes.items()}
    content = "/".join(f"{name}:{tally[name]['n']}:{tally[name]['content']}" for name in SENT if name in tally)
    known = {field.name for field in fields(Counts)}
    return Drawing(generation, Counts(**{name: n for name, n in numbers.items() if name in known}), content)


def _is_field(spec: SyncSpec) -> bool:
    from include.destinations import get_destination

    return get_destination(spec.to).target == "field"


def _mapped(reader: Engine, segment: Segment, spec: SyncSpec) -> list[tuple[str, FieldKind, str]]:
    """Each mapped field: its name, its kind, and the expression of its value."""
    listed, people = reader.columns(segment.table), reader.columns("marts.customers")
    found: list[tuple[str, FieldKind, str]] = []
    for name, column in spec.fields:
        if column == JOURNEY_URL:
            found.append((name, "text", "CONCAT(@pages, l.customer_id)"))
            continue
        table = "l" if column in listed else "c"
        kind = (listed if column in listed else people).get(column)
        where = f"{segment.path}:{spec.line}"
        if kind is None:
            raise FixSettings(
                f"{name}: no column {column!r}",
                where=where,
                fix=f"Name a column of {segment.table} or of marts.customers, or {JOURNEY_URL}.",
            )
        found.append((name, *_value(f"{table}.{column}", kind, name, where)))
    return found


def _value(column: str, kind: str, name: str, where: str) -> tuple[FieldKind, str]:
    if kind.startswith(("ARRAY", "STRUCT", "JSON", "BYTES")):
        raise FixSettings(
            f"{name}: {column[2:]} is no single value", where=where, fix="Map a text, number, date or flag."
        )
    if kind == "BOOL":
        return "bool", column
    if kind == "INT64":
        return "number", column
    if kind in ("FLOAT64", "NUMERIC"):
        return "number", f"CAST({column} AS FLOAT64)"
    if kind == "TIMESTAMP":
        return "text", f"FORMAT_TIMESTAMP('%Y-%m-%dT%H:%M:%SZ', {column})"
    return "text", f"CAST({column} AS STRING)"


def _desired_sql(reader: Engine, segment: Segment, spec: SyncSpec, destination: Destination) -> str:
    """Everybody on the list, where and as what they should be at the destination, or why they cannot be sent."""
    people = reader.columns("marts.customers")
    if destination.key not in people:
        raise FixSettings(
            f"{destination.name} needs a column {destination.key} of marts.customers, which is not there",
            where=f"{segment.path}:{spec.line}",
            fix=f"Add include/warehouse/fields/{destination.key}.sql and the column, or remove the sync.",
        )
    values = [(name, expression) for name, _, expression in _mapped(reader, segment, spec)]
    if spec.target and destination.target == "field":
        values.insert(0, (spec.target, "TRUE"))
    struct = ", ".join(f"{expression} AS `{name}`" for name, expression in values)
    json = f"TO_JSON_STRING(STRUCT({struct}))" if values else "'{}'"
    # An ordered list of columns, each with its length, so no two rows can pass for one another.
    parts = []
    for name, expression in values:
        text = f"CAST({expression} AS STRING)"
        parts.append(f"'{name}=', COALESCE(CONCAT(CAST(CHAR_LENGTH({text}) AS STRING), ':', {text}), 'null')")
    digest = f"TO_HEX(SHA256(CONCAT({', '.join(parts)})))" if parts else "'no fields'"
    refusals = ["WHEN c.customer_id IS NULL THEN 'unknown_customer'"]
    if spec.consent:
        column = f"has_{spec.consent}_consent"
        if column not in people:
            raise FixSettings(
                f"nobody records a consent {spec.consent!r}",
                where=f"{segment.path}:{spec.line}",
                fix=f"Add {column} to marts.customers or correct `consent:`.",
            )
        if reader.columns("marts.consents"):
            refusals.append(
                f"WHEN NOT COALESCE(c.{column}, FALSE) AND EXISTS (SELECT 1 FROM marts.consents AS k "
                "WHERE k.customer_id = c.customer_id AND k.channel = @channel AND k.status = 'denied') "
                "THEN 'unsubscribed'"
            )
        refusals.append(f"WHEN NOT COALESCE(c.{column}, FALSE) THEN 'no_consent'")
    if destination.requires:
        refusals.append(f"WHEN c.{destination.requires} IS NULL THEN 'not_at_destination'")
    refusals.append("WHEN COALESCE(TRIM(CAST(c.key_value AS STRING)), '') = '' THEN 'no_address'")
    if reader.columns("identity.blocked_values"):
        refusals.append(
            "WHEN EXISTS (SELECT 1 FROM identity.blocked_values AS b WHERE b.kind = 'email' AND b.value = c.key_value) "
            "THEN 'blocked_address'"
        )
    refusals.append("WHEN c.sharing > 1 THEN 'shared_address'")
    container = f"COALESCE(NULLIF(c.{destination.container}, ''), @container)" if destination.container else "''"
    place = f"CONCAT({container}, '/', @target)" if destination.container else "@target"
    return (
        "CREATE OR REPLACE TABLE scratch.plan_desired AS WITH c AS ("
        f"SELECT *, {destination.key} AS key_value, "
        f"COUNT(*) OVER (PARTITION BY {destination.key}) AS sharing FROM marts.customers), "
        f"judged AS (SELECT l.customer_id AS customer_id, {place} AS place, "
        f"TRIM(CAST(c.key_value AS STRING)) AS address, {json} AS fields_json, {digest} AS fields_hash, "
        f"CASE {' '.join(refusals)} END AS refusal "
        f"FROM {segment.table} AS l LEFT JOIN c ON c.customer_id = l.customer_id) "
        "SELECT customer_id, COALESCE(place, '') AS place, COALESCE(address, '') AS address, fields_json, fields_hash, "
        "refusal FROM judged"
    )


def _state_sql(reader: Engine, spec: SyncSpec) -> str:
    """What was accepted, each row under the id its person has now, and whether that person still consents."""
    has_redirects = bool(reader.columns("identity.redirects"))
    owner = "COALESCE(r.customer_id, s.customer_id)" if has_redirects else "s.customer_id"
    join = "LEFT JOIN identity.redirects AS r ON r.old_customer_id = s.customer_id " if has_redirects else ""
    can_share = "TRUE" if spec.target and not spec.fields else "FALSE"
    is_erased, erased = "FALSE", ""
    if reader.columns("ops.erasures"):
        is_erased = "c.customer_id IS NULL AND x.customer_id IS NOT NULL"
        erased = "LEFT JOIN (SELECT DISTINCT customer_id FROM ops.erasures) AS x ON x.customer_id = o.owner "
    consents = f"COALESCE(c.has_{spec.consent}_consent, FALSE)" if spec.consent else "TRUE"
    return (
        "CREATE OR REPLACE TABLE scratch.plan_state AS WITH owned AS ("
        f"SELECT s.place AS place, s.address AS address, s.fields_json AS fields_json, s.fields_hash AS fields_hash, "
        "s.operation AS operation, s.operation IN ('entering', 'updating', 'leaving') AS is_unsure, "
        f"{owner} AS owner FROM activation.state AS s {join}WHERE s.sync = @sync), "
        # A tag that two lists set belongs to both: who leaves one keeps it for as long as the other has them.
        "elsewhere AS (SELECT DISTINCT s.place AS place, s.address AS address FROM activation.state AS s "
        "INNER JOIN (SELECT DISTINCT CONCAT(segment, @suffix) AS sync FROM segments.runs "
        f"WHERE as_of >= TIMESTAMP_SUB(@as_of, INTERVAL {ALIVE_DAYS} DAY)) AS l ON l.sync = s.sync "
        f"WHERE s.sync != @sync AND s.operation IN ('enter', 'update') AND {can_share}) "
        f"SELECT o.*, {consents} AS has_consent, {is_erased} AS is_erased, "
        "d.customer_id IS NOT NULL AS is_wanted, d.refusal AS refusal, "
        "e.address IS NOT NULL AS is_held_by_another "
        f"FROM owned AS o LEFT JOIN elsewhere AS e ON e.place = o.place AND e.address = o.address "
        f"LEFT JOIN marts.customers AS c ON c.customer_id = o.owner {erased}"
        "LEFT JOIN scratch.plan_desired AS d ON d.customer_id = o.owner"
    )


def _compared_sql(spec: SyncSpec) -> str:
    """Wanted against accepted, by address: a person who moved leaves one and enters another."""
    unchanged = "d.fields_hash = s.fields_hash" if spec.mode != "add_only" else "TRUE"
    moved = "s.is_wanted AND s.refusal IS NULL"
    leaves = {
        "leave": "TRUE",
        "consent": f"NOT s.has_consent OR ({moved})",
        "keep": moved,
    }[spec.removal]
    # Whoever was erased leaves, even where others would stay.
    leaves = f"s.is_erased OR {leaves}"
    return (
        "CREATE OR REPLACE TABLE scratch.plan_compared AS "
        "SELECT COALESCE(d.customer_id, s.owner) AS customer_id, COALESCE(d.place, s.place) AS place, "
        "COALESCE(d.address, s.address) AS address, "
        # Where nobody knows what arrived, the destination is told again, and all of it.
        "CASE WHEN s.address IS NULL THEN 'enter' "
        "WHEN d.address IS NOT NULL AND s.operation IN ('entering', 'leaving') THEN 'enter' "
        "WHEN d.address IS NOT NULL AND s.is_unsure THEN 'update' "
        f"WHEN d.address IS NOT NULL AND {unchanged} THEN 'unchanged' WHEN d.address IS NOT NULL THEN 'update' "
        f"WHEN ({leaves}) AND s.is_held_by_another THEN 'shared' "
        f"WHEN {leaves} THEN 'leave' ELSE 'kept' END AS intended, "
        "COALESCE(d.fields_json, s.fields_json) AS fields_json, "
        "IF(s.is_unsure AND d.address IS NOT NULL, NULL, s.fields_json) AS previous_json, "
        "COALESCE(d.fields_hash, s.fields_hash) AS fields_hash, "
        f"CASE WHEN d.address IS NOT NULL OR s.address IS NULL THEN NULL WHEN {moved} THEN 'moved' "
        "WHEN s.is_erased THEN 'erased' "
        "WHEN s.refusal IS NOT NULL THEN s.refusal WHEN NOT s.has_consent THEN 'no_consent' ELSE 'left' END AS reason "
        "FROM (SELECT * FROM scratch.plan_desired WHERE refusal IS NULL) AS d "
        "FULL JOIN scratch.plan_state AS s ON s.place = d.place AND s.address = d.address"
    )


def _rows_sql() -> str:
    """Every row that is not unchanged: sent, waiting after rejections, given up, suppressed or invalid."""
    return (
        "CREATE OR REPLACE TABLE scratch.plan_rows AS WITH seen AS ("
        "SELECT place, address, operation = 'leave' AS is_leave, status, fields_hash, code, as_of "
        "FROM activation.receipts WHERE sync = @sync AND status IN ('accepted', 'rejected')), "
        "settled AS (SELECT place, address, MAX(as_of) AS as_of FROM seen WHERE status = 'accepted' "
        "GROUP BY place, address), "
        "rejections AS (SELECT e.* FROM seen AS e "
        "LEFT JOIN settled AS a ON a.place = e.place AND a.address = e.address "
        "WHERE e.status = 'rejected' AND (a.as_of IS NULL OR e.as_of > a.as_of)), "
        "refused AS (SELECT place, address, is_leave, COUNT(*) AS tries, MIN(as_of) AS first_at, MAX(as_of) AS last_at "
        "FROM rejections GROUP BY place, address, is_leave), "
        "latest AS (SELECT place, address, is_leave, fields_hash, code FROM rejections QUALIFY ROW_NUMBER() OVER "
        "(PARTITION BY place, address, is_leave ORDER BY as_of DESC, fields_hash) = 1), "
        "judged AS (SELECT p.*, n.code AS code, "
        "CASE WHEN n.address IS NULL OR n.fields_hash != p.fields_hash THEN p.intended "
        "WHEN TIMESTAMP_DIFF(@as_of, f.first_at, DAY) >= @give_up_days THEN 'invalid' "
        "WHEN f.tries > @patience AND TIMESTAMP_DIFF(@as_of, f.last_at, SECOND) < "
        "3600 * LEAST(POW(2, f.tries - @patience - 1), 12) THEN 'deferred' "
        "ELSE p.intended END AS operation "
        "FROM scratch.plan_compared AS p "
        "LEFT JOIN refused AS f ON f.place = p.place AND f.address = p.address AND f.is_leave = (p.intended = 'leave') "
        "LEFT JOIN latest AS n ON n.place = p.place AND n.address = p.address AND n.is_leave = (p.intended = 'leave') "
        "WHERE p.intended IN ('enter', 'update', 'leave')), "
        "all_rows AS (SELECT customer_id, place, address, operation, intended, fields_json, previous_json, "
        "fields_hash, CASE operation "
        "WHEN 'invalid' THEN CONCAT('rejected for ', CAST(@give_up_days AS STRING), ' days: ', COALESCE(code, '')) "
        "WHEN 'deferred' THEN CONCAT('waits after rejections: ', COALESCE(code, '')) "
        "ELSE reason END AS reason FROM judged "
        "UNION ALL SELECT customer_id, place, address, "
        "IF(refusal = 'unknown_customer', 'invalid', 'suppressed') AS operation, 'enter' AS intended, fields_json, "
        "CAST(NULL AS STRING) AS previous_json, fields_hash, refusal AS reason "
        "FROM scratch.plan_desired WHERE refusal IS NOT NULL) "
        # People leave before others enter: a record merged at the vendor answers to both of its ids.
        "SELECT ROW_NUMBER() OVER (ORDER BY CASE operation WHEN 'leave' THEN 0 WHEN 'enter' THEN 1 "
        "WHEN 'update' THEN 1 ELSE 2 END, place, address, customer_id) AS position, "
        f"{ROW_COLUMNS} FROM all_rows"
    )
