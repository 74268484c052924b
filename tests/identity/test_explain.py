"""Why an identifier is somebody's, in steps a person can check."""

from __future__ import annotations

from typing import Any

import pytest

from include.connect.errors import FixSettings
from include.warehouse.identity.explain import explain

ANN = ("user_id", "ann-1")
MAIL = ("email", "ann@work.example.org")
CONTACT = ("hubspot_contact_id", "main/1")
HOME = ("email", "ann@home.example.org")


@pytest.fixture
def told(world: Any) -> Any:
    world.event("e1", ("anonymous_id", "laptop"), ANN)
    world.see(ANN, MAIL, rule="segment_user_email")
    world.see(CONTACT, MAIL, rule="hubspot_contact_email")
    world.see(CONTACT, HOME, rule="hubspot_additional_email")
    world.see(ANN, MAIL, rule="segment_users")
    world.see(("email", "info@shop.example.org"), ("stripe_customer_id", "main/cus_9"))
    world.event("k1", ("anonymous_id", "tablet"), ANN)
    world.event("k2", ("anonymous_id", "tablet"), ("user_id", "bob-2"))
    return world.stitch()[0]


def test_shortest_chain_to_the_anchor(told: Any) -> None:
    steps = explain(told, None, "  Ann@Home.example.org ")
    assert [(step.left_value, step.rule, step.right_value) for step in steps] == [
        (HOME[1], "hubspot_additional_email", CONTACT[1]),
        (CONTACT[1], "hubspot_contact_email", MAIL[1]),
        (MAIL[1], "segment_user_email", ANN[1]),
        (ANN[1], "same_event", "laptop"),
    ]
    assert steps[0].source == "test"
    assert steps[0].first_seen_at is not None


def test_chain_between_two_identifiers(told: Any) -> None:
    steps = explain(told, "email", HOME[1], other=("email", MAIL[1]))
    assert [step.rule for step in steps] == ["hubspot_additional_email", "hubspot_contact_email"]


def test_anchor_is_explained_by_all_its_links(told: Any) -> None:
    assert [step.right_value for step in explain(told, "anonymous_id", "laptop")] == [ANN[1]]


def test_blocked_shared_and_apart_say_why(told: Any) -> None:
    (blocked,) = explain(told, None, "info@shop.example.org")
    assert (blocked.rule, blocked.note) == ("blocked", "role_inbox")
    (shared,) = explain(told, "anonymous_id", "tablet")
    assert (shared.rule, shared.note) == ("shared", "shared_device: 2 people, 2026-01-01 to 2026-01-01")
    (apart,) = explain(told, "email", MAIL[1], other=("user_id", "bob-2"))
    assert apart.rule == "apart"


def test_unknown_identifier_is_an_error_without_the_value(told: Any) -> None:
    with pytest.raises(FixSettings, match="nobody has this identifier") as caught:
        explain(told, None, "eve@work.example.org")
    assert "eve@" not in str(caught.value)
