"""Declared tables of `segments` and `activation`: who is on a list, what was planned, sent and accepted."""

from __future__ import annotations

from include.warehouse.engine import Column, Engine, Table

MEMBERSHIPS = Table(
    "segments.memberships",
    (
        Column("segment", "STRING", "list the person is on"),
        Column("customer_id", "STRING", "the person; an open row follows merges, a closed one keeps its id"),
        Column("entered_at", "TIMESTAMP", "clock of the run that first had the person on the list"),
        Column("left_at", "TIMESTAMP", "clock of the run that no longer had; NULL while on the list"),
    ),
    "Who was on which list, from when to when.",
    cluster_by=("segment",),
)

RUNS = Table(
    "segments.runs",
    (
        Column("segment", "STRING", "list that was computed"),
        Column("run_id", "STRING", "run that computed it"),
        Column("generation", "STRING", "the published generation it was computed from"),
        Column("as_of", "TIMESTAMP", "clock of that run"),
        Column("status", "STRING", "computed or held"),
        Column("members", "INT64", "people on the list; NULL when held"),
        Column("reason", "STRING", "why it was held"),
    ),
    "One row per run of a segment.",
)

STATE = Table(
    "activation.state",
    (
        Column("sync", "STRING", "<segment>__<destination>"),
        Column("customer_id", "STRING", "the person whose row it is"),
        Column("place", "STRING", "where in the destination: a property, a tag, `<list id>/<tag>`"),
        Column("address", "STRING", "what the destination knows the person by"),
        Column(
            "operation",
            "STRING",
            "the last accepted one: enter or update; entering, updating or leaving while nobody knows what arrived",
        ),
        Column("fields_json", "STRING", "every mapped field as last accepted"),
        Column("fields_hash", "STRING", "hash of `fields_json`; another hash is an update"),
        Column("accepted_at", "TIMESTAMP", "when the destination accepted it"),
        Column("run_id", "STRING", "run that sent it"),
    ),
    "What each destination has accepted and still holds because of us; one row per sync, place and address.",
    cluster_by=("sync",),
)

RECEIPTS = Table(
    "activation.receipts",
    (
        Column("receipt_id", "STRING", "hash of plan, run, attempt and position: the same answer is noted once"),
        Column("plan_id", "STRING", "plan the row belongs to"),
        Column("position", "INT64", "row of the plan"),
        Column("sync", "STRING", "<segment>__<destination>"),
        Column("run_id", "STRING", "run that sent it, or decided not to"),
        Column("customer_id", "STRING", "the person whose row it is"),
        Column("place", "STRING", "where in the destination: a property, a tag, `<list id>/<tag>`"),
        Column("address", "STRING", "what the destination knows the person by"),
        Column("operation", "STRING", "enter, update or leave"),
        Column("fields_hash", "STRING", "of the value that was sent"),
        Column("attempt", "INT64", "try of the task"),
        Column("status", "STRING", "accepted, rejected, invalid, suppressed or deferred"),
        Column("code", "STRING", "the vendor's code for the answer, or ours"),
        Column("message", "STRING", "the vendor's words, or ours"),
        Column("vendor_request_id", "STRING", "the vendor's own id of the call, for its support desk"),
        Column("at", "TIMESTAMP", "when the answer was read"),
        Column("as_of", "TIMESTAMP", "clock of the run"),
        Column("is_unsure", "BOOL", "whether a deferred row may have arrived all the same"),
    ),
    "One row per person, attempt and operation.",
    "DATE(at)",
    ("sync",),
)

PLANS = Table(
    "activation.plans",
    (
        Column("plan_id", "STRING", "hash of the run and of every row that would be sent"),
        Column("sync", "STRING", "<segment>__<destination>"),
        Column("run_id", "STRING", "run that made the plan"),
        Column("generation", "STRING", "the published generation it was made from"),
        Column("created_at", "TIMESTAMP", "when the plan was made"),
        Column("started_at", "TIMESTAMP", "when its first rows were let through; NULL while planned or held"),
        Column("sent_to", "INT64", "position up to which rows were handed over to be sent; NULL while none was"),
        Column("finished_at", "TIMESTAMP", "when the plan was closed; NULL before"),
        Column("status", "STRING", "planned, held, refused, dry_run, applying, applied, rejected or superseded"),
        Column("enter", "INT64", "people to add"),
        Column("update", "INT64", "people whose fields changed"),
        Column("leave", "INT64", "people to remove"),
        Column("unchanged", "INT64", "people who need no call"),
        Column("suppressed", "INT64", "people without the consent or the permission to be sent"),
        Column("invalid", "INT64", "people the destination cannot take, such as those without an address"),
        Column("deferred", "INT64", "rows left for a later run"),
        Column("members", "INT64", "people on the list"),
        Column("holding", "INT64", "rows the destination held because of us when the plan was made"),
        Column("reason", "STRING", "why it was held or not sent"),
        Column("content", "STRING", "hash of the rows to send: equal content, equal calls"),
        Column("decided_by", "STRING", "who approved or refused it in Airflow; NULL where nobody was asked there"),
    ),
    "One row per plan; the summary stays when the rows are dropped.",
)

PLAN_ROWS = Table(
    "activation.plan_rows",
    (
        Column("plan_id", "STRING", "plan the row belongs to"),
        Column("position", "INT64", "order in which rows are sent"),
        Column("sync", "STRING", "<segment>__<destination>"),
        Column("customer_id", "STRING", "the person whose row it is"),
        Column("place", "STRING", "where in the destination: a property, a tag, `<list id>/<tag>`"),
        Column("address", "STRING", "what the destination knows the person by"),
        Column("operation", "STRING", "enter, update, leave, suppressed, invalid or deferred"),
        Column("intended", "STRING", "enter, update or leave, also for rows that are not sent"),
        Column("fields_json", "STRING", "every mapped field as it should be"),
        Column("previous_json", "STRING", "every mapped field as last accepted"),
        Column("fields_hash", "STRING", "hash of `fields_json`"),
        Column("reason", "STRING", "why the row is not sent; NULL for one that is"),
    ),
    "The rows of the latest plans; people whose row is unchanged are counted, not listed.",
    cluster_by=("sync", "plan_id"),
)

PLACES = Table(
    "activation.places",
    (
        Column("sync", "STRING", "<segment>__<destination>"),
        Column("place", "STRING", "where in the destination: a property, a tag, `<list id>/<tag>`"),
        Column("handle", "STRING", "the vendor's own id of that list or tag"),
        Column("seen_at", "TIMESTAMP", "when that id was first met"),
    ),
    "Which list or tag of the vendor a place is; another id under the same name holds nobody of ours.",
)

DRIFT = Table(
    "activation.drift",
    (
        Column("checked_at", "TIMESTAMP", "when the destination was read back"),
        Column("run_id", "STRING", "run that did so"),
        Column("sync", "STRING", "<segment>__<destination>"),
        Column("place", "STRING", "where in the destination: a property, a tag, `<list id>/<tag>`"),
        Column("expected", "INT64", "people it accepted from us and should hold"),
        Column("missing", "INT64", "how many of them it does not hold"),
        Column("others", "INT64", "how many it holds that are not ours"),
    ),
    "What destinations held, against what they had accepted.",
)

ALL = (MEMBERSHIPS, RUNS, STATE, RECEIPTS, PLANS, PLAN_ROWS, PLACES, DRIFT)


def ensure_tables(engine: Engine) -> None:
    """Create what is missing of `segments` and `activation`."""
    engine.ensure(ALL)
