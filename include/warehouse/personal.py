"""Which columns say who somebody is: one list, by name, for the catalog and for BigQuery's policy tags.

Numbers that mean something only inside one system (a HubSpot contact id, `customer_id`) are not on it: they name
nobody to who cannot read the columns that are.
"""

from __future__ import annotations

import re
from functools import cache

PERSONAL = (
    r".+\.(email|emails|additional_emails|reporter_email|email_marketing_address|address)",
    # The hash of an address, which whoever has a list of addresses can undo.
    r".+\.email_sha256",
    r".+\.phone",
    r".+\.(first|last|full)_name",
    # A device's id follows one person through the web; booking links carry it in utm_term.
    r".+\.(anonymous_id|network_user_id|utm_term)",
    # Addresses of pages carry what was put into links: e-mail addresses, tokens; one shows a customer's cart.
    r".+\.(url|link|referrer|recovery_url)",
    r"(staging|quarantine)\.(discourse__users\.username|phantombuster__rows\.(linkedin_url|twitter_handle|comment_url))",
    # What the vendor sent, and what was sent to one.
    r".+\.(_payload|fields_json|previous_json)",
    # Mailchimp's key is the MD5 of the address, which whoever has a list of addresses can undo.
    r".+\.(_key|record_key|mailchimp_member_id)",
    # Identifiers of every kind in one column.
    r"identity\..+\.(value|(left|right|anchor)_value)",
    r"marts\.golden_fields\.value",
    # Written by people, about people.
    r".+\.(subject|message)",
    r"(staging|quarantine)\.(hubspot__deals|salesforce__opportunities)\.name",
    r"(staging|quarantine)\.xero__invoices\.reference",
    r"(staging|quarantine)\.discourse__(topics\.title|posts\.topic_title)",
)
"""Patterns for the whole of `dataset.table.column`."""


@cache
def is_personal(table: str, column: str) -> bool:
    """Whether a column of `dataset.table` says, or helps to find out, who somebody is."""
    name = f"{table}.{column}"
    return any(re.fullmatch(pattern, name) for pattern in PERSONAL)
