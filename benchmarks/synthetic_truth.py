"""How much of the synthetic truth a night finds: latent personas recovered, and NDCG@10 against popularity and the oracle.

A backtest: the jobs run as of a day before the end of the world; each user's first new item after it is the target, over
the full catalogue without the items reviewed before. The oracle knows every user's true taste that day, so it is the
ceiling. The threshold of recovery leaves 5% of chance: it is the 95th percentile of how near extracted personas come to
latent ones that nobody at that item has; personas dealt to other items at random are the control.
"""

import json
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from rich.console import Console

from persona_pipeline.config import load_config
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.orchestrate.local import LocalRun
from persona_pipeline.publish.releases import read_released
from persona_pipeline.runs.order import ORDER
from persona_pipeline.sources.synthetic import Oracle, SyntheticConfig, generate, write
from persona_pipeline.sources.synthetic.evaluation import chance_threshold, latent_texts, ndcg_at_k, recovered_share
from persona_pipeline.warehouse import Warehouse

TEST_DAYS = 60
K = 10


def main(folder: Path) -> dict[str, float]:
    """Generate, run the night, judge."""
    config = SyntheticConfig(seed=0)
    world, root = folder / "world", folder / "warehouse"
    write(generate(config), world)
    cutoff = datetime.fromtimestamp(config.end_timestamp, UTC) - timedelta(days=TEST_DAYS)
    as_of = cutoff.date().isoformat()
    night = LocalRun(
        root, cutoff.date(), load_config("local"), "synthetic", world / "reviews.jsonl.gz", world / "items.jsonl.gz"
    )
    night.run(ORDER, Console(stderr=True))
    warehouse = Warehouse(root)
    return {**_recovered(warehouse, world, as_of), **_ranking(warehouse, world, as_of)}


def _recovered(warehouse: Warehouse, world: Path, as_of: str) -> dict[str, float]:
    before = int(datetime.fromisoformat(as_of).replace(tzinfo=UTC).timestamp())
    latent = latent_texts(world, min_reviews=3, before=before)
    rows = warehouse.read("item_personas", where="status = 'current' AND persona_source = 'embedded'").to_pylist()
    extracted: dict[str, list[str]] = {}
    for row in rows:
        extracted.setdefault(row["item_id"], []).append(
            f"{row['name']}. {row['description']} {row['preference_rationale']}"
        )
    embed = Embedder(load_config().text_embeddings, warehouse)
    threshold = chance_threshold(latent.absent, extracted, embed)
    items = sorted(extracted)
    dealt = dict(zip(items, (extracted[i] for i in np.random.default_rng(0).permutation(items)), strict=True))
    return {
        "latent_personas": sum(map(len, latent.expected.values())),
        "threshold": threshold,
        "recovered": recovered_share(latent.expected, extracted, embed, threshold),
        "recovered_control": recovered_share(latent.expected, dealt, embed, threshold),
    }


def _ranking(warehouse: Warehouse, world: Path, as_of: str) -> dict[str, float]:
    import gzip

    oracle = Oracle(world)
    column = {item: i for i, item in enumerate(oracle.item_ids)}
    cutoff = int(datetime.fromisoformat(as_of).replace(tzinfo=UTC).timestamp())
    with gzip.open(world / "reviews.jsonl.gz", "rt", encoding="utf-8") as lines:
        reviews = sorted((json.loads(line) for line in lines), key=lambda r: r["timestamp"])
    seen: dict[str, set[int]] = {}
    targets: dict[str, tuple[int, int]] = {}
    counts = np.zeros(len(column))
    for review in reviews:
        user, item = review["user_id"], column[review["item_id"]]
        if review["timestamp"] < cutoff:
            seen.setdefault(user, set()).add(item)
            counts[item] += 1
        elif item not in seen.get(user, ()):
            targets.setdefault(user, (item, review["timestamp"]))
    rows = read_released(warehouse, "user_item_topk")
    users = sorted(set(rows["user_id"].to_pylist()) & set(targets))
    place = {user: i for i, user in enumerate(users)}
    scores = {name: np.full((len(users), len(column)), -np.inf) for name in ("persona", "popularity", "oracle")}
    for user, item, score in zip(*(rows[c].to_pylist() for c in ("user_id", "item_id", "score")), strict=True):
        if user in place:
            scores["persona"][place[user], column[item]] = score
    for user, i in place.items():
        scores["popularity"][i] = counts
        scores["oracle"][i] = oracle.scores([user], oracle.item_ids, oracle.day_of(targets[user][1]))[0]
        for name in ("popularity", "oracle"):
            scores[name][i, list(seen[user])] = -np.inf
    target = np.array([targets[user][0] for user in users])
    ndcg = {name: ndcg_at_k(table, target, K) for name, table in scores.items()}
    rng = np.random.default_rng(0)
    gain = ndcg["persona"] - ndcg["popularity"]
    draws = gain[rng.integers(0, len(gain), (2_000, len(gain)))].mean(1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return {
        "users": len(users),
        **{f"ndcg_{name}": float(values.mean()) for name, values in ndcg.items()},
        "gain_low": float(low),
        "gain_high": float(high),
    }


if __name__ == "__main__":
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as scratch:
        result = main(given or Path(scratch))
    print(json.dumps({name: round(value, 4) for name, value in result.items()}))
