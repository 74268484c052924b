"""The tables that stitching writes into a generation."""

from __future__ import annotations

from include.warehouse.engine import Column, Table

IDENTIFIERS = Table(
    "identity.identifiers",
    (
        Column("kind", "STRING", "kind of the identifier; one of identity/kinds.py"),
        Column("value", "STRING", "the identifier, normalized"),
        Column("customer_id", "STRING", "whose it is"),
        Column("is_inferred", "BOOL", "attached by inferred evidence only"),
        Column("score", "FLOAT64", "how far that is to be believed, 0 to 1; 1 for trusted evidence"),
        Column("evidence", "INT64", "links of this identifier that the stitching used"),
        Column("first_seen_at", "TIMESTAMP", "when a record first carried it"),
        Column("last_seen_at", "TIMESTAMP", "when a record last carried it"),
    ),
    "Every identifier that belongs to one person; blocked values and shared devices are not here.",
    cluster_by=("kind", "value"),
)
CUSTOMERS = Table(
    "identity.customers",
    (
        Column("customer_id", "STRING", "first 32 hex digits of SHA-256 of `anchor_kind:anchor_value`"),
        Column(
            "anchor_kind",
            "STRING",
            "kind of the identifier the id is made from: the one that the earliest load carried",
        ),
        Column("anchor_value", "STRING", "that identifier, normalized"),
        Column("anchor_seq", "INT64", "first load that carried the anchor; NULL for a lone event or session"),
        Column("created_at", "TIMESTAMP", "when the anchor was first seen"),
    ),
    "One row per person.",
    cluster_by=("customer_id",),
)
OWNERSHIP = Table(
    "identity.ownership",
    (
        Column("kind", "STRING", "kind of the identifier; one of identity/kinds.py"),
        Column("value", "STRING", "the identifier, normalized"),
        Column("customer_id", "STRING", "whose it was in that time"),
        Column("valid_from", "TIMESTAMP", "1970-01-01 means: ever since"),
        Column("valid_to", "TIMESTAMP", "NULL means: still"),
    ),
    "Whose an identifier was, when; a shared device has one row per turn.",
)
EVENTS = Table(
    "identity.events",
    (
        Column("event_id", "STRING", "the event, its source first (`segment/...`)"),
        Column("customer_id", "STRING", "who did it"),
        Column("is_inferred", "BOOL", "found only through an inferred identifier"),
    ),
    "Whose each event is.",
    cluster_by=("event_id",),
)
BLOCKED_VALUES = Table(
    "identity.blocked_values",
    (
        Column("kind", "STRING", "kind of the identifier; one of identity/kinds.py"),
        Column("value", "STRING", "the identifier, normalized"),
        Column(
            "reason",
            "STRING",
            "override, placeholder, role_inbox, shared_inbox, shared_record, shared_phone, shared_profile, "
            "shared_device, too_many_devices",
        ),
        Column("detail", "STRING", "what the data showed, and for what is shared from when to when"),
        Column("met", "INT64", "how many met there: accounts, names, or people"),
    ),
    "Values that join nobody, and why.",
)
LINKS = Table(
    "identity.links",
    (
        Column("customer_id", "STRING", "the person the link holds together"),
        Column("rule", "STRING", "file in identity/rules, email_hash, phone_hash, or must_link: what people decided"),
        Column("left_kind", "STRING", "kind of one identifier"),
        Column("left_value", "STRING", "one identifier, normalized"),
        Column("right_kind", "STRING", "kind of the other identifier"),
        Column("right_value", "STRING", "the other identifier, normalized"),
        Column("is_inferred", "BOOL", "whether the rule is a guess, which attaches but never joins"),
        Column("source", "STRING", "table of a record that carries both, source__stream"),
        Column("record_key", "STRING", "key of that record"),
        Column("first_seen_at", "TIMESTAMP", "when a record first carried both"),
        Column("occurrences", "INT64", "versions of records that carry both"),
    ),
    "The evidence that holds each person together, derived and decided links included.",
    cluster_by=("customer_id",),
)
REVIEW = Table(
    "identity.review",
    (
        Column("kind", "STRING", "kind of the identifier; one of identity/kinds.py"),
        Column("value", "STRING", "the identifier, normalized"),
        Column("candidates", "INT64", "people the inferred evidence points to"),
        Column("reason", "STRING", "ambiguous, two_people or nobody_known"),
    ),
    "Inferred evidence that attached nothing.",
)
CHANGES = Table(
    "identity.changes",
    (
        Column("changed_at", "TIMESTAMP", "`as_of` of the run"),
        Column("generation", "STRING", "run that saw the change"),
        Column("change", "STRING", "created, merged, split or retired"),
        Column("customer_id", "STRING", "who exists now (merged: the survivor; retired: who is gone)"),
        Column("other_customer_id", "STRING", "merged: who is gone; split: who it came from; retired: the successor"),
        Column("detail", "STRING", "the evidence that caused it"),
    ),
    "What happened to people's ids, for ever.",
)
REDIRECTS = Table(
    "identity.redirects",
    (Column("old_customer_id", "STRING", "the id that is gone"), Column("customer_id", "STRING", "who it is now")),
    "Every id that is gone and who it became.",
)

TOUCHED = Table(
    "identity.touched",
    (
        Column("customer_id", "STRING", "a person of the base, or of a generation since, who was worked out anew"),
        Column("layer", "INT64", "number of the layer that did so last"),
    ),
    "Whom the generation and those before it touched since its base.",
)

TABLES = (TOUCHED, IDENTIFIERS, CUSTOMERS, OWNERSHIP, EVENTS, BLOCKED_VALUES, LINKS, REVIEW, CHANGES, REDIRECTS)
