"""The web app as browsers see it, of people who signed in and of nobody; and what signs links to it."""

from __future__ import annotations

from pathlib import Path

import httpx

KEY, FORMER_KEY = "signs now " + "k" * 30, "signed before " + "f" * 30
HOSTS = "https://acme.zendesk.com,https://*.hubspot.com"
SECONDS = 120


class Site:
    """The web app; asks as a browser does."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self.log = log
        self.sessions: dict[str, httpx.Client] = {}

    def __call__(self, who: str | None) -> httpx.Client:
        """A browser of somebody who signed in, or of nobody."""
        if (who or "") not in self.sessions:
            client = httpx.Client(base_url=self.url, timeout=SECONDS)
            if who is not None:
                said = httpx.post(f"{self.url}/auth/token", data={"username": who, "password": who}, timeout=SECONDS)
                client.cookies.set("_token", said.json()["access_token"])
            self.sessions[who or ""] = client
        return self.sessions[who or ""]
