"""What is published of one customer: who they are, what they agreed to, what they did; every query asks for one id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from include.activate.segment import mask
from include.warehouse.engine import Engine
from include.warehouse.models import BEGINNING
from include.warehouse.personal import is_personal

Status = Literal["here", "moved", "erased", "gone", "unknown"]
PAGE = 50
"""Activities on a page."""
MOST = 200
"""Consents, currencies and lists that are read of one person."""
LONGEST = 300
"""Characters of one value; a feature may hold a whole page."""
TELLING = frozenset(
    ("status", "priority", "amount", "currency", "source", "medium", "channel", "lead_source", "rating")
)
"""Features whose texts are words of a system, not of a person: shown to everybody."""

COUNTS = ("_count", "_seconds")


@dataclass(frozen=True, slots=True)
class Standing:
    """What became of an id: `moved` leads to `customer_id`; `gone` once was somebody and leads nowhere."""

    status: Status
    customer_id: str


@dataclass(frozen=True, slots=True)
class Person:
    """The head of the page.

    Attributes:
        golden: the row of marts.customers.
        consents: channel, status, address, source, decided_at; the latest first.
        values: currency, lifetime_value, order_count.
        lists: segment, entered_at.
    """

    golden: Mapping[str, Any]
    consents: tuple[Mapping[str, Any], ...]
    values: tuple[Mapping[str, Any], ...]
    lists: tuple[Mapping[str, Any], ...]

    @property
    def customer_id(self) -> str:
        """Whose page it is."""
        return str(self.golden["customer_id"])

    @property
    def agreed(self) -> dict[str, bool]:
        """Channel -> whether every word about it allows it, as `marts.customers` counts them."""
        channels = dict.fromkeys(str(row["channel"]) for row in self.consents)
        return {
            channel: all(row["status"] == "granted" for row in self.consents if row["channel"] == channel)
            for channel in channels
        }


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the stream: everything older than this activity is behind it."""

    ts: datetime
    activity_id: str

    def __str__(self) -> str:
        return f"{(self.ts - BEGINNING) // timedelta(seconds=1)}.{self.ts.microsecond:06d},{self.activity_id}"

    @classmethod
    def read(cls, text: str) -> Place | None:
        """The place that `str` wrote; None for anything else."""
        seconds, _, activity_id = text.partition(",")
        whole, _, micros = seconds.partition(".")
        try:
            moment = datetime.fromtimestamp(int(whole), UTC).replace(microsecond=int(micros))
        except (ValueError, OverflowError, OSError):
            return None
        return cls(moment, activity_id) if activity_id else None


@dataclass(frozen=True, slots=True)
class Activity:
    """One thing that happened; `features` are texts, in the order in which the event has them."""

    activity_id: str
    ts: datetime | None
    activity: str
    source: str
    features: Mapping[str, str]
    revenue: Decimal | None
    currency: str | None
    link: str | None
    occurrence: int
    is_by_others: bool
    is_inferred: bool

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.ts or BEGINNING, self.activity_id)


def standing(engine: Engine, customer_id: str) -> Standing:
    """Whether an id is somebody's, and whose it became."""
    row = engine.query(
        "SELECT (SELECT COUNT(*) FROM identity.customers WHERE customer_id = @customer_id) AS here, "
        "(SELECT MIN(customer_id) FROM identity.redirects WHERE old_customer_id = @customer_id) AS moved_to, "
        "(SELECT COUNT(*) FROM ops.erasures WHERE customer_id = @customer_id) AS erased, "
        "(SELECT COUNT(*) FROM identity.changes "
        "WHERE customer_id = @customer_id OR other_customer_id = @customer_id) AS changes",
        {"customer_id": customer_id},
    )[0]
    if row["here"]:
        return Standing("here", customer_id)
    if row["moved_to"]:
        return Standing("moved", str(row["moved_to"]))
    if row["erased"]:
        return Standing("erased", customer_id)
    return Standing("gone" if row["changes"] else "unknown", customer_id)


def read_person(engine: Engine, customer_id: str) -> Person | None:
    """Who somebody is; None for nobody's id."""
    who = {"customer_id": customer_id, "most": MOST}
    golden = engine.query("SELECT * FROM marts.customers AS c WHERE customer_id = @customer_id", who)
    if not golden:
        return None
    consents = engine.query(
        "SELECT channel, status, address, source, decided_at FROM marts.consents AS c "
        "WHERE customer_id = @customer_id ORDER BY channel, decided_at DESC, source, address LIMIT @most",
        who,
    )
    values = engine.query(
        "SELECT currency, lifetime_value, order_count FROM marts.lifetime_values AS v "
        "WHERE customer_id = @customer_id ORDER BY lifetime_value DESC, currency LIMIT @most",
        who,
    )
    lists: list[dict[str, Any]] = []
    if engine.columns("segments.memberships"):
        # Between a merge and the list's next run its rows still have the id that is gone.
        lists = engine.query(
            "SELECT segment, MIN(entered_at) AS entered_at FROM segments.memberships AS m "
            "WHERE left_at IS NULL AND (customer_id = @customer_id OR customer_id IN ("
            "SELECT old_customer_id FROM identity.redirects WHERE customer_id = @customer_id)) "
            "GROUP BY segment ORDER BY segment LIMIT @most",
            who,
        )
    return Person(golden[0], tuple(consents), tuple(values), tuple(lists))


def read_activities(engine: Engine, customer_id: str, before: Place | None = None, most: int = PAGE) -> list[Activity]:
    """What somebody did, the newest first; the next page begins before the `place` of the last."""
    edge = before or Place(datetime(9999, 12, 31, tzinfo=UTC), "")
    rows = engine.query(
        "SELECT activity_id, ts, activity, source, feature_json, revenue_impact, currency, link, "
        "activity_occurrence, is_by_others, is_inferred_identity FROM marts.activities AS a "
        "WHERE customer_id = @customer_id AND (COALESCE(ts, @beginning) < @ts "
        "OR (COALESCE(ts, @beginning) = @ts AND activity_id < @activity_id)) "
        "ORDER BY COALESCE(ts, @beginning) DESC, activity_id DESC LIMIT @most",
        {
            "customer_id": customer_id,
            "beginning": BEGINNING,
            "ts": edge.ts,
            "activity_id": edge.activity_id,
            "most": most,
        },
    )
    return [_activity(row) for row in rows]


def masked_person(person: Person) -> Person:
    """The same person for who may not read personal data."""
    golden = {name: _masked("marts.customers", name, value) for name, value in person.golden.items()}
    consents = tuple(
        {name: _masked("marts.consents", name, value) for name, value in row.items()} for row in person.consents
    )
    return replace(person, golden=golden, consents=consents)


def masked_activity(activity: Activity) -> Activity:
    """The same activity for who may not read personal data: no addresses of pages, no words of people."""
    features = {
        name: value if name in TELLING or name.endswith(COUNTS) else mask(name, value)
        for name, value in activity.features.items()
    }
    return replace(activity, features=features, link=None)


def _masked(table: str, column: str, value: Any) -> Any:
    if not is_personal(table, column):
        return value
    return [mask(column, each) for each in value] if isinstance(value, list) else mask(column, value)


def _activity(row: Mapping[str, Any]) -> Activity:
    return Activity(
        activity_id=str(row["activity_id"]),
        ts=row["ts"],
        activity=str(row["activity"] or ""),
        source=str(row["source"] or ""),
        features=_features(row["feature_json"]),
        revenue=row["revenue_impact"],
        currency=row["currency"],
        link=row["link"],
        occurrence=int(row["activity_occurrence"] or 0),
        is_by_others=bool(row["is_by_others"]),
        is_inferred=bool(row["is_inferred_identity"]),
    )


def _features(text: str | None) -> dict[str, str]:
    """What is known of an activity, each a text of bounded length; what says nothing is left out."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    texts = {
        str(name): value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in found.items()
        if value is not None and value != ""
    }
    return {name: value if len(value) <= LONGEST else f"{value[:LONGEST]}…" for name, value in texts.items()}
