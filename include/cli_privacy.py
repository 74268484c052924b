"""`stitchline privacy`: what people may ask of a company that knows them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from include.privacy.request import Erasure

privacy_app = typer.Typer(no_args_is_help=True, help="Privacy: erase a person.")
out = Console(highlight=False, width=None if sys.stdout.isatty() else 160)


@privacy_app.command("erase")
def privacy_erase(
    kind: Annotated[str, typer.Argument(help="email, phone, user_id, ..., or customer_id")],
    value: Annotated[str, typer.Argument(help="the identifier")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only count what would go")] = False,
    unknown: Annotated[bool, typer.Option("--unknown", help="bar the identifier although nobody has it yet")] = False,
) -> None:
    """Erase a person from every layer, for good: their lists lose them at the next sync, the next pull does not count.

    Builds a whole generation, as unify with full_refresh does. Stopped half way, the next unify goes on.
    """
    from include import steps
    from include.cli import _now, _settings
    from include.privacy.request import request
    from include.warehouse.engine import connect

    settings = _settings(None)
    run = _now("erase")
    with connect(settings) as engine:
        erasure = request(engine, settings, run, kind, value, dry_run=dry_run, unknown=unknown)
    _print(erasure)
    if erasure.erasure_id is None:
        out.print("Nothing was changed.")
        return
    steps.unify_stage(run)
    steps.unify_check(run)
    steps.unify_identity(run)
    steps.unify_marts(run)
    state = steps.unify_publish(run)
    out.print(f"Erased; everybody reads generation {state['generation']}. Proof: ops.erasures, {erasure.erasure_id}.")
    out.print("Segments and syncs are next: they take the person off every list.")


def _print(erasure: Erasure) -> None:
    out.print(f"customer {erasure.customer_id or 'not known yet'}")
    for place, rows in erasure.counts.items():
        out.print(f"  {place:40} {rows:>10,}")
