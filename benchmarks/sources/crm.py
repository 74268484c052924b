"""The CRM that `benchmarks/pull_api.py` serves: contacts, by page number."""

from __future__ import annotations

from include.connect.auth import BearerAuth
from include.connect.pages import NumberedPages
from include.connect.source import Source, Stream

SOURCE = Source(
    name="crm",
    title="Benchmark CRM",
    base_url="https://crm.example",
    auth=BearerAuth(),
    pages=NumberedPages(count="pages"),
    streams=(Stream("contacts", path="/contacts", cursor="updated_at", description="Contacts of the CRM"),),
)
