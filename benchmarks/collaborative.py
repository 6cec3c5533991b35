"""Tuned collaborative baselines on one file of reviews: `collaborative.py [FILE]`, JSON lines, gzipped or not.

Keys as in Amazon's files: reviewerID, asin, unixReviewTime. Leave-last-out: each user's newest interaction is the test,
the one before it the validation; the file's order decides between two of one second. All interactions are positive, the
whole catalogue is ranked less what the user met. Settings are tuned on validation, models fitted again on all but the test.
"""

import gzip
import json
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.evaluate.baseline_grids import COLLABORATIVE
from persona_pipeline.evaluate.baselines import tune_and_rank
from persona_pipeline.evaluate.metrics import RelevantItems, per_user
from persona_pipeline.evaluate.slices import make_slices

DEFAULT = Path(__file__).resolve().parents[2] / "shared/data/amazon_musical_instruments/Musical_Instruments_5.json.gz"
SECONDS_A_DAY = 86_400


def main(path: Path) -> dict[str, object]:
    """Figures by family."""
    test, (users, items) = _last_out(_read(path))
    tuning, validation = _last_out(test)
    truth = RelevantItems(items, np.arange(len(items) + 1))
    history = np.bincount(test.users, minlength=len(test.user_ids))[users]
    tail = make_slices(truth, history, test.counts())["tail_80"]
    of_tail = truth.only(tail.targets).of(tail.users)
    table = Table("family", "NDCG@10", "HR@10", "tail_80 recall@10", "validation", "seconds", "settings")
    families: dict[str, dict[str, object]] = {}
    for family in COLLABORATIVE:
        began = time.perf_counter()
        ranked = tune_and_rank(family, tuning, validation, test, users)
        seconds = time.perf_counter() - began
        values = per_user(ranked.lists, truth, [10])
        of_tail_values = per_user(ranked.lists[tail.users], of_tail, [10])
        found = {
            "ndcg@10": round(float(values["ndcg@10"].mean()), 4),
            "hit@10": round(float(values["hit@10"].mean()), 4),
            "tail_80_recall@10": round(float(of_tail_values["recall@10"].mean()), 4),
            "validation_ndcg@10": round(ranked.validation_ndcg, 4),
            "seconds": round(seconds, 1),
        }
        chosen = ", ".join(f"{key} {value}" for key, value in ranked.settings.items() if value is not None)
        table.add_row(family.name, *map(str, found.values()), chosen)
        families[family.name] = {**found, "settings": ranked.settings}
    Console(width=160).print(table)
    return {"users": len(users), "items": len(test.item_ids), "interactions": len(test), "families": families}


def _read(path: Path) -> Interactions:
    whole = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    reviews = [json.loads(line) for line in whole.splitlines()]
    reviews.sort(key=lambda review: int(review["unixReviewTime"]))
    return Interactions.build(
        [review["reviewerID"] for review in reviews],
        [review["asin"] for review in reviews],
        [int(review["unixReviewTime"]) // SECONDS_A_DAY for review in reviews],
    )


def _last_out(interactions: Interactions) -> tuple[Interactions, tuple[np.ndarray, np.ndarray]]:
    """Without the newest interaction of users who have another, and those: rows of users and items."""
    lengths = np.bincount(interactions.users, minlength=len(interactions.user_ids))
    last = (interactions.recency() == 0) & (lengths[interactions.users] > 1)
    return interactions.without(last), (interactions.users[last], interactions.items[last])


if __name__ == "__main__":
    reviews_file = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    if reviews_file.exists():
        print(json.dumps(main(reviews_file)))
    else:
        print(json.dumps({"skipped": f"no reviews at {reviews_file}: name a file"}))
