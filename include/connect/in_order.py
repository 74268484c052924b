"""Reading several lists at once while handing out their pages in the order of the lists."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def in_order(
    readers: Iterable[Callable[[], AsyncIterator[T]]], width: int
) -> AsyncGenerator[tuple[int, T], None]:
    """Each item with the number of its reader; up to `width` readers run, each at most one item ahead.

    Order is what makes a position in the stream durable; the bound is what keeps memory flat.
    """
    running: deque[tuple[int, asyncio.Queue[T | None], asyncio.Task[None]]] = deque()
    waiting = enumerate(readers)
    try:
        while True:
            while len(running) < width:
                following = next(waiting, None)
                if following is None:
                    break
                number, reader = following
                queue: asyncio.Queue[T | None] = asyncio.Queue(1)
                running.append((number, queue, asyncio.create_task(_fill(reader, queue))))
            if not running:
                return
            number, queue, task = running[0]
            while (item := await queue.get()) is not None:
                yield number, item
            await task
            running.popleft()
    finally:
        for _, _, task in running:
            task.cancel()
        await asyncio.gather(*(task for _, _, task in running), return_exceptions=True)


async def _fill(reader: Callable[[], AsyncIterator[T]], queue: asyncio.Queue[T | None]) -> None:
    """Put a reader's items into its queue; the end, also by an error, is a None."""
    try:
        async for item in reader():
            await queue.put(item)
    finally:
        # When cancelled, nobody is left to read the end, and waiting for room would never finish.
        current = asyncio.current_task()
        if current is None or not current.cancelling():
            await queue.put(None)
