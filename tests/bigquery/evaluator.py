"""ZetaSQL's reference implementation: executes SELECTs as Google defines them, over the rows that stand in them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as messages
from zetasql.wasi._pb2.zetasql.public import type_pb2
from zetasql_service import empty_catalog, options, service

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def evaluate(sql: str) -> list[dict[str, Any]]:
    """Rows of a SELECT that reads no table and has no parameter; JSON as text.

    Raises:
        Refused: it does not analyze, or a value cannot be computed.
    """
    request = messages.EvaluateQueryRequest(sql=sql, options=options(), registered_catalog_id=_catalog())
    answer = service().call("EvaluateQuery", request, messages.EvaluateQueryResponse)
    columns = answer.prepared.columns
    return [
        {column.name: _value(cell, column.type) for column, cell in zip(columns, row.cell, strict=True)}
        for row in answer.content.table_data.row
    ]


@cache
def _catalog() -> int:
    request = messages.RegisterCatalogRequest(simple_catalog=empty_catalog())
    return service().call("RegisterCatalog", request, messages.RegisterResponse).registered_id


def _value(cell: Any, kind: Any) -> Any:
    name = cell.WhichOneof("value")
    if name is None:
        return None
    held = getattr(cell, name)
    if kind.type_kind == type_pb2.TYPE_ARRAY:
        return [_value(each, kind.array_type.element_type) for each in held.element]
    if kind.type_kind == type_pb2.TYPE_TIMESTAMP:
        return EPOCH + timedelta(seconds=held.seconds, microseconds=held.nanos // 1000)
    if kind.type_kind == type_pb2.TYPE_NUMERIC:
        return Decimal(int.from_bytes(held, "little", signed=True)).scaleb(-9)
    if kind.type_kind == type_pb2.TYPE_DATE:
        return date(1970, 1, 1) + timedelta(days=held)
    return held
