"""A run that changes far more people than runs do is stopped before anybody reads it, and says what did it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from include.connect.errors import FixSettings, ReviewIdentity
from include.run import Run
from include.settings import Settings
from include.warehouse.engine import Engine
from include.warehouse.identity.health import measure
from include.warehouse.identity.jumps import RUNBOOK, YOUNG, Look, look_for_jumps
from include.warehouse.identity.kinds import DEFAULT, Limits, with_limits
from include.warehouse.schema import OPS
from tests.identity.conftest import START

PEOPLE, WITH_TWO = 300, 120
SETTINGS = Settings()


@dataclass
class Company:
    """People with a record and an address, some with two addresses, and what was published of them."""

    world: Any
    published: str

    def stitch(self, limits: Limits = DEFAULT) -> tuple[Engine, Callable[..., Look]]:
        """A generation on the published one, and the question whether it may be published."""
        here, _ = self.world.stitch(previous=self.published, limits=limits)
        run = self.run(here)
        return here, lambda settings=SETTINGS, **more: look_for_jumps(self.world.engine, run, settings, **more)

    def run(self, here: Engine) -> Run:
        assert here.generation
        return Run(here.generation, START + timedelta(days=400 + self.world.runs), "unify", here.generation)

    def publish(self, run: Run) -> None:
        row = {"generation": run.run_id, "base": run.run_id, "as_of": run.as_of, "published_at": run.as_of}
        self.world.engine.append("ops.published", [{**row, "seq_to": 1, "people": PEOPLE, "events": 0}])


@pytest.fixture(scope="module")
def stitched(new_world: Callable[[], Any]) -> Iterator[Any]:
    """The people, in a first generation."""
    world = new_world()
    world.engine.ensure(OPS)
    for number in range(1, PEOPLE + 1):
        record = ("hubspot_contact_id", f"main/{number}")
        world.see(record, ("email", f"p{number}@work.example"), rule="hubspot_contact_email")
        if number <= WITH_TWO:
            world.see(record, ("email", f"p{number}@home.example"), rule="hubspot_additional_emails")
    world.stitch()
    yield world
    world.engine.connection.close()


@pytest.fixture
def company(stitched: Any) -> Company:
    """A company with a quiet past: `YOUNG` generations, in which nobody merged."""
    world = replace(stitched, facts=[*stitched.facts], occurrences=[])
    made = Company(world, "r1")
    last = made.run(world.engine.at("r1"))
    world.engine.execute("DELETE FROM ops.published WHERE TRUE")
    made.publish(last)
    for ago in range(1, YOUNG):
        made.publish(replace(last, run_id=f"before-{ago}", as_of=last.as_of - timedelta(days=ago)))
    return made


def test_many_merges_stop_the_run_and_the_error_says_what_to_do(company: Company) -> None:
    world = company.world
    for number in range(1, 2 * WITH_TWO, 2):
        # A record that is new names two people's addresses.
        for one in (number, number + 1):
            address = ("email", f"p{one}@work.example")
            world.see(("xero_contact_id", f"main/{number}"), address, rule="xero_contact_email")
    here, look = company.stitch()
    with pytest.raises(ReviewIdentity, match="120 people merged into others, of 300; allowed are 100") as caught:
        look()
    said = caught.value
    assert "(most by xero_contact_email 120)" in said.what
    assert f"generations.identity__changes__{here.generation}" in said.fix
    assert "accept_identity_changes = true" in said.fix
    assert RUNBOOK in said.fix
    assert "work.example" not in str(said)

    assert look(is_accepted=True).too_much == (said.what,)
    assert look(SETTINGS.model_copy(update={"identity_max_merged_share": 0.4})).too_much == ()

    # Where a run usually merges fifty, 120 are no jump.
    old = world.engine.at(company.published)
    usual = [(f"before-{ago}", f"{number}") for ago in range(1, YOUNG) for number in range(50)]
    rows = [{"generation": name, "change": "merged", "customer_id": number} for name, number in usual]
    old.append("identity.changes", rows)
    assert look().too_much == ()

    # Without a past nobody knows what is usual.
    old.execute("DELETE FROM identity.changes WHERE generation <> @generation", {"generation": company.published})
    with pytest.raises(ReviewIdentity):
        look()
    world.engine.execute("DELETE FROM ops.published WHERE generation = 'before-1'")
    assert look().too_much == ()
    world.engine.execute("DELETE FROM ops.published WHERE TRUE")
    assert look() == Look(largest=7)


def test_many_splits_stop_the_run_and_so_does_a_crowd_under_one_id(company: Company) -> None:
    world = company.world
    for number in range(250):
        world.event(f"e{number}", ("device_id", f"tab-{number}"), ("user_id", "u1"))
    world.see(("hubspot_contact_id", "main/299"), ("user_id", "u1"), rule="hubspot_login")
    _, look = company.stitch(with_limits(DEFAULT, ["email=1"], "here"))
    with pytest.raises(ReviewIdentity) as caught:
        look()
    splits, crowd = caught.value.what.split("; a person")
    assert "120 people were split off others, of 300; allowed are 100 and usual 0" in splits
    assert "(most by hubspot_additional_emails 120)" in splits
    assert "has 253 identifiers; before, nobody had more than 3; allowed are 200 (most by same_event 250" in crowd


def test_health_counts_people_by_size_kind_limit_and_what_is_blocked(company: Company) -> None:
    world = company.world
    world.see(("email", "info@work.example"), ("stripe_customer_id", "main/cus_1"))
    world.see(("email", "sales@work.example"), ("stripe_customer_id", "main/cus_2"))
    for number in range(4):
        world.see(("hubspot_contact_id", "main/7"), ("email", f"more{number}@home.example"))
    here, _ = company.stitch()
    company.publish(replace(company.run(here), run_id=str(here.generation)))
    found = measure(world.engine, DEFAULT, generations=2)

    assert (found.generation, found.people) == (here.generation, PEOPLE + 3)
    assert [(size.least, size.most, size.people) for size in found.sizes] == [
        (1, 1, 3),
        (2, 2, PEOPLE - WITH_TWO),
        (3, 5, WITH_TWO - 1),
        (6, 10, 1),
    ]
    kinds = {kind.kind: kind for kind in found.kinds}
    email = kinds["email"]
    assert (email.people, email.p99, email.limit) == (PEOPLE + 1, 2, 5)
    # Six addresses are one too many: the youngest is somebody else's.
    assert (email.most, email.near, email.at_limit) == (5, 0, 1)
    assert kinds["stripe_customer_id"].limit is None
    assert [(each.kind, each.reason, each.values, each.top) for each in found.blocked] == [
        ("email", "role_inbox", 2, "info@work.example")
    ]
    assert [each.generation for each in found.generations] == [here.generation, company.published]
    assert found.generations[1].created == PEOPLE
    assert found.generations[0].merged == 0


@pytest.mark.parametrize("entry", ["email", "email=few", "e-mail=3", "email=0"])
def test_a_wrong_limit_says_where_it_is(entry: str) -> None:
    with pytest.raises(FixSettings) as caught:
        with_limits(DEFAULT, ["phone=2", entry], "--limit")
    assert "limit" in str(caught.value)
    assert with_limits(DEFAULT, ["phone=2"], "--limit").per_person == {"phone": 2}
