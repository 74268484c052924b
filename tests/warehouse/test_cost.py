"""The arithmetic of `stitchline models cost`, and the budgets that headers declare."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.connect.errors import FixSettings
from include.settings import Settings
from include.warehouse import models
from include.warehouse.cost import (
    MIB,
    TIB,
    Cost,
    cost,
    dollars,
    one_window,
    per_month,
    priced_models,
    raw_partitions,
    read_budget,
    report,
    size,
    stitching_floor,
)
from include.warehouse.duckdb import DuckDBEngine
from include.warehouse.empty_build import CATALOG_RUN as GENERATION
from include.warehouse.empty_build import empty_warehouse
from include.warehouse.schema import LOADS


@pytest.mark.parametrize(
    ("reads", "billed"),
    [
        ([(0, 1)], 10 * MIB),
        ([(0, 3)], 30 * MIB),
        ([(25 * MIB, 2)], 25 * MIB),
        ([(25 * MIB + 1, 2)], 26 * MIB),
        ([(5 * MIB, 1), (100 * MIB, 2)], 110 * MIB),
    ],
)
def test_each_statement_is_billed_its_bytes_or_ten_mebibytes_a_table(reads: list[tuple[int, int]], billed: int) -> None:
    assert cost("marts.orders", reads) == Cost("marts.orders", sum(read for read, _ in reads), billed)


def test_a_month_and_its_price() -> None:
    assert per_month(10 * MIB, 24) == 7300 * MIB
    assert dollars(4 * TIB, 6.25) == 25
    assert round(dollars(per_month(TIB, 1), 6.25), 2) == 190.10


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (1023, "1023 B"), (10 * MIB, "10.0 MiB"), (3 * 2**30, "3.0 GiB"), (5.5 * TIB, "5.5 TiB")],
)
def test_sizes_are_in_bigquerys_units(count: float, words: str) -> None:
    assert size(count) == words


def test_a_budget_is_over_when_the_bill_is() -> None:
    assert not cost("m", [(10 * MIB, 1)], budget=10 * MIB).is_over
    assert cost("m", [(11 * MIB, 1)], budget=10 * MIB).is_over
    assert cost("m", [(0, 2)], budget=10 * MIB).is_over  # the smallest bill counts too
    assert not cost("m", [(10**15, 1)]).is_over


def test_the_report_names_who_is_over() -> None:
    costs = [cost("marts.orders", [(TIB, 1)], budget=2**30), cost("marts.tickets", [(0, 1)], budget=2**30)]

    lines = report(costs, 24, 6.25)

    over = [line for line in lines if "OVER" in line]
    assert len(over) == 1
    assert over[0].startswith("marts.orders")
    assert over[0].endswith("OVER its budget of 1.0 GiB a run")
    assert "4562.50" in over[0]  # 730 TiB a month


def header(tmp_path: Path, line: str) -> Path:
    """A model file whose header's third line is `line`."""
    path = tmp_path / "model.sql"
    path.write_text(f"/*\ntitle: A model\n{line}\n*/\nSELECT 1 AS n\n")
    return path


@pytest.mark.parametrize(
    ("words", "count"),
    [("10 GB", 10**10), ("1.5 TB", 1.5 * 10**12), ("500MB", 5 * 10**8), ("2 GiB", 2 * 2**30)],
)
def test_a_budget_is_a_number_and_a_unit(tmp_path: Path, words: str, count: float) -> None:
    assert read_budget(header(tmp_path, f"budget: {words}")) == count


def test_most_headers_name_no_budget(tmp_path: Path) -> None:
    assert read_budget(header(tmp_path, "why: because")) is None


@pytest.mark.parametrize(
    "words", ["10", "ten GB", "10 gb", "10 GBs", "-1 GB", "0 GB", "1e3 GB", "10 GB a day", "{}", ""]
)
def test_anything_else_is_refused_with_its_line(tmp_path: Path, words: str) -> None:
    with pytest.raises(FixSettings, match=r"model\.sql:3: budget .* is no amount.* such as 10 GB"):
        read_budget(header(tmp_path, f"budget: {words}"))


def test_stitching_is_billed_for_every_table_of_every_statement() -> None:
    assert stitching_floor().billed > 100 * 10 * MIB


def test_every_model_is_priced_by_statements_that_run() -> None:
    engine = empty_warehouse().engine.at(GENERATION.run_id)
    params = {**models.clock(GENERATION, Settings()), **one_window(engine, 24)}

    priced = {model.name: model for model in priced_models()}

    for model in priced.values():
        for sql in model.statements:
            engine.execute(sql, params)
    assert {model.name for model in models.staging_models()} <= priced.keys()
    assert {"rules.segment_sign_in", "rules.zendesk_user_same_name", "identity.names"} <= priced.keys()
    assert {"marts.customers", "marts.golden_fields", "segments.at_risk_customers"} <= priced.keys()
    assert priced["segments.at_risk_customers"].budget == 10 * 10**9


def test_one_model_can_be_priced_alone() -> None:
    assert [model.name for model in priced_models(["marts.orders"])] == ["marts.orders"]
    with pytest.raises(FixSettings, match=r"Did you mean marts\.orders\?"):
        priced_models(["marts.order"])


def test_a_window_holds_the_loads_of_one_run() -> None:
    engine = DuckDBEngine.in_memory()
    engine.ensure([LOADS])
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    engine.append("ops.loads", [{"seq": n, "loaded_at": noon - timedelta(minutes=40 * (4 - n))} for n in (1, 2, 3, 4)])

    hourly, daily = one_window(engine, 24), one_window(engine, 1)

    assert (hourly["seq_from"], hourly["seq_to"]) == (2, 4)
    assert hourly["loaded_from"] == noon - timedelta(minutes=40)
    assert (daily["seq_from"], daily["seq_to"]) == (0, 4)


@pytest.mark.parametrize("history", [2, 200])
def test_days_of_raw_that_are_read_follow_the_run_and_not_history(history: int) -> None:
    engine = DuckDBEngine.in_memory()
    engine.ensure([LOADS])
    start = datetime(2026, 1, 1, 6, tzinfo=UTC)
    loads = [
        {"seq": day, "source": "stripe", "stream": "charges", "loaded_at": start + timedelta(days=day)}
        for day in range(1, history + 1)
    ]
    loads.append({"seq": history + 1, "source": "zendesk", "stream": "users", "loaded_at": loads[-1]["loaded_at"]})
    engine.append("ops.loads", loads)

    assert raw_partitions(engine, one_window(engine, 1)) == {"raw.stripe__charges": 1, "raw.zendesk__users": 1}
    assert all(model.raw for model in priced_models() if model.name.startswith("staging."))
    assert not any(model.raw for model in priced_models() if model.name.startswith("marts."))
