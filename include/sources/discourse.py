"""Discourse: users, topics and posts of a forum."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec

from include.connect.auth import HeaderAuth
from include.connect.cursor import instant
from include.connect.http import Session
from include.connect.pages import Listing, NumberedPages, UrlPages
from include.connect.records import Body, Lifter, decode_page
from include.connect.source import Page, Rate, Source, Stream, Sweep, Window

log = logging.getLogger(__name__)

STEP = 50
"""A page of posts is this many numbers, whether or not there are public posts with them."""


class _Topic(msgspec.Struct):
    bumped_at: str | None = None
    pinned: bool = False


class _Post(msgspec.Struct):
    id: int
    created_at: str | None = None


async def read_topics(session: Session, window: Window) -> AsyncIterator[Page]:
    """Topics, latest activity first, down to the first of the window; pinned ones stand above the others."""
    key = Lifter(("id",))
    listing = Listing(
        session,
        "/latest.json",
        "topic_list.topics",
        UrlPages("topic_list.more_topics_url", limit=None),
        lambda record: key.lift(record).key,
        params={"order": "activity", "no_definitions": True},
        label="topics",
    )
    async for body, following in listing.pages(window.resume):
        topics = [msgspec.json.decode(record, type=_Topic) for record in body.records]
        is_old = [_is_before(one.bumped_at, window) for one in topics]
        changed = [record for record, old in zip(body.records, is_old, strict=True) if not old]
        yield Page(changed, following, rejected=body.rejected)
        if any(old and not one.pinned for one, old in zip(topics, is_old, strict=True)):
            return


async def read_posts(session: Session, window: Window) -> AsyncIterator[Page]:
    """Posts by number, from the latest down to the first of the window.

    Deleted posts and private messages take numbers too, so that a page with few posts, or none, is not the end.
    """
    before = int(window.resume) if window.resume else None
    was_empty = False
    while before is None or before > 0:
        body = await _posts(session, before, was_empty)
        posts = [msgspec.json.decode(record, type=_Post) for record in body.records]
        was_empty = not posts
        if before is None:
            if was_empty:
                log.warning("no public posts among the latest where=%s stream=posts", session.where)
                return
            before = max(post.id for post in posts)
        before -= STEP
        yield Page(body.records, str(before), rejected=body.rejected)
        if posts and all(_is_before(post.created_at, window) for post in posts):
            return


async def _posts(session: Session, before: int | None, was_empty: bool) -> Body:
    """Posts up to a number; none after none may be the page before once more, and is asked for again."""
    params: dict[str, Any] = {"before": before} if before is not None else {}
    attempt, is_sure = 0, not was_empty
    while True:
        answer = await session.send(
            "GET", "/posts.json", params=params, label="posts", decode=lambda data: decode_page(data, "latest_posts")
        )
        body: Body = answer.value
        numbers = [msgspec.json.decode(record, type=_Post).id for record in body.records]
        if before is None or all(before - STEP < number <= before for number in numbers):
            if numbers or is_sure:
                return body
            is_sure = True
            continue
        attempt += 1
        await session.back_off(attempt, "the vendor sent the same page again", "posts")


def _is_before(value: str | None, window: Window) -> bool:
    at, since = instant(value), window.since_at
    return at is not None and since is not None and at < since


SOURCE = Source(
    name="discourse",
    title="Discourse",
    base_url="https://{site}",
    auth=HeaderAuth(name="Api-Key"),
    headers={"Api-Username": "system"},
    budget=Rate(60, seconds=60),
    docs_url="https://docs.discourse.org/",
    not_covered="Private messages, likes, groups and badges; posts that change after a day keep their first text.",
    streams=(
        Stream(
            "users",
            path="/admin/users/list/active.json",
            records="",
            # By when they came the list only grows. Its size is the forum's, a hundred.
            pages=NumberedPages(page="page", limit="limit", size=100),
            params={"show_emails": True, "order": "created", "asc": True},
            deletes=Sweep(),
            description="Members with their address; the forum logs that it was looked at",
        ),
        Stream(
            "topics",
            read=read_topics,
            cursor="bumped_at",
            lookback=timedelta(hours=1),
            deletes=Sweep(),
            description="Topics by their latest activity",
        ),
        Stream(
            "posts",
            read=read_posts,
            cursor="created_at",
            # Edits are seen for a day.
            lookback=timedelta(days=1),
            deletes=Sweep(),
            description="Public posts with their author",
        ),
    ),
)
