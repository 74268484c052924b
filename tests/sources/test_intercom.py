"""What is odd about Intercom: contacts are searched by whole days, leads vanish into users, conversations reopen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.sources.simulator import Puller, Simulator
from tests.sources.test_oddities import asked


def _speaker(conversation: dict[str, Any]) -> str:
    return str(conversation["contacts"]["contacts"][0]["id"])


def test_a_search_by_days_misses_no_hour_and_lands_no_other(changing_world: Simulator, tmp_path: Path) -> None:
    pulling = Puller(changing_world, tmp_path)
    contacts, conversations = pulling("intercom")
    held = {line["_key"]: line["_payload"] for line in pulling.lines(contacts)}
    speakers = {line["_key"]: _speaker(line["_payload"]) for line in pulling.lines(conversations)}
    user = next(key for key, payload in held.items() if payload["role"] == "user")
    lead = next(key for key in speakers.values() if held[key]["role"] == "lead")
    asked(changing_world, "intercom", pulling, ("POST", "/contacts/merge", {"json": {"from": lead, "into": user}}))
    again, moved = pulling("intercom", "2")
    found = pulling.keys([again])["contacts"]
    assert user in found
    assert lead not in found
    cursor = max(payload["updated_at"] for payload in held.values())
    assert all(line["_payload"]["updated_at"] >= cursor - 600 for line in pulling.lines(again))
    # What the lead said is the user's now.
    after = {line["_key"]: _speaker(line["_payload"]) for line in pulling.lines(moved)}
    assert {after[key] for key, speaker in speakers.items() if speaker == lead} == {user}


def test_a_conversation_that_is_opened_again_comes_again(changing_world: Simulator, tmp_path: Path) -> None:
    pulling = Puller(changing_world, tmp_path)
    (first,) = pulling("intercom", stream="conversations")
    before = {line["_key"]: line["_payload"] for line in pulling.lines(first)}
    changing_world.advance(0.1)
    pulling.follow()
    (second,) = pulling("intercom", "2", stream="conversations")
    reopened = [
        line["_payload"]
        for line in pulling.lines(second)
        if line["_payload"]["updated_at"] > before[line["_key"]]["updated_at"]
    ]
    assert reopened
    assert {payload["state"] for payload in reopened} == {"open"}
    for payload in reopened:
        was = before[payload["id"]]["statistics"]["count_reopens"]
        assert payload["statistics"]["count_reopens"] == was + 1
