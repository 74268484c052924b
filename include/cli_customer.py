"""`stitchline customer`: one customer's page, for those who may not or cannot log in."""

from __future__ import annotations

import getpass
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from include.cli_identity import IDENTIFIER

customer_app = typer.Typer(no_args_is_help=True, help="Customers: a link to one person's journey.")


@customer_app.command("embed-url")
def customer_embed_url(
    identifier: Annotated[str, typer.Argument(help=f"{IDENTIFIER}, or a customer's id")],
    expires: Annotated[str, typer.Option(help="how long it opens: 30m, 8h, 7d")] = "1h",
) -> None:
    """A signed address of the customer's page, for a frame: it expires, and opens this customer only."""
    from include.cli import _settings
    from include.journey.embed import embed_url, lasting
    from include.state.store import Store
    from include.warehouse.engine import connect
    from include.warehouse.models import at_published

    settings = _settings(None)
    seconds = lasting(expires)
    with connect(settings, read_only=True) as engine, Store.open(settings) as store:
        here, _ = at_published(engine)
        url, link = embed_url(here, store, settings, identifier, seconds, f"cli {getpass.getuser()}", datetime.now(UTC))
    print(f"customer {link.customer_id}, until {link.expires_at:%Y-%m-%d %H:%M} UTC", file=sys.stderr)
    print(url)
