"""From whatever people have of a customer to the customer: an address, a number, an id of any system."""

from __future__ import annotations

from include.connect.errors import FixSettings
from include.journey.person import standing
from include.settings import Settings
from include.warehouse.engine import Engine
from include.warehouse.identity.explain import UNKNOWN, owner, spelled_out
from include.warehouse.models import clock

LONGEST = 400
MAIN = "main/"
"""What the ids of a tool's only account begin with; nobody writes it."""


def find_customer(engine: Engine, settings: Settings, text: str) -> str:
    """The customer an identifier belongs to, or the id itself where it is, or was, a customer's.

    Args:
        engine: reads the published generation.
        settings: give what every identifier begins with.
        text: an address, a number or an id as people write it, or `kind:value`.

    Raises:
        FixSettings: it is nobody's, several people's, or one that never says who somebody is.
    """
    kind, value = spelled_out(text.strip().removeprefix("customer_id:"))
    if not value or len(value) > LONGEST:
        raise FixSettings("that is no identifier", where="search", fix="Write an e-mail address, phone number or id.")
    if kind is None and "@" not in value and standing(engine, value).status != "unknown":
        return value
    space = str(clock(None, settings)["space"])
    try:
        return owner(engine, kind, value, space)
    except FixSettings as error:
        if "/" in value or "@" in value or error.where != UNKNOWN:
            raise
        return owner(engine, kind, f"{MAIN}{value}", space)
