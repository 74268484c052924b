"""What is odd about Mandrill: the key is in the body, a search ends at a thousand, an export has no ids."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from include.sources.mandrill import NO_SUBJECT
from tests.sources.simulator import Puller, Simulator
from tests.sources.test_oddities import asked


def payloads(pulling: Puller, manifest: Any) -> dict[str, Any]:
    return {line["_key"]: line["_payload"] for line in pulling.lines(manifest)}


def test_a_busy_day_is_exported_and_has_the_same_messages(world: Simulator, tmp_path: Path) -> None:
    given = world.connection("mandrill")
    by_search, with_exports = Puller(world, tmp_path / "a"), Puller(world, tmp_path / "b")
    calm = replace(given, extra={**given.extra, "page_size": 1000})
    searched, _ = by_search("mandrill", connection=calm)
    whole = payloads(by_search, searched)
    # A search shows two days; with room for what most pairs of days hold, only the busier ones are exported.
    sent = Counter(one["ts"] // 86_400 for one in whole.values())
    shown = sorted(sent[day] + sent[day + 1] for day in sent)[len(sent) // 2]
    busy = replace(given, extra={**given.extra, "page_size": shown})
    mixed, _ = with_exports("mandrill", connection=busy)
    found = payloads(with_exports, mixed)
    assert set(found) == set(whole)
    assert all("_id" in one for one in whole.values())
    exported = {key for key, one in found.items() if "_id" not in one}
    assert 0 < len(exported) < len(found)
    kept = ("email", "subject", "state", "opens", "clicks", "tags", "metadata")
    for key in exported:
        assert {name: found[key][name] for name in kept} == {name: whole[key][name] for name in kept}
    assert NO_SUBJECT in {one["subject"] for one in whole.values()}
    assert len(sent) > 25


def test_later_opens_are_seen_and_an_address_that_is_let_off_is_gone(changing_world: Simulator, tmp_path: Path) -> None:
    pulling = Puller(changing_world, tmp_path)
    messages, rejects = pulling("mandrill")
    before, let_off = payloads(pulling, messages), pulling.keys([rejects])["rejects"][0]
    call = {"json": {"key": changing_world.connection("mandrill").password, "email": let_off}}
    # With a store of its own: the budget in the other one lies in the future of a patient clock.
    elsewhere = Puller(changing_world, tmp_path / "elsewhere")
    asked(changing_world, "mandrill", elsewhere, ("POST", "/rejects/delete.json", call))
    changing_world.advance(0.1)
    pulling.follow()
    messages, rejects = pulling("mandrill", "2")
    after = payloads(pulling, messages)
    assert 0 < len(after) < len(before) / 2
    assert len([key for key in after if key in before and after[key]["opens"] > before[key]["opens"]]) == 3
    assert let_off not in pulling.keys([rejects])["rejects"]
