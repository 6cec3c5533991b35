"""How good the recommendations are: `quality.py [--data NAME ...] [--root FOLDER] [--seeds N] [--extractor vllm --config FILE]`.

A backtest for each data set.
NAME is musical_instruments (leave-last-out), gift_cards (leave-last-out, with metadata), movielens (leave-last-out, ratings and
titles, no reviews) or synthetic (before a day); `--source S --reviews F [--items F]` adds any other file. Everything is left at
its defaults: what a night chooses, it chooses itself. All baselines and rivals, tuned on the same interactions, means
over seeds with their standard deviation. Differences are paired by user, to the collaborative baseline that did best on
validation and to the one that did best on the test itself, which nobody could have chosen beforehand.

The operating point is ours with another weight of popularity: the one with the most tail recall on validation among those
that predict as well there as the best collaborative baseline.
"""

import argparse
import csv
import gzip
import json
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import torch
from _comparing import difference, mean, seeds_of, spread, told
from rich.console import Console
from rich.table import Table

from persona_pipeline.backtest import LEAVE_LAST_OUT, BacktestRequest
from persona_pipeline.backtest.completed import CompletedBacktest, read_completed
from persona_pipeline.backtest.models import MODEL, VALIDATION
from persona_pipeline.backtest.run import judged
from persona_pipeline.backtest.variants import Scores, ndcg
from persona_pipeline.config import EncodersConfig
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.evaluate.baseline_grids import COLLABORATIVE
from persona_pipeline.evaluate.metrics import CUTOFF, per_user
from persona_pipeline.evaluate.results import Evaluated, Results, evaluate
from persona_pipeline.evaluate.slices import make_slices
from persona_pipeline.model_registry.registry import encoder_rows
from persona_pipeline.sources.synthetic import SyntheticConfig, generate, write
from persona_pipeline.warehouse import Warehouse

DATA = Path(__file__).resolve().parents[2] / "shared/data"
TEST_DAYS = 60  # of the synthetic world
TAIL = "tail_80"
SLICES = ("cold", "tail_p20", TAIL)
OPERATING_POINT = "persona, tail"
WEIGHTS = tuple(np.arange(0, 1.55, 0.05).round(2).tolist())  # of popularity, for the operating point
_TOOK = re.compile(r"tuning took ([\d.]+) s")
EQUAL = 0.99
"""Share of in-process lists that must be the night's: what is left is ties and the rounding of another number of threads."""


@dataclass(frozen=True)
class Data:
    """Where reviews and metadata lie."""

    name: str
    source: str
    reviews: Path
    items: Path | None = None
    split: str = LEAVE_LAST_OUT


REAL = (
    Data("musical_instruments", "amazon2018", DATA / "amazon_musical_instruments" / "Musical_Instruments_5.json.gz"),
    Data(
        "gift_cards",
        "amazon2018",
        DATA / "amazon_gift_cards" / "Gift_Cards_5.json.gz",
        DATA / "amazon_gift_cards" / "meta_Gift_Cards.json.gz",
    ),
)
SYNTHETIC, MOVIELENS = "synthetic", "movielens"
RATINGS = DATA / "movielens_small"


@dataclass(frozen=True)
class Settings:
    """What a backtest runs with."""

    seeds: int
    extractor: str
    config: str


def main(chosen: Sequence[Data], root: Path, settings: Settings, console: Console) -> dict[str, object]:
    """Figures by data set; one whose files are absent is left out, and said to be."""
    found: dict[str, object] = {}
    for data in chosen:
        if not data.reviews.exists():
            console.print(f"[yellow]{data.name}: skipped, there is no {data.reviews}[/]")
            found[data.name] = {"skipped": f"no {data.reviews.name}"}
            continue
        console.rule(data.name)
        found[data.name] = one(data, root / data.name, settings, console)
    return found


def one(data: Data, root: Path, settings: Settings, console: Console) -> dict[str, object]:
    """Backtest a data set, add the operating point, and compare."""
    request = BacktestRequest(
        root,
        data.source,
        data.reviews,
        data.items,
        data.split,
        config=settings.config,
        extractor=settings.extractor,
        seeds=settings.seeds,
    )
    runs = judged(request, console)
    finished = read_completed(root)
    collaborative = {family.name for family in COLLABORATIVE}
    validated = {run.model: float(str(run.settings[VALIDATION])) for run in runs if run.model in collaborative}
    first = max(validated, key=lambda name: validated[name])
    equal, scores = _in_process(finished, [run for run in runs if run.model == MODEL])
    weight = _tail_weight(finished, validated[first])
    for seed, (encoder, made) in enumerate(scores):
        lists = made.lists(_weighed(encoder.config, weight), encoder.prior)
        runs.append(Evaluated(OPERATING_POINT, seed, {"popularity_weight": weight}, lists))
    dataset = finished.dataset
    results = evaluate(runs, dataset.truth, dataset.slices(), dataset.test.counts(), first, cutoffs=(10, 20))
    best = max(validated, key=lambda name: mean(results, "all", name, "ndcg@10"))
    _show(results, (first, best), console)
    return {
        "users": {name: len(values) for name, values in results.values.items()},
        "settings": finished.config.model_dump(mode="json"),
        "chosen": _chosen(root),
        "equal_lists": round(equal, 4),
        "best_cf": best,
        "best_cf_on_validation": first,
        "ratio_vs_best_cf": _ratio(results, MODEL, best, "all", "ndcg@10"),
        "ratio_vs_best_cf_on_validation": _ratio(results, MODEL, first, "all", "ndcg@10"),
        "tail_recall_ratio": _ratio(results, MODEL, best, TAIL, "recall@10"),
        "operating_point": {
            "popularity_weight": weight,
            "ndcg@10": round(mean(results, "all", OPERATING_POINT, "ndcg@10"), 4),
            "ratio_vs_best_cf": _ratio(results, OPERATING_POINT, best, "all", "ndcg@10"),
            "tail_recall@10": _figures(results, OPERATING_POINT, best).get(f"{TAIL}_recall@10"),
            "tail_recall_ratio": _ratio(results, OPERATING_POINT, best, TAIL, "recall@10"),
        },
        "models": {model: _figures(results, model, best) for model in dict.fromkeys(run.model for run in runs)},
    }


def _chosen(root: Path) -> dict[str, object]:
    """What the test night's first encoder chose and why, and how long choosing and training took it."""
    rows = encoder_rows(Warehouse(root / "test"))
    told = [reason for row in rows for reason in row["reasons"] if reason.startswith("tuned: ")]
    metrics = {
        metric["name"]: metric["value"] for row in rows for metric in row["metrics"] if "tuning" in metric["name"]
    }
    logged = (root / "test" / "_logs").glob("*.encoders.log")
    return {"reasons": told, "metrics": metrics, "seconds": _seconds(logged)}


def _seconds(logs: Iterable[Path]) -> float | None:
    """What the searches logged took, by the clock; None where every one was made before."""
    found = [float(taken) for log in logs for taken in _TOOK.findall(log.read_text(encoding="utf-8"))]
    return sum(found) if found else None


def _in_process(
    finished: CompletedBacktest, split_runs: Sequence[Evaluated]
) -> tuple[float, list[tuple[Encoder, Scores]]]:
    """Share of lists that are the night's own, and what each seed's encoder, trained here, makes of the judged users.

    Raises AssertionError where too many differ: then nothing else computed in this process can be trusted.
    """
    trained, same = [], []
    for run in split_runs:
        encoder = finished.test.encoder(EncodersConfig.model_validate(run.settings))
        scores = Scores.of(encoder, finished.test, finished.dataset.users)
        lists = scores.lists(encoder.config, encoder.prior)
        same.append((lists == run.ranked).all(axis=1).mean())
        trained.append((encoder, scores))
    share = float(np.mean(same))
    assert share >= EQUAL, f"only {share:.1%} of the lists made in process are those of the nights"
    return share, trained


def _tail_weight(finished: CompletedBacktest, enough: float) -> float:
    """The weight of popularity with the most tail recall on validation, of those that reach an NDCG@10 there."""
    encoder = finished.tuning.encoder(finished.config)
    scores = Scores.of(encoder, finished.tuning, finished.asked)
    known = finished.dataset.tuning
    met = np.bincount(known.users, minlength=len(known.user_ids))[finished.asked]
    tail = make_slices(finished.answers, met, known.counts())[TAIL]
    answers = finished.answers.only(tail.targets).of(tail.users)
    tried = []
    for weight in WEIGHTS:
        lists = scores.lists(_weighed(encoder.config, weight), encoder.prior)
        if ndcg(lists, finished.answers) >= enough and tail.users.any():
            recall = per_user(lists[tail.users], answers, [CUTOFF])[f"recall@{CUTOFF}"].mean()
            tried.append((float(recall), weight))
    return max(tried)[1] if tried else finished.config.popularity_weight


def _weighed(config: EncodersConfig, weight: float) -> EncodersConfig:
    return config.model_copy(update={"popularity_weight": weight})


def _ratio(results: Results, model: str, reference: str, slice_name: str, column: str) -> float | None:
    """None where nobody is in the slice, or the reference finds nothing."""
    own, other = (mean(results, slice_name, name, column) for name in (model, reference))
    return round(own / other, 4) if other > 0 else None


def _figures(results: Results, model: str, best: str) -> dict[str, object]:
    return {
        "seeds": len(seeds_of(results, model)),
        "ndcg@10": round(mean(results, "all", model, "ndcg@10"), 4),
        "spread": round(spread(results, model, "ndcg@10"), 4),
        "hit@10": round(mean(results, "all", model, "hit@10"), 4),
        **{
            f"{name}_recall@10": round(mean(results, name, model, "recall@10"), 4)
            for name in SLICES
            if name in results.values
        },
        "vs_best_cf": difference(results, "all", model, best),
    }


def _show(results: Results, references: tuple[str, str], console: Console) -> None:
    first, best = references
    table = Table("model", "NDCG@10", "HIT@10", title=f"{len(results.values['all']):,} users")
    for name in SLICES:
        table.add_column(f"recall@10 {name}")
    table.add_column(f"NDCG@10 less {first}'s\n(best CF on validation)")
    table.add_column(f"less {best}'s\n(best CF on the test)")
    for model in dict.fromkeys(run.model for run in results.runs):
        table.add_row(
            model,
            f"{mean(results, 'all', model, 'ndcg@10'):.4f} ±{spread(results, model, 'ndcg@10'):.4f}",
            f"{mean(results, 'all', model, 'hit@10'):.4f}",
            *(f"{mean(results, name, model, 'recall@10'):.4f}" for name in SLICES),
            *(told(difference(results, "all", model, name)) for name in references),
        )
    console.print(table)


def _movielens(folder: Path) -> Data:
    """MovieLens small as JSON lines: ratings as reviews without text, a film's genres as its categories."""
    reviews, items = folder / "reviews.jsonl", folder / "items.jsonl"
    if RATINGS.is_dir() and not items.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with gzip.open(RATINGS / "ratings.csv.gz", "rt", encoding="utf-8") as file, reviews.open("w") as out:
            for row in csv.DictReader(file):
                told = {"user_id": row["userId"], "item_id": row["movieId"], "text": ""}
                told |= {"rating": float(row["rating"]), "timestamp": int(row["timestamp"])}
                out.write(json.dumps(told) + "\n")
        with gzip.open(RATINGS / "movies.csv.gz", "rt", encoding="utf-8") as file, items.open("w") as out:
            for row in csv.DictReader(file):
                film = {"item_id": row["movieId"], "title": row["title"], "categories": row["genres"].split("|")}
                out.write(json.dumps(film) + "\n")
    return Data(MOVIELENS, "jsonl", reviews, items)


def _world(folder: Path) -> Data:
    """The bundled synthetic world: the test is its last days."""
    config = SyntheticConfig(seed=0)
    if not (folder / "reviews.jsonl.gz").exists():
        write(generate(config), folder)
    day: date = (datetime.fromtimestamp(config.end_timestamp, UTC) - timedelta(days=TEST_DAYS)).date()
    files = folder / "reviews.jsonl.gz", folder / "items.jsonl.gz"
    return Data(SYNTHETIC, "synthetic", *files, split=day.isoformat())


if __name__ == "__main__":
    torch.set_num_threads(1)  # two threads on busy cores wait for each other far longer than they compute
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [data.name for data in REAL] + [MOVIELENS, SYNTHETIC]
    parser.add_argument("--data", nargs="*", choices=names, help="default: all, or none with --reviews")
    parser.add_argument(
        "--root", type=Path, help="kept there, so that a second run makes nothing anew; default: nowhere"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--extractor", default="embedded", help="who makes the personas; vllm and openai with --config")
    parser.add_argument("--config", default="local", help="profile or file")
    parser.add_argument("--source", default="jsonl", help="adapter of --reviews")
    parser.add_argument("--reviews", type=Path, help="reviews of another data set")
    parser.add_argument("--items", type=Path, help="its metadata")
    given = parser.parse_args()
    settings = Settings(given.seeds, given.extractor, given.config)
    wanted = given.data if given.data is not None else ([] if given.reviews else names)
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.root or Path(scratch)
        sets = [data for data in REAL if data.name in wanted]
        sets += [_movielens(folder / "films")] if MOVIELENS in wanted else []
        sets += [_world(folder / "world")] if SYNTHETIC in wanted else []
        sets += [Data(given.reviews.stem, given.source, given.reviews, given.items)] if given.reviews else []
        print(json.dumps(main(sets, folder, settings, Console(width=200))))
