"""Evaluate several models' ranked lists into rows of `evaluation_metrics`, per-user metrics, and tables for a terminal.

Every model is evaluated on the same users, and compared with one reference model, paired by user. A model with several
seeds has rows for each seed; the printed table shows the mean over its seeds.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from persona_pipeline.contracts import load_contract
from persona_pipeline.core.terminal import counted, one_line
from persona_pipeline.evaluate.metrics import CUTOFFS, METRICS, RelevantItems, average_popularity, coverage, per_user
from persona_pipeline.evaluate.significance import Estimate, compare, estimate
from persona_pipeline.evaluate.slices import ALL, Slice

Row = dict[str, Any]

SHOWN = ("ndcg@10", "hit@10")

_DIGITS = 9  # rows are the same on any machine, whatever the order it adds in


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Ranked lists of one model and seed: `ranked` (users, k) as `metrics.per_user` takes it, `settings` as tuned."""

    model: str
    seed: int
    settings: Mapping[str, object]
    ranked: np.ndarray


@dataclass(frozen=True, slots=True)
class Results:
    """Per-user metrics of every run.

    Attributes:
        runs: the evaluated lists.
        reference: the model that all other models are compared with.
        columns: metrics and cut-offs, `ndcg@10`.
        values: by slice with users, (users in the slice, runs, columns).
        lists: by metric and cut-off, (runs,) metrics over all lists together: `coverage@10`, `average_popularity@10`.
    """

    runs: tuple[Evaluated, ...]
    reference: str
    columns: tuple[str, ...]
    values: Mapping[str, np.ndarray]
    lists: Mapping[str, np.ndarray]

    def rows(self, evaluation_id: str, as_of: date, data: str, split: str) -> pa.Table:
        """Build rows of `evaluation_metrics`: every run, slice, metric and cut-off.

        The reference of a run is the reference model's run with the same seed, else its first.
        """
        common = {"evaluation_id": evaluation_id, "as_of": as_of, "data": data, "split": split}
        rows: list[Row] = []
        for name, values in self.values.items():
            own = estimate(values)
            difference = compare(values, values[:, reference_runs(self.runs, self.reference)])
            for place in np.ndindex(own.value.shape):
                run = self.runs[place[0]]
                row = _row(run, name, self.columns[place[1]], len(values), _figures(own, place))
                if run.model != self.reference:
                    row |= {"reference": self.reference, **_differences(difference, place)}
                rows.append(common | row)
        for column, figures in self.lists.items():
            for run, figure in zip(self.runs, figures, strict=True):
                rows.append(common | _row(run, ALL, column, len(self.values[ALL]), {"value": _rounded(figure)}))
        contract = load_contract("evaluation_metrics")
        return contract.conform(pa.Table.from_pylist(rows, schema=contract.arrow_schema()))

    def per_user(self, user_ids: Sequence[str]) -> pa.Table:
        """Tabulate every user's metrics under every run: user_id, model, seed, and a column for each metric and cut-off.

        `user_ids` are those of the truth's users, in its order.
        """
        values = self.values[ALL]
        users, runs, _ = values.shape
        columns = {
            "user_id": pa.array(user_ids, pa.string()).take(np.tile(np.arange(users), runs)),
            "model": pa.array([run.model for run in self.runs], pa.string()).take(np.repeat(np.arange(runs), users)),
            "seed": pa.array(np.repeat([run.seed for run in self.runs], users), pa.int32()),
        }
        metrics = {name: pa.array(values[:, :, place].T.ravel()) for place, name in enumerate(self.columns)}
        return pa.table(columns | metrics)


def evaluate(
    models: Sequence[Evaluated],
    truth: RelevantItems,
    slices: Mapping[str, Slice],
    counts: np.ndarray,
    reference: str,
    cutoffs: Sequence[int] = CUTOFFS,
) -> Results:
    """Evaluate every run on every slice; slices without users are left out.

    Args:
        models: the runs; (model, seed) is unique.
        truth: at least one relevant item of each user.
        slices: from `slices.make_slices`; `all` must be among them.
        counts: (items,) training interactions of each item of the catalogue.
        reference: model that all other models are compared with.
        cutoffs: list lengths; lists are padded to the largest.

    Memory: users x slices x runs x columns float64.

    Raises ValueError where the reference is missing, a run is repeated, or lists and truth do not fit.
    """
    runs = [(run.model, run.seed) for run in models]
    if len(set(runs)) < len(runs):
        raise ValueError(f"a model and seed are there twice: {sorted(runs)}")
    reference_runs(models, reference)
    columns = tuple(f"{metric}@{k}" for k in cutoffs for metric in METRICS)
    values = {
        name: np.stack([_values(run.ranked, truth, part, columns, cutoffs) for run in models], axis=1)
        for name, part in slices.items()
        if part.users.any()
    }
    lists = {}
    for k in cutoffs:
        heads = [run.ranked[:, :k] for run in models]
        lists[f"coverage@{k}"] = np.array([coverage(head, len(counts)) for head in heads])
        lists[f"average_popularity@{k}"] = np.array([average_popularity(head, counts) for head in heads])
    return Results(tuple(models), reference, columns, values, lists)


def reference_runs(runs: Sequence[Evaluated], reference: str) -> list[int]:
    """Index of each run's reference run. Raises ValueError where the reference is not among the runs."""
    by_seed = {run.seed: place for place, run in reversed(list(enumerate(runs))) if run.model == reference}
    if not by_seed:
        raise ValueError(f"the reference {reference} is none of {', '.join(sorted({run.model for run in runs}))}")
    first = min(by_seed.values())
    return [by_seed.get(run.seed, first) for run in runs]


def show(results: Results, console: Console, metrics: Sequence[str] = SHOWN) -> None:
    """Print a table per metric: models by slice, each the mean over its seeds, and the differences from the reference."""
    models = list(dict.fromkeys(run.model for run in results.runs))
    members = [[place for place, run in enumerate(results.runs) if run.model == model] for model in models]
    reference = models.index(results.reference)
    estimates = {}
    for name, values in results.values.items():
        means = np.stack([values[:, runs].mean(axis=1) for runs in members], axis=1)  # (users, models, columns)
        estimates[name] = estimate(means), compare(means, means[:, [reference] * len(models)])
    for metric in metrics:
        column = results.columns.index(metric)
        table = Table(title=metric, title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column("", overflow="fold")
        for heading in ("seeds", "mean", "95% interval", "difference", "95% interval", "p"):
            table.add_column(heading, justify="right", no_wrap=True)
        for name, (own, difference) in estimates.items():
            table.add_row(Text(f"{name}, {counted(len(results.values[name]), 'user')}", "bold"))
            for row, model in enumerate(models):
                value, *ends = (f"{part[row, column]:.4f}" for part in (own.value, own.low, own.high))
                cells = [str(len(members[row])), value, "-".join(ends)]
                if row != reference:
                    value, *ends = (
                        f"{part[row, column]:+.4f}" for part in (difference.value, difference.low, difference.high)
                    )
                    cells += [value, " ".join(ends), f"{difference.p_value[row, column]:.3f}"]
                table.add_row(one_line(model, 40), *cells)
        console.print(table)
    console.print(
        f"[dim]differences to {escape(results.reference)}, user by user; p values are not corrected for their number[/]"
    )


def _values(
    ranked: np.ndarray, truth: RelevantItems, part: Slice, columns: Sequence[str], cutoffs: Sequence[int]
) -> np.ndarray:
    """Metrics of a slice's users, (users in the slice, columns)."""
    found = per_user(ranked[part.users], truth.only(part.targets).of(part.users), cutoffs)
    return np.stack([found[column] for column in columns], axis=1)


def _row(run: Evaluated, slice_name: str, column: str, users: int, figures: Row) -> Row:
    metric, cutoff = column.split("@")
    about = {"model": run.model, "seed": run.seed, "slice": slice_name, "metric": metric, "cutoff": int(cutoff)}
    return about | {"users": users, "settings": json.dumps(run.settings, sort_keys=True)} | figures


def _figures(own: Estimate, place: tuple[int, ...]) -> Row:
    return {name: _rounded(getattr(own, name)[place]) for name in ("value", "low", "high")}


def _differences(difference: Estimate, place: tuple[int, ...]) -> Row:
    found = _figures(difference, place)
    return {
        "difference": found["value"],
        "difference_low": found["low"],
        "difference_high": found["high"],
        "p_value": _rounded(difference.p_value[place]),
    }


def _rounded(figure: float) -> float:
    return round(float(figure), _DIGITS)
