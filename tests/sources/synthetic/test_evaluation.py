from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from persona_pipeline.sources.synthetic.evaluation import chance_threshold, latent_texts, ndcg_at_k, recovered_share
from persona_pipeline.sources.synthetic.files import read_rows


def embed(texts: Sequence[str]) -> np.ndarray:
    """A text such as "0.6 0.8" is its own unit vector."""
    return np.array([[float(number) for number in text.split()] for text in texts], dtype=np.float32)


EAST, NORTH, BETWEEN = "1 0", "0 1", "0.6 0.8"  # cosines: east-between .6, north-between .8, east-north 0


def test_ndcg_by_hand() -> None:
    scores = np.array([[0.9, 0.5, 0.1], [0.9, 0.5, 0.1], [0.9, 0.5, 0.1], [0.2, 0.2, 0.2]])
    np.testing.assert_allclose(ndcg_at_k(scores, np.array([0, 1, 2, 0]), k=2), [1, 1 / np.log2(3), 0, 0])
    np.testing.assert_allclose(ndcg_at_k(scores, np.array([0, 1, 2, 0]), k=3), [1, 1 / np.log2(3), 0.5, 0.5])


def test_ndcg_of_an_item_left_out_is_zero() -> None:
    scores = np.array([[-np.inf, -np.inf]])
    assert ndcg_at_k(scores, np.array([0]), k=10).tolist() == [0]


def test_each_extracted_persona_recovers_one_latent_persona() -> None:
    assert recovered_share({"a": [EAST, NORTH]}, {"a": [BETWEEN]}, embed, threshold=0.5) == 0.5
    assert recovered_share({"a": [EAST, NORTH]}, {"a": [BETWEEN, BETWEEN]}, embed, threshold=0.5) == 1.0


def test_the_matching_with_most_pairs_is_taken_not_the_most_similar_one() -> None:
    # Greedily, NORTH would go to BETWEEN's neighbour and leave EAST alone.
    latent = {"a": [NORTH, EAST]}
    extracted = {"a": [BETWEEN, NORTH]}
    assert recovered_share(latent, extracted, embed, threshold=0.5) == 1.0
    assert recovered_share(latent, extracted, embed, threshold=0.7) == 0.5


def test_items_without_extracted_personas_count_as_missed() -> None:
    assert recovered_share({"a": [EAST], "b": [EAST], "c": [EAST, NORTH]}, {"a": [EAST], "b": []}, embed, 0.9) == 0.25
    with pytest.raises(ValueError, match="no latent persona"):
        recovered_share({}, {"a": [EAST]}, embed, 0.5)


def test_threshold_lets_the_stated_share_through_by_chance() -> None:
    angles = np.linspace(0, np.pi / 2, 101)
    absent = {str(n): [f"{np.cos(angle)} {np.sin(angle)}"] for n, angle in enumerate(angles)}
    extracted = {item_id: [EAST] for item_id in absent}
    threshold = chance_threshold(absent, extracted, embed, chance=0.05)
    assert recovered_share(absent, extracted, embed, threshold) == pytest.approx(0.05, abs=0.011)


def test_threshold_takes_the_nearest_of_an_items_personas() -> None:
    assert chance_threshold({"a": [EAST]}, {"a": [NORTH, BETWEEN]}, embed) == pytest.approx(0.6)
    with pytest.raises(ValueError, match="absent"):
        chance_threshold({"a": [EAST]}, {"b": [EAST]}, embed)


def test_latent_texts_by_a_second_way(folder: Path) -> None:
    """For one item, counted here from the raw rows."""
    reviews = {row["review_id"]: row for row in read_rows(folder / "reviews.jsonl.gz")}
    truth = read_rows(folder / "truth" / "reviews.jsonl")
    personas = {row["persona_id"]: row for row in read_rows(folder / "truth" / "personas.jsonl")}
    found = latent_texts(folder, min_reviews=3)
    item = max(read_rows(folder / "truth" / "items.jsonl"), key=lambda row: row["base_popularity"])
    own = [row for row in truth if reviews[row["review_id"]]["item_id"] == item["item_id"] and not row["repeats"]]
    served = [entry["persona_id"] for entry in item["personas"]]
    enough = [p for p in served if sum(row["text_persona_id"] == p and row["kind"] == "genuine" for row in own) >= 3]
    assert enough
    assert sorted(found.expected[item["item_id"]]) == sorted(
        personas[p]["categories"][item["category"]] for p in enough
    )
    heard = {row["text_persona_id"] for row in own} | set(served)
    unheard = [p for p, row in personas.items() if item["category"] in row["categories"] and p not in heard]
    assert sorted(found.absent.get(item["item_id"], [])) == sorted(
        personas[p]["categories"][item["category"]] for p in unheard
    )


def test_fewer_latent_personas_can_be_expected_of_fewer_reviews(folder: Path) -> None:
    def count(min_reviews: int, before: int | None = None) -> int:
        return sum(map(len, latent_texts(folder, min_reviews, before).expected.values()))

    timestamps = sorted(row["timestamp"] for row in read_rows(folder / "reviews.jsonl.gz"))
    assert count(1) > count(3) > count(8) > 0
    assert count(3) > count(3, before=timestamps[len(timestamps) // 2]) > 0
    assert count(1, before=timestamps[0]) == 0
