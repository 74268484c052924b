"""Records pulled per second of processor: ours, dlt, airbyte-cdk, a Singer tap, and a bare socket.

One API, in a process of its own whose time is nobody's, serves every way the same packed pages. Each way runs in a
process of its own, in turns; what it delivered is counted afterwards.
"""

from __future__ import annotations

import gzip
import importlib.metadata
import json
import re
import statistics
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.peers import environment, finished, launch, serving

API = "benchmarks.pull_api"
WAYS = (
    "ours, landed",
    "ours, loaded",
    "dlt",
    "dlt, flat",
    "airbyte-cdk",
    "Singer SDK",
    "Singer SDK, msgspec",
    "bare socket",
    "bare socket, unpacked",
)
PEERS = {
    "dlt": ("dlt[duckdb,parquet]==1.31.0", f"duckdb=={importlib.metadata.version('duckdb')}"),
    "airbyte-cdk": ("airbyte-cdk==7.39.1",),
    "Singer SDK": ("singer-sdk[msgspec]==0.54.9",),
}
TABLES = {
    "ours, loaded": ("raw.crm__contacts", "_key"),
    "dlt": ("raw.contacts", "id"),
    "dlt, flat": ("raw.contacts", "id"),
}
ID = re.compile(rb'"id": ?"(contact-\d+)"')


@dataclass(frozen=True)
class Turn:
    """What one turn took; `wrong` says what is missing or doubled of what it should have delivered.

    The processor's seconds are those of the work, `start` those of the imports before it.
    """

    seconds: float
    processor: float
    start: float
    gigabytes: float
    wrong: str


@dataclass(frozen=True)
class Pace:
    """A pull where the API permits so many calls a second."""

    rate: int
    calls: int
    share: float
    refused: int


def measure(records: int, repeats: int, ways: list[str], tell: Callable[[str], None]) -> dict[str, Turn]:
    """Medians of each way's turns, which are interleaved."""
    pythons = {way: _python(way) for way in ways}
    seen: dict[str, list[Turn]] = {way: [] for way in ways}
    with serving(API, records, 1, 0) as url:
        tell(f"{records:,} records of 1.5 kB, 100 a page, packed by gzip")
        for _ in range(repeats):
            for way, turns in seen.items():
                turns.append(_turn(way, pythons[way], url, records))
                tell(f"{way}: {told(turns[-1], records)}")
    return {way: _median(turns) for way, turns in seen.items()}


def pace(rate: int, seconds: int) -> Pace:
    """How near the pull comes to the rate that the API permits, and how often it is refused."""
    folder = tempfile.TemporaryDirectory(prefix="stitchline-bench-")
    with serving(API, 1_000, rate, rate * seconds) as url, folder as home:
        _run("ours, paced", sys.executable, url, Path(home), rate)
        with urllib.request.urlopen(f"{url}/told") as answer:
            said: dict[str, Any] = json.loads(gzip.decompress(answer.read()))
    achieved = (said["answered"] - 1) / (said["last_at"] - said["first_at"])
    return Pace(rate, said["answered"], achieved / rate, said["refused"])


def told(turn: Turn, records: int) -> str:
    """A turn in one line."""
    rate = f"{records / turn.processor:,.0f} records per second of processor"
    took = f"{turn.seconds:.1f} s, {turn.processor:.1f} s of processor after {turn.start:.1f} to start"
    return f"{took}, {rate}, {turn.gigabytes:.2f} GB, {turn.wrong}"


def _python(way: str) -> str:
    peer = way.partition(",")[0]
    return str(environment(f"pull-{peer.replace(' ', '-').lower()}", PEERS[peer])) if peer in PEERS else sys.executable


def _turn(way: str, python: str, url: str, records: int) -> Turn:
    with tempfile.TemporaryDirectory(prefix="stitchline-bench-") as home:
        took = _run(way, python, url, Path(home), records)
        return Turn(**took, wrong=shortfall(way, Path(home, "way"), records))


def _run(way: str, python: str, url: str, home: Path, records: int) -> dict[str, float]:
    return finished(launch(python, "pull_ways", home, way, url, records), home)


def shortfall(way: str, folder: Path, records: int) -> str:
    """What is wrong with the records delivered; "all delivered" where nothing is."""
    if way in TABLES:
        table, key = TABLES[way]
        (file,) = folder.rglob("*.duckdb")
        with duckdb.connect(str(file), read_only=True) as connection:
            row = connection.execute(f"SELECT COUNT(*), COUNT(DISTINCT {key}) FROM {table}").fetchone()
        count, distinct = row or (0, 0)
    else:
        found = [one for file in folder.rglob("*.json*") if file.name[0] != "_" for one in ID.findall(_text(file))]
        found += [one for file in folder.rglob("*.ndjson.gz") for one in ID.findall(_text(file))]
        count, distinct = len(found), len(set(found))
    return "all delivered" if count == distinct == records else f"WRONG: {count:,} records, {distinct:,} distinct"


def _text(file: Path) -> bytes:
    if file.suffix != ".gz":
        return file.read_bytes()
    # Not gzip.decompress: with a member for every page it copies the rest of the file every time.
    with gzip.open(file) as packed:
        return packed.read()


def _median(turns: list[Turn]) -> Turn:
    wrong = next((turn.wrong for turn in turns if turn.wrong != "all delivered"), "all delivered")
    middle = [
        statistics.median(getattr(turn, name) for turn in turns)
        for name in ("seconds", "processor", "start", "gigabytes")
    ]
    return Turn(*middle, wrong)
