"""Segment's warehouse tables: what visitors did, who they said they are, and the users known by id."""

from __future__ import annotations

from datetime import timedelta

from include.connect.source import Source, Stream, WarehouseTables

SOURCE = Source(
    name="segment",
    title="Segment",
    docs_url="https://segment.com/docs/connections/storage/warehouses/schema/",
    not_covered="Groups, screens and the tables that Segment makes for each event's name.",
    # Rows become visible when their load job ends; loads that started before a run may end after it.
    tables=WarehouseTables(cursor="loaded_at", lookback=timedelta(hours=1)),
    streams=tuple(
        Stream(
            name,
            key=("id",),
            cursor="loaded_at",
            lookback=timedelta(hours=1),
            deletes="never deleted",
            description=description,
        )
        for name, description in (
            ("tracks", "Actions, without their properties"),
            ("identifies", "Who a visitor said they are, one column per trait"),
            ("pages", "Pages seen"),
            ("users", "Known users with their latest traits"),
        )
    ),
)
