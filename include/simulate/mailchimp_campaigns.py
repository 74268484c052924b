"""What Mailchimp's simulator mailed: weekly campaigns, and what the members they went to did with each."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from include.simulate.mailchimp_audience import Audience, stamp
from include.simulate.people import AUDIENCE_ID

WEEKS = 14
LINK = "https://www.example.com/blog/ten-ideas?utm_source=newsletter&utm_medium=email"
Did = dict[str, Any]


@dataclass(slots=True)
class Campaign:
    """One mailing: member -> what was done, oldest first."""

    id: str
    sent: datetime
    done: dict[str, list[Did]] = field(default_factory=dict)


def make_campaigns(audience: Audience, seed: int, now: datetime) -> dict[str, Campaign]:
    """Every campaign before `now` by id, oldest first, each to a part of the audience."""
    rng = random.Random(f"{seed}/campaigns")
    members = sorted(audience.members)
    made = {}
    for week in range(WEEKS, 0, -1):
        campaign = Campaign(f"c{WEEKS - week:09x}", now - timedelta(weeks=week) + timedelta(hours=3))
        for key in sorted(rng.sample(members, len(members) // 10)):
            campaign.done[key] = _done(rng, campaign.sent)
        made[campaign.id] = campaign
    return made


def _done(rng: random.Random, sent: datetime) -> list[Did]:
    if rng.random() < 0.03:
        kind = rng.choice(("hard", "soft"))
        return [{"action": "bounce", "type": kind, "timestamp": stamp(sent + timedelta(minutes=1)), "ip": ""}]
    done, at = [], sent
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        at += timedelta(minutes=rng.randint(2, 2000))
        done.append(_opened(at))
        if rng.random() < 0.4:
            done.append(
                {"action": "click", "timestamp": stamp(at + timedelta(seconds=40)), "url": LINK, "ip": "192.0.2.9"}
            )
    return done


def _opened(at: datetime) -> Did:
    return {"action": "open", "timestamp": stamp(at), "ip": "192.0.2.9"}


def open_late(campaign: Campaign, now: datetime) -> None:
    """Two members open it now."""
    for done in list(campaign.done.values())[:2]:
        done.append(_opened(now))


def sent_since(campaigns: Iterable[Campaign], since: str | None) -> list[Did]:
    """The campaigns as a list shows them."""
    found = [one for one in campaigns if since is None or one.sent >= datetime.fromisoformat(since)]
    return [{"id": one.id, "status": "sent", "send_time": stamp(one.sent)} for one in found]


def report(campaign: Campaign, audience: Audience, since: str | None) -> Sequence[Did]:
    """Everybody a campaign went to, each with what they did after `since`."""
    bound = None if since is None else datetime.fromisoformat(since)
    return [
        {
            "campaign_id": campaign.id,
            "list_id": AUDIENCE_ID,
            "list_is_active": True,
            "email_id": key,
            "email_address": audience.members[key].email,
            "activity": [one for one in done if bound is None or datetime.fromisoformat(one["timestamp"]) > bound],
        }
        for key, done in campaign.done.items()
        if key in audience.members
    ]
