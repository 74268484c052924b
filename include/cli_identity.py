"""`stitchline identity`: who is who and why, how healthy that is, and what a change would do before it is made."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from include.connect.errors import FixSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.settings import Settings
    from include.warehouse.engine import Engine
    from include.warehouse.identity.explain import Step
    from include.warehouse.identity.preview import Effect, Part

REFUSED = {
    "override": "values blocked in overrides.yaml",
    "placeholder": "placeholders",
    "role_inbox": "addresses that a team reads",
    "shared_inbox": "addresses at which several people meet",
    "shared_record": "records that name several people",
    "shared_phone": "phone numbers of several people",
    "shared_profile": "profiles of several people",
    "shared_device": "devices that several people used",
    "too_many_devices": "devices beyond what one person has new in a week",
    "over_limit": "links that would have given a person more than anybody has",
}
"""Why values and links joined nobody, in words."""
identity_app = typer.Typer(no_args_is_help=True, help="Identity: who is who, and by what evidence.")
out = Console(highlight=False, width=None if sys.stdout.isatty() else 160)

IDENTIFIER = "an e-mail address, phone number or id, or kind:value"
Wait = Annotated[float, typer.Option(help="seconds to wait for a warehouse that somebody else writes to (DuckDB)")]


@identity_app.command("explain")
def identity_explain(
    identifier: Annotated[str, typer.Argument(help=IDENTIFIER)],
    other: Annotated[str | None, typer.Argument(help="a second identifier: how are the two one person?")] = None,
) -> None:
    """Why an identifier belongs to its person: the shortest chain of evidence."""
    from include.cli import _settings
    from include.warehouse.engine import connect
    from include.warehouse.identity.explain import explain, spelled_out

    settings = _settings(None)
    kind, value = spelled_out(identifier)
    with connect(settings, read_only=True) as engine:
        _state(engine)
        chain = explain(engine, kind, value, spelled_out(other) if other else None, _space(settings))
    _print_chain(chain)
    people = {step.customer_id for step in chain if step.customer_id}
    if len(people) == 1:
        out.print(f"customer {people.pop()}")


@identity_app.command("stitch")
def identity_stitch(
    events: Path, to: Annotated[Path, typer.Option("--out", help="CSV of event_id, customer_id")] = Path("map.csv")
) -> None:
    """Stitch a CSV of events by itself, without a warehouse: event_id, ts, and a column per identifier."""
    from include.warehouse.identity.events_file import stitch_csv

    found, refused = stitch_csv(events, to)
    out.print(
        f"{found.events:,} events of {found.people:,} people, {found.identifiers:,} identifiers: {to}", soft_wrap=True
    )
    for reason, number in refused.items():
        out.print(f"{number:,} {REFUSED[reason]}: they joined nobody", soft_wrap=True)


@identity_app.command("health")
def identity_health(
    generations: Annotated[int, typer.Option(min=1, help="of how many of the last generations to tell")] = 5,
) -> None:
    """How large people are, who nears a limit, what is blocked, what the last generations changed; values masked."""
    from include.activate.segment import mask
    from include.cli import _settings
    from include.warehouse.engine import connect
    from include.warehouse.identity.generation import limits_of
    from include.warehouse.identity.health import measure

    settings = _settings(None)
    with connect(settings, read_only=True) as engine:
        found = measure(engine, limits_of(settings), generations)
    out.print(f"{found.people:,} people in generation {found.generation}")
    out.print("\nPeople by number of identifiers")
    for size in found.sizes:
        most = "" if size.most == size.least else f"-{size.most}" if size.most else " and more"
        out.print(f"  {f'{size.least}{most}':14} {size.people:>12,}")
    out.print("\nIdentifiers of one person, by kind (near, at limit: how many people)")
    head = ("kind", "identifiers", "people", "p99", "max", "limit", "near", "at limit")
    _print_row(head)
    for kind in found.kinds:
        guarded = kind.limit is not None and kind.limit > 1
        near = (kind.near, kind.at_limit) if guarded else ("", "")
        limit = "" if kind.limit is None else kind.limit
        _print_row((kind.kind, kind.identifiers, kind.people, kind.p99, kind.most, limit, *near))
    out.print("\nValues that join nobody, and the one of each kind and reason at which most meet")
    for blocked in found.blocked:
        top = mask("value", blocked.top.removeprefix(_space(settings)))
        meet = f", {blocked.met:,} meet at {top}" if blocked.met else f", such as {top}"
        out.print(f"  {blocked.kind:22} {blocked.reason:14} {blocked.values:>10,}{meet}", soft_wrap=True)
    out.print("\nGenerations, the latest first")
    _print_row(("generation", "people", "created", "merged", "split", "retired"))
    for each in found.generations:
        _print_row((each.generation, each.people, each.created, each.merged, each.split, each.retired))


@identity_app.command("preview")
def identity_preview(
    limit: Annotated[list[str] | None, typer.Option(help="kind=number: as if one person might have so many")] = None,
    overrides: Annotated[Path | None, typer.Option(help="as if this were the overrides file")] = None,
    wait: Wait = 60,
) -> None:
    """What the rules, decisions and limits as they are now would do to the published people and lists, before unify."""
    from include.cli import _now, _settings
    from include.warehouse.identity.generation import decisions, limits_of
    from include.warehouse.identity.kinds import with_limits
    from include.warehouse.identity.overrides import read_overrides
    from include.warehouse.identity.preview import preview

    settings = _settings(None)
    limits = with_limits(limits_of(settings), limit or (), "--limit")
    decided = read_overrides(overrides) if overrides else decisions(settings)
    with _writer(settings, wait) as engine, preview(engine, settings, _now("preview"), decided, limits) as found:
        effect = found.effect()
        lists = found.lists()
    _print_effect(effect)
    for each in lists:
        out.print(
            f"list {each.segment}: {each.before:,} members, {each.after:,} then; "
            f"{each.entering:,} would enter, {each.leaving:,} would leave",
            soft_wrap=True,
        )
    out.print("Nothing was changed.")


@identity_app.command("unmerge")
def identity_unmerge(
    identifier: Annotated[str, typer.Argument(help=IDENTIFIER)],
    other: Annotated[str, typer.Argument(help="an identifier of the same customer that is another person's")],
    why: Annotated[str, typer.Option(help="why, for the next reader of the file")] = "Two people",
    wait: Wait = 60,
) -> None:
    """Decide that two identifiers of one customer belong to two people: a cannot_link in overrides.yaml."""
    from include.cli import _now, _settings
    from include.warehouse.engine import connect
    from include.warehouse.identity.explain import spelled_out
    from include.warehouse.identity.generation import limits_of
    from include.warehouse.identity.overrides import OVERRIDES
    from include.warehouse.identity.preview import preview
    from include.warehouse.identity.unmerge import cannot_link, check_parted, one_person

    settings = _settings(None)
    path, space = settings.identity_overrides or OVERRIDES, _space(settings)
    with connect(settings, read_only=True) as engine:
        _state(engine)
        person = one_person(engine, spelled_out(identifier), spelled_out(other), space)
    out.print(f"customer {person.customer_id} has both:")
    _print_chain(person.chain)
    today = datetime.now(UTC).date()
    entry = cannot_link(path, person.one, person.other, why, getpass.getuser(), today)
    with (
        _writer(settings, wait) as engine,
        preview(engine, settings, _now("unmerge"), entry.decided, limits_of(settings)) as found,
    ):
        parts = found.parts(person.customer_id)
    check_parted(parts, person, space)
    entry.write()
    _print_parts(parts, person.customer_id, space)
    out.print(f"Written to {path}. The next unify applies it; until then everybody reads the generation there is.")


@contextmanager
def _writer(settings: Settings, wait: float) -> Iterator[Engine]:
    """The warehouse, open for writing; says first that others wait for it meanwhile."""
    from include.warehouse.engine import connect

    if settings.warehouse == "duckdb":
        waits = f"waits up to {wait:.0f} s for it" if wait else "does not wait for it"
        print(f"Takes the warehouse for writing ({waits}); unify and syncs wait until this ends.", file=sys.stderr)
    with connect(settings.model_copy(update={"warehouse_wait_seconds": wait})) as engine:
        yield engine


def _state(engine: Engine) -> None:
    """Be sure that something is published."""
    from include.warehouse.models import published

    if published(engine) is None:
        raise FixSettings("nothing is published yet", where="ops.published", fix="Run the unify DAG once.")


def _space(settings: Settings) -> str:
    from include.warehouse.models import clock

    return str(clock(None, settings)["space"])


def _print_chain(chain: Iterable[Step]) -> None:
    from include.warehouse.identity.evidence import scores
    from include.warehouse.identity.inferred import UNSAID

    for step in chain:
        if step.note:
            out.print(f"{step.left_kind} {step.left_value}: {step.note}", soft_wrap=True)
            continue
        right = f" = {step.right_kind} {step.right_value}" if step.right_kind else ""
        seen = f", {step.occurrences} times since {step.first_seen_at:%Y-%m-%d}" if step.first_seen_at else ""
        inferred = f", inferred, score {scores().get(step.rule, UNSAID):g}" if step.is_inferred else ""
        why = f"({step.rule}: {step.source} {step.record_key}{seen}{inferred})"
        out.print(f"{step.left_kind} {step.left_value}{right}  {why}", soft_wrap=True)


def _print_effect(effect: Effect) -> None:
    from include.warehouse.identity.jumps import in_words

    out.print(f"{effect.people_before:,} people published, {effect.people_after:,} then")
    out.print(f"{effect.merged:,} merge, {effect.split:,} split")
    if effect.merged_by:
        out.print(f"  merged by: {in_words(effect.merged_by, 10)}", soft_wrap=True)
    if effect.split_by:
        out.print(f"  split where these links hold no more: {in_words(effect.split_by, 10)}", soft_wrap=True)
    for word, values in (("would join nobody any more", effect.blocked), ("would join again", effect.freed)):
        for (kind, reason), number in values.items():
            out.print(f"  {number:,} of {kind} {word} ({reason})", soft_wrap=True)
    if effect.newer_loads:
        out.print(f"  in these numbers too: {effect.newer_loads} loads that are staged and not yet published")


def _print_parts(parts: Iterable[Part], customer_id: str, space: str) -> None:
    for part in parts:
        whom = part.customer_id or "nobody"
        stays = "stays" if whom == customer_id else "becomes"
        listed = ", ".join(f"{kind} {value.removeprefix(space)}" for kind, value in part.identifiers)
        out.print(f"{stays} {whom}: {listed}", soft_wrap=True)


def _print_row(cells: Iterable[object]) -> None:
    first, *rest = cells
    shown = (f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in rest)
    out.print(f"  {first!s:26}" + "".join(f"{cell:>13}" for cell in shown), soft_wrap=True)
