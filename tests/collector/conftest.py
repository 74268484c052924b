from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from include.simulate.webhooks import connections, sns_certificate
from tests.collector.running import Running, WebSite, running


@pytest.fixture(scope="session")
def amazon() -> Iterator[WebSite]:
    """Amazon's SNS, as far as a receiver calls it."""
    with WebSite(lambda path: sns_certificate() if path.endswith(".pem") else b"<ok/>") as site:
        yield site


@pytest.fixture(scope="session")
def collector(amazon: WebSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One collector for tests that each send something of their own."""
    connection = json.dumps({**json.loads(connections()["AIRFLOW_CONN_SES"]), "host": amazon.url})
    with running(tmp_path_factory.mktemp("collector"), more={"AIRFLOW_CONN_SES": connection}) as made:
        yield made
