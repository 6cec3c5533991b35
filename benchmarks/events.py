"""What bare events are worth beside reviews: `events.py [--share 0.8] [--seed 0] [--source S --reviews F [--items F]]`.

A share of the reviews, drawn by user and item, loses its words and stars and is read as purchases; both sides are
backtested with the same last interaction of each user left out, under the same small budget for choosing settings. Ends
with one JSON line: users with a list, and NDCG@10 with its interval, of either side and of their difference.
"""

import argparse
import gzip
import hashlib
import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from persona_pipeline.backtest import BacktestRequest
from persona_pipeline.backtest.completed import read_completed
from persona_pipeline.backtest.run import judged
from persona_pipeline.evaluate.metrics import CUTOFF, per_user
from persona_pipeline.evaluate.significance import Estimate, compare, estimate
from persona_pipeline.publish.staging import staged_tables
from persona_pipeline.sources.adapters import adapter, found
from persona_pipeline.sources.files import check_files, file_records
from persona_pipeline.sources.values import moment
from persona_pipeline.warehouse import Warehouse

REVIEWS = Path(__file__).resolve().parents[2] / "shared/data/amazon_musical_instruments/Musical_Instruments_5.json.gz"
BUDGET = 1.0
"""Minutes a night may choose settings, on either side."""


@dataclass(frozen=True)
class Side:
    """One backtest: NDCG@10 by user, users with lists by what they are known by, and counts of the input."""

    ndcg: dict[str, float]
    listed: dict[str, int]
    known_by: dict[str, int]
    rungs: dict[str, int]
    counts: dict[str, int]


def main(source: str, reviews: Path, items: Path | None, share: float, seed: int, root: Path) -> dict[str, Any]:
    """Write both inputs, backtest both, and compare them by user."""
    console = Console(stderr=True, highlight=False)
    root.mkdir(parents=True, exist_ok=True)
    rows = list(_canonical(source, reviews))
    events = {row["review_id"] for row in rows if _drawn(row, seed) < share}
    _write(root / "full.jsonl.gz", rows)
    _write(root / "reviews.jsonl.gz", [row for row in rows if row["review_id"] not in events])
    names = ("user_id", "item_id", "timestamp")
    _write(
        root / "events.jsonl.gz",
        [{name: row[name] for name in names} | {"kind": "purchase"} for row in rows if row["review_id"] in events],
    )
    config = root / "config.yaml"
    config.write_text(f"encoders: {{tuning_minutes: {BUDGET}}}\ninteractions: {{weights: {{purchase: 1}}}}\n")
    whole = _side(root / "full", root / "full.jsonl.gz", None, items, config, console)
    bare = _side(root / "events", root / "reviews.jsonl.gz", root / "events.jsonl.gz", items, config, console)
    users = sorted(set(whole.ndcg) & set(bare.ndcg))
    both = [np.array([side.ndcg[user] for user in users]) for side in (whole, bare)]
    return {
        "reviews": len(rows),
        "events": len(events),
        "judged_users": len(users),
        "judged_on_one_side": len(set(whole.ndcg) ^ set(bare.ndcg)),
        "full": _told(whole, both[0]),
        "stripped": _told(bare, both[1]),
        "difference": _interval(compare(both[1], both[0])),
        "ratio": round(float(both[1].mean() / both[0].mean()), 4),
    }


def _canonical(source: str, reviews: Path) -> Iterator[dict[str, Any]]:
    """Reviews under canonical names, seconds apart where a user wrote several at one time.

    So that of two on one day the later line is the later one on both sides, whichever files they lie in.
    """
    known = adapter(source)
    times: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for file in check_files(reviews, "reviews", known):
        for record in file_records(file):
            if not isinstance(record.fields, dict):
                continue
            row = {name: found(record.fields, keys) for name, keys in known.reviews.items()}
            when = moment(str(row["timestamp"])) if row["timestamp"] else None
            if when is None or not row["user_id"] or not row["item_id"]:
                continue
            at = when // 1_000_000
            later = times[row["user_id"]][at]
            times[row["user_id"]][at] += 1
            yield {**row, "timestamp": at + later, "review_id": f"{row['user_id']}-{row['item_id']}"}


def _drawn(row: dict[str, Any], seed: int) -> float:
    """A number from 0 to 1 that depends on the review and the seed alone."""
    return int.from_bytes(hashlib.sha256(f"{seed} {row['review_id']}".encode()).digest()[:8], "big") / 2**64


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as file:
        file.writelines(f"{json.dumps(row)}\n".encode() for row in rows)


def _side(root: Path, reviews: Path, events: Path | None, items: Path | None, config: Path, console: Console) -> Side:
    console.rule(root.name)
    request = BacktestRequest(
        root,
        "jsonl",
        reviews,
        items,
        config=str(config),
        extractor="embedded",
        cache=root.parent / "cache",  # what both sides say is embedded once
        baselines=False,
        interactions=events,
    )
    (run,) = judged(request, console)
    dataset = read_completed(root).dataset
    values = per_user(run.ranked, dataset.truth, [CUTOFF])[f"ndcg@{CUTOFF}"]
    test = Warehouse(root / "test")
    return Side(dict(zip(dataset.user_ids.tolist(), values.tolist(), strict=True)), *_lists(test), _counts(test))


def _lists(test: Warehouse) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Users with a list of their own, all users, and users by fallback level, by what a user is known by."""
    lists = staged_tables(test).dataset("user_item_topk")
    rows = test.query(
        """
        WITH known AS (
            SELECT user_id, CASE WHEN list_bool_and(list_transform(interactions, lambda i: i.review_id IS NULL)) THEN 'events'
                WHEN list_bool_or(list_transform(interactions, lambda i: i.review_id IS NULL)) THEN 'both' ELSE 'reviews'
                END AS known_by FROM user_histories
        ), firsts AS (SELECT user_id, recommendation_source AS rung FROM lists WHERE "rank" = 1)
        SELECT known_by, rung, count(*) AS n FROM known LEFT JOIN firsts USING (user_id) GROUP BY ALL
        """,
        ["user_histories"],
        lists=lists,
    ).to_pylist()
    listed, everybody, rungs = Counter[str](), Counter[str](), Counter[str]()
    for row in rows:
        everybody[row["known_by"]] += row["n"]
        listed[row["known_by"]] += row["n"] if row["rung"] else 0
        rungs[f"{row['known_by']}: {row['rung'] or 'none'}"] += row["n"]
    return dict(listed), dict(everybody), dict(rungs)


def _counts(test: Warehouse) -> dict[str, int]:
    tables = ("reviews", "interactions", "items", "item_personas", "training_pairs")
    return {table: test.query(f"SELECT count(*) AS n FROM {table}", [table])["n"][0].as_py() for table in tables}


def _told(side: Side, values: np.ndarray) -> dict[str, Any]:
    return {
        "users": sum(side.known_by.values()),
        "users_with_a_list": sum(side.listed.values()),
        "known_by": side.known_by,
        "lists": side.rungs,
        "test_night": side.counts,
        "ndcg@10": _interval(estimate(values)),
    }


def _interval(found_: Estimate) -> dict[str, float]:
    return {name: round(float(getattr(found_, name)), 4) for name in ("value", "low", "high")}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="amazon2018", help="adapter of the reviews")
    parser.add_argument("--reviews", type=Path, default=REVIEWS, help="file or folder of reviews")
    parser.add_argument("--items", type=Path, help="metadata of the items")
    parser.add_argument("--share", type=float, default=0.8, help="of the reviews that become events")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--root", type=Path, help="folder for the backtests; kept, and gone on with")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        print(
            json.dumps(
                main(given.source, given.reviews, given.items, given.share, given.seed, given.root or Path(scratch))
            )
        )
