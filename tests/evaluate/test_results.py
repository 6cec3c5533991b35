"""Several models on a catalogue where the right answer is plain: rows by contract, per-user values, a readable table."""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from persona_pipeline.evaluate.metrics import RelevantItems
from persona_pipeline.evaluate.results import Evaluated, Results, evaluate, show
from persona_pipeline.evaluate.slices import make_slices
from persona_pipeline.publish.audit import measure
from persona_pipeline.warehouse import Warehouse

USERS, ITEMS, K = 12, 30, 20
COUNTS = np.arange(ITEMS)[::-1]  # item 0 is the most popular
TRUTH = RelevantItems(np.arange(USERS), np.arange(USERS + 1))
POPULAR = np.tile(np.arange(K), (USERS, 1))  # user u finds item u at place u + 1


def hitting(places: int) -> np.ndarray:
    """Lists whose first place is right for that many users."""
    lists = POPULAR.copy()
    right = np.arange(places)
    lists[right, 0], lists[right, right] = right, 0
    return lists


@pytest.fixture(scope="module")
def results() -> Results:
    models = [
        Evaluated("popularity", 0, {}, POPULAR),
        Evaluated("persona", 1, {"rate": 0.1, "depth": 2}, hitting(8)),
        Evaluated("persona", 2, {"rate": 0.1, "depth": 2}, hitting(12)),
    ]
    return evaluate(models, TRUTH, make_slices(TRUTH, np.arange(USERS), COUNTS), COUNTS, "popularity")


@pytest.fixture(scope="module")
def rows(results: Results) -> pa.Table:
    return results.rows("e1", date(2024, 6, 30), "shop", "leave_last_out")


def only(rows: pa.Table, **wanted: object) -> dict[str, object]:
    found = [row for row in rows.to_pylist() if all(row[name] == value for name, value in wanted.items())]
    assert len(found) == 1
    return dict(found[0])


def test_rows_hold_figures_and_differences(rows: pa.Table) -> None:
    at = {"slice": "all", "metric": "hit", "cutoff": 1}
    reference = only(rows, model="popularity", **at)
    assert (reference["value"], reference["users"], reference["reference"]) == (round(1 / 12, 9), 12, None)
    assert reference["difference"] is reference["p_value"] is None
    eight, twelve = (only(rows, model="persona", seed=seed, **at) for seed in (1, 2))
    assert (eight["value"], eight["difference"]) == (round(8 / 12, 9), round(7 / 12, 9))
    assert (twelve["low"], twelve["value"], twelve["high"]) == (1, 1, 1)
    assert eight["difference_low"] < eight["difference"] < eight["difference_high"]  # type: ignore[operator]
    assert eight["p_value"] == pytest.approx(2 / 2_001)
    assert (eight["reference"], eight["settings"]) == ("popularity", '{"depth": 2, "rate": 0.1}')


def test_lists_together_have_a_figure_alone(rows: pa.Table) -> None:
    row = only(rows, model="popularity", metric="coverage", cutoff=10)
    assert (row["slice"], row["value"], row["low"], row["difference"]) == ("all", round(10 / 30, 9), None, None)
    assert only(rows, model="popularity", metric="average_popularity", cutoff=5)["value"] == 27


def test_empty_slices_are_left_out_and_others_judge_their_targets(results: Results, rows: pa.Table) -> None:
    assert set(results.values) == {"all", "cold", "warm", "head_p80", "tail_80"}  # nobody wanted the least popular
    assert only(rows, model="popularity", slice="head_p80", metric="hit", cutoff=5)["value"] == round(5 / 6, 9)
    assert only(rows, model="popularity", slice="tail_80", metric="hit", cutoff=5)["value"] == 0


def test_a_tail_slice_judges_by_tail_targets_alone() -> None:
    """One user wanted the most popular item, which the list holds, and one of the tail, which it does not."""
    truth = RelevantItems(np.array([0, 25]), np.array([0, 2]))
    slices = make_slices(truth, np.array([1]), COUNTS)
    found = evaluate([Evaluated("a", 0, {}, POPULAR[:1])], truth, slices, COUNTS, "a").rows(
        "e", date(2024, 1, 1), "d", "s"
    )
    hits = {name: only(found, slice=name, metric="hit", cutoff=20)["value"] for name in ("all", "head_p80", "tail_80")}
    assert hits == {"all": 1, "head_p80": 1, "tail_80": 0}


def test_per_user_values_are_what_the_figures_are_means_of(results: Results, rows: pa.Table) -> None:
    values = results.per_user([f"u{n}" for n in range(USERS)])
    assert values.num_rows == USERS * 3
    last = values.slice(2 * USERS + 3, 1).to_pylist()[0]
    assert (last["user_id"], last["model"], last["seed"], last["hit@1"]) == ("u3", "persona", 2, 1)
    means = values.group_by(["model", "seed"]).aggregate([("ndcg@10", "mean")])
    for row in means.to_pylist():
        figure = only(rows, model=row["model"], seed=row["seed"], slice="all", metric="ndcg", cutoff=10)
        assert figure["value"] == pytest.approx(row["ndcg@10_mean"])


def test_a_run_is_held_against_the_reference_of_its_seed() -> None:
    models = [
        Evaluated("a", 1, {}, POPULAR), Evaluated("b", 1, {}, POPULAR), Evaluated("b", 2, {}, POPULAR),
        Evaluated("b", 3, {}, POPULAR), Evaluated("a", 2, {}, hitting(12)),
    ]  # fmt: skip
    found = evaluate(models, TRUTH, make_slices(TRUTH, np.ones(USERS), COUNTS), COUNTS, "a").rows(
        "e", date(2024, 1, 1), "shop", "s"
    )
    at = {"model": "b", "slice": "all", "metric": "hit", "cutoff": 1}
    assert [only(found, seed=seed, **at)["difference"] for seed in (1, 2, 3)] == [0, round(-11 / 12, 9), 0]


def test_shown_by_slice_with_the_mean_over_seeds(results: Results) -> None:
    console = Console(width=80)
    with console.capture() as shown:
        show(results, console, ("hit@1",))
    lines = [" ".join(line.split()) for line in shown.get().splitlines()]
    start = lines.index("all, 12 users")
    assert lines[start + 1].startswith("popularity 1 0.0833 0.0000-")
    seeds, mean, _, difference, *ends, p_value = lines[start + 2].removeprefix("persona ").split()
    assert (seeds, mean, difference, p_value) == ("2", "0.8333", "+0.7500", "0.001")
    assert float(ends[0]) < 0.75 < float(ends[1])
    assert "head_p80, 6 users" in lines


@pytest.mark.parametrize(
    ("models", "reference", "fault"),
    [
        ([("a", 0)], "b", "the reference b is none of a"),
        ([("a", 0), ("a", 0)], "a", "a model and seed are there twice"),
    ],
)
def test_refused(models: list[tuple[str, int]], reference: str, fault: str) -> None:
    runs = [Evaluated(model, seed, {}, POPULAR) for model, seed in models]
    with pytest.raises(ValueError, match=fault):
        evaluate(runs, TRUTH, {}, COUNTS, reference)


def test_rows_pass_their_expectations_and_a_warehouse_without_any_does_too(tmp_path: Path, rows: pa.Table) -> None:
    warehouse = Warehouse(tmp_path)
    assert set(measure(warehouse, "evaluation_metrics", {}).values()) == {0}
    assert warehouse.upsert("evaluation_metrics", rows).inserted == rows.num_rows
    assert set(measure(warehouse, "evaluation_metrics", {}).values()) == {0}
    assert not warehouse.upsert("evaluation_metrics", rows).changed


@pytest.mark.parametrize(
    ("fault", "measured"),
    [
        ({"metric": "auc"}, "unknown_metrics"),
        ({"value": 1.5, "high": 2.0}, "impossible_values"),
        ({"value": float("nan"), "low": None, "high": None}, "impossible_values"),
        ({"low": 0.9}, "outside_their_interval"),
        ({"p_value": None}, "half_compared"),
        ({"reference": None}, "half_compared"),
        ({"reference": "persona"}, "compared_with_themselves"),
        ({"users": 0}, "of_nobody"),
        ({"split": "random"}, "mixed_evaluations"),
    ],
)
def test_expectations_count_what_is_wrong(
    tmp_path: Path, rows: pa.Table, fault: dict[str, object], measured: str
) -> None:
    place = next(
        i for i, row in enumerate(rows.to_pylist()) if row["reference"] and row["cutoff"] == 1 and row["value"] < 0.9
    )
    spoilt = [row | fault if i == place else row for i, row in enumerate(rows.to_pylist())]
    warehouse = Warehouse(tmp_path).holding(evaluation_metrics=pa.Table.from_pylist(spoilt, schema=rows.schema))
    assert measure(warehouse, "evaluation_metrics", {})[measured] == 1
