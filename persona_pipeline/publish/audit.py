"""Audit a run's tables: compute measures of each (`expectations/<table>.sql`) and validate them by Great Expectations suites.

The SQL counts violating rows over the Delta tables; the suites, in GX's own JSON, say how many are allowed. So GX sees
one row of numbers per table, whatever the table's size.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from persona_pipeline.config import LimitsConfig
from persona_pipeline.contracts import load_contract, table_names
from persona_pipeline.core.package_data import package_folder
from persona_pipeline.publish.releases import Release
from persona_pipeline.publish.staging import PUBLISHED, staged_tables
from persona_pipeline.warehouse import Warehouse

EXPECTATIONS = package_folder("expectations")
_AGAINST_PARENT = tuple(f"user_item_topk.{name}" for name in LimitsConfig.model_fields)


@dataclass(frozen=True, slots=True)
class Audit:
    """Result of an audit.

    Attributes:
        measures: value by `table.measure`.
        failures: failed expectations, in words; these cannot be accepted.
        drift_violations: exceeded drift limits against the parent release, in words. The tables may be sound all the same, so a
            person may accept these.
    """

    measures: dict[str, float]
    failures: list[str]
    drift_violations: list[str] = field(default_factory=list)


def audit(warehouse: Warehouse, parameters: Mapping[str, Any], parent: Release | None = None) -> Audit:
    """Audit the run's tables, staged ones in place of the published ones, against the parent release if there is one.

    `parameters` are the values that measures and suites refer to by `$name` and `$PARAMETER`.
    """
    measured = {table: measure(warehouse, table, parameters, parent) for table in table_names()}
    failed = _validate(measured, parameters)
    return Audit(
        {f"{t}.{name}": value for t, row in measured.items() for name, value in row.items()},
        [failure for failure in failed if not is_drift_violation(failure)],
        [failure for failure in failed if is_drift_violation(failure)],
    )


def is_drift_violation(failure: str) -> bool:
    """Whether a failure is an exceeded drift limit against the parent release."""
    return failure.split(" is ")[0] in _AGAINST_PARENT


def measure(
    warehouse: Warehouse, table: str, parameters: Mapping[str, Any], parent: Release | None = None
) -> dict[str, float]:
    """Compute the measures of `expectations/<table>.sql` over the tables it names, staged ones in place of published ones.

    `parent_<table>` is the table as the parent release has it, empty where there is none.
    """
    sql = (EXPECTATIONS / f"{table}.sql").read_text(encoding="utf-8")
    used = {name: value for name, value in parameters.items() if re.search(rf"\${name}\b", sql)}
    named = [name for name in table_names() if re.search(rf"\b{name}\b", sql)]
    waiting = {name: staged_tables(warehouse).dataset(name) for name in named if name in PUBLISHED}
    for name in PUBLISHED:
        if f"parent_{name}" in sql:
            waiting[f"parent_{name}"] = (
                warehouse.dataset(name, parent.versions[name])
                if parent
                else load_contract(name).arrow_schema().empty_table()
            )
    stored = [name for name in named if name not in PUBLISHED]
    row = warehouse.query(sql, stored, used, **waiting).to_pylist()[0]
    return {name: float(value or 0) for name, value in row.items()}


def _validate(measured: dict[str, dict[str, float]], parameters: Mapping[str, Any]) -> list[str]:
    import great_expectations as gx
    import pandas as pd
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    source = context.data_sources.add_pandas("measures")
    failures = []
    for table, row in measured.items():
        suite = gx.ExpectationSuite(**json.loads((EXPECTATIONS / f"{table}.json").read_text(encoding="utf-8")))
        batch = source.add_dataframe_asset(table).add_batch_definition_whole_dataframe("night")
        result = batch.get_batch({"dataframe": pd.DataFrame([row])}).validate(
            suite, expectation_parameters=dict(parameters)
        )
        failures += [_in_words(table, row, failed) for failed in result.results if not failed.success]
    return failures


def _in_words(table: str, row: dict[str, float], failed: Any) -> str:
    config = failed.expectation_config
    column = config.kwargs["column"]
    limits = [f"at least {config.kwargs['min_value']:g}"] if config.kwargs.get("min_value") is not None else []
    limits += [f"at most {config.kwargs['max_value']:g}"] if config.kwargs.get("max_value") is not None else []
    return f"{table}.{column} is {row.get(column, float('nan')):g}, expected {' and '.join(limits)}: {config.meta['notes']}"
