"""A spool with requests in it, as a collector leaves one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from include.collector.entry import Entry, frame
from include.collector.spool import Spool

AT = datetime(2026, 5, 28, 20, 26, 40, tzinfo=UTC)


def fill(folder: Path, *entries: tuple[str, dict[str, str], bytes], account: str = "main") -> None:
    async def run() -> None:
        spool = Spool(folder, roll_bytes=2**26, roll_seconds=3600)
        for name, outside, body in entries:
            await spool.append(frame(Entry(name, account, AT.timestamp(), outside, body)))
        await spool.close()

    asyncio.run(run())
