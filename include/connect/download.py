"""Files that a vendor makes ready on another host: a signed address, fetched without our credentials."""

from __future__ import annotations

from typing import BinaryIO
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from include.connect.answers import decompressed
from include.connect.errors import StopSync
from include.connect.http import CONNECT_SECONDS, CallRefused, Session
from include.connect.records import BrokenAnswer

FILE_SECONDS = 600.0
GZIP = b"\x1f\x8b"
CHUNK = 2**20


async def download(session: Session, url: str, label: str, into: BinaryIO | None = None) -> bytes:
    """What the file at a signed address holds, unpacked. The address is a secret: it is never logged.

    Args:
        session: whose patience and counters apply.
        url: the signed address.
        label: what to call the file in messages.
        into: takes the file as it comes, so that memory does not grow with it; then nothing is handed back.

    Raises:
        CallRefused: the address is no longer good; the vendor has to make the file ready again.
        RetryLater: it kept failing.
        StopSync: the address is not encrypted although the vendor's own is.
    """
    where = f"{session.where} {label}".rstrip()
    if urlsplit(url).scheme not in ("https", urlsplit(session.base_url).scheme):
        raise StopSync("a file's address is not encrypted", where=where, fix="Check the connection's host.")
    timeout = aiohttp.ClientTimeout(total=FILE_SECONDS, connect=CONNECT_SECONDS)
    attempt = 0
    async with aiohttp.ClientSession(auto_decompress=into is not None, timeout=timeout, trust_env=True) as client:
        while True:
            attempt += 1
            session.counters.requests += 1
            try:
                async with client.get(URL(url, encoded=True)) as response:
                    status = response.status
                    if status == 200 and into is not None:
                        into.seek(0)
                        into.truncate()
                        async for chunk in response.content.iter_chunked(CHUNK):
                            into.write(chunk)
                        return b""
                    body = await response.read()
                    packing = response.headers.get("content-encoding", "").lower()
                if status == 200:
                    body = decompressed(body, packing)
                    return decompressed(body, "gzip") if body.startswith(GZIP) else body
            except (aiohttp.ClientError, BrokenAnswer, OSError) as error:
                await session.back_off(attempt, f"a file broke off ({type(error).__name__})", label)
                continue
            if 400 <= status < 500 and status not in (408, 425, 429):
                raise CallRefused(
                    f"the address of a file is no longer good ({status})",
                    where=where,
                    fix="Run it again: the file is then made ready again.",
                    request_id=None,
                    status=status,
                )
            await session.back_off(attempt, f"a file was answered with {status}", label)
