"""A Discourse forum: members, topics by activity with a pinned one on top, posts by number with gaps."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar

from starlette.responses import Response

from include.simulate.limits import Clock, FixedWindow
from include.simulate.names import plain
from include.simulate.people import Population
from include.simulate.vendor import Call, Refused, Route, Vendor, new_id, read, take, write

KEY = "discourse-demo"
USERS_A_PAGE, TOPICS_A_PAGE, POSTS_A_PAGE = 100, 30, 50
PER_MINUTE = 60
TITLES = ("How do I brew it?", "Which kettle?", "Delivery abroad", "Show your kitchen")
Record = dict[str, Any]


@dataclass(slots=True)
class Forum:
    """Everything in the forum, by number; `owners` says which person a member is."""

    users: dict[int, Record] = field(default_factory=dict)
    topics: dict[int, Record] = field(default_factory=dict)
    posts: dict[int, Record] = field(default_factory=dict)
    owners: dict[int, int | None] = field(default_factory=dict)


def make_forum(population: Population, now: datetime) -> Forum:
    """The forum as it is at `now`; the same population gives the same one."""
    rng = random.Random(f"{population.seed}/discourse")
    forum = Forum()
    for person in population.people:
        if rng.random() < 0.25:
            number = len(forum.users) + 1
            created = now - timedelta(days=400) + timedelta(hours=number)
            forum.users[number] = {
                "id": number,
                "username": f"{plain(person.first_name)}{number}",
                "name": person.name,
                "email": rng.choice(person.emails),
                "secondary_emails": [],
                "active": True,
                "admin": number == 1,
                "moderator": False,
                "staged": False,
                "trust_level": rng.randint(0, 3),
                "created_at": _iso(created),
                "last_seen_at": _iso(now - timedelta(days=rng.uniform(1, 90))),
                "post_count": 0,
            }
            forum.owners[number] = person.person_id
    moments = sorted(rng.uniform(2, 200) for _ in range(2 * len(forum.users)))[::-1]
    number = 0
    for ago in moments:
        number += rng.choice((1, 1, 1, 2, 80)) if rng.random() < 0.1 else 1  # others are deleted, or private
        _post(forum, rng, number, now - timedelta(days=ago))
    return forum


def _post(forum: Forum, rng: random.Random, number: int, at: datetime) -> None:
    author = forum.users[rng.choice(tuple(forum.users))]
    if not forum.topics or rng.random() < 0.3:
        topic_id = len(forum.topics) + 1
        title = rng.choice(TITLES)
        forum.topics[topic_id] = {
            **{"id": topic_id, "title": title, "fancy_title": title, "slug": f"topic-{topic_id}", "posts_count": 0},
            **{"reply_count": 0, "highest_post_number": 0, "created_at": _iso(at), "last_posted_at": _iso(at)},
            **{"bumped": True, "bumped_at": _iso(at), "archetype": "regular", "pinned": topic_id == 1},
            **{"closed": False, "archived": False, "views": rng.randint(1, 900), "like_count": 0, "category_id": 1},
            **{"last_poster_username": author["username"]},
            "posters": [{"description": "Original Poster", "user_id": author["id"]}],
        }
    topic = forum.topics[rng.choice(tuple(forum.topics))] if rng.random() < 0.7 else forum.topics[len(forum.topics)]
    author["post_count"] += 1
    topic["posts_count"] += 1
    topic["highest_post_number"] += 1
    topic |= {"bumped_at": _iso(at), "last_posted_at": _iso(at), "last_poster_username": author["username"]}
    forum.posts[number] = {
        **{"id": number, "user_id": author["id"], "username": author["username"], "name": author["name"]},
        **{"created_at": _iso(at), "updated_at": _iso(at), "cooked": "<p>Hello</p>", "raw": "Hello", "reads": 1},
        **{"post_number": topic["highest_post_number"], "post_type": 1, "reply_to_post_number": None, "score": 0.2},
        **{"topic_id": topic["id"], "topic_slug": topic["slug"], "topic_title": topic["title"], "deleted_at": None},
    }


class Discourse(Vendor):
    """One forum."""

    name = "discourse"
    media_type = "application/json; charset=utf-8"
    retyped_fields: ClassVar[Mapping[str, str]] = {"user": "name", "topic": "title", "post": "name"}

    def __init__(self, population: Population, clock: Clock, *, unlimited: bool = False) -> None:
        super().__init__(population, clock, unlimited=unlimited)
        self._began = population.now
        self._minute = FixedWindow(PER_MINUTE, 60, clock)

    @cached_property
    def forum(self) -> Forum:
        """What the forum holds, made when first asked for."""
        return make_forum(self.population, self._began)

    def routes(self) -> list[Route]:
        """Lists, and deleting a post."""
        return [
            read("/admin/users/list/active.json", self._users),
            read("/latest.json", self._topics),
            read("/posts.json", self._posts),
            write("DELETE", "/posts/{id:int}.json", self._delete),
        ]

    def accepts(self, call: Call) -> bool:
        """An admin's key, with the name of a user to act for."""
        return call.headers.get("api-key") == KEY and bool(call.headers.get("api-username"))

    def refuse(self, call: Call) -> Response:
        """403, as Discourse says it."""
        said = "You are not permitted to view the requested resource. The API username or key is invalid."
        return self.reply({"errors": [said], "error_type": "invalid_access"}, 403)

    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """429, with the seconds to wait."""
        wait = 1 if retry_after is None else retry_after
        said = "You've performed this action too many times, please try again later."
        body = {"errors": [said], "error_type": "rate_limit", "extras": {"wait_seconds": wait}}
        return self.reply(body, 429, {"Retry-After": str(wait)})

    def broken(self, call: Call) -> Response:
        """500."""
        return self.reply({"status": 500, "error": "Internal Server Error"}, 500)

    def missing(self, call: Call) -> Response:
        """404."""
        said = "The requested URL or resource could not be found."
        return self.reply({"errors": [said], "error_type": "not_found"}, 404)

    def limit(self, call: Call, in_flight: int) -> Response | None:
        """Sixty calls in a minute of the clock."""
        call.verdict = self._minute.take()
        return None if call.verdict.allowed else self.too_many(call, math.ceil(call.verdict.resets_in))

    def stamp(self, call: Call, response: Response) -> None:
        """The id of the call."""
        response.headers["X-Request-Id"] = new_id()

    def continues(self, call: Call) -> bool:
        """A later page, or posts below a number."""
        return call.query.get("page", "0") not in ("0", "1") or "before" in call.query

    def grow(self, recovered: Sequence[int]) -> None:
        """Somebody answers in the topic that was quiet longest."""
        if "forum" not in vars(self) or not self.forum.posts:
            return  # nobody has looked yet
        quiet = min(self.forum.topics.values(), key=lambda one: (one["bumped_at"], one["id"]))
        latest, now = max(self.forum.posts), _iso(self.population.now)
        quiet |= {"bumped_at": now, "last_posted_at": now, "posts_count": quiet["posts_count"] + 1}
        quiet["highest_post_number"] += 1
        self.forum.posts[latest + 1] = {
            **self.forum.posts[latest],
            **{"id": latest + 1, "created_at": now, "updated_at": now, "topic_id": quiet["id"]},
            **{"topic_slug": quiet["slug"], "post_number": quiet["highest_post_number"]},
        }

    def lose(self, stream: str, key: str) -> Callable[[], None]:
        """A member, a topic or a post."""
        stores: dict[str, dict[int, Record]] = {
            **{"users": self.forum.users, "topics": self.forum.topics, "posts": self.forum.posts}
        }
        return take(stores[stream], int(key))

    def _users(self, call: Call) -> Response:
        page = max(1, call.int_query("page", 1) or 1)
        users = list(self.forum.users.values())[(page - 1) * USERS_A_PAGE : page * USERS_A_PAGE]
        shows = call.query.get("show_emails") == "true"
        hidden = {} if shows else {"email": None, "secondary_emails": None}
        return self.reply([self.drifted("user", {**user, **hidden}) for user in users])

    def _topics(self, call: Call) -> Response:
        page = call.int_query("page", 0) or 0
        ordered = sorted(self.forum.topics.values(), key=lambda one: (one["bumped_at"], one["id"]), reverse=True)
        ordered.sort(key=lambda one: not one["pinned"])
        shown = ordered[page * TOPICS_A_PAGE : (page + 1) * TOPICS_A_PAGE]
        topics: Record = {"can_create_topic": True, "per_page": TOPICS_A_PAGE}
        topics["topics"] = [self.drifted("topic", topic) for topic in shown]
        if len(ordered) > (page + 1) * TOPICS_A_PAGE:
            topics["more_topics_url"] = f"/latest?no_definitions=true&order=activity&page={page + 1}"
        return self.reply({"users": [], "topic_list": topics})

    def _posts(self, call: Call) -> Response:
        latest = max(self.forum.posts, default=0)
        before = call.int_query("before", latest)
        before = latest if before is None or before <= 0 else before
        numbers = sorted((one for one in self.forum.posts if before - POSTS_A_PAGE < one <= before), reverse=True)
        return self.reply({"latest_posts": [self.drifted("post", self.forum.posts[one]) for one in numbers]})

    def _delete(self, call: Call) -> Response:
        if self.forum.posts.pop(int(call.params["id"]), None) is None:
            raise Refused(self.missing(call))
        return self.reply({})


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
