"""Audit a run's tables: compute measures of each (`expectations/<table>.sql`) and validate them by Great Expectations suites.

The SQL counts violating rows over the Delta tables; the suites, in GX's own JSON, say how many are allowed. So GX sees
one row of numbers per table, whatever the table's size.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from persona_pipeline.config import InputLimitsConfig, LimitsConfig
from persona_pipeline.contracts import load_contract, table_names
from persona_pipeline.core.package_data import package_folder
from persona_pipeline.publish.releases import Release
from persona_pipeline.publish.staging import PUBLISHED, staged_tables
from persona_pipeline.warehouse import Warehouse

EXPECTATIONS = package_folder("expectations")
_ACCEPTABLE = (
    *(f"user_item_topk.{name}" for name in LimitsConfig.model_fields),
    *(f"{table}.{name}" for name in InputLimitsConfig.model_fields for table in ("reviews", "interactions", "items")),
)


CheckKind = Literal["unsound", "drift"]


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """A failed expectation; as text, the sentence people read.

    Attributes:
        measure: `table.measure`.
        value: the measured value; None where nothing could be measured.
        at_least, at_most: the allowed range, open where None.
        kind: `unsound` cannot be accepted. `drift` exceeds a limit against the parent release, or on the input: the tables may
            be sound all the same, so a person may accept it.
        rule: the rule that should hold, in words.
    """

    measure: str
    value: float | None
    at_least: float | None
    at_most: float | None
    kind: CheckKind
    rule: str

    def __str__(self) -> str:
        found = "nothing" if self.value is None else f"{self.value:g}"
        return f"{self.measure} is {found}, expected {self.expected}: {self.rule}"

    @property
    def expected(self) -> str:
        """The allowed range, in words."""
        limits = [f"at least {self.at_least:g}"] if self.at_least is not None else []
        limits += [f"at most {self.at_most:g}"] if self.at_most is not None else []
        return " and ".join(limits)


@dataclass(frozen=True, slots=True)
class Audit:
    """Result of an audit: value by `table.measure`, and the checks that failed."""

    measures: dict[str, float]
    failed: list[FailedCheck] = field(default_factory=list)

    @property
    def unsound(self) -> bool:
        """Whether a check failed that nobody can accept."""
        return any(check.kind == "unsound" for check in self.failed)


def audit(warehouse: Warehouse, parameters: Mapping[str, Any], parent: Release | None = None) -> Audit:
    """Audit the run's tables, staged ones in place of the published ones, against the parent release if there is one.

    `parameters` are the values that measures and suites refer to by `$name` and `$PARAMETER`.
    """
    measured = {table: measure(warehouse, table, parameters, parent) for table in table_names()}
    failed = sorted(_validate(measured, parameters), key=lambda check: check.kind == "drift")
    return Audit({f"{t}.{name}": value for t, row in measured.items() for name, value in row.items()}, failed)


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
    for name in table_names():
        if f"parent_{name}" in sql:
            waiting[f"parent_{name}"] = (
                warehouse.dataset(name, parent.versions[name])
                if parent and name in parent.versions
                else load_contract(name).arrow_schema().empty_table()
            )
    stored = [name for name in named if name not in PUBLISHED]
    row = warehouse.query(sql, stored, used, **waiting).to_pylist()[0]
    return {name: float(value or 0) for name, value in row.items()}


def _validate(measured: dict[str, dict[str, float]], parameters: Mapping[str, Any]) -> list[FailedCheck]:
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
        failures += [_failed(table, row, failed) for failed in result.results if not failed.success]
    return failures


def _failed(table: str, row: dict[str, float], failed: Any) -> FailedCheck:
    config = failed.expectation_config
    limits = (config.kwargs.get(name) for name in ("min_value", "max_value"))
    at_least, at_most = (None if limit is None else float(limit) for limit in limits)
    column = config.kwargs["column"]
    measure = f"{table}.{column}"
    kind: CheckKind = "drift" if measure in _ACCEPTABLE else "unsound"
    return FailedCheck(measure, row.get(column), at_least, at_most, kind, config.meta["notes"])
