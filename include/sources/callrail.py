"""CallRail API v3: calls, with the page a caller was on; edited calls are found by reading a month again."""

from __future__ import annotations

from datetime import timedelta

from include.connect.auth import HeaderAuth
from include.connect.pages import UrlPages
from include.connect.signatures import HmacSignature
from include.connect.source import Rate, Source, Stream, Sweep
from include.connect.webhook import Webhook

FIELDS = (
    "agent_email,call_type,campaign,company_id,company_name,created_at,first_call,gclid,keywords,landing_page_url,"
    "last_requested_url,lead_status,medium,note,referrer_domain,referring_url,source,source_name,tags,total_calls,"
    "tracker_id,utm_campaign,utm_content,utm_medium,utm_source,utm_term,value"
)
"""What the list leaves out unless it is asked for."""

SOURCE = Source(
    name="callrail",
    title="CallRail",
    base_url="https://api.callrail.com/v3",
    auth=HeaderAuth('Token token="{password}"'),
    budget=Rate(1000, seconds=3600, burst=100),  # and 10,000 a day; no rate headers, no Retry-After
    docs_url="https://apidocs.callrail.com/",
    not_covered="Recordings, transcripts, text messages and form submissions.",
    webhook=Webhook(
        "callrail_events",
        # `timestamp` in the body is the start of the call, which a later change repeats: it cannot bound the age.
        HmacSignature("signature", digest="sha1", encoding="base64"),
        # `id` names the call, not the event: every later change of a call has the same.
        timestamp="timestamp",
        description="Calls when they end, and again whenever they change; kept raw, the pull brings the call",
    ),
    streams=(
        Stream(
            "calls",
            path="/a/{account_id}/calls.json",
            records="calls",
            # By position a call that comes in meanwhile would move all others.
            pages=UrlPages("next_page", limit="per_page", size=250, first={"relative_pagination": True}),
            # Without a first day the vendor shows the latest calls only; it was founded later than this one.
            params={"start_date": "2010-01-01", "fields": FIELDS},
            since="start_date",
            until="end_date",
            times_as="date",
            # Dates are those of the call: tags, notes, lead status and value change later.
            rescan=timedelta(days=30),
            deletes=Sweep({"fields": "created_at"}),  # a call that is marked as spam is listed no more
            description="Calls with their caller, source, page and lead status",
        ),
    ),
)
