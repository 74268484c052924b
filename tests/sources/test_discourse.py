"""What is odd about Discourse: a page of posts is a range of numbers, pinned topics stand above newer ones."""

from __future__ import annotations

import itertools
from pathlib import Path

from include.simulate.discourse import POSTS_A_PAGE, TOPICS_A_PAGE
from tests.sources.simulator import Puller, Simulator
from tests.sources.test_oddities import asked


def test_posts_are_read_past_ranges_without_any_and_a_new_answer_is_seen(
    changing_world: Simulator, tmp_path: Path
) -> None:
    pulling = Puller(changing_world, tmp_path)
    _, topics, posts = pulling("discourse")
    numbers = sorted(int(key) for key in pulling.keys([posts])["posts"])
    # Deleted posts leave gaps that are wider than a page.
    assert numbers[0] == 1
    assert max(after - number for number, after in itertools.pairwise(numbers)) > POSTS_A_PAGE
    lines = [line["_payload"] for line in pulling.lines(topics)]
    assert len(lines) > TOPICS_A_PAGE
    assert lines[0]["pinned"]
    quiet = min(lines, key=lambda one: (one["bumped_at"], one["id"]))
    asked(changing_world, "discourse", pulling, ("DELETE", f"/posts/{numbers[-1]}.json", {}))
    changing_world.advance(0.1)
    pulling.follow()
    _, topics, posts = pulling("discourse", "2")
    assert next(line["_payload"]["id"] for line in pulling.lines(topics)) == quiet["id"]
    assert topics.requests == 1
    (answer, *_) = (line["_payload"] for line in pulling.lines(posts))
    assert answer["topic_id"] == quiet["id"]
    assert str(numbers[0]) not in pulling.keys([posts])["posts"]
