"""The lasting link to a customer's page, behind the login: what syncs write into vendors' records.

It is the same in every run, so a row that is otherwise unchanged costs no call.
"""

from __future__ import annotations

from include.connect.errors import FixSettings
from include.settings import Settings

PREFIX = "/stitchline"
"""Where the pages are, below the address of the Airflow UI."""
JOURNEY_URL = "journey_url"
"""What a header's `fields:` names to sync the link; no column of a table."""


def pages_url(settings: Settings) -> str:
    """What the lasting link of every customer begins with.

    Raises:
        FixSettings: nobody said where the UI is reached.
    """
    if settings.public_url is None:
        raise FixSettings(
            f"{JOURNEY_URL} leads nowhere: the UI's lasting address is not set",
            where="STITCHLINE_PUBLIC_URL",
            fix="Set it to the address that colleagues reach Airflow by, such as https://airflow.example.com.",
        )
    return f"{settings.public_url}{PREFIX}/customers/"
