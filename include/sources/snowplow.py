"""Snowplow's warehouse table: every event of every tracker in one, with some 130 columns and one per schema."""

from __future__ import annotations

from datetime import timedelta

from include.connect.source import Source, Stream, WarehouseTables

LOOKBACK = timedelta(hours=1)
"""Loaders run side by side: what one stamped before a run may be seen only after it."""

SOURCE = Source(
    name="snowplow",
    title="Snowplow",
    docs_url="https://docs.snowplow.io/docs/fundamentals/canonical-event/",
    not_covered="Entities and self-describing events beyond their names, which have columns of your own schemas.",
    # Not etl_tstamp: a loader that was down for hours brings events that were enriched hours ago.
    tables=WarehouseTables(cursor="load_tstamp", lookback=LOOKBACK),
    streams=(
        Stream(
            "events",
            key=("event_id",),
            cursor="load_tstamp",
            lookback=LOOKBACK,
            deletes="never deleted",
            description="Page views, actions and everything else that trackers send, page pings included",
        ),
    ),
)
