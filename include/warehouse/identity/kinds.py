"""Kinds of identifier: what each may do to people, how many one person may have, and which decides an event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from include.connect.errors import FixSettings


class Role(StrEnum):
    """What an identifier of this kind may do to the people it touches."""

    ACCOUNT = "account"
    """A login. Two of them are two people."""
    RECORD = "record"
    """A vendor's record of one person."""
    CONTACT = "contact"
    """An email address, or its hash: one person's unless many accounts or names meet there."""
    WEAK = "weak"
    """A phone or a social profile: families share them, so one joins people only if nothing speaks against it."""
    DEVICE = "device"
    """A browser or phone: may be used by many people, one after the other."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of identifier.

    Attributes:
        name: as it stands in `kind` columns.
        role: what it may do.
        rank: which identifier of an event decides whose it is; the least wins.
        limit: how many of them one person may have, new ones in each `window_days`; None is any number.
        window_days: the limit is for those first seen within so many days; None is for ever. Only of devices.
        is_single: a person normally has one, so two records of it on one device or phone speak for two people.
        hash_of: the kind whose normalized value's SHA-256 it is, if any; the two meet (`hashed.py`).
    """

    name: str
    role: Role
    rank: int
    limit: int | None = None
    window_days: int | None = None
    is_single: bool = False
    hash_of: str | None = None


KINDS: tuple[Kind, ...] = (
    Kind("user_id", Role.ACCOUNT, rank=1, limit=1, is_single=True),
    Kind("hubspot_contact_id", Role.RECORD, rank=2, is_single=True),
    Kind("salesforce_contact_id", Role.RECORD, rank=2, is_single=True),
    Kind("salesforce_lead_id", Role.RECORD, rank=2),
    Kind("zendesk_user_id", Role.RECORD, rank=2, is_single=True),
    Kind("mailchimp_member_id", Role.RECORD, rank=2),
    Kind("stripe_customer_id", Role.RECORD, rank=2),
    Kind("shopify_customer_id", Role.RECORD, rank=2),
    Kind("xero_contact_id", Role.RECORD, rank=2),
    Kind("intercom_contact_id", Role.RECORD, rank=2),
    Kind("sendgrid_contact_id", Role.RECORD, rank=2),
    Kind("jira_account_id", Role.RECORD, rank=2),
    Kind("discourse_user_id", Role.RECORD, rank=2),
    Kind("calendly_invitee", Role.RECORD, rank=2),
    Kind("email", Role.CONTACT, rank=3, limit=5, is_single=True),
    Kind("email_sha256", Role.CONTACT, rank=4, limit=10, hash_of="email"),
    Kind("phone", Role.WEAK, rank=5, limit=3),
    Kind("phone_sha256", Role.WEAK, rank=5, limit=6, hash_of="phone"),
    Kind("linkedin_url", Role.WEAK, rank=5, limit=2),
    Kind("twitter_handle", Role.WEAK, rank=5, limit=3),
    Kind("facebook_id", Role.WEAK, rank=5, limit=2),
    Kind("anonymous_id", Role.DEVICE, rank=6, limit=5, window_days=7),
    Kind("device_id", Role.DEVICE, rank=6),
    Kind("channel_id", Role.DEVICE, rank=6),
    Kind("idfa", Role.DEVICE, rank=6),
    Kind("idfv", Role.DEVICE, rank=6),
    Kind("gaid", Role.DEVICE, rank=6),
    # Of a call no more is known than of a device: a number, a visitor. As a vendor's record of a person, each call
    # would be one more person at its number, and two of them would make a customer's phone a shared one.
    Kind("callrail_call", Role.DEVICE, rank=6),
)

UNKNOWN = Kind("", Role.RECORD, rank=2)
"""What a kind nobody declared is taken for: some vendor's record id."""

_BY_NAME = {kind.name: kind for kind in KINDS}


def kind_of(name: str) -> Kind:
    """The declared kind, or an undeclared one taken for a vendor's record id."""
    return _BY_NAME.get(name, UNKNOWN)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may meet in one place before it counts as shared; every number can be set.

    Attributes:
        per_person: kind -> how many one person may have in the kind's window, where it differs from `KINDS`.
        people_per_device: a device touching more people is shared, whatever else is known.
        people_per_phone: the same for phones and social profiles.
        devices_join_records: whether names that agree let a device join two people who each have an address (or
            another thing one has once) and a vendor's record; finds a little more, and fuses father and son.
        accounts_per_record: a vendor record naming more accounts is a collective one ("walk-in customer").
        emails_per_record: a vendor record naming more addresses is a collective one.
        names_per_inbox: an address with this many different people's names on its records is a shared inbox.
        kiosk_people: a shared device with more owners belongs to nobody between sessions; so does one with more than
            `people_per_device` of whom most came once.
        session_seconds: a silence this long ends a session on a kiosk.
        greedy_rounds: bound on the rounds that cut an over-full component; what is undecided then stays apart.
    """

    per_person: Mapping[str, int] = field(default_factory=dict)
    people_per_device: int = 3
    people_per_phone: int = 3
    devices_join_records: bool = False
    accounts_per_record: int = 3
    emails_per_record: int = 15
    names_per_inbox: int = 3
    kiosk_people: int = 6
    session_seconds: int = 1800
    greedy_rounds: int = 60

    def __post_init__(self) -> None:
        for name, value in self.per_person.items():
            if value < 1:
                raise FixSettings(
                    f"limit {value} of {name} is below one", where="identity limits", fix="Use 1 or more."
                )

    def limit(self, kind: Kind) -> int | None:
        """How many identifiers of this kind one person may have."""
        return self.per_person.get(kind.name, kind.limit)


DEFAULT = Limits()


def with_limits(limits: Limits, entries: Iterable[str], where: str) -> Limits:
    """The same limits, with those of `kind=number` entries.

    Raises:
        FixSettings: an entry is no such thing; `where` says where it was written.
    """
    found: dict[str, int] = {}
    for entry in entries:
        name, _, number = (part.strip() for part in entry.partition("="))
        if name not in _BY_NAME or not number.isdigit():
            raise FixSettings(
                f"{entry!r} is no limit", where=where, fix=f"Write kind=number; kinds are {', '.join(_BY_NAME)}."
            )
        found[name] = int(number)
    return replace(limits, per_person={**limits.per_person, **found})


COLUMNS: Mapping[str, str] = {
    "anon_id": "anonymous_id",
    "anonymousid": "anonymous_id",
    "cookie_id": "anonymous_id",
    "visitor_id": "anonymous_id",
    "domain_userid": "anonymous_id",
    "userid": "user_id",
    "username": "user_id",
    "email_address": "email",
    "e_mail": "email",
    "mail": "email",
    "email_hash": "email_sha256",
    "hashed_email": "email_sha256",
    "email_sha_256": "email_sha256",
    "sha256_email": "email_sha256",
    "phone_hash": "phone_sha256",
    "hashed_phone": "phone_sha256",
    "phone_sha_256": "phone_sha256",
    "sha256_phone": "phone_sha256",
    "phone_number": "phone",
    "mobile": "phone",
    "msisdn": "phone",
    "telephone": "phone",
    "aaid": "gaid",
    "hubspot_id": "hubspot_contact_id",
    "stripe_id": "stripe_customer_id",
    "zendesk_id": "zendesk_user_id",
    "mailchimp_id": "mailchimp_member_id",
    "shopify_id": "shopify_customer_id",
    "xero_id": "xero_contact_id",
    "intercom_id": "intercom_contact_id",
    "sendgrid_id": "sendgrid_contact_id",
    "jira_id": "jira_account_id",
    "discourse_id": "discourse_user_id",
    "calendly_invitee_id": "calendly_invitee",
    "callrail_call_id": "callrail_call",
    "twitter": "twitter_handle",
    "linkedin": "linkedin_url",
}
"""What columns of a CSV are also called -> kind."""

_THINGS = """
event message session visit page order cart checkout product variant sku campaign ad adset list audience segment
company account organization organisation org tenant workspace project site app brand store shop location region
country city transaction payment charge invoice subscription plan coupon ticket conversation thread deal opportunity
booking meeting row line record batch source run request trace span ip url category parent group team
"""
NOT_PEOPLE = frozenset(_THINGS.split())
"""Last words of `<word>_id` columns that do not name a person; they would join strangers."""


def kind_of_column(column: str) -> str | None:
    """The kind a CSV column carries, or None if it identifies nobody.

    A column ending in `_id` that nobody declared is a kind of its own, taken for a vendor's record id.
    """
    name = column.strip().lower().replace(" ", "_").replace("-", "_")
    name = COLUMNS.get(name, name)
    if name in _BY_NAME:
        return name
    if name.endswith(("_email", "_email_address")):
        return "email"
    if name.endswith(("_phone", "_phone_number")):
        return "phone"
    if name.endswith("_id") and name.removesuffix("_id").rsplit("_", 1)[-1] not in NOT_PEOPLE:
        return name
    return None
