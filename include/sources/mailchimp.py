"""Mailchimp Marketing API 3.0: audiences and their members, archived ones included."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from include.connect.auth import BasicAuth
from include.connect.connection import Connection
from include.connect.pages import OffsetPages
from include.connect.signatures import HmacSignature
from include.connect.source import Connections, Source, Stream
from include.connect.webhook import Webhook, form_fields


def data_center(connection: Connection) -> Mapping[str, str]:
    """The data center is in the extra, or the part of an API key behind the dash."""
    return {"data_center": str(connection.extra.get("data_center") or connection.password.rpartition("-")[2])}


SOURCE = Source(
    name="mailchimp",
    title="Mailchimp",
    base_url="https://{data_center}.api.mailchimp.com/3.0",
    fields=data_center,
    auth=BasicAuth(user="airflow", password="{password}"),
    pages=OffsetPages(limit="count", offset="offset", size=1000, total="total_items"),
    budget=Connections(10),  # vendor limit: 10 simultaneous connections; no rate headers
    is_bare_403_throttling=True,
    docs_url="https://mailchimp.com/developer/marketing/api/",
    not_covered="Campaigns, their reports, and what members opened or clicked.",
    webhook=Webhook(
        "mailchimp_events",
        HmacSignature("x-mailchimp-signature", signs="{timestamp}.{body}", timestamp="t", is_resigned=True),
        split=form_fields,
        timestamp="fired_at",
        answers_get=True,
        description="Members who subscribed, unsubscribed, were cleaned or changed",
    ),
    streams=(
        Stream("lists", path="/lists", records="lists", description="Audiences with their counts"),
        Stream(
            "members",
            path="/lists/{parent.id}/members",
            records="members",
            parent="lists",
            key=("list_id", "id"),
            # Not by last_changed: an order that changes while it is read makes offsets skip members.
            params={"sort_field": "timestamp_signup", "sort_dir": "ASC"},
            # Archived members are listed only when asked for; without them an archived member would look subscribed.
            variants=({}, {"status": "archived"}),
            cursor="last_changed",
            since="since_last_changed",
            until="before_last_changed",
            lookback=timedelta(minutes=10),
            concurrency=2,
            description="Members of every audience, with consent status and merge fields",
        ),
    ),
)
