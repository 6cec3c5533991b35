"""Hold and print the metrics of one ranking by slice, as a JSON model (`Ranking`) and as tables for a terminal."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table

from persona_pipeline.core.terminal import counted, one_line
from persona_pipeline.evaluate.metrics import CUTOFFS, METRICS
from persona_pipeline.evaluate.slices import ALL

_NAMED = 3  # users left out that are named
_SHOWN = 10  # cut-off at which slices are compared


class Figure(BaseModel):
    """A mean over users and its 95% interval."""

    model_config = ConfigDict(frozen=True)

    value: float
    low: float
    high: float


class Ranking(BaseModel):
    """Metrics of a ranking; `model_dump_json` is the machine-readable form.

    Attributes:
        users: number of users in each slice.
        figures: by slice with users, then by metric and cut-off, `ndcg@10`.
        without_truth, without_candidates: users left out, since they are in one file only.
        without_reviews: evaluated users without training reviews, who count as cold; empty where no reviews are given.
    """

    model_config = ConfigDict(frozen=True)

    users: dict[str, int]
    figures: dict[str, dict[str, Figure]]
    without_truth: list[str]
    without_candidates: list[str]
    without_reviews: list[str]


def show_ranking(ranking: Ranking, console: Console) -> None:
    """Print the overall metrics at every cut-off, slices at 10, and the users left out."""
    console.print(_overall(ranking))
    if len(ranking.users) > 1:
        console.print("", _by_slice(ranking), sep="\n")
    for users, fault in (
        (ranking.without_truth, "with candidates but no ground truth: left out"),
        (
            ranking.without_candidates,
            "with ground truth but no candidates: left out, as the published code does",
        ),
        (ranking.without_reviews, "not in the reviews: taken for users without training interactions"),
    ):
        if users:
            named = ", ".join(users[:_NAMED]) + (", …" if len(users) > _NAMED else "")
            console.print(one_line(f"{counted(len(users), 'user')} {fault} ({named})"), style="yellow")


def _overall(ranking: Ranking) -> Table:
    table = _table(f"{counted(ranking.users[ALL], 'user')}, mean and 95% interval", METRICS)
    for k in CUTOFFS:
        table.add_row(f"@{k}", *_cells(ranking.figures[ALL], k, METRICS))
    return table


def _by_slice(ranking: Ranking) -> Table:
    metrics = ("hit", "ndcg")
    table = _table(f"slices, at {_SHOWN}", ("users", *metrics))
    for name, users in ranking.users.items():
        cells = _cells(ranking.figures[name], _SHOWN, metrics) if users else ["-"] * len(metrics)
        table.add_row(name, f"{users:,}", *cells)
    return table


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _cells(figures: dict[str, Figure], k: int, metrics: Sequence[str]) -> list[str]:
    found = [figures[f"{metric}@{k}"] for metric in metrics]
    return [f"{f.value:.4f} ({f.low:.3f}-{f.high:.3f})" for f in found]
