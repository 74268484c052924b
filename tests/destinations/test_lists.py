"""What lists that live at the vendor have to cope with: changed by hand, merged, filled by rules, deleted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from destination_bench import Bench, make_bench
from seen import HUBSPOT, LISTS, hubspot_list
from small_warehouse import person
from vendors import MAILCHIMP, Simulator, mailchimp_tag

from include.connect.errors import FixSettings, StopSync

if TYPE_CHECKING:
    from include.activate.sync import SyncResult


@pytest.fixture
def hubspot(simulator: Simulator, tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
    return make_bench("hubspot_list", simulator, tmp_path, request.node.originalname)


def by_hand(bench: Bench, how: str, *addresses: str) -> None:
    path = f"{LISTS}/{hubspot_list(bench.simulator, bench.target)}/memberships/{how}"
    bench.simulator.call("PUT", path, HUBSPOT, list(addresses))


def test_ids_of_nobody_are_told_from_their_neighbours_in_one_call(hubspot: Bench) -> None:
    people = hubspot.everybody[:8]
    result = hubspot.send(hubspot.publish([*people, person(9000, hubspot_contact_id="1")], tolerance="1"))
    assert (result.accepted, result.rejected) == (8, 1)
    assert hubspot.stats()["writes"] == 2
    assert hubspot.flagged() == hubspot.addresses(people)
    rejected = hubspot.warehouse.rows("SELECT address, code FROM activation.receipts WHERE status = 'rejected'")
    assert rejected == [{"address": "1", "code": "no_such_contact"}]


def test_who_was_removed_by_hand_leaves_without_a_word(hubspot: Bench) -> None:
    people = hubspot.everybody[:6]
    hubspot.send(hubspot.publish(people))
    gone = people[0]["hubspot_contact_id"]
    by_hand(hubspot, "remove", gone)
    hubspot.simulator.call("DELETE", f"/hubspot/crm/v3/objects/contacts/{people[1]['hubspot_contact_id']}", HUBSPOT)
    result = hubspot.send(hubspot.publish(people[2:]))
    assert (result.counts.leave, result.accepted, result.rejected) == (2, 2, 0)
    assert hubspot.held() == hubspot.addresses(people[2:])


def test_a_list_with_rules_of_its_own_is_not_touched(hubspot: Bench) -> None:
    made = {"name": hubspot.target, "objectTypeId": "0-1", "processingType": "DYNAMIC"}
    hubspot.simulator.call("POST", LISTS, HUBSPOT, made)
    hubspot.simulator.reset_stats()
    with pytest.raises(FixSettings, match="by rules of its own"):
        hubspot.send(hubspot.publish(hubspot.everybody[:3]))
    assert hubspot.stats()["writes"] == 0


def test_a_name_that_is_taken_meanwhile_is_found(hubspot: Bench) -> None:
    """The call that makes the list is cut off and repeated, and finds its own list."""
    segment = hubspot.publish(hubspot.everybody[:3])
    hubspot.simulator.faults("hubspot", truncate_every=2)
    hubspot.simulator.call("GET", "/hubspot/crm/v3/objects/contacts?limit=1", HUBSPOT)
    assert hubspot.send(segment).accepted == 3
    assert hubspot.stats()["writes"] == 4  # two made the list, the second in vain, and two filled it
    hubspot.simulator.no_faults()
    assert hubspot.flagged() == hubspot.addresses(hubspot.everybody[:3])


def delete_hubspot_list(bench: Bench) -> None:
    bench.simulator.call("DELETE", f"{LISTS}/{hubspot_list(bench.simulator, bench.target)}", HUBSPOT)


def delete_mailchimp_tag(bench: Bench) -> None:
    bench.simulator.call("DELETE", str(mailchimp_tag(bench.simulator, bench.target)), MAILCHIMP)


@pytest.mark.parametrize(
    ("name", "delete"), [("hubspot_list", delete_hubspot_list), ("mailchimp_tag", delete_mailchimp_tag)]
)
def test_a_list_deleted_at_the_vendor_is_filled_again_after_it_was_said(
    simulator: Simulator, tmp_path: Path, name: str, delete: Callable[[Bench], None]
) -> None:
    bench = make_bench(name, simulator, tmp_path, f"{name} deleted")
    people = bench.everybody[:30]
    bench.send(bench.publish(people))
    delete(bench)
    unchanged = bench.send(bench.publish(people))
    assert (unchanged.status, unchanged.calls) == ("unchanged", 0)
    with pytest.raises(StopSync, match="is another list at the vendor than before"):
        bench.send(bench.publish(bench.everybody[1:32]))
    assert (bench.held(), bench.flagged()) == (set(), set())
    again: SyncResult = bench.send(bench.publish(bench.everybody[1:32]))
    assert (again.counts.enter, again.accepted) == (31, 31)
    assert bench.flagged() == bench.addresses(bench.everybody[1:32])
    assert bench.send(bench.publish(bench.everybody[1:32])).calls == 0
