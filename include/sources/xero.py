"""Xero Accounting: contacts, invoices and payments of one organisation; archived, voided and deleted ones included."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

from include.connect.http import Session
from include.connect.oauth import OAuth2, RefreshToken
from include.connect.pages import Listing, NumberedPages, as_pages
from include.connect.records import Lifter
from include.connect.source import Page, Rate, Scalar, Source, Stream, Window

PAGES = NumberedPages(limit="pageSize", size=1000, count="pagination.pageCount")


def entities(name: str, key: str, description: str, **params: Scalar) -> Stream:
    """The stream of one kind of record: nothing ever leaves its list, so an order by id skips nobody."""
    lifter = Lifter((key,))

    async def read(session: Session, window: Window) -> AsyncIterator[Page]:
        since = window.since_at
        listing = Listing(
            session,
            f"/{name}",
            name,
            PAGES,
            lambda record: lifter.lift(record).key,
            params={**params, "order": key},
            headers={"If-Modified-Since": f"{since:%Y-%m-%dT%H:%M:%SZ}"} if since else {},
            label=name.lower(),
        )
        async for page in as_pages(listing, window.resume):
            yield page

    return Stream(
        name.lower(),
        read=read,
        key=(key,),
        cursor="UpdatedDateUTC",
        lookback=timedelta(minutes=10),
        deletes="deleted ones are marked and stay listed",
        description=description,
    )


def is_daily_quota(headers: Mapping[str, str], body: bytes) -> bool:
    """A 429 for the day's calls, not for the last minute's."""
    return headers.get("x-rate-limit-problem") == "day"


SOURCE = Source(
    name="xero",
    title="Xero",
    base_url="https://api.xero.com/api.xro/2.0",
    auth=OAuth2(
        "https://identity.xero.com/connect/token",
        (RefreshToken(),),
        # One authorization may open several organisations; which one is asked stands in every call.
        sends={"xero-tenant-id": "{tenant_id}"},
    ),
    budget=Rate(60, seconds=60),  # per organisation, as are 5,000 calls a day
    is_quota_used_up=is_daily_quota,
    docs_url="https://developer.xero.com/documentation/api/accounting/overview",
    not_covered="Credit notes, bank transactions, quotes and journals.",
    streams=(
        entities(
            "Contacts", "ContactID", "Customers and suppliers, archived and merged ones marked", includeArchived=True
        ),
        entities("Invoices", "InvoiceID", "Sales invoices and bills, voided and deleted ones marked"),
        entities("Payments", "PaymentID", "Payments of invoices and credit notes, deleted ones marked"),
    ),
)
