"""The score of serving over everybody at once: against the kernel, which ranks for readers."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_array

from persona_pipeline.config import EncodersConfig
from persona_pipeline.encoder.cf_prior import Prior
from persona_pipeline.encoder.head import Head
from persona_pipeline.encoder.history_weights import popularity_scales
from persona_pipeline.encoder.training_examples import ItemSlots
from persona_pipeline.evaluate.metrics import CUTOFF, RelevantItems, per_user, top_lists
from persona_pipeline.model_selection.next_item import (
    LikedHistories,
    head_scores,
    ndcg,
    popularity_scores,
    prior_scores,
)
from persona_pipeline.score.topk.kernel import ItemIndex, exact_scores

DIMENSIONS = 8


def histories() -> LikedHistories:
    """Ana met capo, tuner and strap, Ben the capo; Cy is somebody else."""
    interactions = pa.table(
        {
            "user_id": ["ben", "ana", "cy", "ana", "ana"],
            "item_id": ["capo", "strap", "strings", "tuner", "capo"],
            "weight": [1.0, 1.0, 1.0, 1.0, 1.0],
            "day": [9.0, 30.0, 7.0, 28.0, 10.0],
        }
    )
    return LikedHistories.of(interactions, np.array(["ana", "ben"]))


def test_histories_are_in_the_order_of_the_users_and_newest_first() -> None:
    found = histories()
    assert found.owners.tolist() == [0, 0, 0, 1]
    assert found.item_ids[found.members].tolist() == ["strap", "tuner", "capo", "capo"]
    assert found.lengths.tolist() == [3, 1]
    np.testing.assert_allclose(found.recency(EncodersConfig(half_life=1)), [4 / 7, 2 / 7, 1 / 7, 1])
    by_day = found.recency(EncodersConfig(half_life=2, recency="days"))
    np.testing.assert_allclose(by_day, [1024 / 1537, 512 / 1537, 1 / 1537, 1])


def test_only_the_newest_of_a_history() -> None:
    found = histories().newest(2)
    assert found.item_ids[found.members].tolist() == ["strap", "tuner", "capo"]
    assert (found.owners.tolist(), found.lengths.tolist()) == ([0, 0, 1], [2, 1])


def test_nobody_has_no_history() -> None:
    ana = pa.table({"user_id": ["ana"], "item_id": ["capo"], "weight": [1.0], "day": [1.0]})
    found = LikedHistories.of(ana, np.array(["cy"]))
    assert found.recency(EncodersConfig()).tolist() == []
    assert found.lengths.tolist() == [0]


@pytest.mark.parametrize("aggregation", ["softmax", "max"])
def test_scores_are_those_of_the_kernel(aggregation: str) -> None:
    draw = np.random.default_rng(0)
    met = histories()
    items = np.array(["capo", "strap", "strap", "strings", "tuner", "tuner", "tuner"])
    personas = draw.standard_normal((len(items), DIMENSIONS)).astype(np.float32)
    profiles = draw.standard_normal((5, DIMENSIONS))
    maps = draw.standard_normal((2, DIMENSIONS, DIMENSIONS))
    config = EncodersConfig(
        aggregation=aggregation,
        half_life=2,
        popularity_weight=0.5,
        popularity_support=2.0,
        prior="ease",
        prior_weight=3.0,
    )
    prior = Prior(np.array(["capo", "tuner"]), csr_array(np.array([[0, 0.5], [1.0, 0]])))
    catalogue = ItemSlots.build(np.arange(len(items)).astype(str), items, personas)
    counts = np.log1p([3, 0, 1, 9])
    found = head_scores(Head.of(maps[0], maps[1], config.temperature), catalogue, profiles, met, config)
    found += config.popularity_weight * popularity_scores(counts, met, config)
    found += config.prior_weight * prior_scores(prior, catalogue.item_ids, met, config)

    users = np.zeros((2, DIMENSIONS))
    np.add.at(users, met.owners, (profiles @ maps[0].T)[met.members] * met.recency(config)[:, None])
    encoded = personas @ maps[1].T
    item_index = ItemIndex.build(
        items,
        encoded / np.linalg.norm(encoded, axis=1, keepdims=True),
        dict(zip(catalogue.item_ids, config.temperature * config.popularity_weight * counts, strict=True)),
        config.temperature,
        aggregation,
    )
    met_items = pa.array(met.item_ids[met.members])
    shares = prior.histories(met.owners, met_items, met.recency(config), 2) @ prior.onto(item_index.item_ids)
    ranked = exact_scores(
        item_index,
        users / np.linalg.norm(users, axis=1, keepdims=True),
        np.tile(np.arange(4), (2, 1)),
        csr_array(shares * (config.temperature * config.prior_weight)),
        popularity_scales(met.lengths, config.popularity_support),
    )
    np.testing.assert_allclose(config.temperature * found, ranked.scores, atol=1e-9)


def test_a_place_is_counted_as_lists_are_made() -> None:
    """With ties, which the lower place wins, items left out, and an answer that is left out itself."""
    rng = np.random.default_rng(3)
    scores = rng.integers(0, 6, (200, 30)).astype(float)
    scores[rng.random(scores.shape) < 0.3] = -np.inf
    answers = rng.integers(0, 30, 200)
    lists = top_lists(scores, (np.empty(0, np.int64), np.empty(0, np.int64)), CUTOFF)
    listed = per_user(lists, RelevantItems(answers, np.arange(201)), (CUTOFF,))[f"ndcg@{CUTOFF}"]
    np.testing.assert_array_equal(ndcg(scores, answers), listed)
    assert 0 < np.count_nonzero(listed) < 200


def test_scores_that_are_no_numbers_find_nothing() -> None:
    assert ndcg(np.full((2, 3), np.nan), np.array([0, 2])).tolist() == [0, 0]
