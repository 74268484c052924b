"""`stitchline models`: what the warehouse holds, what is made from what, and what it costs."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

models_app = typer.Typer(no_args_is_help=True, help="Models: every table and column, the graph, and the cost.")


@models_app.command("docs")
def models_docs() -> None:
    """Write docs/data-model.md from the SQL's headers and the declared tables."""
    from include.settings import ROOT
    from include.warehouse.data_model import PAGE, write

    count = write()
    print(f"{PAGE.relative_to(ROOT)}: {count} tables")


@models_app.command("graph")
def models_graph(
    of: Annotated[str | None, typer.Option(help="only this table and what it is made from")] = None,
    form: Annotated[Literal["text", "mermaid"], typer.Option("--format", help="text or mermaid")] = "text",
) -> None:
    """Which table is made from which, read from the SQL."""
    from include.warehouse.lineage import mermaid, text_tree

    sys.stdout.write(f"{mermaid(of) if form == 'mermaid' else text_tree(of)}\n")


@models_app.command("cost")
def models_cost(
    only: Annotated[list[str] | None, typer.Argument(help="models, such as marts.customers; default: all")] = None,
    runs_per_day: Annotated[int, typer.Option(min=1, help="how often unify runs a day")] = 24,
    price: Annotated[float, typer.Option(min=0, help="US dollars per TiB billed; default: BigQuery on demand")] = 6.25,
) -> None:
    """What every model would cost on BigQuery, by dry runs: nothing is billed; exit 1 when one is over its budget."""
    from include.cli import FAILED, _now, _settings
    from include.connect.errors import FixSettings
    from include.warehouse.bigquery import open_bigquery
    from include.warehouse.cost import estimate_models, priced_models, report, stitching_floor

    settings = _settings(None)
    if settings.warehouse != "bigquery":
        raise FixSettings(
            "an embedded warehouse bills nothing and has no dry runs",
            where="STITCHLINE_WAREHOUSE",
            fix="Set it to bigquery.",
        )
    priced = priced_models(only or ())
    with open_bigquery(settings) as engine:
        costs = estimate_models(engine, priced, settings, _now("cost"), runs_per_day)
    if not only:
        costs.append(stitching_floor())
    print("\n".join(report(costs, runs_per_day, price)))
    if any(found.is_over for found in costs):
        raise typer.Exit(FAILED)
