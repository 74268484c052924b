"""A generation as a layer: the people it touched are its own, everybody else is read where an earlier one left them.

A whole generation has tables. A layered one has views of the same names: the rows of its base, a whole generation, and
of the few layers on it, each without the people touched later. Nothing a reader may have open is ever rewritten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from include.run import Run
from include.warehouse.engine import Column, Engine, Table
from include.warehouse.render import generated_name

LAYERS = Table(
    "identity.layers",
    (
        Column("number", "INT64", "the how manieth layer on the base; an earlier one may be part of it by now"),
        Column("generation", "STRING", "run that wrote its rows"),
        Column("size", "INT64", "pieces of news it was made of"),
        Column("is_merged", "BOOL", "whether rows of earlier layers were copied to its own"),
    ),
    "What a generation is read from beside its base; nothing where it is whole.",
)
MOST_LAYERS = 4
"""Layers under a new one. Each is one more table to read; taking one over is one more time its rows are written."""
SPENT = ("evidence", "occurrences", "names", "blocked_values", "review", "redirects")
"""Tables in a part's `identity` that nobody needs once the generation is published."""
NEWS = {"identity.evidence": "scratch.new_evidence", "identity.occurrences": "scratch.new_occurrences"}
"""Tables of which a layer adds what is new, not all that the touched people have -> where a run writes that."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """Which rows of earlier tables no longer hold.

    Args:
        key: column of the rows.
        table: the generation's list of replaced keys: that column, and `layer`, the number of the one that did last.
    """

    key: str
    table: str

    def after(self, number: int, row: str) -> str:
        """SQL: whether a row of layer `number` was replaced by a later one; the base is number 0."""
        later = f" AND x.layer > {number}" if number else ""
        return f"EXISTS (SELECT 1 FROM {self.table} AS x WHERE x.{self.key} = {row}.{self.key}{later})"


TOUCHED_PEOPLE = Replaced("customer_id", "identity.touched")
CHANGED_EVENTS = Replaced("event_id", "identity.changed_events")


@dataclass(frozen=True, slots=True)
class Layer:
    """A row of `identity.layers`."""

    number: int
    generation: str
    size: int
    is_merged: bool

    def rows(self, table: str) -> str:
        """Where the layer keeps its rows of a table: where they were worked out, if no others were put to them."""
        return named(table, (delta_of if self.is_merged or table in NEWS else part_of)(self.generation))


@dataclass(frozen=True, slots=True)
class Layers:
    """The layer that one run lays on an earlier generation.

    Args:
        engine: the warehouse.
        run: whose generation it is.
        previous: the generation before it.
        base: the whole generation under both; `previous` itself where that is whole.
        own: the layer itself.
        below: the layers it leaves where they are, oldest first.
        absorbed: the layers whose rows it takes over, so that readers have fewer to read.
    """

    engine: Engine
    run: Run
    previous: str
    base: str
    own: Layer
    below: tuple[Layer, ...]
    absorbed: tuple[Layer, ...]

    @classmethod
    def begin(
        cls, engine: Engine, run: Run, previous: str, base: str, news: int, most_layers: int = MOST_LAYERS
    ) -> Layers:
        """Decide what the layer stands on, and write it down; `news` is how much there is to lay."""
        earlier = layers_of(engine, previous)
        below, absorbed = _stack(earlier, news, most_layers)
        number = 1 + max((layer.number for layer in earlier), default=0)
        own = Layer(number, run.run_id, news + sum(layer.size for layer in absorbed), bool(absorbed))
        here = engine.at(run.run_id)
        here.ensure([LAYERS])
        here.execute("DELETE FROM identity.layers WHERE TRUE")
        here.append(LAYERS.name, [asdict(layer) for layer in (*below, own)])
        return cls(engine, run, previous, base, own, below, absorbed)

    @classmethod
    def of(cls, engine: Engine, run: Run, previous: str, base: str) -> Layers:
        """The layer that the run has begun."""
        *below, own = layers_of(engine, run.run_id)
        absorbed = tuple(layer for layer in layers_of(engine, previous) if layer not in below)
        return cls(engine, run, previous, base, own, tuple(below), absorbed)

    @property
    def here(self) -> Engine:
        """The generation, as its readers see it."""
        return self.engine.at(self.run.run_id)

    @property
    def part(self) -> Engine:
        """The touched people alone: what this run works out."""
        return self.engine.at(part_of(self.run.run_id))

    @property
    def old(self) -> Engine:
        """The generation before."""
        return self.engine.at(self.previous)

    def replace(self, replaced: Replaced, now: str) -> None:
        """Write the list of what was replaced since the base, by this run (`now`, a table) and by those before."""
        key = replaced.key
        self.old.execute(
            f"CREATE OR REPLACE TABLE {named(replaced.table, self.run.run_id)} AS "
            f"SELECT {key}, layer FROM {replaced.table} AS e "
            f"WHERE NOT EXISTS (SELECT 1 FROM {now} AS x WHERE x.{key} = e.{key}) "
            f"UNION ALL SELECT DISTINCT {key}, {self.own.number} AS layer FROM {now} AS n"
        )

    def lay(self, table: str, replaced: Replaced | None, kept: str = "") -> None:
        """Put the run's rows of a table, its part's or its news, on those before; a view shows all.

        Args:
            table: `dataset.name`.
            replaced: which earlier rows no longer hold; None for a table that only grows.
            kept: SQL condition that earlier rows meet beside that.
        """
        columns = ", ".join(self.old.columns(table))

        def rows(source: str, number: int) -> str:
            holds = f"NOT {replaced.after(number, 'e')}" if replaced else ""
            conditions = " AND ".join(filter(None, (kept, holds)))
            return f"SELECT {columns} FROM {source} AS e" + (f" WHERE {conditions}" if conditions else "")

        if self.absorbed or table in NEWS:
            found = NEWS.get(table, named(table, part_of(self.run.run_id)))
            copied = [f"SELECT {columns} FROM {found} AS n"]
            copied += [rows(layer.rows(table), layer.number) for layer in self.absorbed]
            self.here.execute(f"CREATE OR REPLACE TABLE {self.own.rows(table)} AS {' UNION ALL '.join(copied)}")
        shown = [rows(named(table, self.base), 0)]
        shown += [rows(layer.rows(table), layer.number) for layer in self.below]
        shown.append(f"SELECT {columns} FROM {self.own.rows(table)} AS d")
        self.here.execute(f"CREATE OR REPLACE VIEW {table} AS {' UNION ALL '.join(shown)}")


def layers_of(engine: Engine, generation: str) -> tuple[Layer, ...]:
    """What a generation is read from beside its base, oldest first."""
    here = engine.at(generation)
    if not here.columns(LAYERS.name):
        return ()
    return tuple(
        Layer(**row)
        for row in here.query("SELECT number, generation, size, is_merged FROM identity.layers AS l ORDER BY number")
    )


def _stack(earlier: Sequence[Layer], news: int, most: int) -> tuple[tuple[Layer, ...], tuple[Layer, ...]]:
    """Which layers to leave and which to take over: with too many, the last ones, as long as each is the smaller.

    So a row is written again only when about as much is written with it, a logarithm of times (log-structured merge
    trees: O'Neil et al., 1996).
    """
    if len(earlier) < most:
        return tuple(earlier), ()
    kept, size = list(earlier), max(news, earlier[-1].size)
    while kept and kept[-1].size <= size:
        size += kept.pop().size
    return tuple(kept), tuple(earlier[len(kept) :])


def named(table: str, generation: str) -> str:
    """A generation's table under its own name, wherever an engine stands."""
    dataset, _, name = table.partition(".")
    return f"generations.{generated_name(dataset, name, generation)}"


def part_of(generation: str) -> str:
    """Where a run works out the people it touches."""
    return f"{generation}-part"


def delta_of(generation: str) -> str:
    """Where a layer keeps its news, and rows of earlier layers."""
    return f"{generation}-delta"
