"""Airship API: devices (channels) and the named users they belong to, as they are now."""

from __future__ import annotations

from include.connect.auth import BasicAuth
from include.connect.pages import UrlPages
from include.connect.signatures import SharedToken
from include.connect.source import Rate, Source, Stream, Sweep
from include.connect.webhook import Webhook, one_or_many

SOURCE = Source(
    name="airship",
    title="Airship",
    base_url="https://go.urbanairship.com/api",  # the host of projects in the EU is https://go.airship.eu
    auth=BasicAuth(user="{login}", password="{password}"),
    headers={"Accept": "application/vnd.urbanairship+json; version=3"},
    budget=Rate(10),  # the vendor publishes none
    docs_url="https://docs.airship.com/api/ua/",
    not_covered="Pushes and their reports; what devices do with a push comes by the webhook.",
    webhook=Webhook(
        "airship_events",
        SharedToken(),
        split=one_or_many,
        event_id=("id",),
        timestamp="occurred",
        description="Pushes sent, opened and resolved, tags changed, one per event",
    ),
    # Neither list tells what changed, and a channel that moves to another user keeps its dates: each run reads all.
    streams=(
        Stream(
            "channels",
            path="/channels",
            records="channels",
            key=("channel_id",),
            pages=UrlPages("next_page", limit="limit", size=1000),
            deletes="uninstalled ones are marked",
            description="Apps, browsers and addresses that can be reached, with their named user",
        ),
        Stream(
            "named_users",
            path="/named_users",
            records="named_users",
            key=("named_user_id",),
            pages=UrlPages("next_page", limit=None),
            deletes=Sweep(),
            description="People by the website's user id, with their tags",
        ),
    ),
)
