"""What SendGrid's lists have to cope with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from destination_bench import Bench, make_bench
from seen import sendgrid_suppressed

if TYPE_CHECKING:
    from vendors import Simulator


@pytest.fixture
def sendgrid(simulator: Simulator, tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
    return make_bench("sendgrid_contact", simulator, tmp_path, request.node.originalname)


def test_nobody_is_let_off_a_suppression_list_and_who_does_not_consent_is_not_sent(sendgrid: Bench) -> None:
    before = sendgrid_suppressed(sendgrid.simulator)
    gone = {row["email"] for rows in before.values() for row in rows}
    people = sendgrid.everybody[:60]
    consenting = [row | {"has_email_marketing_consent": row["email"] not in gone} for row in people]
    refused = [row for row in consenting if not row["has_email_marketing_consent"]]
    assert refused
    result = sendgrid.send(sendgrid.publish(consenting))
    assert (result.accepted, result.suppressed) == (60 - len(refused), len(refused))
    # Even a list that believes them to consent lets nobody off.
    sendgrid.send(sendgrid.publish(people))
    sendgrid.send(sendgrid.publish(people[:30]))
    assert sendgrid_suppressed(sendgrid.simulator) == before
    assert sendgrid.flagged() == sendgrid.addresses(people[:30])


def test_an_invalid_address_is_told_without_halving_and_who_is_gone_has_left(sendgrid: Bench) -> None:
    people = [row | {"email_marketing_address": row["email"]} for row in sendgrid.everybody[:30]]
    people[9]["email_marketing_address"] = "no address"
    result = sendgrid.send(sendgrid.publish(people, tolerance="0.1"))
    assert (result.accepted, result.rejected) == (29, 1)
    made, refused, accepted = 1, 1, 1
    assert sendgrid.stats()["writes"] == made + refused + accepted
    rejected = sendgrid.warehouse.rows("SELECT address, code FROM activation.receipts WHERE status = 'rejected'")
    assert rejected == [{"address": "no address", "code": "invalid_contact"}]
    contact = sendgrid.simulator.call(
        "POST",
        "/sendgrid/v3/marketing/contacts/search/emails",
        {"Authorization": "Bearer SG.demo"},
        {"emails": [people[0]["email"]]},
    )["result"][people[0]["email"]]["contact"]["id"]
    path = f"/sendgrid/v3/marketing/contacts?ids={contact}"
    sendgrid.simulator.call("DELETE", path, {"Authorization": "Bearer SG.demo"})
    result = sendgrid.send(sendgrid.publish(people[2:], tolerance="1"))
    assert (result.counts.leave, result.rejected) == (2, 1)
    assert sendgrid.held() == sendgrid.addresses(people[2:]) - {"no address"}
