"""Every source that declares key sweeps finds what its vendor deleted silently, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.connect.errors import FixSettings, StitchlineError
from include.connect.landing import Manifest
from include.connect.source import Sweep
from include.run import Run
from include.sources import all_sources, get_source
from include.warehouse import stage
from include.warehouse.duckdb import DuckDBEngine
from include.warehouse.load import load
from include.warehouse.models import staging_models
from include.warehouse.schema import raw_table
from tests.sources.simulator import HTTP_SOURCES, Puller, Simulator

SWEPT = sorted(name for name, source in all_sources().items() if source.swept)
ALONE = {("mailchimp", "lists")}
"""Streams of which a simulator holds one record: losing it would be losing all."""
Keys = dict[str, str]


def swept(*every_time: str) -> pytest.MarkDecorator:
    """Each swept source; those not named only in the long run."""
    return pytest.mark.parametrize(
        "name", [name if name in every_time else pytest.param(name, marks=pytest.mark.long) for name in SWEPT]
    )


@dataclass
class Company:
    """One source's vendor, landing and warehouse."""

    name: str
    pulling: Puller
    engine: DuckDBEngine
    runs: int = 0
    lost: list[tuple[str, str]] = field(default_factory=list)

    def pull(self, kind: str, **options: object) -> list[Manifest]:
        self.runs += 1
        return self.pulling(self.name, f"{kind} {self.runs}", kind=kind, **options)

    def load(self) -> None:
        load(self.engine, self.pulling.settings, self.name, "main", Run.of("load", str(self.runs), datetime.now(UTC)))

    def lose(self, keys: Keys) -> None:
        """Have the vendor delete these records without telling anybody."""
        self.lost += keys.items()
        self._tell("lose", keys)

    def restore(self, keys: Keys) -> None:
        self._tell("restore", keys)

    def _tell(self, what: str, keys: Keys) -> None:
        for stream, key in keys.items():
            self.pulling.simulator.control("POST", what, {"source": self.name, "stream": stream, "key": key})

    def marks(self) -> dict[str, dict[str, bool]]:
        """Stream -> key -> whether staging has it marked."""
        stage.stage(self.engine, Run.of("unify", str(self.runs), datetime.now(UTC)), self.pulling.settings)
        return {
            one.name: {
                row["_key"]: row["is_deleted"]
                for row in self.engine.query(f"SELECT _key, is_deleted FROM staging.{self.name}__{one.name}")
            }
            for one in get_source(self.name).swept
        }

    def alive(self, place: int) -> Keys:
        """Of each swept stream, one record that is not marked."""
        return {
            stream: sorted(key for key, is_deleted in marks.items() if not is_deleted)[place]
            for stream, marks in self.marks().items()
            if (self.name, stream) not in ALONE
        }

    def forget(self) -> None:
        """Begin with an empty landing and warehouse."""
        shutil.rmtree(Path(self.pulling.settings.landing_root))
        self.engine.connection.close()
        self.engine = DuckDBEngine.in_memory()


@pytest.fixture
def company(name: str, world: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    """A source whose vendor has everything again afterwards."""
    streams = get_source(name).streams
    own = {f"raw.{name}__{one.name}" for one in streams}
    models = tuple(model for model in staging_models() if model.reads <= own)
    monkeypatch.setattr(stage, "staging_models", lambda: models)
    monkeypatch.setattr(stage, "raw_tables", lambda: [raw_table(name, one.name) for one in streams])
    world.control("DELETE", "faults")
    made = Company(name, Puller(world, tmp_path), DuckDBEngine.in_memory())
    yield made
    for stream, key in made.lost:
        made.restore({stream: key})
    made.engine.connection.close()


@swept("callrail", "jira")
def test_what_was_deleted_is_found_and_what_came_meanwhile_is_kept(company: Company) -> None:
    company.pull("full")
    company.load()
    gone, late = company.alive(1), company.alive(-2)
    company.forget()
    company.lose(late)  # as if it were not there yet
    known = company.pulling.keys(company.pull("full"))
    assert not [stream for stream, key in late.items() if key in known[stream]]
    company.lose(gone)
    began = company.runs
    with ThreadPoolExecutor(1) as other:

        def meanwhile(stream: str, records: int, requests: int) -> None:
            if company.runs == began + 1:
                company.restore(late)
                other.submit(company.pull, "full").result()

        read = company.pull("sweep", on_progress=meanwhile)
    assert company.runs == began + 2
    assert {one.stream: one.kind for one in read} == {one.name: "sweep" for one in get_source(company.name).swept}
    assert {one.cursor_to for one in read} == {None}
    company.load()
    marks = company.marks()
    found = company.engine.query("SELECT stream, deleted FROM ops.sweeps ORDER BY stream")
    assert {row["stream"]: row["deleted"] for row in found} == {one.stream: int(one.stream in gone) for one in read}
    assert {stream: marks[stream][key] for stream, key in gone.items()} == dict.fromkeys(gone, True)
    assert {stream: marks[stream][key] for stream, key in late.items()} == dict.fromkeys(late, False)


@swept("zendesk")
def test_a_sweep_that_was_cut_off_marks_nothing_and_ends_as_if_it_had_not_been(company: Company) -> None:
    company.pull("full")
    company.load()
    gone = company.alive(1)
    company.lose(gone)
    first = get_source(company.name).swept[0].name

    def cut(stream: str, records: int, requests: int) -> None:
        if stream == first:
            raise Cut("the process ends here", where="a test")

    with pytest.raises(Cut):
        company.pull("sweep", on_progress=cut)
    company.load()
    assert company.engine.query("SELECT * FROM ops.sweeps") == []
    company.runs -= 1
    company.pull("sweep", attempt=2)
    company.load()
    marks = company.marks()
    assert {stream: marks[stream][key] for stream, key in gone.items()} == dict.fromkeys(gone, True)


class Cut(StitchlineError):
    def __init__(self, what: str, *, where: str) -> None:
        super().__init__(what, where=where, fix="")


@pytest.mark.parametrize("name", sorted(set(all_sources()) - set(SWEPT)))
def test_a_source_with_nothing_to_sweep_says_so(name: str, world: Simulator, tmp_path: Path) -> None:
    connection = world.connection(name) if name in HTTP_SOURCES else None
    with pytest.raises(FixSettings, match=f"{name} has nothing to sweep"):
        Puller(world, tmp_path)(name, kind="sweep", connection=connection)


@pytest.mark.parametrize("name", sorted(all_sources()))
def test_every_stream_says_how_its_deletions_are_seen(name: str) -> None:
    source = get_source(name)
    assert all(stream.deletes for stream in source.streams)
    tables = {model.name for model in staging_models() if "_deleted_at IS NOT NULL" in model.sql}
    assert {f"staging.{name}__{one.name}" for one in source.swept} == {
        table for table in tables if table.startswith(f"staging.{name}__")
    }
    swept = {one.name for one in source.swept}
    assert all(isinstance(one.deletes, Sweep) and one.parent in (None, *swept) for one in source.swept)
