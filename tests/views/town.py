"""A published warehouse with a handful of people that make pages difficult, and nothing behind it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from include.activate.tables import ensure_tables
from include.settings import Settings
from include.state.records import AuditEntry
from include.state.store import Store
from include.warehouse.engine import Column, Table, connect
from include.warehouse.identity.tables import TABLES as IDENTITY
from include.warehouse.schema import OPS

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
GENERATION = "20261120T060000Z-00000001"
ADA, HOSTILE, QUIET, BUSY, MERGED, ERASED, RETIRED, NOBODY = (f"{number:032x}" for number in range(1, 9))
BUSY_ACTIVITIES = 10_000
SCRIPT = "<script>alert('x')</script>"
LONG = "x" * 10_000
GOLDEN = """customer_id full_name email phone user_id hubspot_contact_id mailchimp_member_id zendesk_user_id
journey_stage""".split()  # noqa: SIM905
MARTS = (
    Table(
        "marts.customers",
        (
            *(Column(name, "STRING") for name in GOLDEN),
            Column("emails", "ARRAY<STRING>"),
            Column("is_identified", "BOOL"),
        ),
    ),
    Table(
        "marts.activities",
        (
            *(Column(name, "STRING") for name in ("activity_id", "customer_id", "anonymous_id", "activity", "source")),
            Column("ts", "TIMESTAMP"),
            Column("feature_json", "STRING"),
            Column("revenue_impact", "NUMERIC"),
            Column("currency", "STRING"),
            Column("link", "STRING"),
            Column("activity_occurrence", "INT64"),
            Column("is_by_others", "BOOL"),
            Column("is_inferred_identity", "BOOL"),
        ),
    ),
    Table(
        "marts.consents",
        (
            *(Column(name, "STRING") for name in ("customer_id", "channel", "address", "status", "source")),
            Column("decided_at", "TIMESTAMP"),
        ),
    ),
    Table(
        "marts.lifetime_values",
        (
            Column("customer_id", "STRING"),
            Column("currency", "STRING"),
            Column("lifetime_value", "NUMERIC"),
            Column("order_count", "INT64"),
        ),
    ),
)


def person(customer_id: str, **golden: Any) -> dict[str, Any]:
    known = {"customer_id": customer_id, "journey_stage": "awareness", "emails": [], "is_identified": True}
    return {**dict.fromkeys(GOLDEN), **known, **golden}


def activity(customer_id: str, number: int, hours_ago: float | None, activity: str, **more: Any) -> dict[str, Any]:
    features = more.pop("features", {})
    return {
        "activity_id": f"segment/{number:05d}",
        "customer_id": customer_id,
        "anonymous_id": None,
        "activity": activity,
        "source": "segment",
        "ts": None if hours_ago is None else NOW - timedelta(hours=hours_ago),
        "feature_json": json.dumps(features),
        "revenue_impact": None,
        "currency": None,
        "link": None,
        "activity_occurrence": 1,
        "is_by_others": False,
        "is_inferred_identity": False,
        **more,
    }


PEOPLE = [
    person(
        ADA,
        full_name="Ada Lovelace",
        email="ada@example.com",
        emails=["ada@example.com", "countess@example.org"],
        phone="+442079460000",
        user_id="user-17",
        hubspot_contact_id="4711",
        mailchimp_member_id="0cc175b9c0f1b6a831c399e269772661",
        journey_stage="loyalty",
    ),
    person(
        HOSTILE,
        full_name=f"{SCRIPT}\u202e عمر",
        email=f'"><img src=x onerror=alert(1)>{LONG}@example.com',
        phone="{{ 7 * 7 }}",
        user_id=LONG,
    ),
    person(QUIET, is_identified=False),
    person(BUSY, full_name="Busy Bee", email="busy@example.com", emails=["busy@example.com"]),
]
ACTIVITIES = [
    activity(ADA, 1, 30, "placed_order", source="stripe", revenue_impact=Decimal("25.83"), currency="EUR"),
    activity(
        ADA, 2, 2, "viewed_page", link="https://www.example.com/?email=ada@example.com", features={"name": "Pricing"}
    ),
    activity(ADA, 3, 1, "liked_post", source="phantombuster", is_inferred_identity=True),
    activity(ADA, 4, 3, "opened_ticket", source="zendesk", features={"status": "open", "subject": "My broken pump"}),
    activity(ADA, 5, None, "meeting", source="salesforce", is_by_others=True),
    activity(
        HOSTILE,
        6,
        1,
        SCRIPT,
        source=SCRIPT,
        currency=SCRIPT,
        revenue_impact=Decimal("-1.5"),
        link="javascript:alert(1)",
        features={SCRIPT: LONG, "עברית": "\u202eعمر", "deep": {"a": [SCRIPT]}},
    ),
    activity(HOSTILE, 7, 2, "broken", feature_json="{not json"),
    activity(HOSTILE, 8, 3, LONG, feature_json='["a list"]'),
    # A hundred at each moment: the order among them is by id.
    *(activity(BUSY, 10_000 + n, n // 100, "viewed_page", features={"n": n}) for n in range(BUSY_ACTIVITIES)),
]
CONSENTS = [
    ("email_marketing", "ada@example.com", "granted", "mailchimp"),
    ("email_marketing", "countess@example.org", "denied", "sendgrid"),
    ("phone", None, "granted", "salesforce"),
]
IDENTIFIERS = [
    ("email", "ada@example.com", ADA),
    ("email", "countess@example.org", ADA),
    ("phone", "+442079460000", ADA),
    ("hubspot_contact_id", "main/4711", ADA),
    ("zendesk_user_id", "main/4711", BUSY),
    ("zendesk_user_id", "main/900", BUSY),
    ("email", "busy@example.com", BUSY),
]


@dataclass
class Town:
    """The warehouse, its home and its audit."""

    settings: Settings

    def audited(self) -> list[AuditEntry]:
        with Store.open(self.settings) as store:
            return store.audit_entries()


def build(home: Path) -> Town:
    """Publish the people into a home, and the copy that readers open."""
    settings = Settings(home=home)
    with connect(settings) as engine:
        engine.ensure(OPS)
        ensure_tables(engine)
        inside = engine.at(GENERATION)
        inside.ensure((*MARTS, *IDENTITY))
        inside.append("marts.customers", PEOPLE)
        inside.append("marts.activities", ACTIVITIES)
        names = ("channel", "address", "status", "source")
        agreed = [{"customer_id": ADA, "decided_at": NOW, **dict(zip(names, row, strict=True))} for row in CONSENTS]
        inside.append("marts.consents", agreed)
        value = {"customer_id": ADA, "currency": "EUR", "lifetime_value": Decimal("1234.5"), "order_count": 1}
        inside.append("marts.lifetime_values", [value])
        inside.append("identity.customers", [{"customer_id": one["customer_id"]} for one in PEOPLE])
        inside.append("identity.redirects", [{"old_customer_id": MERGED, "customer_id": ADA}])
        inside.append("identity.identifiers", [_identifier(*row) for row in IDENTIFIERS])
        inside.append(
            "identity.blocked_values", [{"kind": "email", "value": "info@example.com", "reason": "role_inbox"}]
        )
        inside.append("identity.changes", [{"change": "retired", "customer_id": RETIRED}])
        engine.append("ops.erasures", [{"erasure_id": "e1", "customer_id": ERASED, "status": "done"}])
        # The list was made before the merge, and of two lists only one still has her.
        engine.append(
            "segments.memberships",
            [
                {"segment": "at_risk_customers", "customer_id": MERGED, "entered_at": NOW, "left_at": None},
                {"segment": "churned", "customer_id": ADA, "entered_at": NOW, "left_at": NOW},
            ],
        )
        times = {"as_of": NOW, "published_at": NOW}
        counts = {"people": len(PEOPLE), "events": len(ACTIVITIES), "seq_to": 1}
        engine.append("ops.published", [{"generation": GENERATION, "base": GENERATION, **times, **counts}])
        engine.publish(GENERATION, GENERATION)
    return Town(settings)


def _identifier(kind: str, value: str, customer_id: str) -> Mapping[str, Any]:
    return {"kind": kind, "value": value, "customer_id": customer_id, "is_inferred": False}
