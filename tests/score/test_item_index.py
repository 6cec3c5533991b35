"""The item index's arrays, and float64 scores of given items: parts, winner, and the formula the encoder was trained with."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from persona_pipeline.encoder.head import aggregate
from persona_pipeline.score.item_index import ItemIndex, exact_scores

TEMPERATURE = 0.1


def make_shelf(aggregation: str) -> tuple[ItemIndex, np.ndarray]:
    """Forty items of one to four personas, and four users."""
    rng = np.random.default_rng(5)
    item_of = np.repeat([f"B{n:02d}" for n in range(40)], rng.integers(1, 5, 40))
    vectors = rng.standard_normal((len(item_of) + 4, 24))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    popularity = {item: 0.01 * n for n, item in enumerate(np.unique(item_of).tolist())}
    return ItemIndex.build(item_of, vectors[4:].astype(np.float32), popularity, TEMPERATURE, aggregation), vectors[:4]


def test_shelf_pads_ragged_personas() -> None:
    vectors = np.eye(4, dtype=np.float32)
    item_index = ItemIndex.build(
        np.array(["capo", "strap", "strap", "tuner"]), vectors, {"capo": 0.1, "strap": 0.2, "tuner": 0.3}, 0.1, "max"
    )
    assert item_index.item_ids.tolist() == ["capo", "strap", "tuner"]
    assert item_index.slots.tolist() == [[0, 0], [1, 2], [3, 0]]
    assert item_index.filled.tolist() == [[True, False], [True, True], [True, False]]
    assert item_index.popularity.tolist() == [0.1, 0.2, 0.3]


@pytest.mark.parametrize("aggregation", ["softmax", "max"])
def test_parts_add_up_and_the_winner_is_the_nearest_persona(aggregation: str) -> None:
    item_index, users = make_shelf(aggregation)
    prior = csr_array(np.random.default_rng(6).random((4, 40)).round())
    found = exact_scores(item_index, users, np.tile(np.arange(40), (4, 1)), prior)
    np.testing.assert_array_equal(found.scores, found.best + found.others + item_index.popularity + found.prior)
    np.testing.assert_array_equal(found.prior, prior.toarray())
    similar = users @ item_index.vectors.T.astype(np.float64)
    for user in range(4):
        for item in range(40):
            rows = item_index.slots[item][item_index.filled[item]]
            assert found.personas[user, item] == rows[similar[user, rows].argmax()]
    np.testing.assert_allclose(found.best, np.take_along_axis(similar, found.personas, 1), atol=1e-15)
    if aggregation == "max":
        assert not found.others.any()
    else:
        assert (found.others <= 1e-12).all()  # the soft maximum lies below the maximum
        assert (found.others[:, item_index.filled.sum(1) == 1] == 0).all()


@pytest.mark.parametrize("aggregation", ["softmax", "max"])
def test_serving_scores_are_the_training_scores(aggregation: str) -> None:
    item_index, users = make_shelf(aggregation)
    served = exact_scores(item_index, users, np.tile(np.arange(40), (4, 1)))
    similar = torch.from_numpy(users) @ torch.from_numpy(item_index.vectors).double().T
    trained = aggregate(
        similar[:, torch.from_numpy(item_index.slots)], torch.from_numpy(item_index.filled), TEMPERATURE, aggregation
    )
    np.testing.assert_allclose(served.best + served.others, trained.numpy(), atol=1e-12)


def test_parts_hold_their_items_and_no_more_than_their_bytes() -> None:
    item_index, users = make_shelf("softmax")
    whole = exact_scores(item_index, users, np.tile(np.arange(40), (4, 1)))
    spans = item_index.spans(5 * 24 * 4)
    assert [start for start, _ in spans[1:]] == [stop for _, stop in spans[:-1]]
    assert (spans[0][0], spans[-1][1]) == (0, 40)
    for start, stop in spans:
        part = item_index.part(start, stop)
        assert len(part.vectors) <= 5
        scores = exact_scores(part, users, np.tile(np.arange(stop - start), (4, 1))).scores
        np.testing.assert_allclose(scores, whole.scores[:, start:stop], atol=1e-12)
    assert item_index.spans(1) == [(n, n + 1) for n in range(40)]
