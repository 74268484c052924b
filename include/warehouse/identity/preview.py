"""What other rules, decisions or limits would do: a generation is stitched, compared and dropped, never published."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from include.connect.errors import FixSettings, RetryLater
from include.run import Run
from include.settings import Settings
from include.warehouse.engine import Engine
from include.warehouse.identity.components import count
from include.warehouse.identity.generation import identify
from include.warehouse.identity.jumps import merged_by_rule, split_by_rule
from include.warehouse.identity.kinds import Limits
from include.warehouse.identity.overrides import Overrides
from include.warehouse.identity.stitch import StitchSummary
from include.warehouse.layers import named
from include.warehouse.models import Published, build_marts, forget, published


@dataclass(frozen=True, slots=True)
class Effect:
    """What would become of the people of the published generation.

    Attributes:
        people_before, people_after: how many there are.
        merged: who would be gone into others; by rule in `merged_by`.
        split: who would be split off others; `split_by` counts the links, by rule, that held them and would no more.
        blocked, freed: values that would join nobody any more, and those that would again: (kind, reason) -> values.
        newer_loads: loads that are staged and not published; what they bring is in the numbers too.
    """

    people_before: int
    people_after: int
    merged: int
    split: int
    merged_by: dict[str, int]
    split_by: dict[str, int]
    blocked: dict[tuple[str, str], int]
    freed: dict[tuple[str, str], int]
    newer_loads: int


@dataclass(frozen=True, slots=True)
class ListEffect:
    """What would become of a segment's list; a merge of two members is no leaving, nor a new id an entering."""

    segment: str
    before: int
    after: int
    entering: int
    leaving: int


@dataclass(frozen=True, slots=True)
class Part:
    """One of the people that a published person would be: the identifiers of the published one, sorted."""

    customer_id: str | None
    identifiers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """A generation that nobody will read."""

    engine: Engine
    settings: Settings
    run: Run
    state: Published
    summary: StitchSummary

    @property
    def here(self) -> Engine:
        """The generation."""
        return self.engine.at(self.run.run_id)

    def effect(self) -> Effect:
        """Compare it with the published generation."""
        run_id, before = self.run.run_id, self.state.generation
        only = """
            SELECT a.kind, a.reason, COUNT(*) AS n
            FROM {one} AS a
            LEFT JOIN {other} AS b ON b.kind = a.kind AND b.value = a.value
            WHERE b.kind IS NULL
            GROUP BY a.kind, a.reason ORDER BY n DESC, a.kind, a.reason"""
        now, old = named("identity.blocked_values", run_id), named("identity.blocked_values", before)
        blocked, freed = (
            {(row["kind"], row["reason"]): int(row["n"]) for row in self.engine.query(sql)}
            for sql in (only.format(one=now, other=old), only.format(one=old, other=now))
        )
        newer = self.engine.query(
            "SELECT COUNT(*) AS n FROM ops.loads AS l WHERE seq > @published "
            "AND seq <= (SELECT COALESCE(MIN(s.seq), 0) FROM ops.staged AS s)",
            {"published": self.state.seq_to},
        )
        return Effect(
            people_before=count(self.engine, named("identity.customers", before)),
            people_after=self.summary.people,
            merged=self.summary.merges,
            split=self.summary.splits,
            merged_by=merged_by_rule(self.here, run_id),
            split_by=split_by_rule(self.here, run_id, before),
            blocked=blocked,
            freed=freed,
            newer_loads=int(newer[0]["n"]),
        )

    def lists(self) -> list[ListEffect]:
        """Build the marts, and compare every segment's list on them with its list on the published ones."""
        from include.activate.segment import all_segments, put_list

        build_marts(self.engine, self.run, self.settings)
        found = []
        for segment in all_segments().values():
            put_list(self.engine.at(self.state.generation), segment, self.state.as_of, self.settings)
            self.here.execute("""
                CREATE OR REPLACE TABLE scratch.list_before AS
                SELECT DISTINCT COALESCE(r.customer_id, l.customer_id) AS customer_id
                FROM scratch.segment_list AS l
                LEFT JOIN identity.redirects AS r ON r.old_customer_id = l.customer_id""")
            before = count(self.engine, "scratch.segment_list")
            put_list(self.here, segment, self.state.as_of, self.settings)
            row = self.engine.query("""
                SELECT COUNT(l.customer_id) AS after, COUNTIF(b.customer_id IS NULL) AS entering,
                  COUNTIF(l.customer_id IS NULL) AS leaving
                FROM scratch.segment_list AS l
                FULL JOIN scratch.list_before AS b ON b.customer_id = l.customer_id""")[0]
            numbers = {name: int(value or 0) for name, value in row.items()}
            found.append(ListEffect(segment.name, before, **numbers))
        return found

    def parts(self, customer_id: str) -> list[Part]:
        """Whom the identifiers of one published person would belong to; the part that keeps the id first."""
        rows = self.engine.query(
            f"""SELECT o.kind, o.value, i.customer_id
            FROM {named("identity.identifiers", self.state.generation)} AS o
            LEFT JOIN {named("identity.identifiers", self.run.run_id)} AS i ON i.kind = o.kind AND i.value = o.value
            WHERE o.customer_id = @customer_id""",
            {"customer_id": customer_id},
        )
        whose: dict[str | None, list[tuple[str, str]]] = {}
        for row in rows:
            whose.setdefault(row["customer_id"], []).append((row["kind"], row["value"]))
        parts = [Part(whom, tuple(sorted(listed))) for whom, listed in whose.items()]
        return sorted(parts, key=lambda part: (part.customer_id != customer_id, part.customer_id is None, part))


@contextmanager
def preview(engine: Engine, settings: Settings, run: Run, decided: Overrides, limits: Limits) -> Iterator[Preview]:
    """Stitch what unify would stitch next, with these decisions and limits; dropped at the end of the block.

    The clock is the published generation's, so only identity makes the difference. Evidence is taken anew from all of
    raw where a rule changed, as unify does it.

    Args:
        engine: the warehouse, open for writing.
        settings: the settings.
        run: gives the generation its name.
        decided: what people would have decided.
        limits: what would be allowed to meet.

    Raises:
        FixSettings: nothing is published yet.
        CheckFailed: the result would break a promise, as it would in unify.
        RetryLater: a unify published meanwhile, and dropped what nobody reads.
    """
    state = published(engine)
    if state is None:
        raise FixSettings("nothing is published yet", where="ops.published", fix="Run the unify DAG once.")
    run = replace(run, run_id=f"preview-{run.run_id}", as_of=state.as_of)
    try:
        summary = identify(engine, run, settings, full_refresh=False, overrides=decided, limits=limits)
        yield Preview(engine, settings, run, state, summary)
    except Exception as error:
        if published(engine) != state:
            raise RetryLater(
                "unify published while the preview was made", where="identity preview", fix="Run it again."
            ) from error
        raise
    finally:
        forget(engine, run.run_id)
