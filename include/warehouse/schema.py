"""Declared tables that no model makes: raw, and the warehouse's own books in `ops`."""

from __future__ import annotations

from include.warehouse.engine import Column, Table

RAW_COLUMNS = (
    Column("_account", "STRING", "account of the vendor the record was pulled from"),
    Column("_run_id", "STRING", "run that pulled it"),
    Column("_part", "INT64", "landing part it was loaded from"),
    Column("_seq", "INT64", "order in which loads were committed; the age of evidence for identity"),
    Column("_key", "STRING", "the vendor's key, parts joined by |"),
    Column("_extracted_at", "TIMESTAMP", "when the vendor answered with it"),
    Column("_loaded_at", "TIMESTAMP", "when its manifest was committed; equal on every repeat of the load"),
    Column("_payload", "JSON", "the record as the vendor sent it"),
    Column("_deleted_at", "TIMESTAMP", "when a key sweep found it gone, the record as it last was; else NULL"),
)

LOADS = Table(
    "ops.loads",
    (
        Column("seq", "INT64", "order of commit into the warehouse, never reused"),
        Column("source", "STRING", "source that was pulled"),
        Column("account", "STRING", "account of the source"),
        Column("stream", "STRING", "stream of the source"),
        Column("run_id", "STRING", "run that pulled it"),
        Column("manifest_seq", "INT64", "order in which manifests were committed to landing"),
        Column("kind", "STRING", "incremental, full, backfill or sweep"),
        Column("loaded_at", "TIMESTAMP", "commit time of the manifest"),
        Column("as_of", "TIMESTAMP", "clock of the run that pulled it: the data is complete up to here"),
        Column("records", "INT64", "records in the loaded parts; of a sweep, those found gone or back"),
        Column("bytes", "INT64", "size of the parts as they lie in landing, compressed"),
        Column("requests", "INT64", "calls to the vendor"),
        Column("retries", "INT64", "calls that were repeated"),
        Column("throttled", "INT64", "answers that said: too many requests"),
        Column("throttled_seconds", "FLOAT64", "time spent waiting because the vendor asked for it"),
        Column("quarantined", "INT64", "records without a usable key, kept beside the parts"),
        Column("cursor_to", "STRING", "the stream's cursor after this load, as the vendor writes it"),
        Column("is_complete", "BOOL", "whether the whole window was read"),
    ),
    "One row per stream and run that reached the warehouse.",
)

STAGED = Table(
    "ops.staged",
    (
        Column("model", "STRING", "staging table"),
        Column("seq", "INT64", "greatest load staged so far"),
        Column("sql", "STRING", "the model's SQL then; columns new since are added, any other change rebuilds"),
        Column("staged_at", "TIMESTAMP", "clock of the run that staged last"),
    ),
    "How far each staging table has come.",
)

PUBLISHED = Table(
    "ops.published",
    (
        Column("generation", "STRING", "id of the unify run that built it"),
        Column("base", "STRING", "whole generation under this one; its own id where this one is whole"),
        Column("as_of", "TIMESTAMP", "clock of that run"),
        Column("published_at", "TIMESTAMP", "when readers began to see it"),
        Column("seq_to", "INT64", "greatest load it contains"),
        Column("people", "INT64", "rows of marts.customers"),
        Column("events", "INT64", "rows of marts.activities"),
    ),
    "One row per published generation; the latest is what everybody reads.",
)

ERASURES = Table(
    "ops.erasures",
    (
        Column("erasure_id", "STRING", "one request to erase a person"),
        Column("requested_at", "TIMESTAMP", "when it was asked for"),
        Column("kind", "STRING", "kind of the identifier that was named; the identifier itself is not kept"),
        Column("customer_id", "STRING", "who was erased, a hash; NULL where nobody was known yet"),
        Column(
            "status",
            "STRING",
            "started; erased: nobody reads them any more; leaving: a destination holds them still; or done",
        ),
        Column(
            "finished_at",
            "TIMESTAMP",
            "when nothing was left here but the address that a destination is still to let go of",
        ),
        Column("salt_id", "STRING", "which salt its tombstones were made with"),
        Column("counts_json", "STRING", "rows that went, by place"),
        Column("returned", "INT64", "records that vendors brought back since, and that were erased again"),
        Column("returned_at", "TIMESTAMP", "when that was the last time"),
    ),
    "Proof of what was erased: one row per request, without anything that says who it was.",
)

TOMBSTONES = Table(
    "ops.tombstones",
    (
        Column("kind", "STRING", "kind of the identifier; one of identity/kinds.py"),
        Column("digest", "STRING", "SHA-256 of the secret salt, the kind and the normalized identifier, hexadecimal"),
        Column("erasure_id", "STRING", "the erasure that it belongs to"),
        Column("created_at", "TIMESTAMP", "clock of the run that wrote it"),
    ),
    "Identifiers of erased people, as salted hashes: by them the next pull is known and erased again.",
)

ERASING = Table(
    "ops.erasing",
    (
        Column("erasure_id", "STRING", "the erasure that it belongs to"),
        Column("place", "STRING", "raw table that holds the record"),
        Column("account", "STRING", "`_account` of the record"),
        Column("run_id", "STRING", "run that landed it"),
        Column("record_key", "STRING", "`_key` of the record"),
    ),
    "Records that are to go from raw and landing; empty as soon as they are gone.",
)

ERASED_LINKS = Table(
    "ops.erased_links",
    (
        Column("erasure_id", "STRING", "the erasure that it belongs to"),
        Column("left_kind", "STRING", "kind of one identifier"),
        Column("left_value", "STRING", "one identifier: the salted hash of one erased, or one that people share"),
        Column("right_kind", "STRING", "kind of the other identifier"),
        Column("right_value", "STRING", "the other identifier, likewise"),
        Column("first_seq", "INT64", "first load that carried both"),
        Column("first_seen_at", "TIMESTAMP", "when a record first carried both"),
        Column("last_seen_at", "TIMESTAMP", "when a record last carried both"),
        Column(
            "first_name", "STRING", "salted hash of the first name on the left one's record, which then links nothing"
        ),
        Column("last_name", "STRING", "the same of the last name"),
    ),
    "That somebody erased, unknown who, used what others share: without it a shared device would become one person's.",
)

SWEEPS = Table(
    "ops.sweeps",
    (
        Column("source", "STRING", "source that was swept"),
        Column("account", "STRING", "account of the source"),
        Column("stream", "STRING", "stream of the source"),
        Column("run_id", "STRING", "run that read the keys"),
        Column("started_at", "TIMESTAMP", "when it began: records read later are never taken for deleted"),
        Column("loaded_at", "TIMESTAMP", "when the last key was read; `_deleted_at` of what was gone"),
        Column("known", "INT64", "records that raw held and that were not marked as deleted"),
        Column("seen", "INT64", "keys that the vendor showed"),
        Column("deleted", "INT64", "known records that it did not show"),
        Column("returned", "INT64", "records marked by an earlier sweep that it shows again"),
        Column("reason", "STRING", "why nothing was marked all the same; empty where all was"),
        Column("is_cleared", "BOOL", "whether the keys are gone from landing"),
    ),
    "One row per key sweep of a stream.",
)

SWEPT_KEYS = Table(
    "ops.swept_keys",
    RAW_COLUMNS,
    "Keys that a sweep read, while they are compared with raw; empty at all other times.",
)

OPS = (LOADS, STAGED, PUBLISHED, ERASURES, TOMBSTONES, ERASING, ERASED_LINKS, SWEEPS, SWEPT_KEYS)


def raw_table(source: str, stream: str, description: str = "") -> Table:
    """The raw table of one stream."""
    return Table(f"raw.{source}__{stream}", RAW_COLUMNS, description, "DATE(_loaded_at)", ("_key",), True)


def raw_tables() -> list[Table]:
    """The raw tables of every shipped source and of the collector, whatever is switched on."""
    from include.collector.streams import collector_source
    from include.sources import all_sources

    sources = (*all_sources().values(), collector_source())
    return [raw_table(source.name, stream.name, stream.description) for source in sources for stream in source.streams]
