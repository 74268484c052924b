from __future__ import annotations

import pytest

from include.checks.schema import wrong_columns
from include.checks.suite import Columns, Suite, not_null, row_condition
from include.checks.suites import all_suites
from include.connect.errors import FixSettings
from include.warehouse.models import staging_models


def test_every_staging_table_has_a_suite_and_every_suite_a_table() -> None:
    assert set(all_suites()) == {model.name for model in staging_models()}


def test_every_suite_declares_the_columns_its_model_makes(engine) -> None:
    for table, suite in all_suites().items():
        [columns] = [each for each in suite.expectations if isinstance(each, Columns)]
        assert wrong_columns(engine, table, columns) == [], table


def test_what_differs_from_the_declaration_is_named(engine) -> None:
    engine.execute("CREATE TABLE staging.odd__rows AS SELECT 'a' AS kept, 1 AS counted, 2 AS extra")
    declared = Columns({"kept": "STRING", "counted": "STRING", "gone": "TIMESTAMP"})
    wrong = wrong_columns(engine, "staging.odd__rows", declared)
    assert wrong == ["gone is missing", "extra is not declared", "counted is INT64, declared STRING"]


def test_two_expectations_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two expectations"):
        Suite("staging.a__b", (not_null("x"), not_null("x")))
    with pytest.raises(ValueError, match="without quotes"):
        Suite("staging.a__b", (row_condition("isn't", "FALSE"),))


@pytest.mark.parametrize(
    "text", ["", "SUITE = 3", "from include.checks.suite import Suite\nSUITE = Suite('staging.x__y', ())"]
)
def test_a_file_without_its_suite_is_named(tmp_path, text) -> None:
    folder = tmp_path / "staging"
    folder.mkdir()
    (folder / "a__b.py").write_text(text)
    with pytest.raises(FixSettings, match=r"a__b\.py"):
        all_suites(tmp_path)
