"""A generation as a layer: the people it touched are its own, everybody else is read where an earlier one left them.

A whole generation has tables. A layered one has views of the same names: the rows of its base, a whole generation,
without the people touched since, and the rows of those people. Nothing a reader may have open is ever rewritten.
"""

from __future__ import annotations

from dataclasses import dataclass

from include.run import Run
from include.warehouse.engine import Engine
from include.warehouse.render import generated_name


@dataclass(frozen=True, slots=True)
class Replaced:
    """Which rows of earlier tables no longer hold.

    Args:
        key: column of the rows.
        table: the generation's list of replaced keys: that column, and `generation`, the run that replaced it last.
    """

    key: str
    table: str

    def ever(self, row: str) -> str:
        """SQL: whether a row's key was replaced since the base."""
        return f"EXISTS (SELECT 1 FROM {self.table} AS x WHERE x.{self.key} = {row}.{self.key})"

    def by(self, generation: str, row: str) -> str:
        """SQL: whether a row's key was replaced by that run."""
        return (
            f"EXISTS (SELECT 1 FROM {named(self.table, generation)} AS x "
            f"WHERE x.{self.key} = {row}.{self.key} AND x.generation = '{generation}')"
        )


TOUCHED_PEOPLE = Replaced("customer_id", "identity.touched")
CHANGED_EVENTS = Replaced("event_id", "identity.changed_events")


@dataclass(frozen=True, slots=True)
class Layers:
    """The layer that one run lays on an earlier generation.

    Args:
        engine: the warehouse.
        run: whose generation it is.
        previous: the generation before it.
        base: the whole generation under both; `previous` itself where that is whole.
    """

    engine: Engine
    run: Run
    previous: str
    base: str

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
            f"SELECT {key}, generation FROM {replaced.table} AS e "
            f"WHERE NOT EXISTS (SELECT 1 FROM {now} AS x WHERE x.{key} = e.{key}) "
            f"UNION ALL SELECT DISTINCT {key}, '{self.run.run_id}' AS generation FROM {now} AS n"
        )

    def lay(self, table: str, rows: str, replaced: Replaced | None) -> None:
        """Write the layer of one table, and the view that puts it on the base.

        Args:
            table: `dataset.name`.
            rows: SELECT of the rows this run adds, with the table's columns; read in `part`'s generation.
            replaced: which earlier rows no longer hold; None for a table that only grows.
        """
        columns = ", ".join(self.old.columns(table))
        self.part.execute(f"CREATE OR REPLACE TABLE scratch.layer AS SELECT {columns} FROM ({rows}) AS r")
        delta = named(table, delta_of(self.run.run_id))
        earlier = ""
        if self.previous != self.base:
            kept = f"WHERE NOT {replaced.by(self.run.run_id, 'e')}" if replaced else ""
            earlier = f"SELECT {columns} FROM {named(table, delta_of(self.previous))} AS e {kept} UNION ALL "
        self.engine.execute(f"CREATE OR REPLACE TABLE {delta} AS {earlier}SELECT {columns} FROM scratch.layer AS l")
        shown = f"WHERE NOT {replaced.ever('b')}" if replaced else ""
        self.view(table, f"SELECT {columns} FROM {named(table, self.base)} AS b {shown}", delta, columns)

    def view(self, table: str, base: str, delta: str, columns: str) -> None:
        """The generation's view of a table: some rows of the base and all of the layer."""
        self.here.execute(f"CREATE OR REPLACE VIEW {table} AS {base} UNION ALL SELECT {columns} FROM {delta} AS d")


def named(table: str, generation: str) -> str:
    """A generation's table under its own name, wherever an engine stands."""
    dataset, _, name = table.partition(".")
    return f"generations.{generated_name(dataset, name, generation)}"


def part_of(generation: str) -> str:
    """Where a run works out the people it touches; gone once the generation is published."""
    return f"{generation}-part"


def delta_of(generation: str) -> str:
    """Where a layered generation keeps its own rows."""
    return f"{generation}-delta"
