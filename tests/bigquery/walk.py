"""One walk of the road on DuckDB, noting all that the program asks of a warehouse, seldom taken branches included."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from recorder import Record, recording

from include import steps
from include.activate import membership
from include.activate.plan import draw
from include.activate.preview import edit, preview
from include.activate.rename import take_over
from include.activate.segment import compute, get_segment
from include.checks.quarantine import held, set_aside
from include.checks.results import CHECK_RESULTS, Finding, keep, usual_rows
from include.checks.run import _count
from include.checks.suite import Rows
from include.checks.suites import all_suites
from include.connect.errors import FixSettings
from include.destinations import get_destination
from include.journey.link import JOURNEY_URL
from include.journey.person import read_activities, read_person, standing
from include.journey.search import find_customer
from include.privacy.request import request
from include.run import Run
from include.settings import ROOT, Settings
from include.summary import summarize
from include.warehouse.engine import Engine, connect
from include.warehouse.identity.evidence import EVIDENCE
from include.warehouse.identity.explain import CUSTOMER, explain, owner
from include.warehouse.identity.generation import limits_of
from include.warehouse.identity.health import measure
from include.warehouse.identity.jumps import crowded_by_rule
from include.warehouse.identity.nodes import fill
from include.warehouse.identity.overrides import Overrides
from include.warehouse.identity.preview import preview as identity_preview
from include.warehouse.identity.stitch import stitch
from include.warehouse.models import BEGINNING, at_published, published, staging_models
from include.warehouse.stage import stage

sys.path.insert(0, str(ROOT / "tests" / "journeys"))
from road import SEGMENT, Road, company

PEOPLE = 60
OLD = "generations.left_behind"


def walk(folder: Path) -> Record:
    """What was asked for, in order."""
    with company(folder / "company", people=PEOPLE) as started, recording() as record:
        road = Road(folder / "home", started, overrides={"STITCHLINE_LAYER_FROM_EVENTS": "0"})
        road.walk()
        _check(road)
        _change(road)
        _walk_on(road)
        _ask(road)
        _erase(road)
    return record


def _check(road: Road) -> None:
    """What a check asks beside Great Expectations' own queries."""
    with road.here() as settings, connect(settings) as engine:
        run = road.run("unify")
        suites = all_suites()
        engine.ensure([CHECK_RESULTS])
        _count(engine, suites)
        keep(engine, run, [Finding(table, "volume", "critical", True, 1) for table in suites])
        usual_rows(engine, run, list(suites))
        for table, suite in suites.items():
            critical = [each for each in suite.expectations if isinstance(each, Rows) and each.severity == "critical"]
            set_aside(engine, run, table, critical)
            held(engine, table)


def _change(road: Road) -> None:
    """What makes the next turn take the ways it seldom takes."""
    with road.here() as settings, connect(settings) as engine:
        engine.execute("UPDATE ops.staged SET `sql` = 'SELECT 7 AS other' WHERE model = 'staging.mailchimp__lists'")
        members = next(model for model in staging_models() if model.name == "staging.mailchimp__members")
        before = "\n".join(line for line in members.sql.splitlines() if " AS phone," not in line)
        engine.execute(
            "UPDATE ops.staged SET `sql` = @before WHERE model = @name", {"before": before, "name": members.name}
        )
        engine.execute("UPDATE activation.state SET customer_id = 'an id of a merged person' WHERE TRUE")
        # One delivery was killed: what it sent last has no receipts. The other lists only follow the merge.
        killed = "sync LIKE '%zendesk_user'"
        engine.execute(f"UPDATE activation.plans SET status = 'applying' WHERE status = 'applied' AND {killed}")
        engine.execute(f"DELETE FROM activation.receipts WHERE MOD(position, 2) = 0 AND {killed}")
        engine.execute(f"CREATE OR REPLACE TABLE {OLD} AS SELECT 1 AS n")


def _walk_on(road: Road) -> None:
    """Two generations laid on the first, a list with another column, and a list that is held."""
    road.turn()
    with road.here() as settings:
        run = road.run("unify")
        steps.unify_stage(run)
        with connect(settings) as engine:
            aside = "INSERT INTO quarantine.hubspot__contacts SELECT *, 'a reason' AS _reason, @at AS _quarantined_at "
            engine.execute(f"{aside} FROM staging.hubspot__contacts LIMIT 1", {"at": run.as_of})
        steps.unify_identity(run)
        steps.unify_marts(run)
        steps.unify_publish(run)
    road.company.control("POST", "advance", {"recover": 2, "days": 1})
    _sweep(road)
    road.turn()
    road.ingest()
    road.unify()
    assert road.state().base != road.state().generation
    with road.here() as settings, connect(settings) as engine:
        segment = get_segment(SEGMENT)
        older = replace(segment, sql=f"SELECT *, 'older' AS remark FROM ({segment.sql}) AS list")
        compute(engine, older, road.run("older"), settings)
    road.segment()
    for destination in ("hubspot_contact", "zendesk_user"):
        road.sync(destination)
    with road.here() as settings, connect(settings) as engine:
        for old, new in ((SEGMENT, "renamed"), ("renamed", SEGMENT)):
            header = replace(segment.header, formerly=old)
            take_over(engine, replace(segment, name=new, path=Path(f"{new}.sql"), header=header))
    for days in (0, 40):
        road.ahead = timedelta(days=days)
        road.turn()
        road.segment()


def _sweep(road: Road) -> None:
    """A contact goes, and comes back."""
    contact = road.query("SELECT _key FROM staging.hubspot__contacts AS c WHERE NOT is_deleted ORDER BY _key")[0][
        "_key"
    ]
    for what in ("lose", "restore"):
        road.turn()
        road.company.control("POST", what, {"source": "hubspot", "stream": "contacts", "key": contact})
        with road.here():
            run = road.run("sweep_hubspot")
            steps.ingest_pull("hubspot", "main", run, kind="sweep")
            steps.ingest_load("hubspot", "main", run)
    assert road.query("SELECT SUM(deleted) AS gone, SUM(returned) AS back FROM ops.sweeps AS s") == [
        {"gone": 1, "back": 1}
    ]


def _ask(road: Road) -> None:
    """What people ask for: a preview, an explanation, a full refresh, a summary."""
    with road.here() as settings:
        with connect(settings) as engine:
            run = road.run("asked")
            _lists(engine, settings, run)
            state = published(engine)
            assert state is not None
            here = engine.at(state.generation)
            one, other = here.query("SELECT kind, value FROM identity.identifiers AS i LIMIT 2")
            explain(here, one["kind"], one["value"])
            explain(here, one["kind"], one["value"], (other["kind"], other["value"]))
            with suppress(FixSettings):
                explain(here, "email", "nobody@example.com")
            _look(engine, settings, run)
            limits = limits_of(settings)
            measure(engine, limits)
            crowded_by_rule(here, 1)
            with identity_preview(engine, settings, run, Overrides(), limits) as found:
                found.effect()
                found.lists()
                found.parts(here.query("SELECT customer_id FROM identity.customers AS c LIMIT 1")[0]["customer_id"])
            for number, links in enumerate(RARITIES):
                _stitch(engine, f"rarities {number}", links)
            stage(engine, run, settings, full_refresh=True)
        summarize(settings, run.as_of - timedelta(days=1))


def _look(engine: Engine, settings: Settings, run: Run) -> None:
    """A customer's page, and its address in a plan."""
    here, state = at_published(engine)
    one = here.query("SELECT value, customer_id FROM identity.identifiers AS i WHERE kind = 'email' LIMIT 1")[0]
    assert find_customer(here, settings, one["value"]) == one["customer_id"]
    assert standing(here, one["customer_id"]).status == "here"
    assert read_person(here, one["customer_id"]) is not None
    read_activities(here, one["customer_id"])
    segment, destination = get_segment(SEGMENT), get_destination("hubspot_contact")
    spec = replace(segment.sync(destination.name), fields=(("journey", JOURNEY_URL),))
    linked = settings.model_copy(update={"public_url": "https://airflow.example.com"})
    draw(engine, segment, spec, destination, run, state.generation, {}, linked)


def _lists(engine: Engine, settings: Settings, run: Run) -> None:
    """What people ask of lists, now and over time."""
    segment = get_segment(SEGMENT)
    preview(engine, segment, settings, run)
    edit(engine, SEGMENT, segment, settings, run)
    reader, _ = at_published(engine)
    known = membership.computed(reader, SEGMENT)
    membership.changed(reader, SEGMENT, known.first_at, known.last_at)
    membership.days(reader, SEGMENT, known.first_at, settings.timezone)
    membership.overlaps(reader, [SEGMENT, "churned"])
    who = reader.query("SELECT customer_id FROM identity.customers AS c LIMIT 1")[0]["customer_id"]
    membership.stays(reader, owner(reader, CUSTOMER, who), SEGMENT)


def _erase(road: Road) -> None:
    """Somebody is erased, comes back by a full pull, and goes again."""
    road.overrides["STITCHLINE_ERASURE_SALT"] = "the salt of a walk"
    road.turn()
    with road.here() as settings, connect(settings) as engine:
        state = published(engine)
        assert state is not None
        people = "SELECT customer_id FROM identity.identifiers AS i WHERE kind = 'hubspot_contact_id' ORDER BY value"
        # Something landed that no staging SQL reads.
        unread = "SELECT * REPLACE ('collector' AS source, 'hooks' AS stream, 'walk' AS run_id)"
        engine.execute(f"INSERT INTO ops.loads {unread} FROM ops.loads AS l LIMIT 1")
        who = engine.at(state.generation).query(f"{people} LIMIT 1")[0]["customer_id"]
        request(engine, settings, road.run("barred"), "email", "nobody@example.com", unknown=True, dry_run=True)
        request(engine, settings, road.run("erased"), "customer_id", who)
    road.unify()
    road.turn()
    with road.here():
        run = road.run("ingest_hubspot")
        steps.ingest_pull("hubspot", "main", run, kind="full", start=None, end=None)
        steps.ingest_load("hubspot", "main", run)
    road.unify()
    assert road.query("SELECT returned FROM ops.erasures AS e")[0]["returned"] > 0


Link = tuple[tuple[str, str], tuple[str, str]]
RARITIES: tuple[list[Link], ...] = (
    [
        # Two people, each on a device of their own, and the devices seen under each other's id.
        (("user_id", "u1"), ("anonymous_id", "d1")),
        (("user_id", "u2"), ("anonymous_id", "d2")),
        (("anonymous_id", "d1"), ("anonymous_id", "d2")),
        # Two accounts joined by a chain that touches no identifier twice: it has to be cut.
        (("user_id", "u3"), ("email", "one@example.com")),
        (("email", "one@example.com"), ("hubspot_contact_id", "main/1")),
        (("hubspot_contact_id", "main/1"), ("email", "two@example.com")),
        (("email", "two@example.com"), ("user_id", "u4")),
    ],
    # Devices that touch one person each.
    [(("user_id", "u1"), ("anonymous_id", "d1"))],
    # More new devices in a week than a person has.
    [(("user_id", "u1"), ("anonymous_id", f"d{number}")) for number in range(6)],
)
"""Links of kinds that a small company has none of."""


def _stitch(engine: Engine, name: str, links: Sequence[Link]) -> None:
    """Stitch a few links into a generation of their own."""
    run = Run.of("unify", name, BEGINNING)
    here = engine.at(run.run_id)
    evidence = [
        {
            **dict.fromkeys(column.name for column in EVIDENCE.columns),
            **{"rule": "record", "is_inferred": False, "occurrences": 1},
            **{"left_kind": left[0], "left_value": left[1], "right_kind": right[0], "right_value": right[1]},
            **{"first_seq": number, "first_seen_at": BEGINNING, "last_seen_at": BEGINNING},
        }
        for number, (left, right) in enumerate(links)
    ]
    carried = {"event_id": "e1", "ts": BEGINNING, "kind": "anonymous_id", "value": "d1"}
    called = {"kind": "user_id", "value": "u1", "first_name": "Ada", "last_name": None}
    fill(here, "identity.evidence", {column.name: column.type for column in EVIDENCE.columns}, evidence)
    fill(here, "identity.occurrences", {name: "TIMESTAMP" if name == "ts" else "STRING" for name in carried}, [carried])
    fill(here, "identity.names", dict.fromkeys(called, "STRING"), [called])
    stitch(here, run, overrides=Overrides())
