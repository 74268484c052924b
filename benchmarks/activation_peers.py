"""A list sent by ours, by drt-core and by dlt: calls, seconds, share of the permitted rate, and what the vendor holds.

Every case begins at a fresh vendor, a portal of `activation_api.py`, and each run of a way is a process of its own.
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.activation_api import used
from benchmarks.activation_ways import BATCH, FIRST_ID, is_member, order_count
from benchmarks.peers import environment, finished, launch, serving

API = "benchmarks.activation_api"
DUCKDB = f"duckdb=={importlib.metadata.version('duckdb')}"
PEERS = {"drt-core": ("drt-core==1.2.1", DUCKDB), "dlt": ("dlt==1.31.0", DUCKDB)}


@dataclass(frozen=True)
class Step:
    """One run of a way; told under its name, or only to prepare the next one where it has none.

    Args:
        name: what the report calls it.
        is_changed: whether 1% of the list has another value than before.
        is_shorter: whether 1% has left the list.
        faults: what goes wrong at the vendor.
        refuses: whether the vendor refuses 1% of the rows.
        kill_after: share of the list's calls after which the process is killed.
    """

    name: str = ""
    is_changed: bool = False
    is_shorter: bool = False
    faults: dict[str, Any] = field(default_factory=dict)
    refuses: bool = False
    kill_after: float = 0


CASES: tuple[tuple[Step, ...], ...] = (
    (Step("first load"), Step("nothing changed")),
    (Step(), Step("1% changed", is_changed=True)),
    (Step(), Step("1% left the list", is_shorter=True)),
    (Step("1% refused", refuses=True), Step("no longer refused, next run")),
    (Step("every 5th call answered 429", faults={"throttle_every": 5, "retry_after": 1}), Step("next run")),
    (Step("every 5th call 500, every 7th cut off", faults={"error_every": 5, "reset_every": 7}), Step("next run")),
)
LONG: tuple[tuple[Step, ...], ...] = (
    (Step("paced"),),
    (Step("killed halfway", kill_after=0.5), Step("run again")),
)
"""Cases that need more than one window of the vendor's, and so more people."""


@dataclass(frozen=True)
class Turn:
    """What one run did; `share` is that of the permitted rate, where it took long enough to say.

    `wrong` counts the contacts that do not hold what the list says; `refused` the rows the way says were refused.
    """

    way: str
    name: str
    members: int
    calls: int
    rows: int
    seconds: float
    share: float | None
    throttled: int
    wrong: int
    refused: int
    ended: str


def measure(members: int, rate: float, seconds: int, ways: list[str], tell: Callable[[str], None]) -> list[Turn]:
    """Every case by every way; the long ones with a list that takes so many seconds at that rate."""
    pythons = {way: sys.executable if way == "ours" else _python(way) for way in ways}
    long_list = round(rate * seconds) * BATCH
    found = []
    names = ("run", "way", "calls", "rows", "seconds", "share of the rate", "429", "contacts wrong", "refusals told")
    tell(f"| {' | '.join(names)} | ended |")
    tell("|---" * (len(names) + 1) + "|")
    for cases, size in ((CASES, members), (LONG, long_list if seconds else 0)):
        for case in cases if size else ():
            for way, python in pythons.items():
                for turn in _case(way, python, case, size, rate):
                    tell(told(turn))
                    found.append(turn)
    return found


def told(turn: Turn) -> str:
    """A turn as a row of the table."""
    share = "" if turn.share is None else f"{100 * turn.share:.1f}%"
    return (
        f"| {turn.name}, {turn.members:,} | {turn.way} | {turn.calls:,} | {turn.rows:,} | {turn.seconds:.1f} | {share} "
        f"| {turn.throttled:,} | {turn.wrong:,} | {turn.refused:,} | {turn.ended} |"
    )


def _python(peer: str) -> str:
    return str(environment(f"activation-{peer}", PEERS[peer]))


def _case(way: str, python: str, case: tuple[Step, ...], members: int, rate: float) -> list[Turn]:
    found = []
    folder = tempfile.TemporaryDirectory(prefix="stitchline-bench-")
    with serving(API, members, rate) as url, folder as home:
        for day, step in enumerate(case):
            turn = _turn(way, python, url, Path(home), step, day, members, rate)
            if step.name:
                found.append(turn)
    return found


def _turn(way: str, python: str, url: str, home: Path, step: Step, day: int, members: int, rate: float) -> Turn:
    refused = [n for n in range(members) if step.refuses and n % 100 == 11]
    addresses = [f"contact{FIRST_ID + n}@example.com" for n in refused]
    _ask(f"{url}/faults", {**step.faults, "reject_emails": addresses})
    before = _ask(f"{url}/told")
    arguments = (members, step.is_changed, step.is_shorter, day, rate)
    process = launch(python, "activation_ways", home, way, f"{url}/hubspot", *arguments)
    if step.kill_after:
        began = time.perf_counter()
        _kill(process, url, before["requests"] + step.kill_after * members / BATCH)
        took: dict[str, Any] = {"seconds": time.perf_counter() - began, "refused": 0, "ended": "killed"}
    else:
        took = finished(process, home)
    after = _ask(f"{url}/told")
    return Turn(
        way,
        step.name,
        members,
        calls=after["requests"] - before["requests"],
        rows=after["rows"] - before["rows"],
        seconds=took["seconds"],
        share=used(after["answered"][len(before["answered"]) :], rate),
        throttled=after["throttled"] - before["throttled"],
        wrong=_wrong(_ask(f"{url}/held"), step, members, set(refused)),
        refused=took["refused"],
        ended=took["ended"] or "well",
    )


def _kill(process: subprocess.Popen[bytes], url: str, calls: float) -> None:
    while process.poll() is None and _ask(f"{url}/told")["requests"] < calls:
        time.sleep(0.05)
    process.kill()
    process.wait()
    # What it had sent still arrives.
    while _ask(f"{url}/told")["in_flight"]:
        time.sleep(0.02)


def _wrong(held: dict[str, list[str | None]], step: Step, members: int, refused: set[int]) -> int:
    """Contacts that do not hold what the list says; of the refused and of those who left, that they hold no flag."""
    wrong = 0
    for n in range(members):
        flag, field_ = held.get(str(FIRST_ID + n), (None, None))
        if n in refused or not is_member(n, is_shorter=step.is_shorter):
            wrong += flag == "true"
        else:
            wrong += (flag, field_) != ("true", str(order_count(n, is_changed=step.is_changed)))
    return wrong


def _ask(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=60) as answer:
        return json.loads(answer.read())
