"""Calls to a vendor that a webhook makes necessary: certificates of signers, confirmations of subscriptions."""

from __future__ import annotations

from collections import OrderedDict
from urllib.parse import urlsplit

import aiohttp

from include.connect.signatures import Refused

SECONDS = 10.0
LARGEST = 64 * 1024
MOST = 16


class Fetcher:
    """Small GETs, without redirects; certificates are kept."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._certificates: OrderedDict[str, bytes] = OrderedDict()

    async def certificate(self, url: str, host: str | None) -> bytes:
        """The certificate at an address that is already known to be the vendor's.

        Raises:
            Refused: 503, it could not be fetched.
        """
        if url not in self._certificates:
            self._certificates[url] = await self.call(url, host)
            if len(self._certificates) > MOST:
                self._certificates.popitem(last=False)
        return self._certificates[url]

    async def call(self, url: str, host: str | None) -> bytes:
        """GET; `host` replaces scheme and host.

        Raises:
            Refused: 503, no 2xx answer came; the vendor sends again.
        """
        if host is not None:
            url = host.rstrip("/") + url[url.index("/", len("https://")) :]
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS))
        try:
            async with self._session.get(url, allow_redirects=False) as answer:
                if not answer.ok or answer.status >= 300:
                    raise Refused(503, f"{urlsplit(url).hostname} answered {answer.status}")
                return await answer.content.read(LARGEST)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Refused(503, f"{urlsplit(url).hostname} did not answer ({type(error).__name__})") from None

    async def close(self) -> None:
        """End what is open."""
        if self._session is not None:
            await self._session.close()
