"""Writes down that a person is to be erased; the next `unify`, which this starts, takes them out of everything.

Name them by their `customer_id`, or by any identifier of theirs; an identifier that several people share is
refused. Parameters stay in Airflow's own database: a customer_id tells nobody who it was. Proof is in `ops.erasures`.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task

from include import steps, wiring
from include.settings import read_settings

if read_settings().sources and wiring.is_wanted("erase_person"):
    with DAG(
        "erase_person",
        description="Erase a person from landing, raw, staging, identity, marts, receipts and destinations",
        schedule=None,
        catchup=False,
        max_active_runs=1,
        params={
            "kind": Param("customer_id", type="string", description="customer_id, email, phone, user_id, ..."),
            "value": Param("", type="string", description="the identifier"),
        },
        default_args=wiring.task_defaults() | {"pool": wiring.POOL},
        tags=[wiring.Tag.LAYER.of("raw"), wiring.Tag.IMPACT.of("tier_1")],
        doc_md=__doc__,
    ):

        @task(outlets=[wiring.erasures_asset()])
        def write_down() -> dict[str, Any]:
            """Keep salted hashes of who it is, and the list of what goes."""
            params = get_current_context()["params"]
            return steps.erase_request(params["kind"] or None, params["value"], wiring.current_run())

        write_down()
