"""Evaluate a pipeline against the synthetic truth: share of latent personas recovered, NDCG@k, the oracle's ceiling.

Everything takes texts and arrays, so it serves any extractor and any recommender.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped, unused-ignore]

from persona_pipeline.sources.synthetic.files import TRUTH, read_rows
from persona_pipeline.sources.synthetic.oracle import Oracle

Embed = Callable[[Sequence[str]], npt.NDArray[Any]]
"""Texts to L2-normalised vectors, (n, d), in the same order."""

TextsByItem = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class LatentTexts:
    """Latent personas by item, as texts. `expected` should be found; `absent` must not be: nobody ever spoke like that there."""

    expected: dict[str, list[str]]  # served by the item, with enough genuine reviews
    absent: dict[str, list[str]]  # of the same category, not served, in no review of the item


def latent_texts(folder: Path | str, min_reviews: int = 3, before: int | None = None) -> LatentTexts:
    """Read from the truth files which latent personas the reviews of each item can tell.

    A persona is expected with `min_reviews` genuine reviews in its words, repeats not counted. `before` (epoch seconds, exclusive)
    leaves later reviews out. Items without any such persona are left out of `expected`.
    """
    folder = Path(folder)
    rows = {row["review_id"]: row for row in read_rows(folder / "reviews.jsonl.gz")}
    spoken: Counter[tuple[str, str]] = Counter()
    genuine: Counter[tuple[str, str]] = Counter()
    for truth in read_rows(folder / TRUTH / "reviews.jsonl"):
        review = rows[truth["review_id"]]
        if (
            truth["text_persona_id"] is None
            or truth["repeats"]
            or (before is not None and review["timestamp"] >= before)
        ):
            continue
        pair = (review["item_id"], truth["text_persona_id"])
        spoken[pair] += 1
        genuine[pair] += truth["kind"] == "genuine"
    personas = read_rows(folder / TRUTH / "personas.jsonl")
    expected: dict[str, list[str]] = {}
    absent: dict[str, list[str]] = {}
    for item in read_rows(folder / TRUTH / "items.jsonl"):
        item_id, category = item["item_id"], item["category"]
        served = {entry["persona_id"] for entry in item["personas"]}
        for persona in personas:
            pair = (item_id, persona["persona_id"])
            if category not in persona["categories"]:
                continue
            if pair[1] in served and genuine[pair] >= min_reviews:
                expected.setdefault(item_id, []).append(persona["categories"][category])
            elif pair[1] not in served and not spoken[pair]:
                absent.setdefault(item_id, []).append(persona["categories"][category])
    return LatentTexts(expected, absent)


def recovered_share(
    latent_texts_by_item: TextsByItem, persona_texts_by_item: TextsByItem, embed: Embed, threshold: float
) -> float:
    """Share of (item, latent persona) pairs that some extracted persona of the item is similar to, one to one.

    A pair counts when the cosine reaches `threshold`. An extracted persona recovers one latent persona at most: the
    matching with the most pairs is taken (Hungarian method). Items without extracted personas recover nothing. Raises
    ValueError without any pair.
    """
    total = sum(map(len, latent_texts_by_item.values()))
    if not total:
        raise ValueError("no latent persona to recover: lower min_reviews or generate more reviews")
    recovered = 0
    for similarity in _similarities(latent_texts_by_item, persona_texts_by_item, embed):
        within = similarity >= threshold
        # Similarity only breaks ties between matchings with equally many pairs.
        gain = np.where(within, 1 + (1 + similarity) / (4 * similarity.size), 0.0)
        recovered += int(within[linear_sum_assignment(gain, maximize=True)].sum())
    return recovered / total


def chance_threshold(
    absent_texts_by_item: TextsByItem, persona_texts_by_item: TextsByItem, embed: Embed, chance: float = 0.05
) -> float:
    """The cosine at which only a share `chance` of latent personas that are not there would count as recovered.

    That is a quantile, over (item, absent latent persona) pairs, of the similarity to the nearest extracted persona of the
    item: the maximum, because an item with more personas has more chances to be near by luck. Raises ValueError without any pair.
    """
    nearest = [
        similarity.max(axis=1) for similarity in _similarities(absent_texts_by_item, persona_texts_by_item, embed)
    ]
    if not nearest:
        raise ValueError("no item has both an absent latent persona and an extracted one")
    return float(np.quantile(np.concatenate(nearest), 1 - chance, method="higher"))


def ndcg_at_k(
    scores: npt.NDArray[np.floating[Any]], target: npt.NDArray[np.integer[Any]], k: int = 10
) -> npt.NDArray[np.float64]:
    """NDCG of one relevant item per user: 1 / log2(1 + rank) within the first k, else 0; one value per user.

    `scores` (users, items), with -inf for items left out; `target` (users,) columns. Items tied with the target rank before it, so
    a constant score earns nothing by luck.
    """
    own = scores[np.arange(len(target)), target][:, None]
    rank = (scores >= own).sum(axis=1)  # the target itself included: 1 is the best
    ndcg: npt.NDArray[np.float64] = np.where((rank <= k) & np.isfinite(own[:, 0]), 1 / np.log2(1 + rank), 0.0)
    return ndcg


def oracle_and_popularity(folder: Path | str, k: int = 10) -> dict[str, float]:
    """NDCG@k of the true preference and of popularity on each user's last choice, items seen before left out.

    Users with one choice only are left out, as are repeated reviews. Popularity counts the choices of everybody that are not
    somebody's last one: `{"users", "oracle", "popularity"}`.
    """
    folder = Path(folder)
    oracle = Oracle(folder)
    column = {item_id: i for i, item_id in enumerate(oracle.item_ids)}
    first = {row["review_id"] for row in read_rows(folder / TRUTH / "reviews.jsonl") if not row["repeats"]}
    history: dict[str, list[tuple[int, int]]] = {}
    for row in read_rows(folder / "reviews.jsonl.gz"):  # oldest first
        if row["review_id"] in first:
            history.setdefault(row["user_id"], []).append((row["timestamp"], column[row["item_id"]]))
    counts = np.zeros(len(column))
    for choices in history.values():
        for _, item in choices[:-1]:
            counts[item] += 1
    users = [user_id for user_id, choices in history.items() if len(choices) > 1]
    found: dict[str, list[float]] = {"oracle": [], "popularity": []}
    for user_id in users:
        *before, (timestamp, item) = history[user_id]
        scores = np.stack((oracle.scores([user_id], oracle.item_ids, oracle.day_of(timestamp))[0], counts))
        scores[:, [seen for _, seen in before]] = -np.inf
        by_oracle, by_popularity = ndcg_at_k(scores, np.array([item, item]), k)
        found["oracle"].append(float(by_oracle))
        found["popularity"].append(float(by_popularity))
    return {"users": len(users)} | {name: float(np.mean(values)) for name, values in found.items()}


def _similarities(first: TextsByItem, second: TextsByItem, embed: Embed) -> list[npt.NDArray[Any]]:
    """Cosines between the texts of each item that both have, (first, second) per item; each distinct text is embedded once."""
    shared = [item_id for item_id in first if first[item_id] and second.get(item_id)]
    texts = list(dict.fromkeys(text for item_id in shared for text in (*first[item_id], *second[item_id])))
    if not texts:
        return []
    row = {text: n for n, text in enumerate(texts)}
    vectors = np.asarray(embed(texts))
    return [
        vectors[[row[t] for t in first[item_id]]] @ vectors[[row[t] for t in second[item_id]]].T for item_id in shared
    ]
