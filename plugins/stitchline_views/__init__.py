"""Web pages inside the Airflow UI: a customer's journey, and the same page for frames in other tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin


class Pages:
    """The pages' app, imported when the first request comes: every process of Airflow loads this file."""

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Pass the request on."""
        from stitchline_views.pages import app

        await app(scope, receive, send)


class StitchlineViewsPlugin(AirflowPlugin):
    """Registers the pages, and their place in the navigation."""

    name = "stitchline_views"
    fastapi_apps = [{"app": Pages(), "url_prefix": "/stitchline", "name": "stitchline"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012  (Airflow reads both from the class)
        {"name": "Customers", "href": "/stitchline/customers", "url_route": "customers", "destination": "nav"}
    ]
