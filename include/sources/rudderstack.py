"""RudderStack's warehouse tables: Segment's, column for column, as its libraries and its message ids are."""

from __future__ import annotations

from dataclasses import replace

from include.sources.segment import SOURCE as SEGMENT

SOURCE = replace(
    SEGMENT,
    name="rudderstack",
    title="RudderStack",
    docs_url="https://www.rudderstack.com/docs/destinations/warehouse-destinations/warehouse-schema/",
    # Groups are `_groups` there, because BigQuery reserves the word.
    not_covered="Groups, screens, aliases, the tables for each event's name, discards and the identity tables.",
)
