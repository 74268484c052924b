"""The page in the whole of Airflow, as `stitchline up` starts it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from town import ADA, NOW, build

from include.journey.embed import EmbedLink, sign
from include.launcher import Airflow, free_port
from include.settings import Settings

KEY = "signs in the api-server " + "k" * 30


@pytest.mark.long
def test_airflow_shows_the_page_and_the_frame(tmp_path: Path) -> None:
    build(tmp_path)
    with Airflow(tmp_path, free_port(), {"STITCHLINE_EMBED_KEY": KEY}) as airflow:
        airflow.wait_healthy()
        page = f"{airflow.url}/stitchline/customers/{ADA}"
        assert httpx.get(page).status_code == 401
        login = {"username": "admin", "password": airflow.password}
        bearer = httpx.post(f"{airflow.url}/auth/token", json=login).json()["access_token"]
        signed_in = {"Authorization": f"Bearer {bearer}"}
        assert "Ada Lovelace" in httpx.get(page, headers=signed_in).text
        plugins = httpx.get(f"{airflow.url}/api/v2/plugins", headers=signed_in).json()["plugins"]
        views = next(one for one in plugins if one["name"] == "stitchline_views")["external_views"]
        assert [view["href"] for view in views] == ["/stitchline/customers"]
        errors = httpx.get(f"{airflow.url}/api/v2/plugins/importErrors", headers=signed_in).json()
        assert errors["import_errors"] == []
        link = EmbedLink(ADA, "link1", NOW.replace(year=NOW.year + 50))
        token = sign(Settings(embed_key=KEY), link)  # type: ignore[arg-type]
        assert "Ada Lovelace" in httpx.get(f"{airflow.url}/stitchline/embed", params={"token": token}).text
        assert all(token not in log.read_text() for log in airflow.logs.glob("*.log"))
