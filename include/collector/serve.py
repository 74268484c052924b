"""The collector as a process: the app on uvicorn, its spool, and the child that lands."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable

import msgspec
import uvicorn

from include.collector.app import Collector
from include.collector.fetch import Fetcher
from include.collector.keys import Read, read_keys
from include.collector.land import Landed
from include.collector.metrics import Metrics
from include.collector.spool import Spool, check_volume
from include.connect.connection import read_connection
from include.connect.errors import StitchlineError
from include.settings import ROOT, Settings

log = logging.getLogger(__name__)

GRACE_SECONDS = 10


def serve(
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    read: Read = read_connection,
    ready: Callable[[int], None] = lambda port: None,
    is_durable: bool = True,
) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP reads the connections again.

    Args:
        settings: the settings.
        host: address to listen on.
        port: port to listen on; 0 lets the system choose.
        read: reads a connection.
        ready: called with the port once it accepts.
        is_durable: False leaves out the fsync, to measure what it costs.

    Raises:
        StitchlineError: a setting or a connection is not right; nothing was taken.
    """
    if not settings.collector_any_disk:
        settings.spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        check_volume(settings.spool.resolve())
    keys = read_keys(settings, read)
    # Named as TCP, or the event loop does not turn Nagle off.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    lander = Lander(settings)
    spool = Spool(
        settings.spool,
        roll_bytes=settings.collector_roll_bytes,
        roll_seconds=settings.collector_roll_seconds,
        on_close=lander.wake,
        is_durable=is_durable,
    )
    app = Collector(settings, keys, spool, Fetcher(), metrics=lander.metrics)
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        backlog=4096,
    )
    server = uvicorn.Server(config)

    def leave(*_: object) -> None:
        # uvicorn stops on the signal and raises it again afterwards; by then there is nothing left to do.
        server.should_exit = True

    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, leave)

    def reload() -> None:
        try:
            app.keys = read_keys(settings, read)
        except StitchlineError as error:
            app.metrics.reload_failures += 1
            log.error("the connections as they were stay in use: %s", error)
        else:
            log.warning("connections read again routes=%d", len(app.keys.routes))

    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_serve(server, listener, app, lander, reload, ready))


async def _serve(
    server: uvicorn.Server,
    listener: socket.socket,
    app: Collector,
    lander: Lander,
    reload: Callable[[], None],
    ready: Callable[[int], None],
) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, lambda: loop.run_in_executor(None, reload))
    landing = asyncio.create_task(lander.run())
    rolling = asyncio.create_task(_roll(app.spool))
    serving = asyncio.create_task(server.serve([listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if not serving.done():
        ready(int(listener.getsockname()[1]))
    await serving
    rolling.cancel()
    await app.spool.close()
    lander.stop()
    await landing


async def _roll(spool: Spool) -> None:
    while True:
        await asyncio.sleep(1)
        await spool.roll()


class Lander:
    """The child that lands: started again whenever it ends, and ended by closing its pipe."""

    def __init__(self, settings: Settings) -> None:
        self.metrics = Metrics()
        self._settings = settings
        self._child: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._pipe = -1
        self._loop: asyncio.AbstractEventLoop | None = None

    def wake(self) -> None:
        """A file is complete; called from the spool's thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._knock)

    def _knock(self) -> None:
        if self._pipe >= 0:
            try:
                os.write(self._pipe, b"\n")
            except BrokenPipeError:
                log.debug("the child has ended; the next one looks by itself")

    async def run(self) -> None:
        """Keep a child running and read what it says, until `stop`."""
        self._loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            theirs, ours = os.pipe()
            self._child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "include.collector.land", str(self._settings.spool)),
                stdin=theirs,
                stdout=asyncio.subprocess.PIPE,
                cwd=ROOT,
            )
            os.close(theirs)
            self._pipe = ours
            assert self._child.stdout is not None
            if self._stopping.is_set():
                self._hang_up()
            async for line in self._child.stdout:
                self.metrics.note_landed(msgspec.json.decode(line, type=Landed), time.time())
            await self._child.wait()
            if not self._stopping.is_set():
                log.error("the landing process ended (%s); it is started again", self._child.returncode)
                self._hang_up()
                await asyncio.sleep(1)

    def stop(self) -> None:
        """Let it land what is there and end."""
        self._stopping.set()
        self._hang_up()

    def _hang_up(self) -> None:
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
